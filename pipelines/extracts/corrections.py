"""Corrected rows that take the place of delivered ones, which stay as they were delivered.

A correction is one row of text under the file, the content of the file and the number of the row it is for. It is read
as if it had been delivered there, so that it is loaded or rejected by the same rules, and the ledger adds up.
"""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from pipelines.extracts.delivered import DeliveredFile, Delivery, sql_name
from pipelines.extracts.history import Taken
from pipelines.warehouse import Connection

IDENTITY = ("source_file", "sha256", "source_row")
IS_SAME_ROW = "{0}.source_file = corrected.source_file and {0}.source_row = corrected.source_row"
IS_MINE = "step = 'ingest' and source = $source and table_name = $table_name"


def stale(kept: pl.DataFrame, delivered: Iterable[DeliveredFile | Taken]) -> pl.DataFrame:
    """The corrections that are for a file that is not delivered any more, or has other content now."""
    contents = {found.where: found.sha256 for found in delivered}
    return kept.filter(pl.col("sha256").ne_missing(pl.col("source_file").replace_strict(contents, default=None)))


def take(
    connection: Connection,
    contract: Contract,
    source: str,
    file: Path | None,
    delivered: Iterable[DeliveredFile | Taken],
) -> None:
    """Fill the temporary table ``corrected``; it is empty where there is no correction.

    Args:
        file: Parquet with the corrections of the table; None or not there where there are none.
        delivered: Files that are read now, or whose rows an earlier run loaded.

    Raises:
        ExtractError: A correction is for a file that is not delivered any more, or has other content now.
    """
    texts = dict.fromkeys(contract.column_names, pl.String)
    corrections = pl.DataFrame(schema={"source_file": pl.String, "source_row": pl.Int64, **texts})
    if file is not None and file.is_file():
        kept = pl.read_parquet(file)
        if len(of_others := stale(kept, delivered)):
            raise ExtractError(
                f"{of_others['source_file'][0]}: is not the file that rows of {contract.table} were corrected for. "
                f"Let go of these corrections with oih quarantine forget STUDY --source {source} "
                f"--table {contract.name}, and correct the rows of the new delivery."
            )
        missing = [pl.lit(None, pl.String).alias(name) for name in texts if name not in kept.columns]
        corrections = kept.with_columns(missing).select(corrections.columns).cast(corrections.schema)
    connection.register("correction_rows", corrections)
    connection.execute("create or replace temp table corrected as from correction_rows")
    connection.unregister("correction_rows")


def put_in_place(contract: Contract, view: str) -> str:
    """SQL for the delivered rows of a view, with each corrected row in the place of the delivered one."""
    columns = ", ".join(sql_name(name) for name in contract.column_names)
    return (
        f"select source_file, source_row, {columns} from {view} anti join corrected using (source_file, source_row) "
        f"union all select source_file, source_row, {columns} from corrected"
    )


def keep_current(connection: Connection, contract: Contract, source: str, deliveries: Iterable[Delivery]) -> None:
    """Of what is added to the rows of earlier runs, leave out corrections of rows that a later file replaced."""
    connection.execute(
        f"""delete from corrected
        where not list_contains($read_now, source_file)
        and not exists (select 1 from {contract.table} as loaded where {IS_SAME_ROW.format("loaded")})
        and not exists (select 1 from raw.quarantine as kept where {IS_MINE} and {IS_SAME_ROW.format("kept")})""",
        {"source": source, "table_name": contract.name, "read_now": [found.file.where for found in deliveries]},
    )


def drop_earlier(connection: Connection, contract: Contract, source: str) -> None:
    """Drop what earlier runs made of rows that are corrected: they are read again."""
    connection.execute(f"delete from {contract.table} as loaded using corrected where {IS_SAME_ROW.format('loaded')}")
    connection.execute(
        f"delete from raw.quarantine as kept using corrected where {IS_MINE} and {IS_SAME_ROW.format('kept')}",
        {"source": source, "table_name": contract.name},
    )


def count(connection: Connection, contract: Contract, source: str) -> None:
    """Write into raw.delivery how many of the loaded rows of each file are corrected ones."""
    connection.execute(
        f"""update raw.delivery set corrected_rows = (
            select count(*) from {contract.table} as loaded inner join corrected using (source_file, source_row)
            where loaded.source_file = raw.delivery.source_file
        ) where source = $source and table_name = $table_name""",
        {"source": source, "table_name": contract.name},
    )
