"""Quarantine: rejected rows are counted, shown, corrected and fed back, and nothing is lost on the way."""

import shutil

import polars as pl
import pytest

from pipelines import contracts, flat_file, quarantine, sources, tables, warehouse
from pipelines import study as studies
from pipelines.contracts import Contract
from pipelines.errors import ExtractError, IdentifierError, PipelineError, WorkspaceError
from pipelines.extracts import loading
from pipelines.workspace import Workspace

EXTRACT = {
    "patient.csv": """
        patient_id,sex,birth_year,observation_start_date,observation_end_date,death_date
        P1,female,1960,2020-01-01,2023-12-31,
        P2,male,1970,2020-01-01,2023-12-31,
        """,
    "prescription.csv": """
        prescription_id,patient_id,fill_date,drug_text,strength,strength_unit,route,quantity,days_supply
        R1,P1,2021-01-01,oxycodone 5 MG,5,MG,oral,30,30
        R2,P1,2021/02/01,oxycodone 5 MG,5,MG,oral,30,30
        R3,P2,2021-01-01,oxycodone 5 MG,5,MG,oral,-30,30
        R4,P9,2021-01-01,oxycodone 5 MG,5,MG,oral,30,30
        R5,P2,2021-01-01,oxycodone 5 MG,5,MG
        """,
    "pain_score.csv": """
        pain_score_id,patient_id,scored_at,instrument,setting,score,visit_kind
        S1,P1,2021-01-01T10:00:00,NRS,outpatient,4,scheduled
        S2,P1,2021-01-02T10:00:00,NRS,outpatient,13,scheduled
        """,
    "diagnosis.csv": "diagnosis_id,patient_id,diagnosis_date,code_system,code",
    "procedure.csv": "procedure_id,patient_id,procedure_date,code_system,code",
}
CORRECTED = {
    "type": {"fill_date": "2021-02-01", "drug_text": "'=oxycodone", "route": "'s"},
    "ragged_row": {
        "prescription_id": "R5",
        "patient_id": "P2",
        "fill_date": "2021-01-01",
        "drug_text": "oxycodone 5 MG",
        "strength": "5",
    },
    "unknown_patient": {"patient_id": "P2"},
}


def written(content: str) -> str:
    return "\n".join(line.strip() for line in content.strip().splitlines()) + "\n"


def study_in(folder):
    return studies.Study(
        name="s", title="S", sources={"simulated": {"folder": folder / "extract"}}, output=folder / "out"
    )


@pytest.fixture(scope="session")
def has_run(tmp_path_factory):
    """The extract and what its first run left, built once."""
    folder = tmp_path_factory.mktemp("rejected")
    (folder / "extract").mkdir()
    for name, content in EXTRACT.items():
        (folder / "extract" / name).write_text(written(content))
    Workspace(study_in(folder)).create()
    run(study_in(folder))
    return folder


@pytest.fixture
def study(has_run, tmp_path):
    shutil.copytree(has_run, tmp_path, dirs_exist_ok=True)
    return study_in(tmp_path)


@pytest.fixture(scope="session")
def has_run_again(has_run, tmp_path_factory):
    """The same after three rows were corrected, one of each way to be rejected, and a second run."""
    folder = tmp_path_factory.mktemp("corrected")
    shutil.copytree(has_run, folder, dirs_exist_ok=True)
    study = study_in(folder)
    for rule, values in CORRECTED.items():
        file = correct(study, folder, rule, "prescription", **values)
        assert quarantine.reprocess(study, file) == [quarantine.Corrected("simulated", "prescription", 1, 0, 0)]
    run(study)
    return folder


@pytest.fixture
def corrected(has_run_again, tmp_path):
    folder = tmp_path / "corrected"
    shutil.copytree(has_run_again, folder)
    return study_in(folder)


def run(study):
    """What a run does to the warehouse, up to the ledger of ingest and clean."""
    with Workspace(study).connected([study.sources["simulated"].folder]) as connection:
        wanted = ("raw.", "raw_", "clean.", "clean_", "reference.opioid_name", "reference.adjuvant_name")
        for table in tables.of(study):
            if table.name.startswith((*wanted, "reference.pain")):
                table.build(connection, study)


def select(study, query):
    with Workspace(study).connected() as connection:
        return connection.sql(query).fetchall()


def delivered(study, table):
    return select(
        study,
        "select delivered_rows, loaded_rows, quarantined_rows, corrected_rows from raw.delivery "
        f"where table_name = '{table}'",
    )[0]


