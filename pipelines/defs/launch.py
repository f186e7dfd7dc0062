"""Running the study's job from the command line and opening the UI: the same assets, the same Dagster home."""

import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy import Engine, event

from pipelines.defs.study_run import STUDY_VARIABLE
from pipelines.errors import CheckError, PipelineError
from pipelines.study import Study
from pipelines.workspace import Workspace

JOB = "run_study"
DAGSTER_HOME = """\
# Generated: nothing is sent or asked for, one run at a time.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
"""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run(path: Path, study: Study) -> Path:
    """Run every asset of a study in this process.

    Returns:
        The published report.

    Raises:
        PipelineError: Something the user can mend; Dagster's history keeps the failed run.
        CheckError: A blocking check failed, so nothing was published.
    """
    workspace = Workspace(study)
    run_id = str(uuid4())
    with workspace.locked(), _history_kept_open(), _instance(workspace, path) as instance:
        _reconcile(instance)
        from pipelines.definitions import defs

        job = defs().resolve_job_def(JOB)
        try:
            job.execute_in_process(instance=instance, run_id=run_id, run_config=QUIET)
        except dg.DagsterError as error:
            if isinstance(error.__cause__, PipelineError):  # raised as the run began, so that Dagster wrapped it
                raise error.__cause__ from None
            if failed := _failed_checks(instance, run_id):
                pages = workspace.run_folder(run_id) / "quality" / "index.html"
                raise CheckError(f"{failed}. Nothing was published; {pages} has every check.") from None
            raise
    return workspace.current / "report" / "index.html"


def open_ui(path: Path, study: Study, port: int) -> int:
    """Serve Dagster's UI for a study on this machine only, until it is stopped.

    Returns:
        Exit code of the server.
    """
    workspace = Workspace(study)
    with workspace.locked(), _instance(workspace, path) as instance:
        _reconcile(instance)
    serve = [sys.executable, "-m", "dagster", "dev", "--module-name", "pipelines.definitions"]
    return subprocess.call([*serve, "--host", "127.0.0.1", "--port", str(port)])


@contextmanager
def _instance(workspace: Workspace, path: Path) -> Iterator[DagsterInstance]:
    """Dagster's home for this study, written anew."""
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    (workspace.dagster_home / "dagster.yaml").write_text(DAGSTER_HOME)
    os.environ |= {"DAGSTER_HOME": str(workspace.dagster_home), STUDY_VARIABLE: str(path.resolve())}
    with DagsterInstance.get() as instance:
        yield instance


@contextmanager
def _history_kept_open() -> Iterator[None]:
    """Hold Dagster's SQLite files open as long as a run lasts.

    Dagster connects anew for every event, and the last connection that leaves a file writes its log back and waits for
    the disk, which took longer than the steps. What a power cut can take is the end of a run's history.
    """
    held: dict[str, sqlite3.Connection] = {}

    def hold(connection: Any, _: object) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("pragma synchronous = normal")
        [(_, _, file), *_] = connection.execute("pragma database_list").fetchall()
        [[mode]] = connection.execute("pragma journal_mode").fetchall()
        if file not in held and mode == "wal":
            held[file] = sqlite3.connect(file, check_same_thread=False)
            held[file].execute("select count(*) from sqlite_master").fetchall()  # only a file that was read is held

    event.listen(Engine, "connect", hold)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hold)
        for connection in held.values():
            connection.close()


def _reconcile(instance: DagsterInstance) -> None:
    """Close runs that a kill left open; holding the lock proves that none of them is alive."""
    left_open = RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING])
    for run_left in instance.get_runs(left_open):
        instance.report_run_failed(run_left, "Ended from outside before it was done.")


def _failed_checks(instance: DagsterInstance, run_id: str) -> str:
    """Which blocking checks failed, in which table, by how much; empty if none did."""
    entries = instance.all_logs(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]
    return "; ".join(
        f"{'.'.join(found.asset_key.path)}: {str(found.metadata['not_passed'].value).removeprefix('- ')}".replace(
            "\n- ", ", "
        )
        for found in evaluations
        if not found.passed and found.blocking
    )
