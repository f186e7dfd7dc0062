"""SAS, SPSS and Stata files come to the same rows as the CSV of the same table."""

from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyreadstat
import pytest

from pipelines import flat_file
from pipelines.errors import ExtractError
from pipelines.extracts import stat_file
from tests.test_extracts import a_contract, outcome, refusal

WRITERS = {
    "dta": pyreadstat.write_dta,
    "sav": pyreadstat.write_sav,
    "zsav": lambda rows, path, **given: pyreadstat.write_sav(rows, path, compress=True, **given),
    "xpt": pyreadstat.write_xport,
    "por": pyreadstat.write_por,
}
FORMATS = sorted(WRITERS)
RX = a_contract(
    "id INTEGER required=true, mg DOUBLE minimum=0, drug VARCHAR, day DATE, taken TIMESTAMP, clock VARCHAR, code VARCHAR",
    files="rx.*",
)
ROWS = pl.DataFrame(
    {
        "ID": [1.0, 2.0, 3.0],
        "MG": [2.5, None, 1e9],
        "DRUG": ["Codeine, 30 mg", "", " =1+1"],
        "DAY": [date(2024, 1, 5), None, date(1900, 1, 1)],
        "TAKEN": [datetime(2024, 1, 5, 8, 30), None, datetime(1999, 12, 31, 23, 59, 59)],
        "CLOCK": [time(8, 30), None, time(0, 0, 1)],
        "CODE": [59011044210.0, 2.25, None],
    }
)


def written(folder: Path, ending: str, rows: pl.DataFrame, **given) -> Path:
    file = folder / f"rx.{ending}"
    WRITERS[ending](rows, file, **given)
    return file


def texts(folder: Path, ending: str, rows: pl.DataFrame, **given) -> list[tuple]:
    file = written(folder, ending, rows, **given)
    return pl.concat(stat_file.chunks(file, file.name, rows.columns)).rows()


@pytest.mark.parametrize("ending", FORMATS)
def test_values_come_as_their_csv_would(connection, folder, ending):
    rows = ROWS if ending != "por" else ROWS.select(pl.exclude("DAY", "TAKEN", "CLOCK"))
    contract = RX if ending != "por" else a_contract("id INTEGER, mg DOUBLE, drug VARCHAR, code VARCHAR", files="rx.*")
    written(folder, ending, rows)
    found = outcome(connection, contract, folder)
    assert found.quarantine == []
    kept = [name.lower() for name in rows.columns]
    assert connection.sql(f"select {', '.join(kept)} from raw_clinic.rx order by source_row").pl().rows() == (
        pl.DataFrame(
            {
                "id": [1, 2, 3],
                "mg": [2.5, None, 1e9],
                "drug": ["Codeine, 30 mg", None, " =1+1"],
                "day": [date(2024, 1, 5), None, date(1900, 1, 1)],
                "taken": [datetime(2024, 1, 5, 8, 30), None, datetime(1999, 12, 31, 23, 59, 59)],
                "clock": ["08:30:00", None, "00:00:01"],
                "code": ["59011044210", "2.25", None],
            }
        )
        .select(kept)
        .rows()
    )
    assert [row[-1] for row in found.rows] == [1, 2, 3]
    assert found.deliveries[0][5:9] == (3, 3, 0, [])


def test_an_undeclared_column_is_listed_and_not_read(connection, folder):
    written(folder, "sav", ROWS)
    [delivery] = outcome(connection, a_contract("drug VARCHAR, id INTEGER", files="rx.*"), folder).deliveries
    assert delivery[8] == ["MG", "DAY", "TAKEN", "CLOCK", "CODE"]


def test_a_row_that_does_not_fit_goes_to_quarantine(connection, folder):
    written(folder, "dta", pl.DataFrame({"id": [1.5, 2.0, 3.0], "mg": [1.0, -1.0, None]}))
    contract = a_contract("id INTEGER, mg DOUBLE minimum=0 required=true", files="rx.*")
    assert outcome(connection, contract, folder).quarantine == [
        (1, "type", "id"), (2, "range", "mg"), (3, "required", "mg"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.0, "5"), (-0.0, "0"), (2.5, "2.5"), (0.1, "0.1"), (2.0**53 - 1, "9007199254740991"), (2.0**53, "9007199254740992.0"),
        (1e300, "1e+300"), (None, None),
    ],
)  # fmt: skip
def test_a_number_is_written_in_the_digits_it_holds(folder, value, text):
    assert texts(folder, "dta", pl.DataFrame({"x": pl.Series([value, 1.0], dtype=pl.Float64)}))[0] == (text,)


@pytest.mark.parametrize("type_", [pl.Int8, pl.Int16, pl.Int32])
def test_a_whole_column_has_no_point(folder, type_):
    assert texts(folder, "dta", pl.DataFrame({"x": pl.Series([1, None, -3], dtype=type_)})) == [
        ("1",), (None,), ("-3",),
    ]  # fmt: skip


def test_a_single_precision_number_keeps_the_digits_it_was_written_with(folder):
    file = folder / "rx.dta"
    pd.DataFrame({"x": np.array([2.3, 40.0], np.float32)}).to_stata(file, write_index=False)  # pyreadstat widens it
    assert next(stat_file.chunks(file, file.name, ["x"])).rows() == [("2.3",), ("40",)]


