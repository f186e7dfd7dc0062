"""Parquet files."""

import duckdb

from pipelines.errors import ExtractError
from pipelines.extracts.delivered import DeliveredFile, Delivery, check_columns, delivered_as, sql_name, sql_text
from pipelines.warehouse import count


def read(file: DeliveredFile) -> Delivery:
    rows = f"read_parquet({sql_text(str(file.path))}, hive_partitioning = false)"
    try:
        delivered = [name for name, *_ in file.connection.execute(f"describe from {rows}").fetchall()]
        check_columns(file, delivered)
        columns = []
        for column in file.contract.columns:
            name = delivered_as(column)
            value = f"nullif(cast({sql_name(name)} as varchar), '')" if name in delivered else "null::varchar"
            columns.append(f"{value} as {sql_name(column.name)}")
        file.connection.execute(f"create temp table {file.table} as select {', '.join(columns)} from {rows}")
    except (duckdb.OutOfMemoryException, duckdb.PermissionException):
        raise
    except duckdb.Error:  # damage shows as any kind of error
        raise ExtractError(f"{file.where}: is damaged, or is not Parquet. Deliver it again.") from None
    return Delivery(file, delivered, count(file.connection, file.table))
