"""Delivered files become raw rows or quarantined rows: none is lost, none is changed, none is made up."""

import codecs
import csv
import gzip
import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipelines import extracts, warehouse
from pipelines.contracts import Contract
from pipelines.errors import ContractError, ExtractError, LedgerError
from pipelines.extracts import csv_file
from pipelines.extracts.delivered import Delivery


def a_contract(columns: str, key: list[str] | None = None, files: str = "rx.csv*", **fields) -> Contract:
    """A contract from lines of ``name TYPE rule=value``, commas between them."""
    parsed = []
    for text in columns.split(","):
        name, type_, *rules = text.split()
        rule_values = dict(rule.split("=") for rule in rules)
        if "values" in rule_values:
            rule_values["values"] = rule_values["values"].split("|")
        parsed.append({"name": name, "type": type_, "description": "A column.", **rule_values})
    return Contract.model_validate(
        {
            "table": "raw_clinic.rx",
            "description": "Prescriptions.",
            "key": key or [],
            "columns": parsed,
            "files": files,
            **fields,
        }
    )


RX = a_contract(
    "id INTEGER, drug VARCHAR, quantity DOUBLE minimum=0, pain_nrs INTEGER minimum=0 maximum=10, filled_date DATE",
    key=["id"],
)
TWO = a_contract("a VARCHAR, b VARCHAR")


@dataclass
class Outcome:
    loaded: extracts.Loaded
    rows: list[tuple]
    quarantine: list[tuple]
    deliveries: list[tuple]
    """Rows of the raw table, (source_row, rule, column_name) and whole rows of raw.delivery, in file order."""


@pytest.fixture
def load(connection, folder):
    """Deliver one file and load it."""

    def deliver(contract: Contract, content: str | bytes, name: str = "rx.csv") -> Outcome:
        (folder / name).write_bytes(drawn(content) if isinstance(content, str) else content)
        return outcome(connection, contract, folder)

    return deliver


def drawn(text: str) -> bytes:
    return dedent(text).lstrip("\n").encode()


def outcome(connection, contract: Contract, folder: Path) -> Outcome:
    loaded = extracts.load(connection, contract, "clinic", folder)
    return Outcome(
        loaded,
        connection.execute("from raw_clinic.rx order by source_file, source_row").fetchall(),
        connection.execute(
            "select source_row, rule, column_name from raw.quarantine order by source_file, source_row"
        ).fetchall(),
        connection.execute("from raw.delivery order by source_file").fetchall(),
    )


def records(connection) -> list[str]:
    return [
        text
        for [text] in connection.execute(
            "select record from raw.quarantine order by source_file, source_row"
        ).fetchall()
    ]


def refusal(connection, contract: Contract, folder: Path) -> str:
    with pytest.raises(ExtractError) as error:
        extracts.load(connection, contract, "clinic", folder)
    assert error.value.__suppress_context__ or error.value.__context__ is None
    assert "\n" not in str(error.value)
    return str(error.value)


# --- What is loaded ---


def test_rows_are_cast_by_contract_and_carry_where_they_were_delivered(load):
    found = load(
        a_contract("id INTEGER, dose DOUBLE, filled_date DATE, taken_at TIMESTAMP, is_prn BOOLEAN, sig VARCHAR"),
        """
        id,dose,filled_date,taken_at,is_prn,sig
        1,2.5,2024-01-05,2024-01-05 08:30:00,true,one daily
        2,,,,,
        """,
    )
    assert [tuple(map(str, row)) for row in found.rows] == [
        ("1", "2.5", "2024-01-05", "2024-01-05 08:30:00", "True", "one daily", "rx.csv", "1"),
        ("2", "None", "None", "None", "None", "None", "rx.csv", "2"),
    ]
    assert found.loaded == extracts.Loaded(2, 2, 0, ("rx.csv",))


def test_columns_are_found_by_name_not_by_place(load):
    found = load(
        RX,
        """
        filled_date,pain_nrs,id,quantity,drug
        2024-01-05,7,1,30,oxycodone
        """,
    )
    assert found.rows[0][:4] == (1, "oxycodone", 30.0, 7)


def test_a_column_is_found_by_the_header_that_the_contract_gives(load):
    contract = a_contract("patient_id VARCHAR delivered_as=PERSON_ID, drug VARCHAR")
    assert load(contract, "PERSON_ID,drug\np1,codeine\n").rows[0][:2] == ("p1", "codeine")


def test_an_undeclared_column_is_listed_and_not_loaded(load, connection):
    found = load(TWO, "b,ssn,a,note\n2,SECRET,1,x\n")
    assert found.rows == [("1", "2", "rx.csv", 1)]
    assert found.deliveries[0][8] == ["ssn", "note"]
    assert connection.execute("describe raw_clinic.rx").fetchall()[0][0] == "a"


def test_a_delivery_is_described_with_its_fingerprint(load, folder):
    content = drawn("""
        id,drug,quantity,pain_nrs,filled_date
        1,oxycodone,30,7,2024-01-05
        2,oxycodone,-1,7,2024-01-05
        """)
    found = load(RX, content)
    digest = hashlib.sha256(content).hexdigest()
    assert [delivery[:-1] for delivery in found.deliveries] == [
        ("clinic", "rx", "rx.csv", digest, len(content), 2, 1, 1, [], 0, 0, None, 1)
    ]


