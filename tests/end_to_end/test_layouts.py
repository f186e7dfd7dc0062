"""One simulated world delivered in other layouts: each publishes, and doses and scores are those of the first."""

import gzip
import json
import shutil

import duckdb
import polars as pl
import pytest
import yaml

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
    write("Encounter", [{"id": "clinic", "class": {"code": "AMB"}}])
    write(
        "MedicationDispense",
        [
            {
                "id": r["prescription_id"],
                "status": "completed",
                "medicationCodeableConcept": {"text": r["drug_text"]},
                "whenHandedOver": f"{r['fill_date']}T12:00:00-05:00",
                "quantity": {"value": float(r["quantity"])},
                "daysSupply": {"value": int(r["days_supply"]), "unit": "d"},
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
                "encounter": {"reference": "Encounter/clinic"},
                "effectiveDateTime": f"{r['scored_at']}-05:00",
                "valueString": r["score"],
            }
            | subject(r)
            for r in rows("pain_score")
        ],
    )


LAYOUTS = {"simulated": None, "dispensing": as_dispensing, "fhir": as_fhir}


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    """The warehouse of each layout, published."""
    found = {}
    for source, write in LAYOUTS.items():
        folder = tmp_path_factory.mktemp(source)
        (folder / "extract").mkdir()
        if write:
            write(world / "extract", folder / "extract")
        content = {
            "name": "small",
            "title": "A small study",
            "sources": {source: {"folder": "extract" if write else str(world / "extract")}},
            "output": "out",
            "settings": {"look_back_days": 5000},
        }
        (folder / "study.yaml").write_text(yaml.safe_dump(content))
        ran = oih("run", folder / "study.yaml")
        assert ran.returncode == 0, ran.stderr
        found[source] = folder / "out" / "current" / "warehouse.duckdb"
    return found


def rows(warehouse, query: str) -> list[tuple]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("source", ["dispensing", "fhir"])
def test_doses_and_scores_are_the_same_however_they_are_delivered(runs, source):
    doses = """
        select split_part(patient.patient_id, ':', 2), dose.start_date, dose.end_date, dose.dose_mme, dose.is_lower_bound
        from trajectory.dose_period as dose inner join clean.patient as patient using (patient_index) order by all
    """
    pain = """
        select split_part(patient.patient_id, ':', 2), day.* exclude (patient_index, masked_by_date, is_masked)
        from trajectory.pain_day as day inner join clean.patient as patient using (patient_index) order by all
    """
    for query in (doses, pain):
        expected = rows(runs["simulated"], query)
        assert len(expected) > 1000
        assert rows(runs[source], query) == expected


def test_transmissions_that_do_not_count_are_excluded_each_with_its_reason(runs):
    reasons = """
        select reason, row_count from clean.row_outcome
        where table_name = 'prescription' and outcome = 'excluded' order by 1
    """
    assert rows(runs["dispensing"], reasons) == [
        ("duplicate_transmission", 1),
        ("not_an_opioid", 1),
        ("reversal", 1),
        ("reversed_later", 1),
        ("veterinary_fill", 1),
    ]


@pytest.mark.parametrize("source", ["dispensing", "fhir"])
def test_every_row_is_accounted_for(runs, source):
    unbalanced = """
        select step, table_name from report.row_ledger group by all having
        sum(row_count) filter (outcome = 'entered') <> sum(row_count) filter (outcome <> 'entered')
    """
    assert rows(runs[source], unbalanced) == []
