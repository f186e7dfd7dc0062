"""The screen of what is loaded: every value of every declared column, before any of it is published.

The look at whole extracts (pipelines.identifiers) samples long files, as it also judges columns that nobody declared.
Those are never loaded; what is, is looked at here without a gap, for values that hardly anything but an identifier
looks like.
"""

import re
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines import identifier_patterns
from pipelines.contracts import Column, Contract
from pipelines.errors import IdentifierError
from pipelines.extracts import sample
from pipelines.extracts.delivered import delivered_as, sql_name, sql_text
from pipelines.warehouse import Connection

SHORTEST_BYTES = 5  # of what any specific pattern is met by, such as 99 yo: routes and units are passed over at once
_BETWEEN_CELLS = r"[,;|\t\r\n\"{}\[\]]+"  # in a line that could not be split

ADVICE = (
    "Nothing was loaded. Have them taken out of the delivery, or accept each column with a reason under "
    "accepted_identifiers of its contract."
)


def refuse(connection: Connection, contract: Contract) -> None:
    """Refuse delivered rows with a value that no contract accepts.

    Columns of texts are looked at in full, JSON string by string; of the others, which hold nothing but numbers and
    days, the rows in quarantine. A line there that is no record is looked at as a whole and piece by piece.

    Args:
        connection: With the temporary views ``delivered``, every column as text, and ``rejected``.

    Raises:
        IdentifierError: Names every file, column and kind in one line.
    """
    texts = [column for column in contract.columns if column.type in ("VARCHAR", "JSON")]
    others = [column for column in contract.columns if column not in texts]
    misfits = "(from delivered semi join rejected using (source_file, source_row))"
    found = _found(connection, contract, "delivered", texts)
    [[is_any_rejected]] = connection.execute("select count(*) > 0 from rejected").fetchall()
    if is_any_rejected:
        found += _found(connection, contract, misfits, others)
        found += _found_in_lines(connection, contract)
    if found:
        raise IdentifierError(f"{_listed(found)}. {ADVICE}")


def refuse_corrected(contract: Contract, corrected: pl.DataFrame, file: Path) -> None:
    """Refuse corrected rows with a value that the delivery would be refused for.

    Args:
        corrected: The declared columns, as text.
        file: Where they were written.

    Raises:
        IdentifierError: Names every column and kind in one line.
    """
    with duckdb.connect() as connection:
        connection.register("corrected_row", corrected.with_columns(source_file=pl.lit(str(file))))
        found = _found(connection, contract, "corrected_row", contract.columns)
    if found:
        raise IdentifierError(f"{_listed(found)}. None of its rows was taken. Take these values out of it.")


def _listed(found: list[tuple[str, str, str]]) -> str:
    return "; ".join(f"{file}: {place} ({kind}, by pattern)" for file, place, kind in sorted(set(found)))


def shown(column: Column) -> str:
    """What the screen calls a declared column: a field of JSON lines by its path."""
    name = delivered_as(column)
    return sample.path_of(name) if name.startswith("/") else name


def _found(connection: Connection, contract: Contract, rows: str, columns: list[Column]) -> list[tuple[str, str, str]]:
    """File, column and kind of what no contract accepts."""
    looks = {column.name: looks for column in columns if (looks := _patterns_of(contract, shown(column)))}
    if not looks:
        return []
    is_json = {column.name: column.type == "JSON" for column in columns}

    def may(name: str, value: str) -> str:
        return (identifier_patterns.may_hold if is_json[name] else identifier_patterns.may_match)(value, looks[name])

    # What is in no plain writing is doubtful: to write it so in this query, of all columns, takes longer to prepare.
    any_of = ", ".join(
        f"count(*) filter (strlen({name}) >= {SHORTEST_BYTES} and (strlen({name}) <> length({name}) or {condition}))"
        for name, condition in ((sql_name(each), may(each, sql_name(each))) for each in looks)
    )
    [counts] = connection.execute(f"select {any_of} from {rows}").fetchall()
    doubtful = {name for name, count in zip(looks, counts, strict=True) if count}
    found = []
    for column in columns:
        if column.name not in doubtful:
            continue
        of, value = looks[column.name], identifier_patterns.plain(sql_name(column.name))
        if is_json[column.name]:
            found += _found_in_json(connection, contract, column, of, f"{rows} where {may(column.name, value)}")
            continue
        cells = f"select distinct source_file, trim({value}) as value from {rows}"
        for file, kind in _kinds(connection, cells, ["source_file"], of):
            found.append((file, f"column {shown(column)}", kind))
    return found