def test_the_fingerprint_of_a_compressed_file_is_that_of_the_file_as_delivered(load):
    content = gzip.compress(b"a,b\n1,2\n")
    [delivery] = load(TWO, content, "rx.csv.gz").deliveries
    assert delivery[3:5] == (hashlib.sha256(content).hexdigest(), len(content))


def test_several_files_are_loaded_in_the_order_of_their_paths(connection, folder):
    for year in (2025, 2024):
        (folder / f"{year}").mkdir()
        (folder / f"{year}" / "rx.csv").write_text(f"a,b\n{year},1\n{year},2\n")
    found = outcome(connection, a_contract("a VARCHAR, b VARCHAR", files="*/rx.csv"), folder)
    assert [row[2:] for row in found.rows] == [
        ("2024/rx.csv", 1), ("2024/rx.csv", 2), ("2025/rx.csv", 1), ("2025/rx.csv", 2),
    ]  # fmt: skip
    assert found.loaded.files == ("2024/rx.csv", "2025/rx.csv")


def test_loading_twice_changes_nothing(load):
    content = "a,b\n1,2\nragged\n"
    assert load(TWO, content) == load(TWO, content)


def test_the_quarantine_of_other_tables_sources_and_steps_is_left_alone(load, connection):
    load(TWO, "a,b\nragged\n")
    connection.execute(
        """insert into raw.quarantine by name
        select record, rule, source_file, source_row, other.* from raw.quarantine, (values
            ('other', 'rx', 'ingest'), ('clinic', 'other', 'ingest'), ('clinic', 'rx', 'clean')
        ) as other (source, table_name, step)"""
    )
    connection.execute("insert into raw.delivery select * replace ('other' as source) from raw.delivery")
    found = load(TWO, "a,b\n1,2\n")
    assert len(found.quarantine) == 3
    assert sorted(delivery[0] for delivery in found.deliveries) == ["clinic", "other"]


# --- Which files are read ---


def test_a_missing_folder_is_refused(connection, tmp_path):
    assert "is not a folder" in refusal(connection, RX, tmp_path / "nowhere")


def test_a_missing_file_is_refused(connection, folder):
    assert refusal(connection, RX, folder).startswith("rx.csv*: no such file in ")


def test_a_table_delivered_in_two_formats_is_refused(connection, folder):
    (folder / "rx.csv").write_bytes(b"a,b\n1,2\n")
    (folder / "rx.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert "is delivered as rx.csv too" in refusal(connection, TWO, folder)


def test_a_file_of_another_format_is_refused(connection, folder):
    (folder / "rx.csv.bak").write_bytes(b"a,b\n1,2\n")
    assert "rx.csv.bak: is none of .csv.gz, .csv, .parquet" in refusal(connection, TWO, folder)


def test_a_path_that_duckdb_would_take_for_a_pattern_is_refused(connection, folder):
    (folder / "rx*.csv").write_bytes(b"a,b\n1,2\n")
    assert "has *, ? or [ in its path" in refusal(connection, a_contract("a VARCHAR", files="*.csv"), folder)


def test_a_folder_named_like_a_partition_adds_no_column(connection, folder):
    (folder / "a=9").mkdir()
    (folder / "a=9" / "rx.csv").write_bytes(b"a,b\n1,2\n")
    connection.execute(f"copy (select '3' as a, '4' as b) to '{folder}/a=9/rx2.parquet'")
    found = outcome(connection, a_contract("a VARCHAR, b VARCHAR", files="*/rx*"), folder)
    assert [row[:2] for row in found.rows] == [("1", "2"), ("3", "4")]


def test_a_contract_that_names_no_files_is_refused(connection, folder):
    with pytest.raises(ContractError, match="names no files"):
        extracts.load(connection, a_contract("a VARCHAR", files=None), "clinic", folder)


def test_a_type_that_would_round_silently_is_refused(connection, folder):
    with pytest.raises(ContractError, match="column a is DECIMAL"):
        extracts.load(connection, a_contract("a DECIMAL"), "clinic", folder)


# --- Files that cannot be the extract ---


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n\r\n\n", "has no header"),
        (b"SECRET,SECRET\nSECRET,2\n", "has no header, or its columns are not separated by commas"),
        (b"a;b\nSECRET;2\n", "has no header, or its columns are not separated by commas"),
        (b"a,c\nSECRET,2\n", "has no column b."),
        (b"a,b,c,a,c\nSECRET,2,3,4,5\n", "has column a, c twice"),
        (b'a,"b\nSECRET,2\n', "has a header with a quote amiss"),
        (b"a,b\rSECRET,2\rSECRET,4\r", "ends its lines with carriage returns alone"),
        ("a,b\n1,2\nSECRET,é\n".encode("latin-1"), "line 3 is not UTF-8"),
        ("a,b\nSECRET,é\n".encode("utf-16"), "is UTF-16, not UTF-8"),
        (codecs.BOM_UTF16_BE + "a,b\nSECRET,é\n".encode("utf-16-be"), "is UTF-16, not UTF-8"),
        ("a,b\nSECRET,é\n".encode("utf-32"), "is UTF-32, not UTF-8"),
        ("a,b\nSECRET,é\n".encode("utf-16-le"), "has NUL bytes in its header, as UTF-16 has"),
    ],
)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_file_that_cannot_be_the_extract_is_refused(connection, folder, content, reason, is_compressed):
    name = "rx.csv.gz" if is_compressed else "rx.csv"
    (folder / name).write_bytes(gzip.compress(content) if is_compressed else content)
    message = refusal(connection, TWO, folder)
    assert message.startswith(f"{name}: ")
    assert reason in message
    assert "SECRET" not in message


