"""Rows that fit a contract, made from nothing but the contract."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pipelines.contracts import Column, Contract

Row = dict[str, Any]

# Inside what people live through, so that a file may add years to a date or multiply numbers.
FIRST, LAST = date(1950, 1, 1), date(2040, 1, 1)
LARGEST = 100_000
TEXT = st.text(st.sampled_from('abcdeXYZ019 .,;"-äß'), min_size=1, max_size=12).filter(str.strip)


def rows(contract: Contract, max_size: int = 8) -> SearchStrategy[list[Row]]:
    """Lists of rows that fit the columns and the key of a contract."""
    row = st.fixed_dictionaries({column.name: _values(contract, column) for column in contract.columns})
    own_key = [name for name in contract.key if name in contract.column_names]
    if not own_key:
        return st.lists(row, max_size=max_size)
    return st.lists(row, max_size=max_size, unique_by=lambda row: tuple(str(row[name]) for name in own_key))


def _values(contract: Contract, column: Column) -> SearchStrategy[Any]:
    values = _of_type(column)
    return values if column.required or column.name in contract.key else st.none() | values


def _of_type(column: Column) -> SearchStrategy[Any]:
    if column.values is not None:
        return st.sampled_from(column.values)
    low = -LARGEST if column.minimum is None else column.minimum
    high = max(low, LARGEST if column.maximum is None else column.maximum)
    type_ = column.type.split("(")[0]
    if column.type.endswith("[]"):
        return st.just([])
    if type_ in ("INTEGER", "BIGINT", "HUGEINT"):
        return st.integers(int(low), int(high))
    if type_ == "DECIMAL":
        return st.decimals(Decimal(str(low)), Decimal(str(high)), places=3)
    if type_ in ("DOUBLE", "FLOAT"):
        return st.integers(int(low * 100), int(high * 100)).map(lambda hundredths: hundredths / 100)
    if type_ == "BOOLEAN":
        return st.booleans()
    if type_ == "DATE":
        return st.dates(FIRST, LAST)
    if type_ == "TIMESTAMP":
        seconds = st.integers(0, int((LAST - FIRST).total_seconds()))
        return seconds.map(lambda second: datetime(FIRST.year, 1, 1) + timedelta(seconds=second))
    if type_ == "JSON":
        return st.sampled_from(["{}", "[]", '{"text": "x", "coding": [{"code": "1"}]}'])
    assert type_ == "VARCHAR", f"no rows for type {column.type}"
    return TEXT
