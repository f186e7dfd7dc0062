"""``oih simulate``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import console, progress
from pipelines.errors import PipelineError


def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for extract/ and truth/.")],
    patients: Annotated[int, typer.Option(min=1, help="Simulated patients.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same files.")] = 1,
) -> None:
    """Simulate an extract with known truth."""
    from pipelines import simulator

    with progress(f"Simulating {patients} patients") as advance:
        world = simulator.simulate(patients, seed, on_day=lambda day, days: advance("day", days))
    try:
        simulator.write(world, out)
    except OSError as error:
        raise PipelineError(f"{out}: cannot be written ({error.strerror}). Choose another folder.") from None
    console.print(f"Simulated extract: {out / 'extract'}\nIts truth, kept apart: {out / 'truth'}", soft_wrap=True)