def test_the_line_that_is_not_utf8_is_named_wherever_it_is(connection, folder):
    block_lines = csv_file.BLOCK_BYTES // 4
    (folder / "rx.csv").write_bytes(b"a,b\n" + b"1,2\n" * (2 * block_lines) + b"1,\xe9\n")
    assert f"line {2 * block_lines + 2} is not UTF-8" in refusal(connection, TWO, folder)


def test_a_truncated_gzip_is_refused(connection, folder):
    content = gzip.compress(b"a,b\n" + os.urandom(1000).hex().encode() + b",2\n")
    for cut in (5, len(content) // 2, len(content) - 1):
        (folder / "rx.csv.gz").write_bytes(content[:cut])
        assert "is cut short or damaged gzip" in refusal(connection, TWO, folder)


def test_a_damaged_gzip_is_refused(connection, folder):
    content = bytearray(gzip.compress(b"a,b\n" + os.urandom(1000).hex().encode() + b",2\n"))
    content[len(content) // 2] ^= 0xFF
    (folder / "rx.csv.gz").write_bytes(content)
    assert "is cut short or damaged gzip" in refusal(connection, TWO, folder)


def test_a_file_that_is_gzip_only_by_name_is_refused(connection, folder):
    (folder / "rx.csv.gz").write_bytes(b"a,b\n1,2\n")
    assert "is cut short or damaged gzip" in refusal(connection, TWO, folder)


def test_a_refused_file_leaves_what_was_loaded_before(load, connection, folder):
    before = load(TWO, "a,b\n1,2\nragged\n")
    (folder / "rx.csv.gz").write_bytes(b"")
    (folder / "rx.csv").rename(folder / "rx.csv.1.csv")
    refusal(connection, TWO, folder)
    assert connection.execute("from raw_clinic.rx").fetchall() == before.rows
    assert connection.execute("from raw.delivery").fetchall() == before.deliveries


# --- Accepted spellings of CSV ---


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,x\n2,y\n",
        b"a,b\r\n1,x\r\n2,y\r\n",
        b"a,b\r\n1,x\n2,y\r\n",
        b"a,b\n1,x\n2,y",
        b"a,b\n1,x\n2,y\n\n\n",
        b"\n\r\na,b\n\n1,x\n\n2,y\n",
        b'"a","b"\n"1","x"\n"2","y"\n',
        b'a, b\n1,"x" \n 2,y\n'.replace(b" 2", b"2"),
        codecs.BOM_UTF8 + b"a,b\n1,x\n2,y\n",
        codecs.BOM_UTF8 + b'"a","b"\r\n1,x\r\n2,y',
    ],
)
def test_line_ends_blank_lines_quotes_and_byte_order_marks_change_nothing(load, content):
    found = load(TWO, content)
    assert found.rows == [("1", "x", "rx.csv", 1), ("2", "y", "rx.csv", 2)]
    assert found.loaded.quarantined_rows == 0


def test_a_header_alone_is_an_extract_without_rows(load):
    assert load(TWO, b"a,b").loaded == extracts.Loaded(0, 0, 0, ("rx.csv",))
    assert load(TWO, b"a,b\n").deliveries[0][5:8] == (0, 0, 0)


def test_quoted_newlines_commas_and_quotes_are_text(load):
    found = load(TWO, b'a,b\n1,"two\nlines, with ""quotes"""\n2,"\r\n"\n3,"a\n\n\nb"\n')
    assert [row[:2] for row in found.rows] == [
        ("1", 'two\nlines, with "quotes"'),
        ("2", "\r\n"),
        ("3", "a\n\n\nb"),
    ]
    assert [row[-1] for row in found.rows] == [1, 2, 3]


def test_blanks_belong_to_text_but_not_to_numbers(load):
    found = load(a_contract("id INTEGER, sig VARCHAR, day DATE"), "id,sig,day\n 7 ,  two  , 2024-01-05 \n8, ,\n")
    assert [row[:2] for row in found.rows] == [(7, "  two  "), (8, " ")]
    assert found.quarantine == []


def test_quotes_inside_plain_text_are_text(load):
    found = load(TWO, 'a,b\n1,5" tube\n2,say "x"\n3,6"\n')
    assert [row[1] for row in found.rows] == ['5" tube', 'say "x"', '6"']


@pytest.mark.parametrize("text", ["\r", "\rx", "x\ry"])
@pytest.mark.parametrize("neighbour", ["1", '"1"'])
def test_a_carriage_return_inside_a_line_is_text(load, text, neighbour):
    found = load(TWO, f"a,b\n{text},{neighbour}\n2,y\n".encode())
    assert [row[:2] for row in found.rows] == [(text, "1"), ("2", "y")]