def _found_in_json(
    connection: Connection, contract: Contract, column: Column, of: list[dict[str, str]], rows: str
) -> list[tuple[str, str, str]]:
    """File, column and kind of what no contract accepts in the strings and names of a column of JSON."""
    text = sql_name(column.name)
    cells = f"""
        select distinct source_file, path, trim({identifier_patterns.plain("said")}) as value
        from (
            select
                source_file,
                ltrim(regexp_replace(node.fullkey, '^\\$|\\[\\d+\\]', '', 'g'), '.') as path,
                unnest([node.key, json_extract_string(node.atom, '$')]) as said
            from (
                select source_file, case when json_valid({text}) then {text}::json else to_json({text}) end as object
                from (select distinct source_file, {text} from {rows})
            ) as record, json_tree(record.object) as node
        )
        where said is not null"""
    found = []
    for file, below, kind in _kinds(connection, cells, ["source_file", "path"], of):
        path = f"{shown(column)}.{below}" if below else shown(column)
        if kind not in _accepted_kinds(contract, path):
            is_plain_path = re.fullmatch(r"[\w.]+", path) and not identifier_patterns.is_value(path)
            found.append((file, f"column {path if is_plain_path else shown(column)}", kind))
    return found


def _found_in_lines(connection: Connection, contract: Contract) -> list[tuple[str, str, str]]:
    """File, row and kind of lines in quarantine that are no record, so that no cell of theirs has a column."""
    accepted = {one.kind for one in contract.accepted_identifiers}  # a piece may be any column's
    of = [row for row in _specific_patterns() if row["kind"] not in accepted]
    line = f"trim({identifier_patterns.plain('record')})"
    cells = f"""
        select source_file, source_row, trim(unnest(list_prepend(
            {line}, string_split_regex({line}, {sql_text(_BETWEEN_CELLS)})
        ))) as value
        from rejected
        where column_name is null"""
    return [
        (file, f"row {row}, which is no record", kind)
        for file, row, kind in _kinds(connection, cells, ["source_file", "source_row"], of)
    ]


def _kinds(connection: Connection, cells: str, place: list[str], of: list[dict[str, str]]) -> list[tuple[Any, ...]]:
    """Places, each with a kind that a cell there looks like."""
    if not of:
        return []
    tests = ", ".join(f"bool_or({identifier_patterns.matches('value', row)})" for row in of)
    places = ", ".join(place)
    found = connection.execute(
        f"select {places}, {tests} from ({cells}) where {identifier_patterns.may_match('value', of)} group by {places}"
    ).fetchall()
    return [
        (*row[: len(place)], kind)
        for row in found
        for kind in {one["kind"] for one, is_met in zip(of, row[len(place) :], strict=True) if is_met}
    ]


def _patterns_of(contract: Contract, path: str) -> list[dict[str, str]]:
    """The specific patterns of kinds that the contract does not accept for a column, by what the screen calls it."""
    accepted = _accepted_kinds(contract, path)
    return [row for row in _specific_patterns() if row["kind"] not in accepted]


def _accepted_kinds(contract: Contract, path: str) -> set[str]:
    accepted = {one.kind for one in contract.accepted_identifiers if one.column.casefold() == path.casefold()}
    return accepted | ({"url"} if identifier_patterns.names_definition(path) else set())


def _specific_patterns() -> list[dict[str, str]]:
    return [row for row in identifier_patterns.patterns() if identifier_patterns.is_specific(row)]
