"""The screen of what is loaded: every value of every declared column, before any of it is published.

The look at whole extracts (pipelines.identifiers) samples long files, as it also judges columns that nobody declared.
Those are never loaded; what is, is looked at here without a gap, for values that hardly anything but an identifier
looks like.
"""

from pathlib import Path

import duckdb
import polars as pl

from pipelines import identifier_patterns
from pipelines.contracts import Column, Contract
from pipelines.errors import IdentifierError
from pipelines.extracts import sample
from pipelines.extracts.delivered import delivered_as, sql_name
from pipelines.warehouse import Connection

SHORTEST_BYTES = 5  # of what any specific pattern is met by, such as 99 yo: routes and units are passed over at once

ADVICE = (
    "Nothing was loaded. Have these columns taken out of the delivery, or accept each with a reason under "
    "accepted_identifiers of its contract."
)


def refuse(connection: Connection, contract: Contract) -> None:
    """Refuse delivered rows with a value that no contract accepts.

    Columns of texts are looked at in full; of the others, which hold nothing but numbers and days, the rows in
    quarantine.

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
    return "; ".join(f"{file}: column {name} ({kind}, by pattern)" for file, name, kind in sorted(found))


def shown(column: Column) -> str:
    """What the screen calls a declared column: a field of JSON lines by its path."""
    name = delivered_as(column)
    return sample.path_of(name) if name.startswith("/") else name


def _found(connection: Connection, contract: Contract, rows: str, columns: list[Column]) -> list[tuple[str, str, str]]:
    """File, column and kind of what no contract accepts."""
    looks = {column.name: looks for column in columns if (looks := _patterns_of(contract, column))}
    if not looks:
        return []
    values = {name: identifier_patterns.plain(sql_name(name)) for name in looks}
    any_of = ", ".join(
        f"count(*) filter (strlen({sql_name(name)}) >= {SHORTEST_BYTES} and "
        f"{identifier_patterns.may_match(values[name], of)})"
        for name, of in looks.items()
    )
    [may] = connection.execute(f"select {any_of} from {rows}").fetchall()
    found = []
    for column in columns:
        if column.name not in looks or not may[list(looks).index(column.name)]:
            continue
        of = looks[column.name]
        tests = ", ".join(f"bool_or({identifier_patterns.matches('value', row)})" for row in of)
        for file, *is_met in connection.execute(
            f"""select source_file, {tests}
            from (select distinct source_file, trim({values[column.name]}) as value from {rows})
            where {identifier_patterns.may_match("value", of)}
            group by source_file"""
        ).fetchall():
            kinds = {row["kind"] for row, met in zip(of, is_met, strict=True) if met}
            found += [(file, shown(column), kind) for kind in kinds]
    return found


def _patterns_of(contract: Contract, column: Column) -> list[dict[str, str]]:
    """The specific patterns of kinds that the contract does not accept for a column."""
    accepted = {one.kind for one in contract.accepted_identifiers if one.column.casefold() == shown(column).casefold()}
    # Objects of JSON name their code systems by addresses; the look at whole extracts judges each by itself.
    accepted |= {"url"} if column.type == "JSON" else set()
    rows = identifier_patterns.patterns()
    return [row for row in rows if identifier_patterns.is_specific(row) and row["kind"] not in accepted]