@pytest.mark.parametrize("field", ['"x, y"', ' "x, y"', '   "x, y"', '"x, y"  ', '  "x, y" '])
def test_blanks_around_quotes_do_not_belong_to_the_text(load, field):
    assert [row[:2] for row in load(TWO, f"a,b\n1,{field}\n{field},2\n").rows] == [("1", "x, y"), ("x, y", "2")]


def test_words_that_other_programs_take_for_missing_stay_text(load):
    found = load(TWO, 'a,b\nNULL,NA\n\\N,#N/A\n#1,"""""" \n')
    assert [row[:2] for row in found.rows] == [("NULL", "NA"), ("\\N", "#N/A"), ("#1", '""')]


def test_a_value_of_several_megabytes_is_loaded(load):
    text = "x" * 5_000_000
    assert load(TWO, f"a,b\n1,{text}\nragged\n".encode()).rows[0][1] == text


# --- Lines that are no record ---


def test_a_row_with_too_few_or_too_many_fields_is_quarantined_as_delivered(load, connection):
    found = load(TWO, "a,b\n1,x\n2\n3,x,y\n4,y\n")
    assert [row[-1] for row in found.rows] == [1, 4]
    assert found.quarantine == [(2, "ragged_row", None), (3, "ragged_row", None)]
    assert records(connection) == ["2", "3,x,y"]


@pytest.mark.parametrize("line", ["1,x,", "1,x,,", '1,"x",', '1,x,""', '"1, 2",x,'])
@pytest.mark.parametrize("quoted_neighbour", ["2,y", '"2, 3","y, z"'])
def test_a_surplus_empty_field_makes_a_row_ragged(load, line, quoted_neighbour):
    found = load(TWO, f"a,b\n{quoted_neighbour}\n{line}\n")
    assert found.quarantine == [(2, "ragged_row", None)]


def test_an_open_quote_costs_its_own_line_alone(load, connection):
    found = load(TWO, 'a,b\n1,x\n2,"open\n3,y\n4,"fine"\n')
    assert [row[:2] for row in found.rows] == [("1", "x"), ("3", "y"), ("4", "fine")]
    assert found.quarantine == [(2, "unclosed_quote", None)]
    assert records(connection) == ['2,"open']


def test_an_open_quote_that_a_later_one_seems_to_close_swallows_no_row(load):
    found = load(TWO, 'a,b\n1,"open\n2,x\n3,y"\n4,z\n')
    assert [row[:2] for row in found.rows] == [("2", "x"), ("3", 'y"'), ("4", "z")]
    assert found.quarantine == [(1, "unclosed_quote", None)]


def test_an_open_quote_in_the_last_line_costs_that_line(load):
    found = load(TWO, 'a,b\n1,x\n2,"open')
    assert [row[0] for row in found.rows] == ["1"]
    assert found.quarantine == [(2, "unclosed_quote", None)]


@pytest.mark.parametrize(("lines", "is_field"), [(100, True), (101, False)])
def test_a_field_of_more_than_a_hundred_lines_is_an_open_quote(load, lines, is_field):
    found = load(TWO, 'a,b\n1,"' + "x\n" * (lines - 1) + 'x"\n2,y\n')
    assert (found.quarantine == []) == is_field
    assert found.rows[-1][:2] == ("2", "y")


@pytest.mark.parametrize("line", ['1,"x"y', '"1" "2",x', '1,"x"\t'])
def test_text_after_a_closing_quote_is_quarantined(load, connection, line):
    found = load(TWO, f"a,b\n{line}\n2,y\n")
    assert found.quarantine == [(1, "stray_quote", None)]
    assert records(connection) == [line]


def test_a_nul_byte_is_quarantined(load, connection):
    found = load(TWO, b"a,b\n1,x\x00\n2,y\n")
    assert found.quarantine == [(1, "nul_byte", None)]
    assert records(connection) == ["1,x\0"]


def test_a_nul_byte_is_quarantined_and_no_field_reaches_over_it(load):
    found = load(TWO, b'a,b\n1,x\x00\n2,y\n3,"open\n\x00"\n4,z\n')
    assert [row[0] for row in found.rows] == ["2", "4"]
    assert found.quarantine == [(1, "nul_byte", None), (3, "unclosed_quote", None), (4, "nul_byte", None)]


def test_a_bad_line_in_a_compressed_file_costs_that_line(load):
    found = load(TWO, gzip.compress(b"a,b\n1,x\nragged\n2,y\n"), "rx.csv.gz")
    assert found.loaded == extracts.Loaded(3, 2, 1, ("rx.csv.gz",))


def test_rows_of_one_column(load):
    found = load(a_contract("a VARCHAR"), 'a\nx\n\n""\n"y\nz"\nu,v\n"open\nw\n')
    assert [(row[0], row[-1]) for row in found.rows] == [("x", 1), (None, 2), ("y\nz", 3), ("w", 6)]
    assert found.quarantine == [(4, "ragged_row", None), (5, "unclosed_quote", None)]


def test_lines_lost_while_splitting_stop_the_load(connection, folder, monkeypatch):
    (folder / "rx.csv").write_bytes(b"a,b\n1,x\nragged\n2,y\n")
    split = csv_file._pieces
    monkeypatch.setattr(csv_file, "_pieces", lambda *args: list(split(*args))[:-1])
    with pytest.raises(LedgerError, match="has 4 lines, but 3"):
        extracts.load(connection, TWO, "clinic", folder)


