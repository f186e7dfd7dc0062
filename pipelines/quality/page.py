"""The quality page of a run: one page that needs no network, from the templates in ``reports/quality``.

It prints tables of the step ``quality`` and what was checked, with exact counts, and no value of a row. A code or a
drug text is shown where at least as many patients share it as the report publishes.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
import yaml
from markupsafe import Markup, escape

from pipelines import contracts, paths, reporting, warehouse
from pipelines.checks import CheckResult
from pipelines.drift import Drift
from pipelines.quality import ledger
from pipelines.quality.results import Before, RunResults, changes, row_changes
from pipelines.study import Study
from pipelines.warehouse import Connection

TEMPLATES = paths.REPORTS / "quality"
CODES_SHOWN = 50
ROWS_SHOWN = 200  # of any table that grows with the extract; the warehouse has all
AXIS = {"axisX": {"labelFlush": False, "labelSeparation": 6}}  # else the first month stands in the second
PREFERRED_SCORES = ("0", "5", "10")

Row = dict[str, Any]


def write(
    folder: Path,
    now: RunResults,
    study: Study,
    connection: Connection | None,
    before: Before | None = None,
    data_docs: str | None = None,
) -> Path:
    """Write ``index.html`` and the results as JSON into a folder, which is made if missing.

    Args:
        now: What the run checked before it ended.
        connection: Its warehouse; of the tables in it only those that the run built are shown. None where it was
            not kept, as that of a failed run.
        before: The last run that left results, published or not; None at the first.
        data_docs: Folder of the Data Docs, relative to the page.

    Returns:
        The page.
    """
    found = _Tables(connection, set(now.row_counts))
    min_cell_count = study.disclosure.min_cell_count
    seen = {row["source"] for row in found.rows("date_shift") if row["is_shifted"]}
    shifted = sorted(seen | set(study.shifted_sources))
    page = (
        _environment()
        .get_template("index.html")
        .render(
            now=now,
            before=before.results if before else None,
            is_before_published=bool(before and before.is_published),
            changes=changes(before.results, now) if before else [],
            row_changes=row_changes(before.results, now) if before else [],
            code_changes=_code_changes(before.codes if before else None, found.frame("code_use"), min_cell_count),
            style=Markup((paths.REPORTS / "style.css").read_text() + (TEMPLATES / "style.css").read_text()),
            data_docs=data_docs,
            min_cell_count=min_cell_count,
            study=study,
            statuses=Counter(result.status for result in now.results),
            open=sorted((r for r in now.results if r.is_open), key=lambda r: (r.severity, r.status)),
            by_table=_by_table(now.results),
            drifts=_by_file(now.drifts),
            shifted_sources=shifted,
            untold_sources=[
                name
                for name, source in sorted(study.sources.items())
                if source.dates == "unknown" and name not in shifted
            ],
            rows_shown=ROWS_SHOWN,
            has_tables=connection is not None,
            has_plausibility=any(table.startswith("quality.") for table in found.built),
            has_ledger="report.row_ledger" in found.built,
            diagrams=ledger.diagrams(found.ledger(), partial(_label, "outcome")),
            ledger=found.ledger(),
            quarantined=found.quarantined(),
            charts=_charts(found),
            digits=_digits(found.rows("score_value")),
            gaps=_gaps(found.rows("coverage_month")),
            shifts=[row | {"month": _month(row["month_number"])} for row in found.rows("level_shift")],
            flips=[row for row in found.rows("unit_flip") if row["patient_count"] >= min_cell_count],
            rare_flips=sum(row["patient_count"] < min_cell_count for row in found.rows("unit_flip")),
            codes=[row for row in found.rows("code_use") if row["change"]][:CODES_SHOWN],
            unread=found.unread(),
            accepted=[
                (contract.table, accepted)
                for source in sorted(study.sources)
                for contract in contracts.raw_contracts(source)
                for accepted in contract.accepted_identifiers
            ],
            is_built=found.built,
        )
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "index.html"
    file.write_text(page, encoding="utf-8")
    now.save(folder)
    return file


def write_again(folder: Path, run: Path, now: RunResults, study: Study) -> Path:
    """Write the page of a run that is kept into another folder, under other limits; the run stays as it is.

    Args:
        run: Folder of the run. That of a failed one holds no warehouse, so the page shows its checks alone.
    """
    file = run / "warehouse.duckdb"
    if not file.is_file():
        return write(folder, now, study, None)
    with warehouse.opened(file, read_only=True, memory_limit=study.memory_limit) as connection:
        return write(folder, now, study, connection)


class _Tables:
    """Tables of a warehouse that this run built; the others, which an older run left, read as empty."""

    def __init__(self, connection: Connection | None, built: set[str]) -> None:
        self.connection = connection
        self.built = built if connection else set()

    def frame(self, name: str) -> pl.DataFrame | None:
        table = f"quality.{name}"
        return self._select(f"from {table} order by all") if table in self.built else None

    def rows(self, name: str) -> list[Row]:
        frame = self.frame(name)
        return [] if frame is None else frame.to_dicts()

    def unread(self) -> list[Row]:
        if "report.unread_text" not in self.built:
            return []
        return self._select("from report.unread_text order by record_count desc, drug_text").to_dicts()

    def ledger(self) -> list[Row]:
        """The row ledger; of a run that ended before it, what became of the rows of the files that were read."""
        if "report.row_ledger" in self.built:
            query = (
                "from report.row_ledger "
                "order by coalesce(list_position($steps, step), 3), row_count desc, source, table_name, outcome, reason"
            )
            return self._select(query, {"steps": ["ingest", "clean", "", "dose", "pain"]}).to_dicts()
        if not self._has("raw.delivery"):
            return []
        return self._select(
            """
            select 'ingest' as step, source, table_name, 'entered' as outcome, '' as reason,
                sum(delivered_rows)::bigint as row_count
            from raw.delivery where list_contains($built, 'raw_' || source || '.' || table_name) group by all
            union all
            select 'ingest', source, table_name, 'loaded', '', sum(loaded_rows)::bigint
            from raw.delivery where list_contains($built, 'raw_' || source || '.' || table_name) group by all
            union all
            select 'ingest', source, table_name, 'quarantined', rule, count(*)
            from raw.quarantine
            where step = 'ingest' and list_contains($built, 'raw_' || source || '.' || table_name) group by all
            order by row_count desc, source, table_name
            """,
            {"built": sorted(self.built)},
        ).to_dicts()

    def quarantined(self) -> list[Row]:
        """Rows in quarantine by rule."""
        found: list[Row] = []
        for schema, of in (("raw", "'raw_' || source || '.' || table_name"), ("clean", "'clean.' || table_name")):
            if self._has(f"{schema}.quarantine"):
                found += self._select(
                    f"select {of} as table_name, rule, column_name, source, count(*) as row_count "
                    f"from {schema}.quarantine where list_contains($built, {of}) group by all order by all",
                    {"built": sorted(self.built)},
                ).to_dicts()
        return found

    def _has(self, table: str) -> bool:
        """A table that others write along is there as soon as the first of them is."""
        if not self.connection:
            return False
        query = "select 1 from duckdb_tables() where schema_name || '.' || table_name = $table"
        return bool(self.connection.execute(query, {"table": table}).fetchall())

    def _select(self, query: str, values: Mapping[str, Any] | None = None) -> pl.DataFrame:
        assert self.connection
        return self.connection.sql(query, params=values or {}).pl()


def _by_table(results: Sequence[CheckResult]) -> dict[str, list[CheckResult]]:
    found: dict[str, list[CheckResult]] = {}
    for result in results:
        found.setdefault(result.table, []).append(result)
    return found


def _by_file(drifts: Sequence[Drift]) -> list[Row]:
    """What stops a run first; the new columns of one file are one row."""
    rows: dict[tuple[str, ...], Row] = {}
    for drift in drifts:
        key = (drift.source, drift.where, drift.kind, "" if drift.kind == "new" else drift.column)
        row = rows.setdefault(key, {"drift": drift, "columns": []})
        row["columns"].append(drift.column)
    return sorted(rows.values(), key=lambda row: not row["drift"].is_critical)


def _code_changes(before: pl.DataFrame | None, now: pl.DataFrame | None, min_cell_count: int) -> list[Row]:
    """Codes of enough patients that only one of two runs has."""
    if before is None or now is None:
        return []
    code = ["source", "kind", "code"]
    common = pl.col("patient_count") >= min_cell_count
    new = now.filter(common).join(before, on=code, how="anti").with_columns(change=pl.lit("new"))
    gone = before.filter(common).join(now, on=code, how="anti").with_columns(change=pl.lit("vanished"))
    found = pl.concat([new, gone]).sort("source", "kind", "patient_count", descending=[False, False, True])
    return found.head(CODES_SHOWN).to_dicts()


def _digits(scores: Sequence[Row]) -> list[Row]:
    """Preferred digits of each scale: the share of 0, 5, 10 and of even scores between."""
    found = []
    for key in sorted({(row["source"], row["instrument"]) for row in scores}):
        share = {row["score_text"]: row for row in scores if (row["source"], row["instrument"]) == key}
        found.append(
            {
                "source": key[0],
                "instrument": key[1],
                "score_count": sum(row["score_count"] for row in share.values()),
                "even_share": sum(share[score]["score_share"] for score in ("2", "4", "6", "8") if score in share),
                **{f"share_{score}": share[score]["score_share"] for score in PREFERRED_SCORES if score in share},
                "other_share": share["other"]["score_share"] if "other" in share else 0,
            }
        )
    return found


def _gaps(months: Sequence[Row]) -> list[Row]:
    """Months without rows between the first and the last, joined where they follow one another."""
    gaps: list[Row] = []
    last: Row | None = None
    for row in months:
        if row["row_count"] == 0:
            follows = (
                last
                and last["row_count"] == 0
                and (last["source"], last["table_name"])
                == (
                    row["source"],
                    row["table_name"],
                )
            )
            if follows:
                gaps[-1] |= {"last": row["month_start_date"], "month_count": gaps[-1]["month_count"] + 1}
            else:
                gaps.append(
                    {
                        "source": row["source"],
                        "table_name": row["table_name"],
                        "first": row["month_start_date"],
                        "last": row["month_start_date"],
                        "month_count": 1,
                    }
                )
        last = row
    return gaps


def _charts(found: _Tables) -> dict[str, list[tuple[str, Markup]]]:
    """Charts by what they show: heading and drawing, one for each source and series."""
    charts: dict[str, list[tuple[str, Markup]]] = {}
    for name, parts in {
        "dose_month": ("source", "record_kind"),
        "score_month": ("source", "instrument"),
        "coverage_month": ("source", "table_name"),
        "weekday": ("source", "table_name"),
        "score_value": ("source", "instrument"),
        "heaping": ("source", "measure"),
    }.items():
        rows = found.rows(name)
        for key in sorted({tuple(row[part] for part in parts) for row in rows}):
            drawn = [_dated(row) for row in rows if tuple(row[part] for part in parts) == key]
            charts.setdefault(name, []).append((": ".join(map(reporting.label, key)), _chart(name, drawn)))
    return charts


def _dated(row: Row) -> Row:
    """A row as a chart takes it: a day as text, and a month of the calendar as its first day."""
    drawn = {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
    if "month_number" in row and not row["is_shifted"]:
        drawn["month"] = _month_start(row["month_number"]).isoformat()
    return drawn


def _chart(name: str, rows: list[Row]) -> Markup:
    return reporting.svg(_definition(name, bool(rows[0].get("is_shifted"))) | {"data": {"values": rows}})


@cache
def _definition(name: str, is_shifted: bool) -> dict[str, Any]:
    style = json.dumps(reporting.STYLE | AXIS)
    return yaml.safe_load(_environment().get_template(f"charts/{name}.yaml").render(style=style, is_shifted=is_shifted))


def _month_start(number: int) -> date:
    return date(1970 + number // 12, number % 12 + 1, 1)


def _month(number: int) -> str:
    return f"{_month_start(number):%Y-%m}"


def _month_span(first: date, last: date) -> str:
    return f"{first:%Y-%m}" if first == last else f"{first:%Y-%m} to {last:%Y-%m}"


def _label(kind: str, name: str) -> str:
    return reporting.label(name, kind)


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    digits = 2 if 0 < share < 0.01 else 1
    return f"{100 * share:.{digits}f} %"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


@cache
def _environment() -> jinja2.Environment:
    environment = reporting.templates(TEMPLATES, paths.REPORTS)
    environment.filters |= {
        "count": _count,
        "percent": _percent,
        "label": reporting.label,
        "breakable": lambda name: escape(name).replace("_", Markup("_<wbr>")),
        "month_span": _month_span,
        "number": lambda value: f"{value:,.4g}",
    }
    return environment
