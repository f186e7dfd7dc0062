"""``oih ui``."""

from typing import Annotated

import typer

from pipelines import study as studies
from pipelines.cli.console import StudyFile


def ui(
    study: StudyFile,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster's UI on a study, reachable from this machine only."""
    from pipelines.defs import launch

    raise typer.Exit(launch.open_ui(study, studies.load(study), port))
