"""From mappings to clean tables: no delivered row is lost, doubled or taken in against its contract."""

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import contracts, paths, sources, sql_files
from pipelines.errors import LedgerError, SqlFileError
from pipelines.study import Source, Study
from tests import conftest
from tests.conftest import draw, rows_of
from tests.sql.drawing import drawn

STUDY = Study(
    name="drawn",
    title="Drawn",
    sources={"north": Source(folder=Path()), "south": Source(folder=Path())},
    output=Path(),
)

# Scores with a range and a scale of their own, to have rules that a row can break.
SCORES = conftest.CONTRACTS["clean.pain_score"]
RULES = {"score": {"minimum": 0, "maximum": 10}, "instrument": {"values": ["NRS"]}}
RULED = [column.model_copy(update=RULES.get(column.name, {})) for column in SCORES.columns]
CONTRACTS = conftest.CONTRACTS | {"clean.pain_score": SCORES.model_copy(update={"columns": RULED})}


@pytest.fixture(autouse=True)
def _contracts_read_once(monkeypatch):
    monkeypatch.setattr(contracts, "all_contracts", lambda: CONTRACTS)


# Mapping


MAPPING = """-- Procedures of the north.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: drawn
-- Rows:   raw_north.operation, raw_north.injection
with

delivered as (
    select *, 'operation' as source_table from raw_north.operation
    union all by name
    select *, 'injection' as source_table from raw_north.injection
)

select
    'north:' || number as procedure_id,
    'north:' || person as patient_id,
    day as procedure_date,
    'CPT4' as code_system,
    code,
    case when code is null then 'no_code' end as excluded_reason,
    source_table,
    source_file,
    source_row
from delivered
"""


def deliver(connection: duckdb.DuckDBPyConnection) -> None:
    """Three operations in two files and two injections."""
    connection.execute("create schema raw_north")
    for table, files in {"operation": ["a.csv", "a.csv", "b.csv"], "injection": ["c.csv", "c.csv"]}.items():
        connection.execute(
            f"create table raw_north.{table} "
            f"(number int, person text, day date, code text, source_file text, source_row bigint)"
        )
        for number, file in enumerate(files):
            connection.execute(
                f"insert into raw_north.{table} values (?, 'p1', '2021-01-04', ?, ?, ?)",
                [number, "27447" if number else None, file, number % 2 + 1],
            )


@pytest.fixture
def mapped(connection, tmp_path):
    """Map the delivered tables with a mapping of this text."""
    deliver(connection)

    def run(text: str = MAPPING) -> duckdb.DuckDBPyConnection:
        file = tmp_path / "2_clean" / "north" / "procedure.sql"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        sources.map_rows(connection, sql_files.read(file), CONTRACTS["clean.procedure"])
        return connection

    return run


def test_a_mapping_keeps_every_row_and_says_which_are_not_wanted(mapped):
    connection = mapped()
    rows = connection.sql(
        "select source_table, source_file, source_row, excluded_reason from clean_north.procedure order by all"
    ).fetchall()
    assert rows == [
        ("injection", "c.csv", 1, "no_code"),
        ("injection", "c.csv", 2, None),
        ("operation", "a.csv", 1, "no_code"),
        ("operation", "a.csv", 2, None),
        ("operation", "b.csv", 1, None),
    ]