def test_a_ledger_that_does_not_add_up_changes_nothing(load, connection, folder, monkeypatch):
    before = load(TWO, "a,b\n1,x\n")
    read = csv_file.read
    monkeypatch.setattr(csv_file, "read", lambda file: Delivery(file, read(file).columns, rows=3))
    (folder / "rx.csv").write_bytes(b"a,b\n1,x\n2,y\n")
    with pytest.raises(LedgerError, match="3 rows were delivered, but 2 loaded, 0 replaced and 0"):
        extracts.load(connection, TWO, "clinic", folder)
    assert connection.execute("from raw_clinic.rx").fetchall() == before.rows
    assert connection.execute("from raw.delivery").fetchall() == before.deliveries


def test_a_locked_down_warehouse_reads_split_files_and_keeps_no_copy(tmp_path, folder, monkeypatch):
    modes = []
    split = csv_file._split

    def watch(stream, width, records, rejects):
        modes.extend(stat.S_IMODE(os.fstat(file.fileno()).st_mode) for file in (records, rejects))
        return split(stream, width, records, rejects)

    monkeypatch.setattr(csv_file, "_split", watch)
    (folder / "rx.csv").write_bytes(b"a,b\n1,x\nragged\n")
    with warehouse.opened(tmp_path / "warehouse.duckdb", readable=[folder]) as connection:
        assert outcome(connection, TWO, folder).loaded == extracts.Loaded(2, 1, 1, ("rx.csv",))
        assert list((tmp_path / "spill").iterdir()) == []
    assert modes == [0o600, 0o600]


# --- Values that do not fit ---


@pytest.mark.parametrize(
    ("type_", "fitting", "unfit"),
    [
        (
            "INTEGER",
            "7 -7 +7 007 7.0 7. 2147483647",
            "3.7 1e3 0x1F 1_000 5-10 ___ seven true nan 2147483648",
        ),
        ("BIGINT", "9007199254740993 -1", "9223372036854775808 0.5"),
        ("DOUBLE", "2.5 -2.5 .5 5. 1e3 1E-3", "nan inf -inf Infinity 1e999 5-10 2,5 5_10 0x10 TAB"),
        (
            "DATE",
            "2024-02-29 2024-01-05T00:00:00 2110-01-01",
            "2024-02-30 2023-02-29 2024-13-01 2024-1-5 05/01/2024 20240105 infinity epoch 2024-01-05T10:00:00",
        ),
        (
            "TIMESTAMP",
            "2024-01-05 2024-01-05T08:30 2024-01-05T08:30:00.123456",
            "2024-02-30T08:00:00 2024-01-05T25:00:00 2024-01-05T08:30:00Z 2024-01-05T08:30:00+02 infinity",
        ),
        ("BOOLEAN", "true FALSE t f 1 0", "yes 2 0.5"),
    ],
)
def test_a_value_fits_its_type_or_sends_its_row_to_quarantine(load, type_, fitting, unfit):
    values = fitting.split() + unfit.split()
    content = "a,b\n" + "".join(f'{place},"{value}"\n' for place, value in enumerate(values))
    found = load(a_contract(f"a INTEGER, b {type_}"), content)
    assert [values[row[0]] for row in found.rows] == fitting.split()
    assert [(values[row - 1], rule, column) for row, rule, column in found.quarantine] == [
        (value, "type", "b") for value in unfit.split()
    ]


def test_whole_numbers_keep_every_digit(load):
    found = load(a_contract("a BIGINT"), "a\n9007199254740993\n9007199254740993.0\n")
    assert [row[0] for row in found.rows] == [9007199254740993] * 2


def test_blanks_alone_are_no_number(load):
    assert load(a_contract("a INTEGER, b VARCHAR"), "a,b\n ,x\n").quarantine == [(1, "type", "a")]


@pytest.mark.parametrize(
    ("row", "rule", "column"),
    [
        ("1,codeine,30,7,2024-02-30", "type", "filled_date"),
        ("1,codeine,-1,7,2024-01-05", "range", "quantity"),
        ("1,codeine,0,0,2024-01-05", None, None),
        ("1,codeine,30,10,2024-01-05", None, None),
        ("1,codeine,30,11,2024-01-05", "range", "pain_nrs"),
        ("1,codeine,30,13,2024-01-05", "range", "pain_nrs"),
        ("1,codeine,30,-1,2024-01-05", "range", "pain_nrs"),
        ("1,,,,", None, None),
        (",codeine,30,7,2024-01-05", "required", "id"),
        ('"",codeine,30,7,2024-01-05', "required", "id"),
        (",codeine,-1,7,2024-02-30", "type", "filled_date"),
        (",codeine,-1,7,2024-01-05", "required", "id"),
        ("1,codeine,-1,13,2024-01-05", "range", "quantity"),
    ],
)
def test_the_first_rule_broken_is_the_reason(load, row, rule, column):
    found = load(RX, f"id,drug,quantity,pain_nrs,filled_date\n{row}\n")
    assert found.quarantine == ([(1, rule, column)] if rule else [])
    assert len(found.rows) == (0 if rule else 1)


def test_a_required_column_needs_a_value(load):
    found = load(a_contract("a INTEGER, b VARCHAR required=true"), "a,b\n1,\n2,x\n")
    assert found.quarantine == [(1, "required", "b")]