def correct(study, tmp_path, rule, table, **values):
    """Correct every rejected row of a rule as a user would: in the file that is written for it."""
    [rows] = quarantine.rows(study, rule, table=table).values()
    file = tmp_path / f"{rule}.csv"
    rows.with_columns(pl.lit(value).alias(name) for name, value in values.items()).write_csv(file)
    return file


def test_rejected_rows_are_counted_by_step_table_rule_and_column(study):
    assert quarantine.counts(study).rows() == [
        ("clean", "simulated", "prescription", "prescription", "unknown_patient", "patient_id", 1),
        ("ingest", "simulated", "prescription", "", "ragged_row", "", 1),
        ("ingest", "simulated", "prescription", "", "range", "quantity", 1),
        ("ingest", "simulated", "prescription", "", "type", "fill_date", 1),
    ]


def test_a_row_is_shown_in_the_layout_it_was_delivered_in(study):
    found = quarantine.rows(study, "type")
    assert list(found) == ["simulated.prescription"]
    [row] = found["simulated.prescription"].rows(named=True)
    assert (row["source_file"], row["source_row"], row["column_name"]) == ("prescription.csv", 2, "fill_date")
    assert (row["prescription_id"], row["fill_date"], row["quantity"]) == ("R2", "2021/02/01", "30")
    assert row["line"] is None


def test_a_row_that_the_clean_step_rejected_is_shown_as_delivered_too(study):
    [row] = quarantine.rows(study, "unknown_patient")["simulated.prescription"].rows(named=True)
    assert (row["source_row"], row["patient_id"], row["fill_date"]) == (4, "P9", "2021-01-01")


def test_of_a_line_that_is_no_record_the_text_is_shown(study):
    [row] = quarantine.rows(study, "ragged_row")["simulated.prescription"].rows(named=True)
    assert row["line"] == "R5,P2,2021-01-01,oxycodone 5 MG,5,MG"
    assert row["prescription_id"] is None


def test_a_rule_without_rows_is_said(study):
    with pytest.raises(PipelineError, match=r"value: no such row is in quarantine. See oih quarantine list\."):
        quarantine.rows(study, "value")


def test_a_study_that_has_not_run_has_no_quarantine(tmp_path):
    study = studies.Study(name="s", title="S", sources={"simulated": {"folder": tmp_path}}, output=tmp_path / "none")
    with pytest.raises(WorkspaceError, match="has not run"):
        quarantine.counts(study)


def test_a_corrected_row_is_loaded_in_the_place_of_the_rejected_one(study, corrected):
    assert delivered(study, "prescription") == (5, 2, 3, 0)
    assert delivered(corrected, "prescription") == (5, 4, 1, 3)
    assert select(
        corrected, "select source_row, fill_date::varchar from raw_simulated.prescription where source_row = 2"
    ) == [(2, "2021-02-01")]
    assert select(corrected, "select rule from raw.quarantine") == [("range",)]
    delivered_file = corrected.sources["simulated"].folder / "prescription.csv"
    assert delivered_file.read_text() == written(EXTRACT["prescription.csv"])


def test_a_line_that_was_no_record_is_loaded_once_its_columns_are_filled_in(corrected):
    assert select(corrected, "select prescription_id from raw_simulated.prescription where source_row = 5") == [("R5",)]


def test_a_row_that_the_clean_step_rejected_reaches_the_clean_table_once_corrected(corrected):
    assert select(corrected, "select rule from clean.quarantine where source_table = 'prescription'") == []
    assert select(corrected, "select count(*) from clean.prescription where prescription_id = 'simulated:R4'") == [(1,)]


def test_the_ledger_adds_up_with_corrected_rows_under_their_own_reason(corrected):
    with Workspace(corrected).connected() as connection:
        [ledger] = [table for table in tables.of(corrected) if table.name == "report.row_ledger"]
        for name in ledger.reads:
            warehouse.create_if_missing(connection, contracts.all_contracts()[name])
        ledger.build(connection, corrected)
    found = select(
        corrected,
        "select outcome, reason, row_count from report.row_ledger "
        "where step = 'ingest' and table_name = 'prescription' order by all",
    )
    assert ("loaded", "corrected", 3) in found
    assert sum(rows for outcome, _, rows in found if outcome != "entered") == 5
    assert ("entered", "", 5) in found


