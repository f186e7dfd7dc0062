"""Parquet files."""

import duckdb
import polars as pl

from pipelines.errors import ExtractError
from pipelines.extracts.delivered import DeliveredFile, Delivery, check_columns, sql_text, text_columns
from pipelines.warehouse import count


def read(file: DeliveredFile) -> Delivery:
    rows = f"read_parquet({sql_text(str(file.path))}, hive_partitioning = false)"
    try:
        # DuckDB would rename a column whose name differs from another's in case alone.
        delivered = list(pl.read_parquet_schema(file.path))
        columns = check_columns(file, delivered)
        selected = text_columns(file.contract, dict(zip(columns, delivered, strict=True)))
        file.connection.execute(f"create temp table {file.table} as select {selected} from {rows}")
    except (duckdb.OutOfMemoryException, duckdb.PermissionException):
        raise
    except (duckdb.Error, pl.exceptions.PolarsError, OSError):  # damage shows as any kind of error
        raise ExtractError(f"{file.where}: is damaged, or is not Parquet. Deliver it again.") from None
    return Delivery(file, columns, count(file.connection, file.table))