@pytest.mark.parametrize(
    ("ending", "display", "value", "text"),
    [
        ("xpt", "DATE9", 0.0, "1960-01-01"),
        ("xpt", "YYMMDD10", 23380.0, "2024-01-05"),
        ("xpt", "YYMMDD10", 23380.5, "2024-01-05 12:00:00"),  # no day: the time of day is not dropped
        ("xpt", "E8601DT", 2020062600.25, "2024-01-05 08:30:00.250"),
        ("xpt", "DTDATE9", 2020062600.0, "2024-01-05 08:30:00"),  # seconds, shown as a day
        ("xpt", "TIME8", 86399.0, "23:59:59"),
        ("xpt", "TIME8", 86400.0, "86400"),  # no time of day
        ("xpt", "DATE9", 1e9, "1000000000"),  # no day of the first ten thousand years
        ("xpt", "DOLLAR8", 5.0, "5"),
        ("xpt", "BEST12", 5.0, "5"),
        ("sav", "ADATE10", 13923792000.0, "2024-01-05"),
        ("sav", "SDATE10", 13923792000.0, "2024-01-05"),
        ("sav", "DATETIME20", 0.0, "1582-10-14 00:00:00"),
        ("sav", "TIME8", 30600.0, "08:30:00"),
        ("sav", "DOLLAR8", 30600.0, "30600"),
        ("dta", "%td", -1.0, "1959-12-31"),
        ("dta", "%tdDD/NN/CCYY", 23380.0, "2024-01-05"),
        ("dta", "%d", 23380.0, "2024-01-05"),
        ("dta", "%tc", 2020062600000.0, "2024-01-05 08:30:00"),
        ("dta", "%tcHH:MM:SS", 30600000.0, "08:30:00"),
        ("dta", "%tm", 768.0, "768"),  # months are no days
        ("dta", "%10.0g", 5.0, "5"),
    ],
)
def test_what_a_number_means_is_told_by_its_format(folder, ending, display, value, text):
    rows = pl.DataFrame({"x": [value, 1.0]})
    assert texts(folder, ending, rows, variable_format={"x": display})[0] == (text,)


def test_leap_seconds_are_refused_rather_than_ignored(folder):
    with pytest.raises(ExtractError, match=r"rx\.dta: column x counts leap seconds"):
        texts(folder, "dta", pl.DataFrame({"x": [1.0]}), variable_format={"x": "%tC"})


def test_missing_values_of_a_user_are_null_and_labels_are_not_applied(folder):
    found = texts(
        folder,
        "sav",
        pl.DataFrame({"nrs": [7.0, 99.0, 98.0, 0.0]}),
        missing_ranges={"nrs": [99, {"lo": 97, "hi": 98}]},
        variable_value_labels={"nrs": {0: "no pain", 99: "refused"}},
    )
    assert found == [("7",), (None,), (None,), ("0",)]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_is_read_in_parts_and_rows_keep_their_numbers(connection, folder, monkeypatch, ending):
    monkeypatch.setattr(stat_file, "CHUNK_CELLS", 6)
    written(folder, ending, pl.DataFrame({"A": [float(x) for x in range(9)], "B": ["b"] * 9}))
    found = outcome(connection, a_contract("a INTEGER, b VARCHAR", files="rx.*"), folder)
    assert [(row[0], row[-1]) for row in found.rows] == [(number, number + 1) for number in range(9)]


@pytest.mark.parametrize("ending", ["dta", "sav"])
def test_a_file_without_rows_is_an_extract_without_rows(connection, folder, ending):
    written(folder, ending, pl.DataFrame({"a": pl.Series([], dtype=pl.Float64)}))
    assert outcome(connection, a_contract("a INTEGER", files="rx.*"), folder).rows == []


@pytest.mark.parametrize("ending", [*FORMATS, "sas7bdat"])
@pytest.mark.parametrize("damage", ["short", "half", "other"])
def test_a_damaged_file_is_refused(connection, folder, ending, damage):
    file = folder / f"rx.{ending}"
    if ending != "sas7bdat":
        written(folder, ending, pl.DataFrame({"A": [1.0] * 500, "B": ["SECRET"] * 500}))
    content = file.read_bytes() if file.exists() else b"SECRET" * 500
    file.write_bytes(
        {"short": content[: len(content) * 3 // 4], "half": content[: len(content) // 2], "other": b"a,b\nSECRET,1\n"}[
            damage
        ]
    )
    message = refusal(connection, a_contract("a INTEGER, b VARCHAR", files="rx.*"), folder)
    assert message.startswith(f"rx.{ending}: ")
    assert "SECRET" not in message


def test_a_file_without_a_declared_column_is_refused(connection, folder):
    written(folder, "sav", ROWS)
    assert "has no column strength" in refusal(
        connection, a_contract("id INTEGER, strength DOUBLE", files="rx.*"), folder
    )


@pytest.mark.parametrize("ending", FORMATS)
def test_a_users_own_table_may_be_a_stat_file(folder, ending):
    file = written(folder, ending, pl.DataFrame({"NDC": [59011044210.0], "TEXT": ["OXYCODONE 5 MG"]}))
    assert flat_file.read(file, ["NDC", "TEXT"]).rows() == [("59011044210", "OXYCODONE 5 MG")]


@pytest.mark.parametrize("content", [None, b"SECRET"])
def test_a_users_own_stat_file_is_refused_in_one_line(folder, content):
    file = folder / "in.sav"
    if content:
        file.write_bytes(content)
    with pytest.raises(ExtractError) as refused:
        flat_file.read(file, ["ndc"])
    assert str(refused.value).startswith(f"{file}: ")
    assert "SECRET" not in str(refused.value)
