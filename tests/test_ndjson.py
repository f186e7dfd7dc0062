"""NDJSON: every line that is one JSON object is a row, every other line is in quarantine, and nothing leaves a traceback."""

import gzip
import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines import extracts
from pipelines.contracts import Contract
from pipelines.errors import ExtractError

CONTRACT = Contract.model_validate(
    {
        "table": "raw_clinic.dose",
        "description": "Doses.",
        "key": ["dose_id"],
        "files": "dose*json*",
        "columns": [
            {"name": "dose_id", "type": "VARCHAR", "delivered_as": "id", "description": "A."},
            {
                "name": "patient",
                "type": "VARCHAR",
                "delivered_as": "/subject/reference",
                "may_be_missing": True,
                "description": "A.",
            },
            {"name": "dose", "type": "DOUBLE", "minimum": 0, "may_be_missing": True, "description": "A."},
            {"name": "coding", "type": "JSON", "may_be_missing": True, "description": "A."},
        ],
    }
)


@pytest.fixture
def load(connection, tmp_path):
    def deliver(content: str | bytes, name: str = "dose.ndjson", contract: Contract = CONTRACT):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return extracts.load(connection, contract, "clinic", tmp_path)

    return deliver


def rows(connection, columns: str = "dose_id, patient, dose, coding, source_row") -> list[tuple]:
    return connection.execute(f"select {columns} from raw_clinic.dose order by source_file, source_row").fetchall()


def quarantine(connection) -> list[tuple]:
    return connection.execute(
        "select source_row, rule, column_name from raw.quarantine order by source_file, source_row"
    ).fetchall()


def test_a_field_is_read_by_its_name_or_pointer_and_a_nested_value_is_its_json(load, connection):
    load(
        '{"id":"a","subject":{"reference":"P1"},"dose":2.50,"coding":[{"code":"x"}]}\n'
        '{"coding":{},"id":"b","dose":null}\n'
        '{"id":3,"dose":"7","subject":{}}\n'
    )
    assert rows(connection) == [
        ("a", "P1", 2.5, '[{"code":"x"}]', 1),
        ("b", None, None, "{}", 2),
        ("3", None, 7.0, None, 3),
    ]


def test_a_field_in_another_case_is_another_field(load):
    with pytest.raises(ExtractError, match="spells a field in another case"):
        load('{"ID":"a","dose":1}\n')


def test_a_name_with_a_slash_in_it_is_a_name(load, connection):
    slashed = Contract.model_validate(
        CONTRACT.model_dump() | {"key": [], "columns": [CONTRACT.columns[0].model_dump() | {"delivered_as": "a/b~c"}]}
    )
    load('{"a/b~c":"x","a":{"b~c":"y"}}', contract=slashed)
    assert rows(connection, "dose_id") == [("x",)]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_lines_end_as_they_like_and_a_blank_one_is_no_row_but_is_numbered(load, connection, end):
    loaded = load(f'\n{{"id":"a"}}\r\n  \t\r\n\n{{"id":"b"}}{end}')
    assert rows(connection, "dose_id, source_row") == [("a", 2), ("b", 5)]
    assert (loaded.delivered_rows, loaded.loaded_rows, loaded.quarantined_rows) == (2, 2, 0)


def test_a_byte_order_mark_is_skipped(load, connection):
    load(b'\xef\xbb\xbf{"id":"a"}\n')
    assert rows(connection, "dose_id") == [("a",)]


@pytest.mark.parametrize("name", ["dose.000.ndjson.gz", "dose.jsonl.gz"])
def test_gzip_is_read(load, connection, name):
    load(gzip.compress(b'{"id":"a"}\n'), name)
    assert rows(connection, "dose_id") == [("a",)]


