"""``oih run``."""

from pipelines import study as studies
from pipelines.cli.console import StudyFile, console, progress
from pipelines.cli.intake import print_drift, require_inputs


def run(study: StudyFile) -> None:
    """Run a study and publish its report."""
    loaded = studies.load(study)
    require_inputs(loaded)
    print_drift(loaded)
    with progress(f"Running {loaded.name}") as advance:
        from pipelines import run as runs
        from pipelines import tables
        from pipelines.defs import launch

        total = len(tables.of(loaded)) + 1
        runs.on_step.set(lambda step: advance(step, total))
        report = launch.run(study, loaded)
    console.print(f"Report: {report}", soft_wrap=True)
