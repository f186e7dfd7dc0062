"""One simulated world delivered in other layouts, in one study: it publishes, with the doses and scores of the first."""

import gzip
import json
import shutil

import duckdb
import polars as pl
import pytest
import yaml

from pipelines import study as studies
from pipelines import tables, warehouse
from tests.end_to_end.conftest import oih

LOINC = {"coding": [{"system": "http://loinc.org", "code": "72514-3"}]}


def as_dispensing(extract, folder) -> None:
    fills = pl.read_csv(extract / "prescription.csv", infer_schema=False)
    first = fills.head(1).with_columns(record_status=pl.lit("new"))
    spoiled = pl.concat(
        [
            first,  # sent again
            first.with_columns(drug_text=pl.lit("MORPHINE 15 MG TAB"), species=pl.lit("02")),
            first.with_columns(fill_date=pl.lit("2021-01-30")),
            first.with_columns(fill_date=pl.lit("2021-01-30"), record_status=pl.lit("void")),
            first.with_columns(drug_text=pl.lit("LISINOPRIL 10 MG TAB")),
        ],
        how="diagonal",
    )
    pl.concat([fills, spoiled], how="diagonal").drop("prescription_id").write_csv(folder / "dispensing.csv")
    scores = pl.read_csv(extract / "pain_score.csv", infer_schema=False).with_columns(recall=pl.lit("now"))
    scores.select("patient_id", "scored_at", "instrument", "recall", "setting", "score").write_csv(folder / "pain.csv")
    shutil.copy(extract / "patient.csv", folder)