NOT_JSON = {
    "text": b"not json",
    "half an object": b'{"id":"x","dose":',
    "two objects": b'{"id":"x"} {"id":"y"}',
    "an array": b'[{"id":"x"}]',
    "a text": b'"x"',
    "nul": b'{"id":"\0"}',
    "separator": b'{"id":"\x01\x02"}',
    "lone surrogate": b'{"id":"\\ud800"}',
    "return inside a text": b'{"id":"x\ry"}',
    "open brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("line", NOT_JSON.values(), ids=NOT_JSON)
def test_a_line_that_is_no_object_is_in_quarantine_as_delivered(load, connection, line):
    loaded = load(b'{"id":"a"}\n' + line + b'\n{"id":"b"}\n')
    assert rows(connection, "dose_id, source_row") == [("a", 1), ("b", 3)]
    assert quarantine(connection) == [(2, "not_json", None)]
    assert connection.execute("select record from raw.quarantine").fetchall() == [(line.decode(),)]
    assert loaded.delivered_rows == 3


def test_a_field_given_twice_is_believed_in_neither(load, connection):
    load('{"id":"a","dose":1,"dose":2}\n{"id":"b","dose":1}\n')
    assert quarantine(connection) == [(1, "repeated_field", None)]
    assert rows(connection, "dose_id") == [("b",)]


def test_a_return_between_fields_is_a_blank(load, connection):
    load('{"id":\r"a",\r"dose":1}\n{"id":"b"}\r\n')
    assert rows(connection, "dose_id, dose") == [("a", 1.0), ("b", None)]


def test_values_that_do_not_fit_go_the_way_of_every_extract(load, connection):
    load(
        '{"id":"a","dose":NaN}\n{"id":"b","dose":-1}\n{"id":"c","dose":1e999}\n{"dose":1}\n'
        '{"id":"d","coding":"oxycodone"}\n{"id":"e"}\n{"id":"e"}\n{"id":"e","dose":1}\n{"id":""}\n'
    )
    assert quarantine(connection) == [
        (1, "type", "dose"),
        (2, "range", "dose"),
        (3, "type", "dose"),
        (4, "required", "dose_id"),
        (5, "type", "coding"),
        (7, "duplicate_row", None),
        (8, "duplicate_key", "dose_id"),
        (9, "required", "dose_id"),
    ]
    assert rows(connection, "dose_id") == [("e",)]


def test_huge_nesting_and_long_lines_are_read(load, connection):
    deep = "[" * 200_000 + "]" * 200_000
    load('{"id":"a","coding":' + deep + '}\n{"id":"' + "b" * 5_000_000 + '"}\n')
    assert rows(connection, "len(dose_id), len(coding)") == [(1, 400_000), (5_000_000, None)]


def test_fields_that_no_contract_declares_are_named_and_not_loaded(load, connection):
    load('{"id":"a","subject":{"reference":"P1","display":"CANARY"},"text":"CANARY"}\n')
    [delivery] = connection.execute("select undeclared_columns from raw.delivery").fetchall()
    assert delivery == (["text"],)
    assert "CANARY" not in str(rows(connection))


REFUSED = {
    "is empty": b"",
    "has no line that is one JSON object": b"{\n  \n",
    "has no column id": b'{"dose":1}\n',
    "is not UTF-8": b'{"id":"caf\xe9"}\n',
    "is UTF-16": '{"id":"a"}\n'.encode("utf-16"),
    "control characters of every kind": bytes(range(1, 32)),
}


@pytest.mark.parametrize(("said", "content"), REFUSED.items())
def test_a_file_that_cannot_be_the_extract_is_refused_in_one_line(load, said, content):
    with pytest.raises(ExtractError) as error:
        load(content)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_gzip_is_refused(load):
    with pytest.raises(ExtractError, match="damaged gzip"):
        load(gzip.compress(b'{"id":"a"}\n' * 1000)[:-20], "dose.ndjson.gz")


def test_one_file_twice_is_refused(load):
    load('{"id":"a"}')
    with pytest.raises(ExtractError, match="is delivered as"):
        load(gzip.compress(b'{"id":"a"}'), "dose.ndjson.gz")


LINES = st.one_of(
    st.dictionaries(
        st.sampled_from(["id", "dose", "subject", "coding", "other", ""]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=3,
        ),
        max_size=4,
    ).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"")),
    st.sampled_from([b"", b" ", b"{}", b'{"id":"a"}\r', b'{"id":"a","id":"a"}']),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=6))
@example([b'{"id":"a"}', b'{"subject":3,"id":{}}'])
def test_whatever_is_delivered_every_line_is_accounted_for_or_the_file_refused(tmp_path_factory, lines):
    folder = Path(tmp_path_factory.mktemp("ndjson"))
    (folder / "dose.ndjson").write_bytes(b"\n".join(lines))
    with duckdb.connect() as connection:
        try:
            loaded = extracts.load(connection, CONTRACT, "clinic", folder)
        except ExtractError as error:
            assert "\n" not in str(error)
            return
        seen = connection.execute(
            "select source_row from raw_clinic.dose union all select source_row from raw.quarantine order by 1"
        ).fetchall()
    filled = [number for number, line in enumerate(lines, 1) if line.strip(b" \t\r")]
    assert [number for (number,) in seen] == filled
    assert loaded.delivered_rows == len(filled)