def test_a_value_outside_the_list_is_quarantined_and_a_missing_one_is_not(load):
    contract = a_contract("a INTEGER, sex VARCHAR values=F|M|O'Neil")
    found = load(contract, "a,sex\n1,F\n2,f\n3,\n4,M \n5,O'Neil\n")
    assert found.quarantine == [(2, "value", "sex"), (4, "value", "sex")]


def test_a_listed_number_is_compared_as_a_number(load):
    found = load(a_contract("a INTEGER values=1|2"), "a\n01\n2\n3\n")
    assert found.quarantine == [(3, "value", "a")]


def test_the_quarantined_row_is_kept_as_delivered(load, connection):
    load(RX, 'id,drug,quantity,pain_nrs,filled_date\n007,"a ""b""",-1.50,,2024-01-05\n')
    assert records(connection) == [
        '{"id":"007","drug":"a \\"b\\"","quantity":"-1.50","pain_nrs":null,"filled_date":"2024-01-05"}'
    ]


# --- Rows delivered more than once ---


def test_of_rows_with_one_key_the_first_delivered_stays(load):
    found = load(
        RX,
        """
        id,drug,quantity,pain_nrs,filled_date
        1,codeine,30,7,2024-01-05
        2,codeine,30,7,2024-01-05
        1,codeine,30,7,2024-01-05
        1,fentanyl,30,7,2024-01-05
        1,fentanyl,30,7,2024-01-05
        01,codeine,30,7,2024-01-05
        """,
    )
    assert [(row[0], row[-1]) for row in found.rows] == [(1, 1), (2, 2)]
    assert found.quarantine == [
        (3, "duplicate_row", None),
        (4, "duplicate_key", "id"),
        (5, "duplicate_row", None),
        (6, "duplicate_key", "id"),
    ]


def test_a_locked_down_warehouse_finds_repeated_keys(tmp_path, folder):
    (folder / "rx.csv").write_bytes(b"a,b\n1,x\n1,y\n")
    with warehouse.opened(tmp_path / "warehouse.duckdb", readable=[folder]) as connection:
        found = outcome(connection, a_contract("a INTEGER, b VARCHAR", key=["a"]), folder)
    assert found.quarantine == [(2, "duplicate_key", "a")]


def test_a_line_that_is_no_record_breaks_no_other_rule(load):
    contract = a_contract("a INTEGER, b VARCHAR required=true", key=["a"])
    found = load(contract, "a,b\n1,x\nragged\n2,y\nragged\n")
    assert found.quarantine == [(2, "ragged_row", None), (4, "ragged_row", None)]
    assert [row[0] for row in found.rows] == [1, 2]


def test_a_byte_order_mark_before_a_blank_line_hides_no_header(load):
    found = load(TWO, codecs.BOM_UTF8 + b"\na,b\n1,x\nragged\n")
    assert [row[:2] for row in found.rows] == [("1", "x")]
    assert found.quarantine == [(2, "ragged_row", None)]


def test_a_row_that_does_not_fit_takes_no_key(load):
    found = load(
        RX,
        """
        id,drug,quantity,pain_nrs,filled_date
        1,codeine,-30,7,2024-01-05
        1,codeine,30,7,2024-01-05
        """,
    )
    assert [(row[0], row[-1]) for row in found.rows] == [(1, 2)]
    assert found.quarantine == [(1, "range", "quantity")]


def test_missing_values_do_not_make_copies_differ(load):
    found = load(RX, "id,drug,quantity,pain_nrs,filled_date\n1,,,,\n1,,,,\n")
    assert found.quarantine == [(2, "duplicate_row", None)]


def test_a_key_of_two_columns_is_compared_whole(load):
    contract = a_contract("a INTEGER, b INTEGER, c VARCHAR", key=["a", "b"])
    found = load(contract, "a,b,c\n1,1,x\n1,2,x\n1,2,y\n2,1,x\n")
    assert found.quarantine == [(3, "duplicate_key", "a, b")]


def test_a_key_is_unique_across_files(connection, folder):
    for number in (1, 2):
        (folder / f"rx{number}.csv").write_bytes(b"a,b\n1,x\n")
    contract = a_contract("a INTEGER, b VARCHAR", key=["a"], files="rx*.csv")
    found = outcome(connection, contract, folder)
    assert [row[-2] for row in found.rows] == ["rx1.csv"]
    assert [delivery[5:8] for delivery in found.deliveries] == [(1, 1, 0), (1, 0, 1)]


def test_a_table_without_key_keeps_equal_rows(load):
    assert len(load(TWO, "a,b\n1,x\n1,x\n").rows) == 2


def test_a_key_may_be_the_place_of_delivery(load):
    contract = a_contract("a VARCHAR, b VARCHAR", key=["source_file", "source_row"])
    assert len(load(contract, "a,b\n1,x\n1,x\n").rows) == 2


# --- Row numbers ---


