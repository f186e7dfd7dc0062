"""What a run checked and found, kept beside it as JSON: to compare runs, and to try other thresholds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines import warehouse
from pipelines.checks import CheckResult
from pipelines.drift import Drift
from pipelines.errors import PipelineError, WorkspaceError
from pipelines.workspace import Workspace

FILE = "checks.json"

# What got worse first.
ORDER = (
    NEWLY_FAILING,
    ERROR,
    NEW,
    UNREACHED,
    MORE,
    NOT_JUDGED,
    GONE,
    NOW_WARNING,
    LIMITS,
    NOW_CRITICAL,
    FEWER,
    JUDGED,
    MENDED,
) = (
    "newly failing",
    "can no longer be evaluated",
    "new check, failing",
    "failing, not reached then",
    "more failing rows",
    "no longer has a row to judge",
    "no longer checked",
    "critical then, now a warning",
    "other limits",
    "a warning then, now critical",
    "fewer failing rows",
    "has rows to judge again",
    "mended",
)


class RunResults(BaseModel):
    """Results of one run, published or failed.

    Attributes:
        failures: What stopped it; none where it was published.
        not_built: Tables of the study that were not built and checked.
        drifts: Where the delivered columns are not those of the contracts.
        row_counts: Rows of each table that was built.
        results: Every check, in the order of flow.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    study_name: str
    study_title: str
    study_hash: str
    code_version: str
    started_at: datetime
    failures: list[str] = []
    not_built: list[str] = []
    drifts: list[Drift] = []
    row_counts: dict[str, int] = {}
    results: list[CheckResult] = []

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Before:
    """The run before, to compare with.

    Attributes:
        results: Of the last run that left results, published or failed.
        is_published: It was published; a failed one keeps no tables.
        codes: Table quality.code_use of the published run; None where there is none.
    """

    results: RunResults
    is_published: bool = True
    codes: pl.DataFrame | None = None


@dataclass(frozen=True)
class Change:
    """How one check differs from the run before.

    Attributes:
        what: One of ``ORDER``.
        before: Outcome then, in counts; empty where it was not checked.
        now: Outcome now; empty where it is not checked.
    """

    table: str
    check: str
    what: str
    before: str
    now: str


@dataclass(frozen=True)
class Threshold:
    """Other limits of one check.

    Attributes:
        check: ``schema.table.check``, or the check alone where one table has it.
        max_failing_share: Share of the rows at risk that may fail; None leaves the contract's.
        max_failing_rows: Rows that may fail; likewise.
    """

    check: str
    max_failing_share: float | None = None
    max_failing_rows: int | None = None


def run_folder(workspace: Workspace, run_id: str | None = None) -> Path:
    """Folder of a run that is kept: of the named one, or of the last that left results, published or failed.

    Raises:
        WorkspaceError: There is none.
    """
    kept = _kept(workspace)
    if run_id is not None:
        kept = [run for run in kept if run.name == run_id]
    if not kept:
        which = f"run {run_id} that left results" if run_id else "run that left results"
        raise WorkspaceError(f"{workspace.root}: keeps no {which}. Run the study, or name one of its runs.")
    return kept[-1]


def _kept(workspace: Workspace) -> list[Path]:
    """Folders of the runs that left results, the last of them last."""
    files = (workspace.root / "runs").glob(f"*/quality/{FILE}")
    return [file.parent.parent for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]


def read(folder: Path) -> RunResults:
    """Results kept in a run's quality folder.

    Raises:
        WorkspaceError: There are none, or the file was changed or cut short.
    """
    file = folder / FILE
    try:
        return RunResults.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError, OSError):
        raise WorkspaceError(f"{file}: is not as a run wrote it. Run the study again.") from None


def last(workspace: Workspace, run_id: str) -> Before | None:
    """The last run of a study before this one that left results; None where there is none.

    Raises:
        WorkspaceError: It cannot be read.
    """
    kept = [run for run in _kept(workspace) if run.name != run_id]
    if not kept:
        return None
    is_published = (kept[-1] / "manifest.json").is_file()
    return Before(read(kept[-1] / "quality"), is_published, _published_codes(workspace))


def _published_codes(workspace: Workspace) -> pl.DataFrame | None:
    if not (workspace.current / "quality" / FILE).is_file():
        return None
    results = read(workspace.current / "quality")
    codes = None
    file = workspace.current / "warehouse.duckdb"
    if "quality.code_use" in results.row_counts and file.is_file():
        with warehouse.opened(file, read_only=True, memory_limit=workspace.study.memory_limit) as connection:
            codes = connection.sql("from quality.code_use").pl()
    return codes