def as_fhir(extract, folder) -> None:
    def rows(name: str) -> list[dict]:
        return pl.read_csv(extract / f"{name}.csv", infer_schema=False).to_dicts()

    def write(kind: str, resources: list[dict]) -> None:
        lines = [json.dumps({"resourceType": kind} | resource) for resource in resources]
        (folder / f"{kind}.000.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))

    def subject(row: dict) -> dict:
        return {"subject": {"reference": f"Patient/{row['patient_id']}"}}

    write(
        "Patient", [{"id": r["patient_id"], "gender": r["sex"], "birthDate": r["birth_year"]} for r in rows("patient")]
    )
    classes = {"outpatient": "AMB", "inpatient": "IMP", "emergency": "EMER"}
    write("Encounter", [{"id": setting, "class": {"code": code}} for setting, code in classes.items()])
    write(
        "MedicationDispense",
        [
            {
                "id": r["prescription_id"],
                "status": "completed",
                "medicationCodeableConcept": {"text": r["drug_text"]},
                "whenHandedOver": f"{r['fill_date']}T12:00:00-05:00",
                "quantity": {"value": r["quantity"] and float(r["quantity"])},
                "daysSupply": {"value": r["days_supply"] and int(r["days_supply"]), "unit": "d"},
            }
            | subject(r)
            for r in rows("prescription")
        ],
    )
    write(
        "Observation",
        [
            {
                "id": r["pain_score_id"],
                "status": "final",
                "code": LOINC,
                "encounter": {"reference": f"Encounter/{r['setting']}"},
                "effectiveDateTime": f"{r['scored_at']}-05:00",
                "valueString": r["score"],
            }
            | subject(r)
            for r in rows("pain_score")
        ],
    )


def as_synthea(extract, folder) -> None:
    def read(name: str) -> pl.DataFrame:
        return pl.read_csv(extract / f"{name}.csv", infer_schema=False)

    born = pl.concat_str("birth_year", pl.lit("-07-01"))
    sex = pl.col("sex").str.slice(0, 1).str.to_uppercase()
    people = read("patient").select(Id="patient_id", BIRTHDATE=born, DEATHDATE=pl.lit(None), GENDER=sex)
    people.write_csv(folder / "patients.csv")
    scores = read("pain_score")
    visit = {"STOP": None, "ENCOUNTERCLASS": pl.col("setting").replace("outpatient", "ambulatory")}
    scores.select(Id="pain_score_id", START=pl.col("scored_at") + "Z", PATIENT="patient_id", **visit).write_csv(
        folder / "encounters.csv"
    )
    scores.select(
        DATE=pl.col("scored_at") + "Z",
        PATIENT="patient_id",
        ENCOUNTER="pain_score_id",
        CODE=pl.lit("72514-3"),
        VALUE="score",
    ).write_csv(folder / "observations.csv")
    read("prescription").select(
        START=pl.col("fill_date") + "T08:00:00Z",
        STOP=None,
        PATIENT="patient_id",
        CODE=pl.lit("1"),
        DESCRIPTION="drug_text",
        DISPENSES=pl.lit("1"),
    ).write_csv(folder / "medications.csv")


LAYOUTS = {"dispensing": as_dispensing, "fhir": as_fhir, "synthea": as_synthea}


@pytest.fixture(scope="module")
def plain(world, tmp_path_factory):
    """Some patients of the simulated extract: one scale, and no repeated fills, which one layout takes for copies."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "extract").mkdir()
    patients = pl.read_csv(world / "extract" / "patient.csv", infer_schema=False).head(20)
    for file in (world / "extract").iterdir():
        delivered = pl.read_csv(file, infer_schema=False)
        delivered.join(patients, on="patient_id", how="semi").write_csv(folder / "extract" / file.name)
    fills = pl.read_csv(folder / "extract" / "prescription.csv", infer_schema=False)
    same = ["patient_id", "fill_date", "drug_text", "quantity", "days_supply"]
    fills.unique(same, keep="first", maintain_order=True).write_csv(folder / "extract" / "prescription.csv")
    scores = pl.read_csv(folder / "extract" / "pain_score.csv", infer_schema=False)
    scores.filter(instrument="NRS").write_csv(folder / "extract" / "pain_score.csv")
    return folder


def study(folder, *sources: str):
    """A study file; no episode is inside the cohort, so nothing is trained."""
    content = {
        "name": "small",
        "title": "A small study",
        "sources": {source: {"folder": f"extract/{source}"} for source in sources},
        "output": "out",
        "settings": {"look_back_days": 5000},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def simulated(plain):
    """The warehouse of the simulated layout, up to doses and scores."""
    loaded = studies.Study.model_validate(
        {"name": "s", "title": "S", "sources": {"simulated": {"folder": plain / "extract"}}, "output": plain / "out"}
    )
    with warehouse.opened(plain / "w.duckdb", [plain / "extract"]) as connection:
        for table in tables.of(loaded):
            if table.step in ("raw", "reference", "clean", "trajectory"):
                table.build(connection, loaded)
    return plain / "w.duckdb"


@pytest.fixture(scope="module")
def run(plain, tmp_path_factory):
    """The warehouse of a study of the other layouts, published by one run."""
    folder = tmp_path_factory.mktemp("layouts")
    for source, write in LAYOUTS.items():
        (folder / "extract" / source).mkdir(parents=True)
        write(plain / "extract", folder / "extract" / source)
    ran = oih("run", study(folder, *LAYOUTS))
    assert ran.returncode == 0, ran.stderr
    return folder / "out" / "current" / "warehouse.duckdb"


def rows(path, query: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


DOSES = """
    select split_part(patient.patient_id, ':', 2), dose.start_date, dose.end_date, dose.dose_mme, dose.is_lower_bound
    from trajectory.dose_period as dose inner join clean.patient as patient using (patient_index)
    where patient.source = '{source}' order by all
"""
PAIN = """
    select split_part(patient.patient_id, ':', 2), day.* exclude (patient_index, masked_by_date, is_masked)
    from trajectory.pain_day as day inner join clean.patient as patient using (patient_index)
    where patient.source = '{source}' order by all
"""


# The simulated extract tells strengths in a column, some of them wrong, which only the dispensing layout has, too.
@pytest.mark.parametrize(
    ("source", "query"), [("dispensing", DOSES), ("dispensing", PAIN), ("fhir", PAIN), ("synthea", PAIN)]
)
def test_doses_and_scores_are_the_same_however_they_are_delivered(simulated, run, source, query):
    expected = rows(simulated, query.format(source="simulated"))
    assert len(expected) > 100
    assert rows(run, query.format(source=source)) == expected


def test_transmissions_that_do_not_count_are_excluded_each_with_its_reason(run):
    reasons = """
        select reason, row_count from clean.row_outcome
        where source = 'dispensing' and table_name = 'prescription' and outcome = 'excluded' order by 1
    """
    assert rows(run, reasons) == [
        ("duplicate_transmission", 1),
        ("not_an_opioid", 1),
        ("reversal", 1),
        ("reversed_later", 1),
        ("veterinary_fill", 1),
    ]


def test_every_row_is_accounted_for(run):
    unbalanced = """
        select source, step, table_name from report.row_ledger group by all having
        sum(row_count) filter (outcome = 'entered') <> sum(row_count) filter (outcome <> 'entered')
    """
    assert rows(run, "select distinct source from report.row_ledger order by 1") == [(source,) for source in LAYOUTS]
    assert rows(run, unbalanced) == []
