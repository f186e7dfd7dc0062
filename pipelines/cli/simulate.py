"""``oih simulate``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import console, progress
from pipelines.errors import PipelineError


def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for extract/ and truth/.")],
    patients: Annotated[int, typer.Option(min=1, help="Simulated patients.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same files.")] = 1,
    world: Annotated[str, typer.Option(help="What is simulated: a file of pipelines/simulator/worlds.")] = "realistic",
) -> None:
    """Simulate an extract with known truth."""
    from pipelines import simulator

    chosen = simulator.load_world(world)
    with progress(f"Simulating {patients} patients") as advance:
        tables = simulator.simulate(
            patients, seed, chosen, lambda block, blocks: advance("block", blocks), processes=os.cpu_count() or 1
        )
    try:
        simulator.write(tables, out)
    except OSError as error:
        raise PipelineError(f"{out}: cannot be written ({error.strerror}). Choose another folder.") from None
    console.print(f"Simulated extract: {out / 'extract'}\nIts truth, kept apart: {out / 'truth'}", soft_wrap=True)
