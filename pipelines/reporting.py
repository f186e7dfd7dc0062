"""The cohort report: one page that needs no network, from the templates in ``reports/``.

Templates print report tables after disclosure control and do no arithmetic. What they print a number of was counted in
SQL, or here from numbers that are themselves printed.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
import yaml
from markupsafe import Markup

from pipelines import contracts, disclosure, paths, settings, sql_files, trajectory
from pipelines.checks import CheckResult
from pipelines.contracts import Contract, Sum
from pipelines.disclosure import Published
from pipelines.sql_files import SqlFile
from pipelines.study import Study
from pipelines.warehouse import Connection

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, FAINT = "#1c2733", "#dfe4e8"
STYLE = {
    "font": FONT,
    "aria": False,
    "background": "white",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "gridColor": FAINT,
        "domainColor": FAINT,
        "tickColor": FAINT,
    },
    "text": {"color": INK, "fontSize": 12},
}

CHARTS = paths.REPORTS / "charts"
CALENDAR_DEFINITIONS = ["cdc_pdmp_quarterly"]
WITHHELD = "\N{EN DASH}"

Row = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What every published output says of its run.

    Attributes:
        study_hash: Of everything in the study that can change a number.
        code_version: Of the code, the SQL, the contracts and the templates.
        sources: Names of the sources.
        simulated: No patient is real.
    """

    run_id: str
    study_name: str
    study_title: str
    study_hash: str
    code_version: str
    started_at: datetime
    finished_at: datetime
    sources: tuple[str, ...]
    simulated: bool


@dataclass
class References:
    """Citations in the order in which the page first names them."""

    known: list[str] = field(default_factory=list)

    def cite(self, citation: str) -> Markup:
        """Number of a citation, as a link to the list at the end of the page."""
        if citation not in self.known:
            self.known.append(citation)
        number = self.known.index(citation) + 1
        return Markup('<a class="cite" href="#reference-{0}">[{0}]</a>').format(number)


