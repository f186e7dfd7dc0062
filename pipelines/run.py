"""One run of a study: hold the output folder, build and check each table, publish, and leave quality pages behind.

Dagster drives it table by table; nothing here knows Dagster.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines import checks, drift, identifiers, quality, reporting, tables, warehouse
from pipelines import study as studies
from pipelines.checks import CheckResult
from pipelines.drift import Drift
from pipelines.errors import CheckError, PipelineError, WorkspaceError
from pipelines.identifiers import Finding
from pipelines.study import Study
from pipelines.tables import Table
from pipelines.warehouse import Connection
from pipelines.workspace import Workspace

# Told the name of every step as it begins; the command line moves its bar with it.
on_step: ContextVar[Callable[[str], None]] = ContextVar("on_step", default=lambda step: None)


@dataclass(frozen=True)
class Built:
    """What became of one table.

    Attributes:
        rows: Rows it has.
        checks: Its checks; none for a source's mapping, which is checked as part of the clean table.
        columns: Per column its type, filled rows and about how many distinct values: counts, never a value.
        plot: The report's own chart of a report table (PNG), where it has one: aggregates after disclosure control.
    """

    rows: int
    checks: list[CheckResult]
    columns: list[dict[str, Any]]
    plot: bytes | None


@dataclass
class Run:
    """A run in progress. Use as a context: entering takes the lock, leaving writes the quality pages.

    Attributes:
        study: The study that runs.
        run_id: Names the run's folder.
        results: What was checked, in the order of flow.
        drifts: Where the delivered columns are not those of the contracts.
        row_counts: Rows of the tables built and checked in this run.
        failures: What stopped it, without a value of a row.
        is_published: It is the current one.
        identifiers: Delivered columns that look identifying; None before the extracts were screened.
    """

    study: Study
    run_id: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    results: list[CheckResult] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)
    row_counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    is_published: bool = False
    identifiers: list[Finding] | None = None
    _held: ExitStack = field(default_factory=ExitStack)
    _opened: ExitStack = field(default_factory=ExitStack)
    _connection: Connection | None = None
    _readable: tuple[Path, ...] = ()

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.study)

    @property
    def folder(self) -> Path:
        return self.workspace.run_folder(self.run_id)

    @property
    def facts(self) -> reporting.Facts:
        """What every published output carries about the run."""
        return reporting.Facts(
            run_id=self.run_id,
            study_name=self.study.name,
            study_title=self.study.title,
            study_hash=self.study.fingerprint,
            code_version=studies.code_version(),
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            sources=tuple(sorted(self.study.sources)),
            simulated=set(self.study.sources) == {"simulated"},
        )

    def __enter__(self) -> "Run":
        with ExitStack() as held:
            held.enter_context(self.workspace.locked())
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._connected() as connection:
                warehouse.keep_only(connection, [table.name for table in tables.of(self.study)])
            self.drifts = drift.found(self.study)
            self._held = held.pop_all()
            self._held.callback(self._close)
        return self

    def __exit__(self, *failure: object) -> None:
        """Write the quality pages, for a failed run too, and let go of the folder."""
        with self._held:
            if not self.is_published:
                self._write_quality()
            self.workspace.forget_old_runs()

    @contextmanager
    def _connected(self, readable: tuple[Path, ...] = ()) -> Iterator[Connection]:
        """The warehouse, kept open for the next step that may read the same folders: opening it costs more than most.

        A step that is stopped closes it, so that none begins in what another left undone.
        """
        if self._connection is None or readable != self._readable:
            self._close()
            self._connection = self._opened.enter_context(self.workspace.connected(readable))
            self._readable = readable
        try:
            yield self._connection
        except BaseException:
            self._connection = None
            if not self._opened.__exit__(*sys.exc_info()):  # it words what only the warehouse can tell
                raise

    def _close(self) -> None:
        self._connection = None
        self._opened.close()

    def build(self, table: Table) -> Built:
        """Build one table and check it against its contract.

        Only ingest can read the extracts; every other step opens the warehouse with no folder to read.
        """
        on_step.get()(table.name)
        with self._failure_noted(table.name):
            drift.refuse(self.drifts)
            return self._build(table)

    def _build(self, table: Table) -> Built:
        readable = tuple(source.folder for source in self.study.sources.values()) if table.is_ingest else ()
        with self._connected(readable) as connection:
            if table.is_ingest and self.identifiers is None:
                self.identifiers = identifiers.screen(connection, self.study)
            identifiers.refuse(self.identifiers or [])
            rows = table.build(connection, self.study)
        with self._connected() as connection:  # the contract's queries, too, run where no folder can be read
            results = checks.check(connection, table.contract) if table.contract else []
            columns = _summary(connection, table)
            plot = reporting.plot(connection, self.study, table.name) if table.step == "report" else None
        self.results = [kept for kept in self.results if kept.table != table.name] + results
        self.row_counts[table.name] = rows
        return Built(rows, results, columns, plot)

    def publish(self) -> Path:
        """Write the cohort report and make this run the current one.

        Raises:
            CheckError: A table of the study was not built and checked in this run, or a blocking check failed.
        """
        on_step.get()("report")
        with self._failure_noted("report.page"):
            self._require_all_checked()
            with self._connected() as connection:
                reporting.write(connection, self.study, self.facts, self.results, self.folder / "report")
            self._write_quality()
            manifest = self._manifest()
            self._close()  # publishing checkpoints and copies the file
            folder = self.workspace.publish(self.run_id, manifest)
        self.is_published = True
        return folder

    def _manifest(self) -> dict[str, Any]:
        return {
            "study": json.loads(self.study.model_dump_json()),
            "study_hash": self.study.fingerprint,
            "code_version": studies.code_version(),
            "run_id": self.run_id,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "inputs": self._inputs(),
        }

    def _require_all_checked(self) -> None:
        """A table that another run left in the warehouse may hold anything: no check of this run speaks for it."""
        if unchecked := len(self._not_built()):
            raise CheckError(
                f"{self.study.name}: {unchecked} tables were not built and checked in this run, so nothing was "
                "published. Launch the whole job run_study."
            )
        if blocking := self._blocking():
            raise CheckError(
                f"{self.study.name}: blocking checks failed ({', '.join(blocking)}), so nothing was published. "
                "Mend the extract or the contract and launch the whole job run_study."
            )

    def _not_built(self) -> list[str]:
        return [table.name for table in tables.of(self.study) if table.name not in self.row_counts]

    def _blocking(self) -> list[str]:
        return [f"{found.table} {found.check}" for found in self.results if found.blocks]

    @contextmanager
    def _failure_noted(self, step: str) -> Iterator[None]:
        """Keep what stopped a step for the quality pages: Dagster does not tell it at the end of a run."""
        try:
            yield
        except PipelineError as error:
            self.failures.append(str(error))
            raise
        except BaseException:  # an interrupt, too; its own text may quote a row
            self.failures.append(f"{step}: stopped by a bug or from outside. Dagster's history of the run has more.")
            raise

    def _write_quality(self) -> None:
        """Write the quality page, what it is made of, and the Data Docs behind it."""
        folder = self.folder / "quality"
        now = self._found()
        checks.data_docs(
            self.results,
            folder / "data_docs",
            self.study.title,
            self._fact_lines(),
            failures=now.failures,
            not_built=now.not_built,
            page="../index.html",
        )
        before = self._before()
        with self._connected() as connection:
            quality.write(folder, now, self.study, connection, before, data_docs="data_docs")

    def _found(self) -> quality.RunResults:
        blocking = [f"{found.table} {found.check}: {found.outcome}." for found in self.results if found.blocks]
        facts = self.facts
        return quality.RunResults(
            run_id=facts.run_id,
            study_name=facts.study_name,
            study_title=facts.study_title,
            study_hash=facts.study_hash,
            code_version=facts.code_version,
            started_at=facts.started_at,
            failures=[*self.failures, *blocking],
            not_built=self._not_built(),
            drifts=self.drifts,
            row_counts=self.row_counts,
            results=self.results,
        )

    def _before(self) -> quality.Before | None:
        """The last run that left results; None where there is none, or it cannot be read any more."""
        try:
            return quality.last(self.workspace, self.run_id)
        except WorkspaceError:
            return None

    def _inputs(self) -> list[dict[str, Any]]:
        with self._connected() as connection:
            query = "select source, source_file, sha256, size_bytes from raw.delivery order by all"
            return connection.sql(query).pl().to_dicts()

    def _fact_lines(self) -> dict[str, str]:
        facts = self.facts
        return {
            "Study": f"{facts.study_name} ({facts.study_hash})",
            "Code": facts.code_version,
            "Run": facts.run_id,
            "Started": facts.started_at.isoformat(timespec="seconds"),
        } | self._identifier_lines()

    def _identifier_lines(self) -> dict[str, str]:
        if self.identifiers is None:
            return {}
        accepted = sum(found.reason is not None for found in self.identifiers)
        refused = len(self.identifiers) - accepted
        return {"Columns that look identifying": f"{refused} refused, {accepted} accepted with a reason"}


def _summary(connection: Connection, table: Table) -> list[dict[str, Any]]:
    described = connection.execute(f"describe {table.name}").fetchall()
    counts = ", ".join(f'count("{name}"), approx_count_distinct("{name}")' for name, *_ in described)
    [found] = connection.execute(f"select {counts} from {table.name}").fetchall()
    return [
        {"column": name, "type": type_, "filled_rows": filled, "distinct_values_about": distinct}
        for (name, type_, *_), filled, distinct in zip(described, found[::2], found[1::2], strict=True)
    ]
