"""A study's output folder: the writer's warehouse, the published runs, the lock.

Layout::

    <output>/work/warehouse.duckdb     the writer's
    <output>/work/corrections/         corrected rows by source and table, which the next run reads
    <output>/runs/<run_id>/            warehouse.duckdb, report/, quality/, manifest.json; kept are the last 3 published
                                       and the last 3 others, which have quality/ alone
    <output>/current -> runs/<run_id>  swapped by one rename: warehouse and report change together
    <output>/models/ .dagster/ lock
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from pipelines import warehouse
from pipelines.errors import WorkspaceError
from pipelines.study import Study
from pipelines.warehouse import Connection

RUNS_KEPT = 3


@dataclass(frozen=True)
class Workspace:
    """The output folder of one study."""

    study: Study

    @property
    def root(self) -> Path:
        return self.study.output

    @property
    def warehouse(self) -> Path:
        return self.root / "work" / "warehouse.duckdb"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def dagster_home(self) -> Path:
        return self.root / ".dagster"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def current(self) -> Path:
        return self.root / "current"

    @property
    def published(self) -> Path:
        """The warehouse of the published run.

        Raises:
            WorkspaceError: There is none.
        """
        file = self.current / "warehouse.duckdb"
        if not file.is_file():
            raise WorkspaceError(f"{self.root}: has no published run. Run the study first.")
        return file

    def published_study(self) -> Study:
        """The study as the published run read it: its file may say something else by now.

        Raises:
            WorkspaceError: There is no published run, or one of another version of the project.
        """
        try:
            manifest = json.loads((self.published.parent / "manifest.json").read_text())
            return Study.model_validate(manifest["study"])
        except (OSError, ValueError, KeyError):
            raise WorkspaceError(
                f"{self.current / 'manifest.json'}: is of another version of the project. Run the study again."
            ) from None

    def refuse_inside(self, out: Path) -> None:
        """Keep what one writes oneself out of the study's output, whose report is for others.

        Raises:
            WorkspaceError: The file or folder would be inside.
        """
        if self.root.resolve() in (out.resolve(), *out.resolve().parents):
            raise WorkspaceError(f"{out}: is inside the study's output. Choose another folder.")

    def run_folder(self, run_id: str) -> Path:
        return self.root / "runs" / run_id

    def corrections(self, source: str, table: str) -> Path:
        """Corrected rows of one delivered table; there only where any were given."""
        return self.root / "work" / "corrections" / source / f"{table}.parquet"

    def create(self) -> None:
        """Make the folders, readable by their owner alone.

        Raises:
            WorkspaceError: The folder, or something in it that a run writes, cannot be written.
        """
        os.umask(0o077)
        folders = (self.root, self.warehouse.parent, self.models, self.dagster_home, self.root / "runs")
        files = (self.lock, self.warehouse, self.dagster_home / "dagster.yaml")
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for place in (*folders, *files):
                if place.is_symlink():
                    raise WorkspaceError(
                        f"{place}: is a symbolic link, through which patient rows would be written elsewhere. "
                        "Remove it, or choose another output folder in the study."
                    )
            for place in (*folders, *filter(Path.exists, files)):
                if not os.access(place, os.R_OK | os.W_OK | (os.X_OK if place in folders else 0)):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
        except OSError as error:
            raise WorkspaceError(
                f"{error.filename}: cannot be written ({error.strerror}). "
                "Give yourself the right to, or choose another output folder in the study."
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the output folder: one run at a time, from the command line or the UI.

        Raises:
            WorkspaceError: Another run holds it.
        """
        self.create()
        # A singleton, so that the command line and the run it starts in its own process share one hold.
        lock = filelock.FileLock(self.lock, timeout=0, mode=0o600, is_singleton=True)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise WorkspaceError(
                f"{self.root}: another run is writing here. Wait for it to end, or choose another output folder."
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def connected(self, readable: Sequence[Path] = ()) -> Iterator[Connection]:
        """Open the writer's warehouse; ``readable`` folders are for ingest only."""
        with warehouse.opened(self.warehouse, readable, self.study.memory_limit) as connection:
            yield connection

    def publish(self, run_id: str, manifest: dict[str, Any]) -> Path:
        """Copy the warehouse beside the run's report and make the run the current one.

        The folder is complete before ``current`` moves, and it moves by one rename, so a reader sees the old run or
        the new one, never a mixture.

        Returns:
            The published folder.
        """
        folder = self.run_folder(run_id)
        with self.connected() as connection:
            connection.execute("checkpoint")
        shutil.copyfile(self.warehouse, folder / "warehouse.duckdb")
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
        link = self.root / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("runs") / run_id)
        os.replace(link, self.current)
        return folder

    def forget_old_runs(self) -> None:
        """Delete all but the last published runs and the last others; failures never displace a published run."""
        newest_first = sorted((self.root / "runs").iterdir(), key=lambda run: run.stat().st_mtime, reverse=True)
        published = [run for run in newest_first if (run / "manifest.json").exists()]
        others = [run for run in newest_first if run not in published]
        current = self.current.resolve().name
        for run in published[RUNS_KEPT:] + others[RUNS_KEPT:]:
            if run.name != current:
                shutil.rmtree(run)
