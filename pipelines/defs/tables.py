"""One asset per table of the study, with its contract as asset checks, and the report on top."""

import base64

import dagster as dg

from pipelines import tables
from pipelines.contracts import Contract
from pipelines.defs.study_run import StudyRun, active_study
from pipelines.run import Built
from pipelines.tables import Table

STEPS = {"raw": 0, "reference": 1, "clean": 2, "trajectory": 3, "episode": 4, "label": 5, "report": 6, "quality": 7}
KINDS = {"csv": {"csv", "duckdb"}, "sql": {"sql", "duckdb"}, "python": {"python", "polars", "duckdb"}}
CRITICAL, WARNING = "critical", "warning"


def table_asset(table: Table) -> dg.AssetsDefinition:
    key = table.name.split(".")
    specs = [
        dg.AssetCheckSpec(CRITICAL, asset=key, blocking=True, description="Must hold: a failure stops the run."),
        dg.AssetCheckSpec(WARNING, asset=key, description="Worth a look: a failure is shown."),
    ]

    @dg.asset(
        key=key,
        deps=[read.split(".") for read in sorted(table.reads)],
        group_name=f"{STEPS[table.step]}_{table.step}",
        kinds=KINDS[table.kind],
        description=table.description,
        check_specs=specs if table.contract else None,
        metadata=_schema(table.contract),
    )
    def build(study_run: StudyRun) -> dg.MaterializeResult:
        built = study_run.current.build(table)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": built.rows, "columns": _columns(built), **_plot(built)},
            check_results=_checked(built) if table.contract else None,
        )

    return build


def _checked(built: Built) -> list[dg.AssetCheckResult]:
    """One result for the critical checks and one for the warnings, each listing what did not pass, in counts."""
    results = []
    for severity in (CRITICAL, WARNING):
        judged = [found for found in built.checks if found.severity == severity]
        broken = [found for found in judged if found.is_open]
        lines = [f"- {found.check}: {found.outcome}" for found in broken]
        results.append(
            dg.AssetCheckResult(
                check_name=severity,
                passed=not broken,
                severity=dg.AssetCheckSeverity.ERROR if severity == CRITICAL else dg.AssetCheckSeverity.WARN,
                metadata={"checked": len(judged), "not_passed": dg.MetadataValue.md("\n".join(lines) or "none")},
            )
        )
    return results


def _schema(contract: Contract | None) -> dict[str, object]:
    if contract is None:
        return {}
    columns = [dg.TableColumn(c.name, c.type, c.description) for c in contract.columns]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def _columns(built: Built) -> dg.MetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(column) for column in built.columns])


def _plot(built: Built) -> dict[str, dg.MetadataValue]:
    if built.plot is None:
        return {}
    return {"plot": dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(built.plot).decode()})")}


@dg.asset(
    key=["report", "page"],
    group_name="6_report",
    kinds={"html"},
    description="The cohort report, written and published, once every table was built and checked in the same run.",
    deps=[table.name.split(".") for table in tables.of(active_study())],
)
def page(study_run: StudyRun) -> dg.MaterializeResult:
    folder = study_run.current.publish()
    return dg.MaterializeResult(metadata={"report": dg.MetadataValue.path(folder / "report" / "index.html")})


@dg.definitions
def study_tables() -> dg.Definitions:
    assets = [table_asset(table) for table in tables.of(active_study())]
    job = dg.define_asset_job("run_study", selection="*", description="Extracts in, cohort report out.")
    return dg.Definitions(assets=[*assets, page], jobs=[job])
