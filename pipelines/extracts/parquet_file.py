"""Parquet files."""

from pathlib import Path

import duckdb
import polars as pl

from pipelines.errors import ExtractError
from pipelines.extracts.delivered import (
    DeliveredFile,
    Delivery,
    check_columns,
    most_bytes,
    sql_name,
    sql_text,
    text_columns,
    too_large,
)
from pipelines.warehouse import Connection, count


def read(file: DeliveredFile) -> Delivery:
    rows = f"read_parquet({sql_text(str(file.path))}, hive_partitioning = false)"
    try:
        # DuckDB would rename a column whose name differs from another's in case alone.
        delivered = list(pl.read_parquet_schema(file.path))
        columns = check_columns(file, delivered)
        refuse_bomb(file.connection, file.path, file.where)
        selected = text_columns(file.contract, dict(zip(columns, delivered, strict=True)))
        file.connection.execute(f"create temp table {file.table} as select {selected} from {rows}")
    except (duckdb.OutOfMemoryException, duckdb.PermissionException):
        raise
    except (duckdb.Error, pl.exceptions.PolarsError, OSError):  # damage shows as any kind of error
        raise ExtractError(f"{file.where}: is damaged, or is not Parquet. Deliver it again.") from None
    return Delivery(file, columns, count(file.connection, file.table))


def refuse_bomb(connection: Connection, path: Path, where: str) -> None:
    """Refuse a file that unpacks to more than a table could be, before its values are.

    Its footer tells the values, each at least a comma of CSV. It does not tell the length of texts, of which a page
    holds each different one once; where they might be too long, they are added up without unpacking them.

    Raises:
        ExtractError: It does.
        duckdb.Error: It is damaged.
    """
    limit = most_bytes(path)
    file = sql_text(str(path))
    [[value_count, unpacked, at_most]] = connection.execute(
        f"""select
            coalesce(sum(num_values), 0),
            coalesce(sum(total_uncompressed_size), 0),
            coalesce(sum(if(type = 'BYTE_ARRAY', num_values * total_uncompressed_size::hugeint, 0)), 0)
        from parquet_metadata({file})"""
    ).fetchall()
    if max(value_count, unpacked) > limit:
        raise too_large(where)
    if at_most <= limit:
        return
    rows = f"read_parquet({file}, hive_partitioning = false)"
    texts = [
        f"coalesce(sum(strlen({sql_name(name)})), 0)"
        for name, type_, *_ in connection.execute(f"describe from {rows}").fetchall()
        if type_ == "VARCHAR"
    ]
    [[size_bytes]] = connection.execute(f"select {' + '.join(texts) or '0'} from {rows}").fetchall()
    if size_bytes > limit:
        raise too_large(where)