def test_mapping_tells_how_many_rows_it_gave(connection, mapped, tmp_path):
    mapped()
    mapping = sql_files.read(tmp_path / "2_clean" / "north" / "procedure.sql")
    assert sources.map_rows(connection, mapping, CONTRACTS["clean.procedure"]) == 5


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("a lost row", MAPPING.replace("from delivered\n", "from delivered\nwhere code is not null\n")),
        ("a doubled row", MAPPING.replace("from delivered\n", "from delivered\ncross join range(2)\n")),
        (
            "a row doubled in place of a lost one",
            MAPPING.replace("    source_row\nfrom", "    least(source_row, 1) as source_row\nfrom"),
        ),
        ("a wrong source_table", MAPPING.replace("    source_table,", "    'operation' as source_table,")),
        ("a source_table of no driving table", MAPPING.replace("    source_table,", "    'surgery' as source_table,")),
        ("no source_table", MAPPING.replace("    source_table,", "    null as source_table,")),
        (
            "rows beside the driving ones",
            MAPPING.replace("    union all", "    union all by name select *, 'surgery' as source_table from "
                            "raw_north.operation\n    union all", 1),
        ),
        ("a driving table left out", MAPPING.replace("Rows:   raw_north.operation, ", "Rows:   ")),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_keep_its_rows_is_refused(mapped, fault, text):
    assert text != MAPPING
    with pytest.raises(LedgerError, match=r"procedure\.sql: .*\d+ rows"):
        mapped(text)


def test_a_mapping_names_the_tables_whose_rows_it_keeps(mapped):
    with pytest.raises(SqlFileError, match="no Rows line"):
        mapped(MAPPING.replace("-- Rows:   raw_north.operation, raw_north.injection\n", ""))


def test_a_mapping_gives_no_column_that_the_clean_table_does_not_have(mapped):
    with pytest.raises(SqlFileError, match=r"procedure\.sql"):
        mapped(MAPPING.replace("    code,\n", "    code,\n    1 as surgeon,\n"))


def test_no_message_holds_a_value_of_a_row(mapped):
    for text in (
        MAPPING.replace("from delivered\n", "from delivered\nwhere code is not null\n"),
        MAPPING.replace("    code,\n", "    cast(code || 'secret' as date)::text as code,\n"),
    ):
        with pytest.raises((LedgerError, SqlFileError)) as refused:
            mapped(text)
        assert "27447" not in str(refused.value) and "secret" not in str(refused.value)


# Filling

EMPTY_MAPPING = """-- Rows of a source.
--
-- Grain:  one row per delivered row
-- Key:    id
-- Units:  none
-- Scope:  patient
-- Source: drawn
-- Rows:   raw_{source}.t, raw_{source}.chart
select id from raw_{source}.t
"""


@pytest.fixture
def given_mapped(connection, tmp_path, monkeypatch):
    """Draw what the mappings of sources gave; the sources then map these tables and no others."""
    monkeypatch.setattr(paths, "SQL", tmp_path)

    def draw_mapped(table: str, drawing: str, **same: object) -> None:
        _, source, name = table.replace(".", "_", 1).split("_", 2)
        file = tmp_path / "2_clean" / source / f"{name}.sql"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(EMPTY_MAPPING.format(source=source))
        header = {column.strip() for column in drawing.strip().split("\n")[0].split("|")}
        given = {"source_table": "t", "source_file": "f.csv"} | same
        given = {key: value for key, value in given.items() if key not in header}
        draw(connection, table, drawn(drawing, **given) if drawing else "")

    return draw_mapped


def filled(connection: duckdb.DuckDBPyConnection, table: str, *of: str) -> int:
    return sources.fill(connection, CONTRACTS[table], of or ("north",))


def rows(connection: duckdb.DuckDBPyConnection, columns: str, table: str) -> list[tuple]:
    return connection.sql(f"select {columns} from {table} order by all").fetchall()


def patients(given_mapped, connection, *numbers: int) -> None:
    lines = "\n".join(f"p{number} | {number}" for number in numbers)
    given_mapped("clean_north.patient", f"patient_id | source_row\n-\n{lines}", sex="female")
    filled(connection, "clean.patient")


SCORE = {"instrument": "NRS", "recall": "now", "setting": "outpatient", "scored_at": "2021-01-04 08:00:00"}
REJECTED = "rule, column_name, source_row"