def test_the_same_corrections_twice_change_nothing(corrected):
    def left():
        rows = select(corrected, "from raw_simulated.prescription order by source_row")
        return rows, delivered(corrected, "prescription")

    kept = Workspace(corrected).corrections("simulated", "prescription")
    once, first = left(), kept.read_bytes()
    again = quarantine.reprocess(corrected, corrected.output.parent / "type.csv")
    assert again == [quarantine.Corrected("simulated", "prescription", 0, 0, 1)]
    run(corrected)
    assert left() == once
    assert kept.read_bytes() == first


def test_a_second_correction_of_a_row_takes_the_place_of_the_first(corrected):
    file = corrected.output.parent / "type.csv"
    file.write_text(file.read_text().replace("2021-02-01", "2021-02-09"))
    assert quarantine.reprocess(corrected, file) == [quarantine.Corrected("simulated", "prescription", 0, 1, 0)]
    run(corrected)
    assert select(corrected, "select fill_date::varchar from raw_simulated.prescription where source_row = 2") == [
        ("2021-02-09",)
    ]


def test_a_corrected_row_that_still_breaks_a_rule_stays_in_quarantine(study, tmp_path):
    before = delivered(study, "prescription")
    quarantine.reprocess(study, correct(study, tmp_path, "type", "prescription", fill_date="still wrong"))
    key_is_taken = {"quantity": "30", "prescription_id": "R1"}
    quarantine.reprocess(study, correct(study, tmp_path, "range", "prescription", **key_is_taken))
    run(study)
    assert delivered(study, "prescription") == (*before[:3], 0)
    [row] = quarantine.rows(study, "type")["simulated.prescription"].rows(named=True)
    assert row["fill_date"] == "still wrong"
    assert ("duplicate_key", 3) in select(study, "select rule, source_row from raw.quarantine")


def deliver_anew(study):
    file = study.sources["simulated"].folder / "prescription.csv"
    file.write_text(file.read_text() + "R6,P1,2021-03-01,oxycodone 5 MG,5,MG,oral,30,30\n")


def test_corrections_of_another_delivery_are_refused_until_they_are_let_go(corrected):
    deliver_anew(corrected)
    with pytest.raises(
        ExtractError,
        match=r"prescription.csv: is not the file that rows of raw_simulated.prescription were corrected for. Let go of "
        r"these corrections with oih quarantine forget STUDY --source simulated --table prescription, and correct",
    ):
        run(corrected)
    assert quarantine.forget(corrected) == {"simulated.prescription": 3}
    assert not Workspace(corrected).corrections("simulated", "prescription").exists()
    run(corrected)
    assert delivered(corrected, "prescription") == (6, 3, 3, 0)
    assert quarantine.forget(corrected) == {}


def test_corrections_of_a_file_that_is_as_it_was_stay(corrected):
    kept = Workspace(corrected).corrections("simulated", "prescription")
    before = kept.read_bytes()
    assert quarantine.forget(corrected) == {"simulated.prescription": 0}
    assert kept.read_bytes() == before


def test_only_the_corrections_of_the_named_table_are_let_go(corrected):
    deliver_anew(corrected)
    assert quarantine.forget(corrected, "simulated", "diagnosis") == {}
    with pytest.raises(PipelineError, match="elsewhere: is no delivered table"):
        quarantine.forget(corrected, table="elsewhere")
    with pytest.raises(PipelineError, match="elsewhere: is no source"):
        quarantine.forget(corrected, "elsewhere")
    assert quarantine.forget(corrected, "simulated", "prescription") == {"simulated.prescription": 3}


def test_a_row_that_is_not_in_quarantine_cannot_be_corrected(study, tmp_path):
    file = correct(study, tmp_path, "type", "prescription", fill_date="2021-02-01", source_row="1")
    with pytest.raises(PipelineError, match=r"1 rows are not in quarantine, the first is record 1 of prescription.csv"):
        quarantine.reprocess(study, file)
    assert not Workspace(study).corrections("simulated", "prescription").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "elsewhere"}, "names a source that the study does not have"),
        ({"table_name": "elsewhere"}, "is no delivered table"),
        ({"source_row": "first"}, "without source_file and source_row"),
    ],
)
def test_a_file_whose_places_were_changed_is_refused(study, tmp_path, change, said):
    file = correct(study, tmp_path, "type", "prescription", **change)
    with pytest.raises(PipelineError, match=said):
        quarantine.reprocess(study, file)


