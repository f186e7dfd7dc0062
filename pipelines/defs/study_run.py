"""The resource that every asset uses: the run of the study."""

import os
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from pipelines import paths, study
from pipelines.run import Run

STUDY_VARIABLE = "OIH_STUDY"


def active_study() -> study.Study:
    """The study of this code location."""
    return study.load(Path(os.environ.get(STUDY_VARIABLE) or paths.ROOT / "studies" / "demo.yaml"))


class StudyRun(dg.ConfigurableResource):
    """Holds the output folder for as long as a Dagster run lasts, and writes its quality pages at the end."""

    _run: Run = PrivateAttr()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        assert context.run_id
        self._run = Run(active_study(), context.run_id).__enter__()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        self._run.__exit__()

    @property
    def current(self) -> Run:
        return self._run


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(resources={"study_run": StudyRun()})