@pytest.mark.parametrize(
    ("rows", "threads", "is_split"), [(1_200_000, 4, False), (300_000, 1, False), (300_000, 4, True)]
)
def test_row_numbers_are_places_in_the_file(connection, folder, rows, threads, is_split):
    connection.execute(f"set threads = {threads}")
    connection.execute(
        f"copy (select i as id, repeat('x', (i % 97)::int) as b from range(1, {rows + 1}) t(i)) to '{folder}/rx.csv'"
    )
    if is_split:
        with (folder / "rx.csv").open("ab") as file:
            file.write(b"ragged\n")
    loaded = extracts.load(connection, a_contract("id INTEGER, b VARCHAR"), "clinic", folder)
    [[right]] = connection.execute(
        "select count(*) from raw_clinic.rx where source_row = id and coalesce(length(b), 0) = id % 97"
    ).fetchall()
    assert loaded == extracts.Loaded(rows + is_split, right, int(is_split), ("rx.csv",))


def test_row_numbers_of_parquet_are_places_in_the_file(connection, folder):
    connection.execute("set threads = 4")
    connection.execute(
        f"copy (select i as id from range(1, 300001) t(i)) to '{folder}/rx.parquet' (row_group_size 20480)"
    )
    extracts.load(connection, a_contract("id INTEGER", files="rx.parquet"), "clinic", folder)
    [[wrong]] = connection.execute("select count(*) from raw_clinic.rx where source_row <> id").fetchall()
    assert wrong == 0


def test_rows_that_cannot_be_numbered_are_not_loaded(connection, folder):
    (folder / "rx.csv").write_bytes(b"a,b\n1,x\n")
    connection.execute("set preserve_insertion_order = false")
    with pytest.raises(ValueError, match="preserve_insertion_order"):
        extracts.load(connection, TWO, "clinic", folder)


# --- Parquet ---


PARQUET_RX = RX.model_copy(update={"files": "rx.parquet"})


def test_parquet_goes_through_the_same_rules(connection, folder):
    connection.execute(
        f"""copy (select * from (values
            (1.0, 'codeine', 30::decimal(9, 2), 7, timestamp '2024-01-05', 'x'),
            (2.5, 'codeine', 30, 7, timestamp '2024-01-05', 'x'),
            (3.0, 'codeine', -30, 7, timestamp '2024-01-05', 'x'),
            (4.0, '', null, null, null, 'x'),
            (5.0, 'codeine', 30, 7, timestamp '2024-01-05 10:00:00', 'x'),
            (1.0, 'codeine', 30, 7, timestamp '2024-01-05', 'y')
        ) t(id, drug, quantity, pain_nrs, filled_date, extra)) to '{folder}/rx.parquet'"""
    )
    found = outcome(connection, PARQUET_RX, folder)
    assert [(row[0], row[1], row[2], row[-1]) for row in found.rows] == [(1, "codeine", 30.0, 1), (4, None, None, 4)]
    assert found.quarantine == [
        (2, "type", "id"),
        (3, "range", "quantity"),
        (5, "type", "filled_date"),
        (6, "duplicate_row", None),
    ]
    assert found.deliveries[0][8] == ["extra"]


def test_parquet_without_a_declared_column_is_refused(connection, folder):
    connection.execute(f"copy (select 1 as id, 'x' as drug) to '{folder}/rx.parquet'")
    assert "has no column quantity, pain_nrs, filled_date" in refusal(connection, PARQUET_RX, folder)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other"])
def test_damaged_parquet_is_refused(connection, folder, damage):
    file = folder / "rx.parquet"
    connection.execute(
        f"""copy (select i as id, md5(i::varchar) as drug, i as quantity, 1 as pain_nrs, null as filled_date
        from range(5000) t(i)) to '{file}'"""
    )
    content = bytearray(file.read_bytes())
    content[2000:4000] = bytes(2000) if damage == "flipped" else content[2000:4000]
    file.write_bytes({"empty": b"", "cut": content[:-100], "flipped": content, "other": b"id,drug\n1,x\n"}[damage])
    assert refusal(connection, PARQUET_RX, folder).startswith("rx.parquet: is ")


# --- Whatever is delivered ---


PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = ["a", "b", "c", "d"]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.text(
    'x,"\n\r ', max_size=8
)


def all_text(width: int) -> Contract:
    return a_contract(", ".join(f"{name} VARCHAR" for name in NAMES[:width]))


def written(rows: list[list[str]], line_end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows(rows)
    return text.getvalue().encode()


def is_record(line: str, width: int) -> bool:
    try:
        [fields] = csv.reader([line.removesuffix("\r").replace("\r", " ")], strict=True)
    except (csv.Error, ValueError):
        return False
    return len(fields) == width and line.count('"') % 2 == 0


@st.composite
def tables(draw) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=8))


