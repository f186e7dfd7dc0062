"""A new source from files that nobody prepared: what is drafted loads at once, and what is open is said."""

import random
import re
import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines import contracts, extracts, paths, source_draft, sources, sql_files, warehouse
from pipelines.errors import ContractError, ExtractError
from pipelines.source_draft.profile import profiles
from tests.conftest import rows_of


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A checkout of its own, so that drafts are written beside nothing."""
    for name, steps in (("DATA_CONTRACTS", ("0_raw/simulated", "1_reference", "2_clean")), ("SQL", ("1_reference",))):
        folder = tmp_path / "project" / getattr(paths, name).name
        for step in steps:
            shutil.copytree(getattr(paths, name) / step, folder / step)
        for file in paths.DATA_CONTRACTS.glob("0_raw/*.yaml") if name == "DATA_CONTRACTS" else ():
            shutil.copy(file, folder / "0_raw")
        monkeypatch.setattr(paths, name, folder)
    monkeypatch.setattr(paths, "ROOT", tmp_path / "project")
    forget_files()
    yield tmp_path / "project"
    forget_files()


def forget_files() -> None:
    """The command line runs in a process of its own, which reads every file anew."""
    for cached in (contracts.all_contracts, contracts.raw_contracts, sql_files.mappings):
        cached.cache_clear()


def open_gaps(source: str) -> list[source_draft.Gap]:
    forget_files()
    return [gap for gap in source_draft.gaps(source) if gap.is_open]


@pytest.fixture
def extract(tmp_path) -> Path:
    folder = tmp_path / "extract"
    folder.mkdir()
    return folder


def deliver(folder: Path, name: str, drawing: str, repeat: int = 1) -> Path:
    """Write drawn rows as CSV; ``#`` in a cell is the number of the repetition."""
    rows = rows_of(drawing)
    lines = [",".join(rows[0])]
    for number in range(repeat):
        lines += [",".join((cell or "").replace("#", str(number)) for cell in row.values()) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


PHARMACY = """
    Member ID | Fill Date  | Product Name              | NDC           | Qty | Days Supply
    ----------+------------+---------------------------+---------------+-----+------------
    M#        | 03/15/2021 | OXYCODONE HCL 5 MG TABLET | 00406-0552-01 | 60  | 30
    M#        | 03/16/2021 | LISINOPRIL 10 MG TABLET   | 00406-0552-01 | 30  | 30
    M#        | 03/17/2021 | GABAPENTIN 300 MG CAPSULE | 00406-0552-01 | 90  | 30
"""
SURVEY = """
    Member ID | Survey Date | Pain Score
    ----------+-------------+-----------
    M#        | 20210320    | 7
    M#        | 20210420    | 4
"""


def loaded(source: str, folder: Path) -> dict[str, tuple[int, int, int]]:
    """Rows clean, excluded and quarantined, by clean table, after the drafts ran on the files."""
    forget_files()
    known = contracts.all_contracts()
    found = {}
    with warehouse.opened(folder.parent / "loaded.duckdb", [folder]) as connection:
        for contract in known.values():
            if contract.schema_name == "reference" and (paths.SQL / "1_reference" / f"{contract.name}.csv").exists():
                warehouse.build_reference(connection, contract)
        for contract in contracts.raw_contracts(source):
            extracts.load(connection, contract, source, folder)
        mappings = {mapping.path.stem: mapping for mapping in sql_files.mappings(source)}
        for mapping in mappings.values():
            sources.map_rows(connection, mapping, known[f"clean.{mapping.path.stem}"])
        for contract in sources.filled_contracts():
            if contract.name in mappings:
                clean = sources.fill(connection, contract, [source])
                [[excluded]] = connection.execute(
                    f"select count(excluded_reason) from clean_{source}.{contract.name}"
                ).fetchall()
                [[rejected]] = connection.execute(
                    "select count(*) from clean.quarantine where table_name = ?", [contract.name]
                ).fetchall()
                found[contract.name] = (clean, excluded, rejected)
    return found


def test_drafts_of_unprepared_files_load_every_row_at_once(project, extract):
    deliver(extract, "Pharmacy.csv", PHARMACY, repeat=20)
    deliver(extract, "survey.csv", SURVEY, repeat=20)
    source_draft.draft("clinic", [extract])
    assert loaded("clinic", extract) == {
        "patient": (20, 80, 0),  # whoever has a row, once
        "prescription": (20, 40, 0),
        "adjuvant": (20, 40, 0),
        "pain_score": (40, 0, 0),
    }


CLAIM = """
    patient_id | start      | end        | medication            | select | at
    -----------+------------+------------+-----------------------+--------+---
    M#         | 2021-03-15 | 2021-04-14 | OXYCODONE 5 MG TABLET | 7      | 3
"""
MEMBER = """
    patient_id | sex | end
    -----------+-----+-----------
    M#         | F   | 2021-12-31
"""


def test_columns_may_be_called_by_words_that_sql_keeps_for_itself(project, extract):
    deliver(extract, "claim.csv", CLAIM, repeat=20)
    deliver(extract, "member.csv", MEMBER, repeat=20)
    source_draft.draft("clinic", [extract])
    assert loaded("clinic", extract) == {
        "patient": (20, 0, 0),
        "prescription": (20, 0, 0),
        "adjuvant": (0, 20, 0),
    }
    assert [gap for gap in open_gaps("clinic") if gap.where.endswith(".sql")] == []


def test_what_only_a_human_can_decide_is_open_and_the_rest_is_not(project, extract):
    deliver(extract, "Pharmacy.csv", PHARMACY, repeat=20)
    deliver(extract, "survey.csv", SURVEY, repeat=20)
    source_draft.draft("clinic", [extract])
    a_pseudonym = [gap for gap in open_gaps("clinic") if "is Member ID a pseudonym?" in gap.what]
    assert [re.sub(r":\d+$", "", gap.where) for gap in a_pseudonym] == [
        "data_contracts/0_raw/clinic/pharmacy.yaml",
        "data_contracts/0_raw/clinic/survey.yaml",
    ]
    assert [(re.sub(r":\d+$", "", gap.where), gap.what) for gap in open_gaps("clinic") if gap not in a_pseudonym] == [
        ("sql/2_clean/clinic/pain_score.sql", f"choose: {question} Then delete the mark.")
        for question in (
            "did it ask about now, average, worst or least pain?",
            "which scale of reference.pain_scale is it?",
            "outpatient, inpatient, icu, emergency, or not told?",
        )
    ]


def test_a_source_with_every_choice_made_has_nothing_open(project, extract):
    deliver(extract, "Pharmacy.csv", PHARMACY, repeat=20)
    source_draft.draft("clinic", [extract / "Pharmacy.csv"])
    for path in (*project.glob("sql/2_clean/clinic/*"), *project.glob("data_contracts/0_raw/clinic/*")):
        path.write_text("".join(line for line in path.read_text().splitlines(True) if "CHOOSE:" not in line))
    assert open_gaps("clinic") == []


def test_a_mapping_that_does_not_build_is_open(project, extract):
    deliver(extract, "Pharmacy.csv", PHARMACY.replace("Member ID", "Pseudonym"), repeat=20)
    source_draft.draft("clinic", [extract])
    path = project / "sql" / "2_clean" / "clinic" / "prescription.sql"
    path.write_text(path.read_text().replace("delivered.qty as quantity", "delivered.amount as quantity"))
    [gap] = open_gaps("clinic")
    assert gap.where == "sql/2_clean/clinic/prescription.sql"
    assert "amount" in gap.what


@pytest.mark.parametrize(
    ("days", "sql", "is_asked"),
    [
        (["2021-03-04", "2021-12-31"], "delivered.fill_date::date", False),
        (["20210304", "20211231"], "try_strptime(trim(delivered.fill_date), '%Y%m%d')::date", False),
        (["03/04/2021", "12/31/2021"], "try_strptime(trim(delivered.fill_date), '%m/%d/%Y')::date", False),
        (["04/03/2021", "31/12/2021"], "try_strptime(trim(delivered.fill_date), '%d/%m/%Y')::date", False),
        (["03/04/2021", "12/11/2021"], "try_strptime(trim(delivered.fill_date), '%m/%d/%Y')::date", True),
        (["4MAR2021", "31DEC2021"], "try_strptime(trim(delivered.fill_date), '%d%b%Y')::date", False),
    ],
)
def test_days_are_read_as_they_are_written_and_asked_about_where_two_readings_fit(
    project, extract, days, sql, is_asked
):
    rows = "\n".join(f"M1|{day}|OXYCODONE HCL 5 MG TABLET" for day in days)
    deliver(extract, "fills.csv", f"patient_id|fill_date|drug_text\n---\n{rows}")
    source_draft.draft("clinic", [extract])
    text = (project / "sql" / "2_clean" / "clinic" / "prescription.sql").read_text()
    assert f"{sql} as start_date" in text
    assert ("day or the month first" in text) == is_asked


def test_leading_zeros_keep_a_column_text(extract):
    deliver(extract, "fills.csv", "patient_id|ndc|code|n\n---\nM1|00406055201|007|7\nM2|00406055201|123|12")
    _, [table] = profiles([extract])
    assert [(column.name, column.type) for column in table.columns] == [
        ("patient_id", "VARCHAR"),
        ("ndc", "VARCHAR"),
        ("code", "VARCHAR"),
        ("n", "INTEGER"),
    ]


def test_files_that_differ_by_a_number_are_one_table(extract):
    for year in (2020, 2021):
        deliver(extract, f"fills_{year}.csv", "patient_id|n\n---\nM1|7")
    _, [table] = profiles([extract])
    assert (table.name, table.files, table.rows) == ("fills", "fills*.*", 2)


@pytest.mark.parametrize(("rows", "is_shown"), [(10, False), (11, True)])
def test_a_value_is_shown_only_where_it_is_frequent(project, extract, rows, is_shown):
    drawing = "patient_id|fill_date|drug_text|ward\n---\nM#|2021-01-01|OXYCODONE 5 MG|Secretward"
    deliver(extract, "fills.csv", drawing, repeat=rows)
    written = source_draft.draft("clinic", [extract]).files
    assert any("Secretward" in path.read_text() for path in written) == is_shown


def test_no_value_of_a_column_with_many_is_in_any_draft(project, extract):
    names = [f"person{random.Random(4).randrange(10**9)}x{number}" for number in range(30)]
    rows = "\n".join(f"{name}|2021-01-01|OXYCODONE 5 MG|{name}" for name in names)
    deliver(extract, "fills.csv", f"patient_id|fill_date|drug_text|note\n---\n{rows}")
    written = source_draft.draft("clinic", [extract]).files
    assert written
    assert not any(name in path.read_text() for name in names for path in written)


@pytest.mark.parametrize("name", ["Clinic", "2clinic", "../clinic", "a b", ""])
def test_a_name_that_is_no_name_is_refused(project, extract, name):
    with pytest.raises(ContractError, match="is no name of a source"):
        source_draft.draft(name, [extract])


def test_a_source_that_is_there_is_never_written_over(project, extract):
    with pytest.raises(ContractError, match="simulated: is there already"):
        source_draft.draft("simulated", [extract])


def test_files_that_are_not_there_are_refused(project, tmp_path):
    with pytest.raises(ExtractError, match=r"no\.csv: there is no such file"):
        source_draft.draft("clinic", [tmp_path / "no.csv"])


def test_a_source_without_contracts_cannot_be_checked(project):
    with pytest.raises(ContractError, match="holds no contract"):
        source_draft.gaps("clinic")


def test_a_column_that_looks_identifying_is_left_out_of_the_drafts_and_told(project, extract):
    rows = "\n".join(f"M{n}|2021-01-01|OXYCODONE 5 MG|patient{n}@mail.example" for n in range(30))
    deliver(extract, "fills.csv", f"patient_id|fill_date|drug_text|contact\n---\n{rows}")
    drafted = source_draft.draft("clinic", [extract])
    assert [(found.file, found.column) for found in drafted.identifiers] == [("fills.csv", "contact")]
    assert "contact" not in (project / "data_contracts" / "0_raw" / "clinic" / "fills.yaml").read_text()
    assert not any("mail.example" in path.read_text() for path in drafted.files)


def test_json_lines_are_told_to_have_no_columns_to_draft_from(project, extract):
    (extract / "fills.ndjson").write_text('{"id": "1"}\n')
    with pytest.raises(ExtractError, match=r"is JSON lines, whose fields cannot be drafted\. Write"):
        source_draft.draft("clinic", [extract])


MEMBERS = """
    PATIENT_PSEUDONYM | SEX_CD | BIRTH_YR | ELIG_START | ELIG_END
    ------------------+--------+----------+------------+-----------
    P#                | 2      | 1957     | 2021-01-01 | 2023-05-02
"""


def test_people_are_no_diagnoses_though_a_year_looks_like_a_code(project, extract):
    deliver(extract, "members.csv", MEMBERS, repeat=20)
    source_draft.draft("clinic", [extract])
    assert [path.name for path in (project / "sql" / "2_clean" / "clinic").iterdir()] == ["patient.sql"]
    [asked] = [gap.what for gap in open_gaps("clinic") if gap.where.startswith("sql/2_clean/clinic/patient.sql")]
    assert asked == "choose: what do 2 mean? Then delete the mark."


@pytest.mark.parametrize("header", ["patient_id|start|end", "patient_id|enrollment_start|select"])
def test_people_with_nothing_but_their_time_and_reserved_words_load_at_once(project, extract, header):
    deliver(extract, "members.csv", f"{header}\n---\nP#|2021-01-01|2023-05-02", repeat=20)
    deliver(extract, "fills.csv", "patient_id|start|drug_name\n---\nP#|2021-01-01|OXYCODONE 5 MG", repeat=20)
    source_draft.draft("clinic", [extract])
    assert loaded("clinic", extract)["prescription"] == (20, 0, 0)


def test_where_no_name_tells_the_patient_the_column_is_asked_for_and_then_given(project, extract):
    deliver(extract, "fills.csv", "KEY_X|fill_date|drug_text\n---\nP#|2021-01-01|OXYCODONE 5 MG", repeat=20)
    with pytest.raises(ContractError, match="Name the column with --patient"):
        source_draft.draft("clinic", [extract])
    assert not (project / "data_contracts" / "0_raw" / "clinic").exists()
    source_draft.draft("clinic", [extract], patient="KEY_X")
    assert loaded("clinic", extract)["prescription"] == (20, 0, 0)


def test_a_patient_is_no_key_of_events_though_each_has_one(project, extract):
    deliver(extract, "fills.csv", "member_id|fill_date|drug_text\n---\nP#|2021-01-01|OXYCODONE 5 MG", repeat=20)
    source_draft.draft("clinic", [extract])
    forget_files()
    [contract] = contracts.raw_contracts("clinic")
    assert contract.key == []


def test_items_are_of_pain_whatever_joins_their_words(project, extract):
    rows = "P#|2021-01-01|PAIN_NOW|5\nP#|2021-01-01|SLEEP|5"
    deliver(extract, "survey.csv", f"patient_id|survey_date|ITEM_CD|RESPONSE\n---\n{rows}", repeat=20)
    source_draft.draft("clinic", [extract])
    assert loaded("clinic", extract)["pain_score"] == (20, 20, 0)


def test_a_column_that_may_tell_events_that_never_were_is_asked_about(project, extract):
    rows = "P#|2021-01-01|OXYCODONE 5 MG|P\nP#|2021-01-01|OXYCODONE 5 MG|R"
    deliver(extract, "claims.csv", f"patient_id|fill_date|drug_text|CLM_STATUS\n---\n{rows}", repeat=20)
    source_draft.draft("clinic", [extract])
    assert {gap.what for gap in open_gaps("clinic")} == {
        "choose: does clm_status tell rows that are no event? Seen: P, R. Give those a reason here. Then delete the mark."
    }


@pytest.mark.parametrize(
    ("time", "scored_at"),
    [
        ("2021-03-01T08:30:00Z", "2021-03-01 08:30:00"),
        ("2021-03-01T08:30:00-05:00", "2021-03-01 08:30:00"),
        ("1/13/2021 1:30 PM", "2021-01-13 13:30:00"),
        ("1/13/2021 13:30", "2021-01-13 13:30:00"),
    ],
)
def test_a_time_keeps_the_clock_it_was_delivered_with(project, extract, time, scored_at):
    deliver(extract, "scores.csv", f"patient_id|recorded_at|pain_score\n---\nP#|{time}|5", repeat=2)
    source_draft.draft("clinic", [extract])
    sql = (project / "sql" / "2_clean" / "clinic" / "pain_score.sql").read_text()
    expression = re.search(r"(try_.*) as scored_at,", sql)[1].replace("delivered.recorded_at", f"'{time}'")
    assert duckdb.sql(f"select ({expression})::varchar").fetchall() == [(scored_at,)]


@pytest.mark.parametrize(("header", "name"), [("pid", "pid"), ("phone1", "phone1")])
def test_the_ends_of_numbers_that_tell_people_apart_are_not_shown(extract, header, name):
    deliver(extract, "fills.csv", f"patient_id|{header}\n---\nM1|77#", repeat=30)
    _, [table] = profiles([extract])
    assert [(column.minimum, column.maximum) for column in table.columns if column.name == name] == [(None, None)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("fills.csv", "patient_id;fill_date;drug_name\nP1;2021-01-01;X\n", "not separated by commas"),
        ("fills.tsv", "patient_id\tfill_date\n", "is none of"),
    ],
)
def test_what_is_not_separated_by_commas_is_told(project, extract, name, text, message):
    (extract / name).write_text(text)
    with pytest.raises(ExtractError, match=message):
        source_draft.draft("clinic", [extract])


def test_abbreviated_names_are_read(project, extract):
    deliver(
        extract,
        "rx.csv",
        "MBR_PSEUDO|DT_FILLED|LABEL_NM|METRIC_QTY|DAY_SUP\n---\nP#|03/15/2021|OXYCODONE 5 MG|60|30",
        20,
    )
    deliver(extract, "dx.csv", "MBR_PSEUDO|SVC_DT|DX1\n---\nP#|2021-03-15|R0789", repeat=20)
    source_draft.draft("clinic", [extract])
    sql = (project / "sql" / "2_clean" / "clinic" / "prescription.sql").read_text()
    assert "CHOOSE" not in sql
    assert "delivered.metric_qty as quantity" in sql
    assert "delivered.day_sup as days_supply" in sql
    assert loaded("clinic", extract)["diagnosis"] == (20, 0, 0)
