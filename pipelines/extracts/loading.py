"""From delivered files to the typed rows of a raw table, and to quarantine."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from pipelines import contracts, paths
from pipelines.contracts import Column, Contract
from pipelines.errors import ContractError, ExtractError, LedgerError
from pipelines.extracts import (
    corrections,
    csv_file,
    database,
    history,
    ndjson_file,
    parquet_file,
    stat_file,
    value_screen,
)
from pipelines.extracts.delivered import (
    NDJSON_SUFFIXES,
    STAT_SUFFIXES,
    DeliveredFile,
    Delivery,
    delivered_as,
    files_of,
    find,
    is_database,
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
        delivered_rows: Records after the headers; each is loaded, replaced or in quarantine.
        files: The files, by their path below the extract's folder; of increments and upserts those of earlier runs,
            too.
        replaced_rows: Records whose key a later file of an upsert has, too.
    """

    delivered_rows: int
    loaded_rows: int
    quarantined_rows: int
    files: tuple[str, ...]
    replaced_rows: int = 0


def delivered_files(connection: Connection, contract: Contract, folder: Path) -> dict[str, Path]:
    """The files of one raw table, or the table of a database in place of the folder, by what messages call them."""
    return database.find(connection, contract, folder) if is_database(folder) else find(contract, folder)