@given(
    rows=tables(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    has_mark=st.booleans(),
    has_final_line_end=st.booleans(),
)
@PROPERTY
def test_every_table_comes_back_as_it_was_written(connection, folder, rows, quoting, has_mark, has_final_line_end):
    width = len(rows[0])
    # A line of a field that is a record by itself cannot be told from a record that an open quote swallowed.
    lower_lines = [line for row in rows for line in written([row]).decode().rstrip("\n").split("\n")[1:]]
    assume(not any(is_record(line, width) for line in lower_lines))
    content = written([NAMES[:width], *rows], "\r\n", quoting)
    content = content if has_final_line_end else content.removesuffix(b"\r\n")
    (folder / "rx.csv").write_bytes(codecs.BOM_UTF8 * has_mark + content)
    found = outcome(connection, all_text(width), folder)
    assert found.quarantine == []
    assert [list(row[:width]) for row in found.rows] == [[value or None for value in row] for row in rows]
    assert [row[-1] for row in found.rows] == list(range(1, len(rows) + 1))


@given(rows=st.lists(st.lists(st.text('x," ', max_size=4), min_size=1, max_size=5), max_size=12))
@PROPERTY
def test_a_row_is_loaded_if_it_has_the_width_of_the_header_and_else_ragged(connection, folder, rows):
    (folder / "rx.csv").write_bytes(written([NAMES[:3], *rows]))
    found = outcome(connection, all_text(3), folder)
    numbered = list(enumerate(rows, start=1))
    assert [(row[-1], list(row[:3])) for row in found.rows] == [
        (number, [value or None for value in row]) for number, row in numbered if len(row) == 3
    ]
    assert found.quarantine == [(number, "ragged_row", None) for number, row in numbered if len(row) != 3]


LINES = st.lists(st.tuples(st.text('x,," \r', max_size=5), st.text('x,," \r\0é', max_size=5)), max_size=14)


@given(lines=LINES, line_end=st.sampled_from(["\n", "\r\n", "\n\n"]))
@PROPERTY
def test_no_line_is_lost_repeated_or_moved_however_it_is_damaged(connection, folder, lines, line_end):
    marked = [f"{before}<{number}>{after}" for number, (before, after) in enumerate(lines)]
    (folder / "rx.csv").write_bytes(line_end.join(["a,b,c", *marked]).encode())
    found = outcome(connection, all_text(3), folder)
    delivered = connection.execute(
        """select source_row, concat_ws(',', a, b, c) as text from raw_clinic.rx
        union all select source_row, record from raw.quarantine order by 1"""
    ).fetchall()
    assert [number for number, _ in delivered] == list(range(1, found.loaded.delivered_rows + 1))
    text = "".join(text for _, text in delivered)
    places = [text.find(f"<{number}>") for number in range(len(lines))]
    assert -1 not in places
    assert places == sorted(places)
    assert text.count("<") == len(lines)


@given(lines=LINES)
@PROPERTY
def test_a_line_fares_the_same_whether_or_not_another_is_bad(connection, folder, lines):
    content = "\n".join(["a,b,c", *(f"{before}<{after}" for before, after in lines)]).encode() + b"\n"
    (folder / "rx.csv").write_bytes(content)
    alone = outcome(connection, all_text(3), folder)
    (folder / "rx.csv").write_bytes(content + b"ragged\n")
    beside = outcome(connection, all_text(3), folder)
    assert beside.rows == alone.rows
    assert beside.quarantine[:-1] == alone.quarantine


def splitting(monkeypatch, content: bytes, block_bytes: int) -> tuple:
    """What a file is split into, read in blocks of about this size."""
    records, rejects = io.BytesIO(), io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(csv_file, "BLOCK_BYTES", block_bytes)
        split = csv_file._split(io.BytesIO(content), 3, records, rejects)
    assert split.size_bytes == len(content)
    return split.rows, split.rejects, split.lines, records.getvalue(), rejects.getvalue()


@given(lines=LINES, line_end=st.sampled_from(["\n", "\r\n", "\n\n"]), block_bytes=st.integers(1, 40))
@PROPERTY
def test_where_a_block_ends_changes_nothing(monkeypatch, lines, line_end, block_bytes):
    content = line_end.join(["a,b,c", *(f"{before}<{after}" for before, after in lines)]).encode()
    assert splitting(monkeypatch, content, block_bytes) == splitting(monkeypatch, content, 1000)


def test_a_field_of_several_lines_may_cross_the_end_of_a_block(monkeypatch):
    content = b'a,b,c\n1,"x\ny\n,z",2\n"open\n3,4,5\n6,"p\r\nq",7\r\nragged\n\n"8\n",9,10'
    whole = splitting(monkeypatch, content, 1000)
    assert whole[:2] == (6, 2)
    for block_bytes in range(1, len(content)):
        assert splitting(monkeypatch, content, block_bytes) == whole


# --- What an extract may lack ---


def test_a_table_that_may_be_missing_is_empty_where_no_file_is_delivered(connection, folder):
    contract = a_contract("id INTEGER, b VARCHAR", key=["id"], may_be_missing=True)
    assert outcome(connection, contract, folder) == Outcome(extracts.Loaded(0, 0, 0, ()), [], [], [])


def test_a_column_that_may_be_missing_is_null_where_no_file_has_it(connection, folder, load):
    contract = a_contract("id INTEGER, note VARCHAR may_be_missing=true, b VARCHAR", files="rx.*")
    assert load(contract, "b,id\nx,1\n").rows == [(1, None, "x", "rx.csv", 1)]
    (folder / "rx.csv").unlink()
    connection.execute(f"copy (select 2 as id, 'y' as b) to '{folder / 'rx.parquet'}'")
    assert outcome(connection, contract, folder).rows == [(2, None, "y", "rx.parquet", 1)]


def test_a_column_that_must_not_be_missing_is_named_alone(load):
    contract = a_contract("id INTEGER, note VARCHAR may_be_missing=true, b VARCHAR")
    with pytest.raises(ExtractError, match=r"has no column b\."):
        load(contract, "id\n1\n")