def test_wanted_rows_are_filled_with_their_patients_number_and_source(given_mapped, connection):
    patients(given_mapped, connection, 1, 2)
    given_mapped(
        "clean_north.pain_score",
        """
        pain_score_id | patient_id | score | source_row
        --------------+------------+----------+-----------
        a             | p2         | 4        | 1
        b             | p1         | 5        | 2
        """,
        **SCORE,
    )
    assert filled(connection, "clean.pain_score") == 2
    assert rows(connection, "pain_score_id, patient_index, source, score, source_row", "clean.pain_score") == [
        ("a", 1, "north", 4.0, 1),
        ("b", 0, "north", 5.0, 2),
    ]
    assert rows(connection, "*", "clean.quarantine") == []


def test_an_excluded_row_is_neither_filled_nor_judged(given_mapped, connection):
    patients(given_mapped, connection, 1)
    given_mapped(
        "clean_north.pain_score",
        """
        pain_score_id | patient_id | score | source_row | excluded_reason
        --------------+------------+----------+------------+-----------------
        a             | nobody     | 13       | 1          | other_instrument
        a             | p1         | 5        | 2          |
        """,
        **SCORE,
    )
    assert filled(connection, "clean.pain_score") == 1
    assert rows(connection, "*", "clean.quarantine") == []


def test_a_row_that_breaks_the_contract_goes_to_quarantine_under_its_rule(given_mapped, connection):
    patients(given_mapped, connection, 1)
    given_mapped(
        "clean_north.pain_score",
        """
        pain_score_id | patient_id | scored_at           | instrument | score | source_row
        --------------+------------+---------------------+------------+----------+-----------
        a             | p1         | 2021-01-04 08:00:00 | NRS        | 0        | 1
        b             | p1         | 2021-01-04 08:00:00 | NRS        | 10       | 2
        c             | p1         | 2021-01-04 08:00:00 | NRS        | 10.001   | 3
        d             | p1         | 2021-01-04 08:00:00 | NRS        | -0.001   | 4
        e             | p1         | 2021-01-04 08:00:00 | NRS        |          | 5
        f             | p1         |                     | NRS        | 5        | 6
        g             | p1         | 2021-01-04 08:00:00 | FLACC      | 5        | 7
        h             | nobody     | 2021-01-04 08:00:00 | NRS        | 5        | 8
        i             |            | 2021-01-04 08:00:00 | NRS        | 5        | 9
                      | p1         | 2021-01-04 08:00:00 | NRS        | 5        | 10
        a             | p1         | 2021-01-05 08:00:00 | NRS        | 5        | 11
        """,
        recall="now",
        setting="outpatient",
    )
    assert filled(connection, "clean.pain_score") == 3
    assert rows(connection, "pain_score_id, source_row", "clean.pain_score") == [("a", 1), ("b", 2), ("e", 5)]
    assert rows(connection, REJECTED, "clean.quarantine") == [
        ("duplicate_key", "pain_score_id", 11),
        ("range", "score", 3),
        ("range", "score", 4),
        ("required", "pain_score_id", 10),
        ("required", "scored_at", 6),
        ("unknown_patient", "patient_id", 8),
        ("unknown_patient", "patient_id", 9),
        ("value", "instrument", 7),
    ]


def test_quarantine_keeps_where_a_row_came_from_and_the_row_itself(given_mapped, connection):
    patients(given_mapped, connection, 1)
    given_mapped(
        "clean_north.pain_score",
        "pain_score_id | patient_id | score | source_row\n-\na | p1 | 13 | 7",
        source_table="chart",
        source_file="c.csv",
        **SCORE,
    )
    filled(connection, "clean.pain_score")
    columns = "source, table_name, source_table, source_file, source_row, rule"
    assert rows(connection, columns, "clean.quarantine") == [("north", "pain_score", "chart", "c.csv", 7, "range")]
    [[record]] = rows(connection, "record", "clean.quarantine")
    assert json.loads(record)["score"] == 13 and json.loads(record)["patient_id"] == "p1"


