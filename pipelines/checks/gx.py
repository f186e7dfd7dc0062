"""Great Expectations: imported late, silent and offline."""

import logging
import os
import sys
from functools import cache
from types import ModuleType
from typing import Any


@cache
def great_expectations() -> ModuleType:
    """The package. The first call takes seconds, so call it only where something is checked or rendered."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read on import, by the versions that report usage
    # Its log records quote exceptions, and DuckDB's exceptions quote rows.
    logger = logging.getLogger("great_expectations")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    # It imports pyspark where it finds it, which can end the process. None makes that import fail as if absent.
    is_spark_loaded = "pyspark" in sys.modules
    if not is_spark_loaded:
        sys.modules["pyspark"] = None  # type: ignore[assignment]
    try:
        import great_expectations
        import great_expectations.expectations
    finally:
        if not is_spark_loaded:
            del sys.modules["pyspark"]
    return great_expectations


@cache
def counted_rows() -> Any:
    """The kind of expectation whose query only counts rows; like every kind, it is registered by being defined.

    Great Expectations' own also fetches rows that a query finds, so that a query runs twice for every verdict, and
    twice again for its count. That is most of the time of a check where the query groups millions of rows.
    """
    great_expectations()
    from great_expectations.expectations import UnexpectedRowsExpectation

    class CountedRowsExpectation(UnexpectedRowsExpectation):
        metric_dependencies = ("unexpected_rows_query.row_count",)

        def _validate(
            self, metrics: dict, runtime_configuration: dict | None = None, execution_engine: Any = None
        ) -> dict[str, Any]:
            failing_rows = metrics["unexpected_rows_query.row_count"]
            return {"success": failing_rows == 0, "result": {"observed_value": failing_rows}}

    return CountedRowsExpectation


@cache
def whole_table() -> tuple[Any, Any]:
    """The query asset through which every table is checked, and its one batch: all rows.

    One asset for all tables, its query set per table: each asset that is added makes Great Expectations write
    its whole configuration anew. A table asset would lose the schema.
    """
    from sqlalchemy.dialects import registry

    registry.register("duckdb.warehouse", "pipelines.checks.duckdb_dialect", "WarehouseDialect")
    context = great_expectations().get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    warehouse = context.data_sources.add_sql("warehouse", connection_string="duckdb+warehouse:///")
    asset = warehouse.add_query_asset("table", query="select 1")
    return asset, asset.add_batch_definition_whole_table("all rows")
