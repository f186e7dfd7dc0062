"""From delivered files to the typed rows of a raw table, and to quarantine."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines import contracts, paths
from pipelines.contracts import Contract
from pipelines.errors import ContractError, ExtractError, LedgerError
from pipelines.extracts import csv_file, ndjson_file, parquet_file
from pipelines.extracts.delivered import (
    NDJSON_SUFFIXES,
    DeliveredFile,
    Delivery,
    delivered_as,
    find,
    sql_name,
    sql_text,
)
from pipelines.warehouse import Connection, create, create_if_missing

_WHOLE = r"\s*[+-]?\d+(\.0*)?\s*"
_DAY = r"\d{4}-\d{2}-\d{2}"
# How the text of each type must look before DuckDB casts it. Its casts alone round 3.7, read 5_10 as 510 and
# 'infinity' as a date, and drop the time of day of a DATE and the time zone of a TIMESTAMP.
PATTERNS = {
    "VARCHAR": None,
    "BOOLEAN": r"(?i)\s*(true|false|t|f|1|0)\s*",
    "INTEGER": _WHOLE,
    "BIGINT": _WHOLE,
    "DOUBLE": r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*",
    "DATE": rf"\s*{_DAY}([ T]00:00:00(\.0+)?)?\s*",
    "TIMESTAMP": rf"\s*{_DAY}([ T]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d{{1,9}})?)?)?\s*",
    "JSON": r"(?s)\s*[\[{].*",  # an object or an array
}


@dataclass(frozen=True)
class Loaded:
    """What became of the delivered rows of one table.

    Attributes:
        delivered_rows: Records after the headers; each is loaded or in quarantine.
        files: The files, by their path below the extract's folder.
    """

    delivered_rows: int
    loaded_rows: int
    quarantined_rows: int
    files: tuple[str, ...]


def load(connection: Connection, contract: Contract, source: str, folder: Path) -> Loaded:
    """Load the delivered files of one raw table, replacing what was there.

    A row that does not fit the contract goes to raw.quarantine under the first rule it breaks: ``type``,
    ``required``, ``range``, ``value``, ``duplicate_row``, ``duplicate_key`` (the first delivered row of a key
    stays). A line that is no record goes there as ``ragged_row``, ``unclosed_quote``, ``stray_quote`` or
    ``nul_byte``; of NDJSON as ``not_json`` or ``repeated_field``. raw.delivery gets one row per file. Either all
    of this happens or nothing.

    Args:
        connection: Warehouse, allowed to read the folder and not in a transaction.
        contract: Contract of a raw table; its ``files`` are a glob below the folder.
        source: Source that delivered the extract.
        folder: Folder of the extract.

    Raises:
        ExtractError: A file is missing, or cannot be the extract. Whether too many rows are in quarantine is
            for the caller to judge.
        ContractError: The contract names no files, or a type that is not read from files.
        LedgerError: The delivered rows are not the loaded and the quarantined ones.
        ValueError: The connection does not keep the order of rows, so that they cannot be numbered.
    """
    [[is_order_kept]] = connection.execute("select current_setting('preserve_insertion_order')").fetchall()
    if not is_order_kept:
        raise ValueError("preserve_insertion_order is off, but a row's number is its place in the table")
    for column in contract.columns:
        if column.type not in PATTERNS:
            raise ContractError(
                f"{contract.table}: column {column.name} is {column.type}, which is not read from files. "
                f"Use one of {', '.join(PATTERNS)}."
            )
    files = find(contract, folder)
    with connection.cursor() as work:  # its temporary tables and its transaction end with it
        work.execute(
            "create temp table rejected "
            "(source_file varchar, source_row bigint, rule varchar, column_name varchar, record varchar)"
        )
        deliveries = [
            _read(DeliveredFile(work, contract, path, where, f"file_{number}"))
            for number, (where, path) in enumerate(files.items())
        ]
        columns = ", ".join(sql_name(name) for name in contract.column_names)
        texts = ", ".join(f"null::varchar as {sql_name(name)}" for name in contract.column_names)
        none = f"select null::varchar as source_file, null::bigint as source_row, {texts} where false"
        parts = [
            f"select {sql_text(delivery.file.where)} as source_file, {delivery.row_number} as source_row, "
            f"{columns} from {delivery.file.table}"
            for delivery in deliveries
        ]
        work.execute(f"create temp view delivered as {' union all '.join(parts or [none])}")
        _reject_unfit(work, contract)
        if contract.key:
            _reject_repeated(work, contract)
        return _publish(work, contract, source, deliveries)


def _read(file: DeliveredFile) -> Delivery:
    try:
        with file.path.open("rb") as stream:
            is_empty = not stream.read(1)
    except OSError as error:
        raise ExtractError(
            f"{file.where}: cannot be read ({error.strerror}). Give yourself the right to read it, or deliver it again."
        ) from None
    if is_empty:
        raise ExtractError(f"{file.where}: is empty. Deliver it again.")
    name = file.where.lower()
    if name.endswith(NDJSON_SUFFIXES):
        return ndjson_file.read(file)
    return parquet_file.read(file) if name.endswith(".parquet") else csv_file.read(file)


def _reject_unfit(connection: Connection, contract: Contract) -> None:
    """Reject the rows with a value that does not fit its column, under the first rule broken."""
    faults = " ".join(
        f"when {condition} then {{rule: {sql_text(rule)}, column_name: {sql_text(column)}}}"
        for condition, rule, column in _row_rules(contract)
    )
    if faults:
        connection.execute(
            f"""insert into rejected
            select source_file, source_row, fault.rule, fault.column_name, {_record(contract)}
            from (select *, case {faults} end as fault from delivered)
            where fault is not null"""
        )


def _row_rules(contract: Contract) -> list[tuple[str, str, str]]:
    """What a row must not be, in the order that decides: SQL, rule, column."""
    types, required, ranges, values = [], [], [], []
    for column in contract.columns:
        text, typed, pattern = sql_name(column.name), _typed(contract, column.name), PATTERNS[column.type]
        if pattern:
            fits = f"regexp_full_match({text}, {sql_text(pattern)}) and {typed} is not null"
            fits += f" and isfinite({typed})" if column.type == "DOUBLE" else ""
            types.append((f"{text} is not null and not ({fits})", "type", column.name))
        if column.required or column.name in contract.key:
            required.append((f"{text} is null", "required", column.name))
        if column.minimum is not None:
            ranges.append((f"{typed} < {column.minimum!r}", "range", column.name))
        if column.maximum is not None:
            ranges.append((f"{typed} > {column.maximum!r}", "range", column.name))
        if column.values is not None:
            listed = ", ".join(map(sql_text, column.values))
            values.append((f"cast({typed} as varchar) not in ({listed})", "value", column.name))
    return types + required + ranges + values


def _reject_repeated(connection: Connection, contract: Contract) -> None:
    """Of the rows that fit, reject all but the first of each key.

    Keys are compared as values (07 is 7), whole records as they were delivered.
    """
    keys = ", ".join(f"key_{place}" for place in range(len(contract.key)))
    key_values = ", ".join(f"{_typed(contract, name)} as key_{place}" for place, name in enumerate(contract.key))
    columns = ", ".join(sql_name(name) for name in contract.column_names)
    connection.execute(
        f"""insert into rejected
        with fitting as (
            select *, {key_values} from delivered anti join rejected using (source_file, source_row)
        ),
        repeated_key as (select {keys} from fitting group by all having count(*) > 1),
        numbered as (
            select
                *,
                row_number() over (partition by {keys} order by source_file, source_row) as key_number,
                row_number() over (partition by {columns} order by source_file, source_row) as copy_number
            from fitting semi join repeated_key using ({keys})
        )
        select
            source_file,
            source_row,
            if(copy_number > 1, 'duplicate_row', 'duplicate_key'),
            if(copy_number > 1, null, {sql_text(", ".join(contract.key))}),
            {_record(contract)}
        from numbered
        where key_number > 1"""
    )


def _publish(connection: Connection, contract: Contract, source: str, deliveries: list[Delivery]) -> Loaded:
    """Fill the raw table, the quarantine and the list of deliveries, and prove that they add up."""
    mine = {"source": source, "table_name": contract.name}
    is_mine = "source = $source and table_name = $table_name"
    columns = ", ".join(f"{_typed(contract, name)} as {sql_name(name)}" for name in contract.types)
    connection.execute("begin")
    for name in ("quarantine", "delivery"):
        create_if_missing(connection, _raw_contract(name))
    create(connection, contract)
    connection.execute(
        f"insert into {contract.table} by name select {columns} "
        "from delivered anti join rejected using (source_file, source_row)"
    )
    connection.execute(f"delete from raw.quarantine where step = 'ingest' and {is_mine}", mine)
    connection.execute(
        "insert into raw.quarantine by name "
        "select 'ingest' as step, $source as source, $table_name as table_name, rejected.* from rejected",
        mine,
    )
    connection.execute(f"delete from raw.delivery where {is_mine}", mine)
    for delivery in deliveries:
        connection.execute(
            f"""insert into raw.delivery by name
            select
                $source as source,
                $table_name as table_name,
                $source_file as source_file,
                $sha256 as sha256,
                $size_bytes as size_bytes,
                $delivered_rows as delivered_rows,
                (select count(*) from {contract.table} where source_file = $source_file) as loaded_rows,
                (
                    select count(*) from raw.quarantine
                    where step = 'ingest' and {is_mine} and source_file = $source_file
                ) as quarantined_rows,
                $undeclared_columns as undeclared_columns""",
            mine | _described(delivery),
        )
    [[delivered, loaded, quarantined, is_proven]] = connection.execute(
        f"""select
            coalesce(sum(delivered_rows), 0)::bigint,
            coalesce(sum(loaded_rows), 0)::bigint,
            coalesce(sum(quarantined_rows), 0)::bigint,
            coalesce(bool_and(delivered_rows = loaded_rows + quarantined_rows), true)
        from raw.delivery where {is_mine}""",
        mine,
    ).fetchall()
    if not is_proven:
        raise LedgerError(
            f"{contract.table}: {delivered} rows were delivered, but {loaded} loaded and {quarantined} put "
            "in quarantine. Report this."
        )
    connection.execute("commit")
    return Loaded(delivered, loaded, quarantined, tuple(delivery.file.where for delivery in deliveries))


@cache
def _raw_contract(name: str) -> Contract:
    return contracts.read(paths.DATA_CONTRACTS / "0_raw" / f"{name}.yaml")


def _described(delivery: Delivery) -> dict[str, object]:
    """A file's part of its row in raw.delivery."""
    declared = {delivered_as(column) for column in delivery.file.contract.columns}
    with delivery.file.path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return {
        "source_file": delivery.file.where,
        "sha256": digest.hexdigest(),
        "size_bytes": delivery.file.path.stat().st_size,
        "delivered_rows": delivery.rows,
        "undeclared_columns": [name for name in delivery.columns if name not in declared],
    }


def _typed(contract: Contract, name: str) -> str:
    """A column's value in the raw table."""
    type_ = contract.types[name]
    return sql_name(name) if type_ == "VARCHAR" else f"try_cast({sql_name(name)} as {type_})"


def _record(contract: Contract) -> str:
    """A row as it was delivered."""
    return f"to_json({{{', '.join(f'{sql_name(name)}: {sql_name(name)}' for name in contract.column_names)}}})"