def test_a_row_that_breaks_two_rules_is_in_quarantine_once(given_mapped, connection):
    patients(given_mapped, connection, 1)
    given_mapped(
        "clean_north.pain_score", "pain_score_id | patient_id | score | source_row\n-\na | nobody | 13 | 1", **SCORE
    )
    filled(connection, "clean.pain_score")
    assert rows(connection, REJECTED, "clean.quarantine") == [("range", "score", 1)]


def test_of_two_rows_with_one_key_the_first_delivered_stays(given_mapped, connection):
    patients(given_mapped, connection, 1)
    given_mapped(
        "clean_north.pain_score",
        """
        pain_score_id | source_file | source_row | score
        --------------+-------------+------------+---------
        a             | b.csv       | 1          | 1
        a             | a.csv       | 10         | 2
        a             | a.csv       | 9          | 3
        """,
        patient_id="p1",
        **SCORE,
    )
    assert filled(connection, "clean.pain_score") == 1
    assert rows(connection, "score", "clean.pain_score") == [(3.0,)]
    assert rows(connection, "rule, source_file, source_row", "clean.quarantine") == [
        ("duplicate_key", "a.csv", 10),
        ("duplicate_key", "b.csv", 1),
    ]


def test_records_of_a_patient_in_quarantine_are_of_an_unknown_patient(given_mapped, connection):
    given_mapped("clean_north.patient", "patient_id | sex | source_row\n-\np1 | robot | 1")
    assert filled(connection, "clean.patient") == 0
    given_mapped(
        "clean_north.pain_score", "pain_score_id | patient_id | score | source_row\n-\na | p1 | 5 | 1", **SCORE
    )
    assert filled(connection, "clean.pain_score") == 0
    assert rows(connection, "table_name, rule", "clean.quarantine") == [
        ("pain_score", "unknown_patient"),
        ("patient", "value"),
    ]


def test_patients_of_two_sources_are_numbered_from_0_without_gaps(given_mapped, connection):
    """By source, and within one in the order of the pseudonyms; who is in quarantine takes no number."""
    given_mapped(
        "clean_north.patient",
        """
        patient_id | sex    | source_row
        -----------+--------+-----------
        n:20       | female | 1
        n:1        | robot  | 2
        n:3        | male   | 3
        n:20       | male   | 4
        """,
    )
    given_mapped("clean_south.patient", "patient_id | sex | source_row\n-\ns:2 | male | 1\ns:1 | female | 2")
    assert filled(connection, "clean.patient", "north", "south") == 4
    assert rows(connection, "patient_index, patient_id, source, sex", "clean.patient") == [
        (0, "n:20", "north", "female"),
        (1, "n:3", "north", "male"),
        (2, "s:1", "south", "female"),
        (3, "s:2", "south", "male"),
    ]
    assert rows(connection, REJECTED, "clean.quarantine") == [
        ("duplicate_key", "patient_id", 4),
        ("value", "sex", 2),
    ]


def test_a_source_without_a_mapping_fills_nothing(given_mapped, connection):
    patients(given_mapped, connection, 1)
    given_mapped("clean_south.pain_score", "pain_score_id | patient_id | source_row\n-\na | p1 | 1", **SCORE)
    assert filled(connection, "clean.pain_score", "north", "south") == 1
    assert rows(connection, "source", "clean.pain_score") == [("south",)]


def test_filling_again_replaces_rows_and_quarantine_of_this_table_only(given_mapped, connection):
    given_mapped("clean_north.patient", "patient_id | sex | source_row\n-\np1 | female | 1\np2 | robot | 2")
    filled(connection, "clean.patient")
    given_mapped(
        "clean_north.pain_score",
        "pain_score_id | patient_id | score | source_row\n-\na | p1 | 5 | 1\nb | p1 | 13 | 2",
        **SCORE,
    )
    for _ in range(2):
        assert filled(connection, "clean.pain_score") == 1
        assert rows(connection, "table_name, rule", "clean.quarantine") == [
            ("pain_score", "range"),
            ("patient", "value"),
        ]