def test_a_correction_that_identifies_someone_is_refused(study, tmp_path):
    file = correct(study, tmp_path, "type", "prescription", drug_text="MORPHINE, call 415-555-2671")
    with pytest.raises(IdentifierError, match=r"column drug_text \(phone, by pattern\). None of its rows was taken"):
        quarantine.reprocess(study, file)
    assert not Workspace(study).corrections("simulated", "prescription").exists()


def test_a_row_corrected_twice_in_one_file_is_refused(study, tmp_path):
    file = correct(study, tmp_path, "type", "prescription")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(PipelineError, match="two corrections of one row"):
        quarantine.reprocess(study, file)


def test_an_apostrophe_before_a_formula_is_no_part_of_the_value(corrected):
    query = "select drug_text, route from raw_simulated.prescription where source_row = 2"
    assert select(corrected, query) == [("=oxycodone", "'s")]


def test_a_row_that_is_written_and_fed_back_as_it_was_is_as_it_was(study, tmp_path):
    given = {"drug_text": "=1+1", "route": "'=x", "strength": "-5", "strength_unit": "'x", "days_supply": " +1"}
    [rows] = quarantine.rows(study, "type").values()
    rows = rows.with_columns(pl.lit(value).alias(name) for name, value in given.items())
    for name in ("corrected.csv", "corrected.parquet"):
        flat_file.write(rows, tmp_path / name)
        quarantine.reprocess(study, tmp_path / name)
        kept = pl.read_parquet(Workspace(study).corrections("simulated", "prescription"))
        assert kept.select(given.keys()).rows(named=True) == [given], name


@pytest.fixture
def follow(tmp_path):
    """Deliveries of a table that follow one another, loaded into one warehouse; and a correction of one row."""
    folder = tmp_path / "increments"
    folder.mkdir()
    correction = tmp_path / "rx.parquet"
    connection = warehouse.duckdb.connect()

    def load(delivery, corrected=None, **files):
        contract = Contract.model_validate(
            {
                "table": "raw_clinic.rx",
                "description": "Rows.",
                "key": ["id"],
                "files": "*.csv",
                "delivery": delivery,
                "columns": [
                    {"name": "id", "type": "VARCHAR", "required": True, "description": "Row."},
                    {"name": "quantity", "type": "DOUBLE", "minimum": 0, "description": "Units."},
                ],
            }
        )
        for name, rows in files.items():
            (folder / f"{name}.csv").write_text("id,quantity\n" + "".join(f"{row}\n" for row in rows))
        if corrected:
            source_row, row_id, quantity = corrected
            [[where, digest]] = connection.execute(
                "select source_file, sha256 from raw.delivery order by sequence limit 1"
            ).fetchall()
            values = {"source_file": where, "sha256": digest, "source_row": source_row, "id": row_id}
            pl.DataFrame([values | {"quantity": quantity}]).write_parquet(correction)
        loading.load(connection, contract, "clinic", folder, correction)
        return connection.execute("from raw_clinic.rx order by id").fetchall(), connection.execute(
            "select source_file, delivered_rows, loaded_rows, quarantined_rows, replaced_rows, corrected_rows "
            "from raw.delivery order by all"
        ).fetchall()

    return load


def test_a_row_of_an_earlier_increment_is_corrected_though_its_file_is_not_read_again(follow):
    _, before = follow("increment", one=["a,1", "b,-1"])
    assert before == [("one.csv", 2, 1, 1, 0, 0)]
    rows, after = follow("increment", corrected=(2, "b", "1"), two=["c,1"])
    assert [row[:2] for row in rows] == [("a", 1.0), ("b", 1.0), ("c", 1.0)]
    assert after == [("one.csv", 2, 2, 0, 0, 1), ("two.csv", 1, 1, 0, 0, 0)]
    assert follow("increment") == (rows, after)


def test_a_corrected_row_that_a_later_upsert_replaces_stays_replaced(follow):
    follow("upsert", one=["a,1", "b,-1"])
    rows, after = follow("upsert", corrected=(2, "b", "1"), two=["b,5"])
    assert [row[:2] for row in rows] == [("a", 1.0), ("b", 5.0)]
    assert [sum(row[1:2]) == sum(row[2:5]) for row in after] == [True, True]
    assert follow("upsert") == (rows, after)


def test_quarantine_outcomes_are_still_told_by_the_clean_step(study):
    with Workspace(study).connected() as connection:
        sources.build_row_outcome(connection, study)
        [[rows]] = connection.sql(
            "select sum(row_count) from clean.row_outcome where table_name = 'prescription'"
        ).fetchall()
    assert rows == delivered(study, "prescription")[1]