def changes(before: RunResults, now: RunResults) -> list[Change]:
    """Checks whose outcome differs between two runs, what got worse first.

    Of a check that this run did not reach nothing is said: its tables that were not built are.
    """
    then = {(found.table, found.check): found for found in before.results}
    found_now = {(found.table, found.check): found for found in now.results}
    changed = [
        change for key, found in found_now.items() for change in _changes(then.get(key), found, before.not_built)
    ]
    unreached = set(now.not_built)
    changed += [
        Change(found.table, found.check, GONE, found.outcome, "")
        for key, found in then.items()
        if key not in found_now and found.table not in unreached
    ]
    return sorted(changed, key=lambda change: ORDER.index(change.what))


def _changes(before: CheckResult | None, now: CheckResult, unreached: Sequence[str]) -> list[Change]:
    if before is None:
        what = UNREACHED if now.table in unreached else NEW
        return [Change(now.table, now.check, what, "", now.outcome)] if now.is_open else []
    whats = []
    if before.status != now.status:
        passes_again = MENDED if before.is_open else JUDGED
        whats.append(
            {"failed": NEWLY_FAILING, "error": ERROR, "not_applicable": NOT_JUDGED, "passed": passes_again}[now.status]
        )
    elif before.failing_rows is not None and now.failing_rows is not None and before.failing_rows != now.failing_rows:
        whats.append(MORE if now.failing_rows > before.failing_rows else FEWER)
    if before.severity != now.severity:
        whats.append(NOW_CRITICAL if now.severity == "critical" else NOW_WARNING)
    if (before.max_failing_share, before.max_failing_rows) != (now.max_failing_share, now.max_failing_rows):
        whats.append(LIMITS)
    return [Change(now.table, now.check, what, before.outcome, now.outcome) for what in whats]


def row_changes(before: RunResults, now: RunResults) -> list[tuple[str, int, int]]:
    """Tables that both runs built with other numbers of rows: table, rows then, rows now."""
    return [
        (table, before.row_counts[table], rows)
        for table, rows in now.row_counts.items()
        if table in before.row_counts and before.row_counts[table] != rows
    ]


def thresholds(texts: Iterable[str]) -> list[Threshold]:
    """Read ``CHECK=0.01``, ``CHECK=1%`` or ``CHECK=100rows``; a share and a number of one check both hold.

    Raises:
        PipelineError: One of them is none of these.
    """
    found: dict[str, Threshold] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        number = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%|rows?)?\s*", value)
        if not name or not number:
            raise PipelineError("--threshold: is not CHECK=LIMIT. Write the limit as 0.01, 1% or 100rows.")
        known = found.get(name.strip(), Threshold(name.strip()))
        if number[2] and number[2].startswith("row"):
            if not number[1].isdigit():
                raise PipelineError(f"--threshold {known.check}: rows are whole. Write the limit as 100rows.")
            known = Threshold(known.check, known.max_failing_share, int(number[1]))
        else:
            share = float(Decimal(number[1]) / (100 if number[2] else 1))
            if share > 1:
                raise PipelineError(
                    f"--threshold {known.check}: is a share above 1. Write 0.01 or 1% for a share, 100rows for rows."
                )
            known = Threshold(known.check, share, known.max_failing_rows)
        found[known.check] = known
    return list(found.values())


def judged(results: Sequence[CheckResult], under: Sequence[Threshold]) -> list[CheckResult]:
    """The same counts under other limits; of a share and a number, the one not given stays as the contract has it.

    Raises:
        PipelineError: No check has that name, or several do, or no rows were counted that a limit could speak of.
    """
    limits: Mapping[tuple[str, str], Threshold] = {_named(results, limit.check): limit for limit in under}
    found = []
    for result in results:
        if limit := limits.get((result.table, result.check)):
            share, rows = limit.max_failing_share, limit.max_failing_rows
            result = result.judged(
                result.max_failing_share if share is None else share,
                result.max_failing_rows if rows is None else rows,
            )
        found.append(result)
    return found


def _named(results: Sequence[CheckResult], name: str) -> tuple[str, str]:
    named = [result for result in results if name in (result.check, f"{result.table}.{result.check}")]
    if not named:
        raise PipelineError(f"--threshold {name}: the run has no such check. Its quality page names them.")
    if len(named) > 1:
        tables = ", ".join(result.table for result in named[:5])
        raise PipelineError(
            f"--threshold {name}: {len(named)} tables have it ({tables}). Put the table before it: "
            f"{named[0].table}.{name}."
        )
    if named[0].failing_rows is None:
        raise PipelineError(f"--threshold {name}: counts no rows, so no limit speaks of it. Name another check.")
    return named[0].table, named[0].check