MAYBE = {
    "pain_score_id": st.sampled_from(["a", "b", "c", "d", None]),
    "patient_id": st.sampled_from(["p1", "p2", "nobody", None]),
    "score": st.sampled_from(["0", "5", "10", "11", "-1", None]),
    "instrument": st.sampled_from(["NRS", "FLACC", None]),
    "excluded_reason": st.sampled_from([None, None, "other_recall"]),
}


@settings(max_examples=40, deadline=None)
@given(delivered=st.lists(st.fixed_dictionaries(MAYBE), max_size=12))
def test_every_mapped_row_is_clean_excluded_or_in_quarantine(delivered):
    with duckdb.connect() as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "_is_mapped", lambda source, contract: True)
        draw(connection, "clean.patient", "patient_id | patient_index\n-\np1 | 0\np2 | 1")
        cells = [
            " | ".join([*(row[name] or "" for name in MAYBE), str(number)]) for number, row in enumerate(delivered, 1)
        ]
        drawing = f"{' | '.join(MAYBE)} | source_row\n-\n" + "\n".join(cells)
        same = {"recall": "now", "setting": "icu", "scored_at": "2021-01-04", "source_table": "t", "source_file": "f"}
        draw(connection, "clean_north.pain_score", drawn(drawing, **same) if delivered else "")
        sources.fill(connection, CONTRACTS["clean.pain_score"], ["north"])
        found = connection.sql(
            """
            select source_row from clean.pain_score
            union all select source_row from clean.quarantine
            union all select source_row from clean_north.pain_score where excluded_reason is not null
            """
        ).fetchall()
        assert sorted(number for (number,) in found) == list(range(1, len(delivered) + 1))
        keys = [key for (key,) in connection.sql("select pain_score_id from clean.pain_score").fetchall()]
        assert len(keys) == len(set(keys))


# Coverage and outcomes


@pytest.fixture
def two_sources(given_mapped, connection):
    """North delivers patients and scores, south patients only, whose clean tables are then filled."""
    given_mapped("clean_north.patient", "patient_id | sex | source_row\n-\np1 | female | 1\np2 | robot | 2")
    given_mapped("clean_south.patient", "patient_id | sex | source_row\n-\ns1 | male | 1")
    given_mapped(
        "clean_north.pain_score",
        """
        pain_score_id | patient_id | scored_at           | score | source_table | source_row | excluded_reason
        --------------+------------+---------------------+----------+--------------+------------+----------------
        a             | p1         | 2021-01-04 23:00:00 | 5        | chart        | 1          |
        b             | p1         | 2021-03-01 01:00:00 | 5        | chart        | 2          |
        c             | p2         | 2021-12-31 01:00:00 | 5        | chart        | 3          |
        d             | p1         | 2021-12-31 01:00:00 | 13       | chart        | 4          |
        e             | p1         | 2021-12-31 01:00:00 | 5        | triage       | 1          | other_recall
        f             | p1         | 2021-12-31 01:00:00 | 5        | triage       | 2          | other_recall
        """,
        **{name: value for name, value in SCORE.items() if name != "scored_at"},
    )
    for contract in sources.filled_contracts():
        sources.fill(connection, contract, sorted(STUDY.sources))
    draw(connection, "raw.delivery", "source | table_name | loaded_rows\n-\nnorth | chart | 4\nsouth | t | 0")
    return connection


def test_patients_are_filled_before_whatever_refers_to_them():
    tables = [contract.table for contract in sources.filled_contracts()]
    assert tables[0] == "clean.patient"
    assert sorted(tables) == [
        "clean.adjuvant",
        "clean.administration",
        "clean.diagnosis",
        "clean.encounter",
        "clean.note_mention",
        "clean.pain_score",
        "clean.patient",
        "clean.prescription",
        "clean.procedure",
    ]