def write(connection: Connection, study: Study, facts: Facts, checks: Sequence[CheckResult], folder: Path) -> Path:
    """Write ``index.html`` into a folder, which is made if missing.

    Args:
        connection: A warehouse with the report tables, ``raw.delivery`` and ``reference.mme_factor``.
        checks: What was checked on the way, in the order of flow.

    Returns:
        The page.
    """
    published = _protected(connection, study, [c for c in contracts.all_contracts().values() if _is_report(c)])
    min_cell_count = study.disclosure.min_cell_count
    page = (
        _environment()
        .get_template("index.html")
        .render(
            facts=facts,
            study=study,
            min_cell_count=min_cell_count,
            largest_small=min_cell_count - 1,
            withheld=WITHHELD,
            references=References(),
            style=Markup((paths.REPORTS / "style.css").read_text()),
            charts={name: svg(chart) for name, chart in _charts(published, min_cell_count).items()},
            tables={name: _rows(table, min_cell_count) for name, table in published.items()},
            totals=_totals(published["cohort_characteristic"].frame),
            checks=_counted(checks),
            not_passed=_not_passed(checks, min_cell_count),
            deliveries=_select(
                connection,
                # Names of undeclared columns stay inside: where a header is missing, they are values.
                "select source, source_file, sha256, coalesce(len(undeclared_columns), 0) as undeclared_column_count "
                "from raw.delivery order by source, table_name, source_file",
            ),
            factors=_select(
                connection,
                "select * from reference.mme_factor where factor_set = if(route = 'parenteral', ?, ?) "
                "order by ingredient, route, form, dose_unit, above_mg_per_day",
                [study.parenteral_factor_set, study.factor_set],
            ),
            without_encounters=_select(
                connection,
                "select source from clean.source_coverage "
                "where table_name = 'encounter' and not is_delivered order by source",
            ),
            long_term=trajectory.long_term_definition(connection, study),
            trials=_select(connection, "from reference.target_trial order by contrast_number"),
            settings=[row | {"value": getattr(study.settings, row["name"])} for row in settings.described()],
            rules={sql.rule: sql for sql in sql_files.rules()},
        )
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "index.html"
    file.write_text(page, encoding="utf-8")
    return file


def plot(connection: Connection, study: Study, table: str) -> bytes | None:
    """The report's charts of one table as a PNG, after disclosure control; None where there is nothing to draw."""
    import vl_convert

    contract = contracts.all_contracts()[table]
    if not _is_report(contract) or not (CHARTS / f"{contract.name}.yaml").exists():
        return None
    charts = _charts(_protected(connection, study, [contract]), study.disclosure.min_cell_count)
    if not charts:
        return None
    return vl_convert.vegalite_to_png({"background": "white", "hconcat": list(charts.values())}, scale=1.5)


def _is_report(contract: Contract) -> bool:
    return contract.schema_name == "report"


def _protected(connection: Connection, study: Study, of: Iterable[Contract]) -> dict[str, Published]:
    """Report tables after disclosure control, by name."""
    known = {contract.table: contract for contract in of}
    if ledger := known.get("report.row_ledger"):
        known[ledger.table] = ledger.model_copy(update={"adds_up": [*ledger.adds_up, *_fillings(study)]})
    frames = {
        table: connection.sql(f"from {table} order by {_order(contract)}").pl() for table, contract in known.items()
    }
    if summary := known.get("report.source_summary"):
        alone = [*_only_kinds(frames[summary.table])]
        known[summary.table] = summary.model_copy(update={"adds_up": [*summary.adds_up, *alone]})
    if study.shifted_sources and "report.dose_specification" in frames:
        # A quarter of a shifted calendar begins on another day for each patient.
        by_quarter = pl.col("definition").is_in(CALENDAR_DEFINITIONS)
        frames["report.dose_specification"] = frames["report.dose_specification"].filter(~by_quarter)
    published = disclosure.protect(frames, known.values(), study.disclosure.min_cell_count)
    return {known[table].name: tables for table, tables in published.items()}


def _order(contract: Contract) -> str:
    """Rows in the order of the key; where the contract lists a column's values, in the order it lists them."""
    listed = {column.name: column.values for column in contract.columns if column.values}
    return ", ".join(f"list_position({listed[name]}, {name})" if name in listed else name for name in contract.key)


def _only_kinds(summary: pl.DataFrame) -> Iterator[Sum]:
    """Where all opioid records, or all known scores, are of one kind, its patients are those of the requirement."""
    kinds = summary["record_kind"]
    for requirement, of_it in (
        (1, kinds.str.starts_with("opioid")),
        (3, kinds.str.starts_with("pain score") & ~kinds.str.ends_with("unknown")),
    ):
        if of_it.sum() == 1:
            [kind] = kinds.filter(of_it)
            yield Sum(
                total=f"patients that meet requirement {requirement}",
                parts=["patient_count"],
                where=f"record_kind = '{kind}'",
            )


def _fillings(study: Study) -> Iterator[Sum]:
    """Which delivered tables fill which clean table, so that the ledger's steps are known to add up across."""
    for source in study.sources:
        mappings = sql_files.mappings(source)
        for mapping in mappings:
            filled = mapping.table.split(".")[1]
            looks = " or ".join(
                f"(step = '{step}' and table_name = '{table}')" for step, table in _looks(mapping, mappings)
            )
            yield Sum(
                total=f"clean rows of {source} {filled}",
                parts=["row_count"],
                over=[],
                where=f"source = '{source}' and outcome = 'clean' and ({looks})",
            )


def _looks(mapping: SqlFile, mappings: Iterable[SqlFile]) -> Iterator[tuple[str, str]]:
    """The ledger's step for each delivered table of a mapping: clean, or the mapping's own where another is that."""
    filled = mapping.table.split(".")[1]
    for table in mapping.driving_tables:
        main = max(other.table.split(".")[1] for other in mappings if table in other.driving_tables)
        yield "clean" if filled == main else filled, table.split(".")[1]


def _rows(table: Published, min_cell_count: int) -> list[Row]:
    """Rows for a template; a hidden count is None, or says that it is small where it may."""
    rows = table.frame.to_dicts()
    for row, column in table.small:
        rows[row][column] = f"<{min_cell_count}"
    return rows


def _totals(cohort: pl.DataFrame) -> dict[str, int | None]:
    """Patients of each column of the cohort table, from a characteristic that is printed whole; None if none is."""
    totals: dict[str, int | None] = {}
    for name in cohort.columns[2:]:
        counts = cohort.group_by("characteristic").agg(name)[name]
        totals[name] = max((sum(found) for found in counts if None not in found), default=None)
    return totals


def _counted(checks: Sequence[CheckResult]) -> list[Row]:
    """Checks by table: how many passed, failed and warned."""
    outcomes = Counter((found.table, _outcome(found)) for found in checks)
    return [
        {"table": table} | {outcome: outcomes[table, outcome] for outcome in ("passed", "failed", "warning")}
        for table in dict.fromkeys(found.table for found in checks)
    ]


def _outcome(found: CheckResult) -> str:
    if found.status in ("passed", "not_applicable"):
        return found.status
    return "failed" if found.severity == "critical" else "warning"


def _not_passed(checks: Sequence[CheckResult], min_cell_count: int) -> list[Row]:
    """Checks that did not pass; a count of failing rows is hidden when it, or that of the other rows, is small."""
    rows = []
    for found in checks:
        failing, share = found.failing_rows, found.failing_share
        shown: int | str | None = failing
        if failing is not None and 1 <= failing < min_cell_count:
            shown, share = f"<{min_cell_count}", None
        elif failing is not None and 1 <= found.rows - failing < min_cell_count:
            shown, share = None, None
        if found.status not in ("passed", "not_applicable"):
            rows.append({"check": found, "outcome": _outcome(found), "failing_rows": shown, "failing_share": share})
    return rows


def _select(connection: Connection, query: str, values: Sequence[Any] = ()) -> list[Row]:
    return connection.sql(query, params=values).pl().to_dicts()


def _charts(published: Mapping[str, Published], min_cell_count: int) -> dict[str, Row]:
    """Vega-Lite charts by name: the table they draw, and for a trajectory its tier. Those without data are left out."""
    charts: dict[str, Row] = {}
    if "episode_trajectory" in published:
        months = published["episode_trajectory"].frame.drop_nulls("median_mme")
        top = months["upper_quartile_mme"].max()
        for (tier,), drawn in months.group_by("tier", maintain_order=True):
            charts[f"episode_trajectory {tier}"] = _chart("episode_trajectory", drawn.to_dicts(), top=top)
    if "tier_count" in published:
        rows = [row for row in _rows(published["tier_count"], min_cell_count) if row["index_kind"] == "dose_led"]
        if any(row["episode_count"] != 0 for row in rows):
            charts["tier_count"] = _chart("tier_count", [_as_bar(row) for row in _ordered(rows, "tier")])
    if "dose_specification" in published:
        cells = _heat_map(published["dose_specification"].frame)
        if cells:
            undated = label("zedler_sum", "definition")
            top = max((cell["share"] for cell in cells if cell["definition"] != undated), default=0) or 1
            panels = json.dumps(list(dict.fromkeys(cell["overlap"] for cell in cells)))
            charts["dose_specification"] = _chart("dose_specification", cells, top=top, panels=panels)
    if "reliability" in published:
        bins = published["reliability"].frame.drop_nulls("mean_predicted")
        if len(bins):
            top = bins.select(pl.max_horizontal("mean_predicted", "observed_share").max()).item()
            charts["reliability"] = _chart("reliability", bins.to_dicts(), top=top)
    return charts


def _heat_map(specification: pl.DataFrame) -> list[Row]:
    """Shares of patients at or above 90 MME: one cell per specification, from counts that are printed rounded."""
    cells = specification.filter(
        pl.col("threshold_mme") == 90, pl.col("comparison") == ">=", pl.col("patient_count") > 0
    )
    rows = _ordered(_ordered(cells.to_dicts(), "definition"), "overlap")
    return [
        {
            "factor_set": row["factor_set"],
            "definition": label(row["definition"], "definition"),
            "overlap": label(row["overlap"], "overlap"),
            "share": row["above_count"] / row["patient_count"],
            "percent": f"{row['above_count'] / row['patient_count']:.0%}".removesuffix("%"),
            "is_of_study": row["is_of_study"],
        }
        for row in rows
    ]


def _of_study(rows: list[Row], study: Study) -> list[tuple[str, list[Row]]]:
    """Rows of the study's own factor set and overlap policy, by definition, each by threshold."""
    own = [row for row in rows if (row["factor_set"], row["overlap"]) == (study.factor_set, study.dose_policy.overlap)]
    own = sorted(own, key=lambda row: (row["threshold_mme"], row["comparison"]))
    order = dict.fromkeys(row["definition"] for row in _ordered(own, "definition"))
    return [(definition, [row for row in own if row["definition"] == definition]) for definition in order]


def _as_bar(row: Row) -> Row:
    patients = row["patient_count"]
    is_shown = isinstance(patients, int)
    return {
        "name": label(row["tier"], "tier"),
        "patient_count": patients if is_shown else 0,
        "shown": _count(patients),
    }


def _chart(table: str, rows: list[Row], **values: Any) -> Row:
    """The Vega-Lite definition of a table's chart, with the rows to draw."""
    definition = _environment().get_template(f"charts/{table}.yaml").render(style=json.dumps(STYLE), **values)
    return yaml.safe_load(definition) | {"data": {"values": rows}}


def svg(chart: Row) -> Markup:
    """A chart as SVG inside the page: text stays text, and the width gives way on a narrow screen."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(chart)
    [(opening, width, box)] = re.findall(r'^(<svg [^>]*? width="([\d.]+)"[^>]*? viewBox="([^"]+)"[^>]*>)', drawn)
    inside = drawn.removeprefix(opening)
    return Markup(f'<svg aria-hidden="true" viewBox="{box}" style="max-width: {width}px">{inside}')


def templates(*folders: Path) -> jinja2.Environment:
    """Templates of pages: what they show is escaped, and a name that nothing gives is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _environment() -> jinja2.Environment:
    environment = templates(paths.REPORTS)
    environment.filters |= {
        "count": _count,
        "share": _share,
        "percent": _percent,
        "number": _number,
        "label": label,
        "ordered": _ordered,
        "in_bands": _in_bands,
        "of_study": _of_study,
    }
    return environment


@cache
def _words() -> dict[str, dict[str, str]]:
    return yaml.safe_load((paths.REPORTS / "words.yaml").read_text())


def label(name: str, kind: str = "") -> str:
    """How the page says what a table holds."""
    return _words().get(kind, {}).get(name) or name.replace("_", " ")


def _count(value: int | str | None) -> str:
    if value is None:
        return WITHHELD
    return value if isinstance(value, str) else f"{value:,}"


def _share(value: int | str | None, total: int | str | None) -> str:
    """A printed count as a share of a printed total; nothing where either is withheld."""
    return _percent(value / total if isinstance(value, int) and isinstance(total, int) and total else None)


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return "<1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def _number(value: float | None, digits: int) -> str:
    return WITHHELD if value is None else f"{value:z,.{digits}f}"


def _ordered(rows: list[Row], column: str) -> list[Row]:
    """Rows in the order in which ``words.yaml`` lists what a column holds; the rest keeps its order."""
    order = list(_words()[column])
    return sorted(rows, key=lambda row: order.index(row[column]) if row[column] in order else len(order))


def _in_bands(rows: list[Row], column: str) -> list[Row]:
    """Rows of bands in their natural order: "under 18", "18 to 44", then what is no band."""

    def place(row: Row) -> tuple[float, str]:
        band = re.match(r"(under )?(\d+)", row[column])
        return (float(band[2]) - bool(band[1]) if band else math.inf, row[column])

    return sorted(rows, key=place)