def load(
    connection: Connection, contract: Contract, source: str, folder: Path, corrected: Path | None = None
) -> Loaded:
    """Load the delivered files of one raw table.

    A row that does not fit the contract goes to raw.quarantine under the first rule it breaks: ``type``,
    ``required``, ``range``, ``value``, ``duplicate_row``, ``duplicate_key`` (the first delivered row of a key
    stays). A line that is no record goes there as ``ragged_row``, ``unclosed_quote``, ``stray_quote`` or
    ``nul_byte``; of NDJSON as ``not_json`` or ``repeated_field``. raw.delivery gets one row per file. Either all
    of this happens or nothing.

    A ``snapshot`` replaces what was there. An ``increment`` is added to what earlier runs loaded, whether or not
    their files are still delivered: a content that was loaded once changes no row, and raw.delivery names its copies.
    An ``upsert`` is, too, but there a content under a new name is a new file; of the rows with one key that of the
    last file stays, in the order of the files' paths, whenever each was loaded.
    Earlier runs are those in the same warehouse. Where a file's rows in quarantine stopped them, a corrected one of its
    name takes its place.

    Args:
        connection: Warehouse, allowed to read the folder and not in a transaction.
        contract: Contract of a raw table; its ``files`` are a glob below the folder.
        source: Source that delivered the extract.
        folder: Folder of the extract, or a DuckDB database in its place.
        corrected: Rows that take the place of delivered ones (Parquet, pipelines.extracts.corrections).

    Raises:
        ExtractError: A file is missing, cannot be the extract, or is not what it was when an earlier run took it.
            Whether too many rows are in quarantine is for the caller to judge.
        ContractError: The contract names no files, or a type that is not read from files.
        IdentifierError: A value looks as hardly anything but an identifier does, and no contract accepts it.
        LedgerError: The delivered rows are not the loaded, the replaced and the quarantined ones.
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
    with connection.cursor() as work:  # its temporary tables and its transaction end with it
        found = delivered_files(work, contract, folder)
        files = [
            DeliveredFile(work, contract, path, where, f"file_{number}")
            for number, (where, path) in enumerate(found.items())
        ]
        taken = history.taken(work, contract, source)
        earlier = history.without_withdrawn(work, contract, source, files, taken)
        work.execute("create temp table withdrawn (source_file varchar)")
        for file in taken:
            if file.where not in {kept.where for kept in earlier}:
                work.execute("insert into withdrawn values (?)", [file.where])
        if not (files or earlier or contract.may_be_missing):
            kind = "table" if is_database(folder) else "file"
            schema = f", schema {contract.database_schema}" if contract.database_schema else ""
            raise ExtractError(
                f"{files_of(contract)}: no such {kind} in {folder}{schema}. Deliver it, or correct "
                f"{'the schema' if schema else 'the folder'}."
            )
        is_added = bool(earlier) and history.are_kept(earlier)
        copies: dict[str, list[str]] = {}
        if contract.delivery != "snapshot":
            copies = history.copies(contract, files, earlier if is_added else [])
            files = history.new_files(contract, files, earlier)
        work.execute(
            "create temp table rejected "
            "(source_file varchar, source_row bigint, rule varchar, column_name varchar, record varchar)"
        )
        deliveries = [_read(file) for file in files]
        columns = ", ".join(sql_name(name) for name in contract.column_names)
        texts = ", ".join(f"null::varchar as {sql_name(name)}" for name in contract.column_names)
        none = f"select null::varchar as source_file, null::bigint as source_row, {texts} where false"
        parts = [
            f"select {sql_text(delivery.file.where)} as source_file, {delivery.row_number} as source_row, "
            f"{columns} from {delivery.file.table}"
            for delivery in deliveries
        ]
        corrections.take(work, contract, source, corrected, [*files, *(earlier if is_added else [])])
        if is_added:
            corrections.keep_current(work, contract, source, deliveries)
        work.execute(f"create temp view as_delivered as {' union all '.join(parts or [none])}")
        work.execute(f"create temp view delivered as {corrections.put_in_place(contract, 'as_delivered')}")
        work.execute(f"delete from rejected using corrected where {corrections.IS_SAME_ROW.format('rejected')}")
        _reject_unfit(work, contract)
        value_screen.refuse(work, contract)
        if contract.key:
            if is_added and contract.delivery == "increment":
                _reject_known(work, contract)
            _reject_repeated(work, contract)
        first = 1 + (max(file.sequence or 0 for file in earlier) if is_added else 0)
        return _publish(work, contract, source, deliveries, copies, first)


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
    if is_database(file.path):
        return database.read(file)
    name = file.where.lower()
    if name.endswith(NDJSON_SUFFIXES):
        return ndjson_file.read(file)
    if name.endswith(STAT_SUFFIXES):
        return stat_file.read(file)
    return parquet_file.read(file) if name.endswith(".parquet") else csv_file.read(file)


def _reject_unfit(connection: Connection, contract: Contract) -> None:
    """Reject the rows with a value that does not fit its column, under the first rule broken."""
    faults = " ".join(
        f"when {condition} then {{rule: {sql_text(rule)}, column_name: {sql_text(column)}}}"
        for condition, rule, column in _row_rules(contract)
    )
    casts = "".join(
        f", {_typed(contract, column.name)} as {_cast_name(column)}" for column in contract.columns if _is_cast(column)
    )
    if faults:
        connection.execute(
            f"""insert into rejected
            with
            value as (select *{casts} from delivered),  -- each is cast once, whatever the number of its rules
            judged as (select *, case {faults} end as fault from value)
            select source_file, source_row, fault.rule, fault.column_name, {_record(contract)}
            from judged anti join rejected using (source_file, source_row)
            where fault is not null"""
        )


def _row_rules(contract: Contract) -> list[tuple[str, str, str]]:
    """What a row must not be, in the order that decides: SQL, rule, column."""
    types, required, ranges, values = [], [], [], []
    for column in contract.columns:
        text, pattern = sql_name(column.name), PATTERNS[column.type]
        value = _cast_name(column) if _is_cast(column) else text
        if pattern:
            is_value = f"coalesce(isfinite({value}), false)" if column.type == "DOUBLE" else f"{value} is not null"
            fits = f"regexp_full_match({text}, {sql_text(pattern)}) and {is_value}"
            types.append((f"{text} is not null and not ({fits})", "type", column.name))
        if column.required or column.name in contract.key:
            required.append((f"{text} is null", "required", column.name))
        if column.minimum is not None:
            ranges.append((f"{value} < {column.minimum!r}", "range", column.name))
        if column.maximum is not None:
            ranges.append((f"{value} > {column.maximum!r}", "range", column.name))
        if column.values is not None:
            listed = ", ".join(map(sql_text, column.values))
            values.append((f"cast({value} as varchar) not in ({listed})", "value", column.name))
    return types + required + ranges + values


def _is_cast(column: Column) -> bool:
    return column.type != "VARCHAR"


def _cast_name(column: Column) -> str:
    return sql_name(f"{column.name} as {column.type}")


def _reject_known(connection: Connection, contract: Contract) -> None:
    """Of the rows that fit, reject those whose key an earlier run loaded."""
    keys = ", ".join(f"key_{place}" for place in range(len(contract.key)))
    new_keys = ", ".join(f"{_typed(contract, name)} as key_{place}" for place, name in enumerate(contract.key))
    known_keys = ", ".join(f"{sql_name(name)} as key_{place}" for place, name in enumerate(contract.key))
    new = ", ".join(f"{sql_name(name)}: {_typed(contract, name)}" for name in contract.column_names)
    known = ", ".join(f"{sql_name(name)}: {sql_name(name)}" for name in contract.column_names)
    connection.execute(
        f"""insert into rejected
        with fitting as (
            select source_file, source_row, {{{new}}} as new_row, {_record(contract)} as record, {new_keys}
            from delivered anti join rejected using (source_file, source_row)
        ),
        earlier as (
            select {{{known}}} as known_row, {known_keys}
            from {contract.table}
            anti join corrected using (source_file, source_row)
            anti join withdrawn using (source_file)
        )
        select
            source_file,
            source_row,
            if(new_row is not distinct from known_row, 'duplicate_row', 'duplicate_key'),
            if(new_row is not distinct from known_row, null, {sql_text(", ".join(contract.key))}),
            record
        from fitting inner join earlier using ({keys})"""
    )


def _reject_repeated(connection: Connection, contract: Contract) -> None:
    """Of the rows that fit, reject all but the first of each key; each file of an upsert by itself.

    Keys are compared as values (07 is 7), whole records as they were delivered. Only where two keys have the same
    hash are the keys themselves compared: sorting hashes costs a quarter of grouping by keys.
    """
    key_values = [_typed(contract, name) for name in contract.key]
    has_key = " and ".join(f"{value} is not null" for value in key_values)
    partition = ", ".join([*key_values, "source_file"] if contract.delivery == "upsert" else key_values)
    key_hash = f"hash({partition})"
    hashes = np.sort(
        connection.execute(f"select {key_hash} as key_hash from delivered where {has_key}").fetchnumpy()["key_hash"]
    )
    repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(repeated):
        return
    connection.register("repeated", pl.DataFrame({"key_hash": repeated}))
    columns = ", ".join(sql_name(name) for name in contract.column_names)
    connection.execute(
        f"""insert into rejected
        with fitting as (
            select *
            from (select *, {key_hash} as key_hash from delivered where {has_key})
            semi join repeated using (key_hash)
            anti join rejected using (source_file, source_row)
        ),
        numbered as (
            select
                *,
                row_number() over (partition by {partition} order by source_file, source_row) as key_number,
                row_number() over (partition by {columns} order by source_file, source_row) as copy_number
            from fitting
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
    connection.unregister("repeated")


def _publish(
    connection: Connection,
    contract: Contract,
    source: str,
    deliveries: list[Delivery],
    copies: dict[str, list[str]],
    first: int,
) -> Loaded:
    """Fill the raw table, the quarantine and the list of deliveries, and prove that they add up.

    Args:
        copies: Files of a content that is taken under another name, by that name.
        first: Sequence number of the first of these files; 1 if they replace what was there.
    """
    mine = {"source": source, "table_name": contract.name}
    is_mine = "source = $source and table_name = $table_name"
    columns = ", ".join(f"{_typed(contract, name)} as {sql_name(name)}" for name in contract.types)
    connection.execute("begin")
    for name in ("quarantine", "delivery"):
        _create_or_evolve(connection, _raw_contract(name))
    if first == 1:
        create(connection, contract)
        connection.execute(f"delete from raw.quarantine where step = 'ingest' and {is_mine}", mine)
        connection.execute(f"delete from raw.delivery where {is_mine}", mine)
    else:
        withdrawn = "source_file in (select source_file from withdrawn)"
        connection.execute(f"delete from {contract.table} where {withdrawn}")
        connection.execute(f"delete from raw.quarantine where step = 'ingest' and {is_mine} and {withdrawn}", mine)
        connection.execute(f"delete from raw.delivery where {is_mine} and {withdrawn}", mine)
        corrections.drop_earlier(connection, contract, source)
    connection.execute(
        f"insert into {contract.table} by name select {columns} "
        "from delivered anti join rejected using (source_file, source_row)"
    )
    connection.execute(
        "insert into raw.quarantine by name "
        "select 'ingest' as step, $source as source, $table_name as table_name, rejected.* from rejected",
        mine,
    )
    for sequence, delivery in enumerate(deliveries, first):
        connection.execute(
            """insert into raw.delivery by name
            select
                $source as source,
                $table_name as table_name,
                $source_file as source_file,
                $sha256 as sha256,
                $size_bytes as size_bytes,
                $delivered_rows as delivered_rows,
                $undeclared_columns as undeclared_columns,
                $sequence as sequence,
                $contract_fingerprint as contract_fingerprint""",
            mine | _described(delivery) | {"sequence": sequence},
        )
    for where, names in copies.items():
        connection.execute(
            f"""update raw.delivery
            set also_delivered_as = list_sort(list_distinct(list_concat(also_delivered_as, $names)))
            where {is_mine} and source_file = $where""",
            mine | {"where": where, "names": names},
        )
    _replace(connection, contract)
    # Of earlier files, too: their rows are counted anew, so that none can be lost since.
    connection.execute(
        f"""update raw.delivery set
            loaded_rows = counted.loaded_rows,
            quarantined_rows = counted.quarantined_rows,
            replaced_rows = coalesce(raw.delivery.replaced_rows, 0) + counted.replaced_rows
        from (
            select
                source_file,
                coalesce(loaded.row_count, 0) as loaded_rows,
                coalesce(quarantined.row_count, 0) as quarantined_rows,
                coalesce(replaced_now.row_count, 0) as replaced_rows
            from (select source_file from raw.delivery where {is_mine}) as file
            left join (select source_file, count(*) as row_count from {contract.table} group by all) as loaded
                using (source_file)
            left join (
                select source_file, count(*) as row_count from raw.quarantine
                where step = 'ingest' and {is_mine} group by all
            ) as quarantined using (source_file)
            left join (select source_file, count(*) as row_count from replaced group by all) as replaced_now
                using (source_file)
        ) as counted
        where {is_mine} and raw.delivery.source_file = counted.source_file""",
        mine,
    )
    corrections.count(connection, contract, source)
    [[delivered, loaded, quarantined, replaced, files, is_proven]] = connection.execute(
        f"""select
            coalesce(sum(delivered_rows), 0)::bigint,
            coalesce(sum(loaded_rows), 0)::bigint,
            coalesce(sum(quarantined_rows), 0)::bigint,
            coalesce(sum(replaced_rows), 0)::bigint,
            coalesce(list(source_file order by source_file), []),
            coalesce(bool_and(delivered_rows = loaded_rows + quarantined_rows + replaced_rows), true)
        from raw.delivery where {is_mine}""",
        mine,
    ).fetchall()
    if not is_proven:
        raise LedgerError(
            f"{contract.table}: {delivered} rows were delivered, but {loaded} loaded, {replaced} replaced and "
            f"{quarantined} put in quarantine. Report this."
        )
    connection.execute("commit")
    return Loaded(delivered, loaded, quarantined, tuple(files), replaced)


def _replace(connection: Connection, contract: Contract) -> None:
    """Of the rows of an upsert with one key, keep that of the last file; ``replaced`` tells the others."""
    keys = ", ".join(map(sql_name, contract.key))
    if contract.delivery != "upsert":
        connection.execute("create temp table replaced (source_file varchar, source_row bigint)")
        return
    connection.execute(
        f"""create temp table replaced as
        with repeated_key as (select {keys} from {contract.table} group by all having count(*) > 1)
        select source_file, source_row
        from {contract.table} semi join repeated_key using ({keys})
        qualify row_number() over (partition by {keys} order by source_file desc) > 1"""
    )
    connection.execute(
        f"delete from {contract.table} as kept using replaced "
        "where kept.source_file = replaced.source_file and kept.source_row = replaced.source_row"
    )


def _create_or_evolve(connection: Connection, contract: Contract) -> None:
    """Make a table that outlives runs; one that an earlier version wrote keeps its rows and gets today's columns."""
    create_if_missing(connection, contract)
    found = {name: type_ for name, type_, *_ in connection.execute(f"describe {contract.table}").fetchall()}
    if list(found.items()) == list(contract.types.items()):
        return
    shared = ", ".join(sql_name(name) for name in contract.types if name in found)
    connection.execute(f"create temp table earlier as select {shared} from {contract.table}")
    create(connection, contract)
    connection.execute(f"insert into {contract.table} by name from earlier")
    connection.execute("drop table earlier")


@cache
def _raw_contract(name: str) -> Contract:
    return contracts.read(paths.DATA_CONTRACTS / "0_raw" / f"{name}.yaml")


def _described(delivery: Delivery) -> dict[str, object]:
    """A file's part of its row in raw.delivery."""
    declared = {delivered_as(column) for column in delivery.file.contract.columns}
    return {
        "source_file": delivery.file.where,
        "sha256": delivery.file.sha256,
        "size_bytes": delivery.file.path.stat().st_size,
        "delivered_rows": delivery.rows,
        "undeclared_columns": [name for name in delivery.columns if name not in declared],
        "contract_fingerprint": delivery.file.contract.columns_fingerprint,
    }


def _typed(contract: Contract, name: str) -> str:
    """A column's value in the raw table."""
    type_ = contract.types[name]
    return sql_name(name) if type_ == "VARCHAR" else f"try_cast({sql_name(name)} as {type_})"


def _record(contract: Contract) -> str:
    """A row as it was delivered."""
    return f"to_json({{{', '.join(f'{sql_name(name)}: {sql_name(name)}' for name in contract.column_names)}}})"