def test_coverage_tells_no_events_from_not_delivered(two_sources):
    sources.build_source_coverage(two_sources, STUDY)
    covered = two_sources.sql(
        """
        select source, is_delivered, row_count, first_date::varchar, last_date::varchar
        from clean.source_coverage where table_name = 'pain_score' order by source
        """
    ).fetchall()
    assert covered == [("north", True, 2, "2021-01-04", "2021-03-01"), ("south", False, 0, None, None)]
    [[tables]] = two_sources.sql("select count(*) from clean.source_coverage").fetchall()
    assert tables == 2 * 9


@pytest.mark.parametrize(
    ("delivered", "is_delivered"),
    [
        ("north | chart", True),  # a file without rows: no events
        ("north | diary", False),  # only looked up in
        ("south | chart", False),
        ("", False),
    ],
)
def test_a_table_is_delivered_where_files_of_a_driving_table_are(given_mapped, connection, delivered, is_delivered):
    given_mapped("clean_north.pain_score", "")
    for contract in sources.filled_contracts():
        sources.fill(connection, contract, [])
    draw(connection, "raw.delivery", f"source | table_name\n-\n{delivered}")
    sources.build_source_coverage(connection, STUDY)
    covered = "select source, table_name from clean.source_coverage where is_delivered"
    assert connection.sql(covered).fetchall() == ([("north", "pain_score")] if is_delivered else [])


@pytest.mark.parametrize(
    ("fills", "delivered", "is_delivered"),
    [
        ("opioid_product | t", "north | t", False),
        ("opioid_product | t\nnot_an_adjuvant | t", "north | t", True),
        ("opioid_product | t\n | t", "north | t", True),
        ("opioid_product | t\nnot_an_adjuvant | chart", "north | t\nnorth | chart", True),  # other drugs beside it
        ("opioid_product | t", "north | t\nnorth | chart", True),  # a file without rows: no events
        ("", "north | t", True),
    ],
)
def test_a_delivery_of_opioids_alone_says_nothing_of_adjuvants(
    given_mapped, connection, fills, delivered, is_delivered
):
    drawing = f"excluded_reason | source_table\n-\n{fills}" if fills else ""
    given_mapped("clean_north.adjuvant", drawing, adjuvant_id="a")
    for contract in sources.filled_contracts():
        sources.fill(connection, contract, [])
    draw(connection, "raw.delivery", f"source | table_name\n-\n{delivered}")
    sources.build_source_coverage(connection, STUDY)
    covered = "select is_delivered from clean.source_coverage where source = 'north' and table_name = 'adjuvant'"
    assert connection.sql(covered).fetchall() == [(is_delivered,)]


def test_patients_are_covered_without_dates(two_sources):
    sources.build_source_coverage(two_sources, STUDY)
    covered = two_sources.sql(
        "select source, row_count, first_date from clean.source_coverage where table_name = 'patient' order by source"
    ).fetchall()
    assert covered == [("north", 1, None), ("south", 1, None)]


def test_the_outcome_of_every_mapped_row_is_counted_by_reason(two_sources):
    sources.build_row_outcome(two_sources, STUDY)
    expected = rows_of(
        """
        source | table_name | source_table | outcome     | reason          | row_count
        -------+------------+--------------+-------------+-----------------+----------
        north  | pain_score | chart        | clean       | ''              | 2
        north  | pain_score | chart        | quarantined | range           | 1
        north  | pain_score | chart        | quarantined | unknown_patient | 1
        north  | pain_score | triage       | excluded    | other_recall    | 2
        north  | patient    | t            | clean       | ''              | 1
        north  | patient    | t            | quarantined | value           | 1
        south  | patient    | t            | clean       | ''              | 1
        """
    )
    columns = ", ".join(expected[0])
    found = two_sources.sql(f"select {columns} from clean.row_outcome order by all").fetchall()
    assert [tuple(map(str, row)) for row in found] == [tuple(map(str, row.values())) for row in expected]
