"""Random histories of patients on opioids, from the clean tables to the features, for what holds of any patient."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from pipelines import contracts, tables, warehouse
from pipelines.study import Pain, Source, Study

STUDY = Study(
    name="drawn",
    title="Drawn histories",
    sources={"north": Source(folder=Path())},
    output=Path(),
    pain=Pain(scales=["NRS", "VAS_100"]),
)
ALL_TABLES = tables.of(STUDY)
REFERENCES = [table for table in ALL_TABLES if table.step == "reference"]
DERIVED = [table for table in ALL_TABLES if table.step in ("trajectory", "episode")]
CLEAN = [contract for contract in contracts.all_contracts().values() if contract.schema_name == "clean"]

DRUGS = (
    "oxycodone hydrochloride 10 MG Oral Tablet",
    "12 HR morphine sulfate 15 MG Extended Release Oral Tablet",
    "hydrocodone bitartrate 15 MG Oral Tablet",
)
CODES = ("M545", "M546", "G8929", "R51", "F329", "E119", "S8290", "C509", "Z515", "M797")
ADJUVANTS = ("gabapentin 300 MG Oral Capsule", "tizanidine 4 MG Oral Tablet", "rifampin 300 MG Oral Capsule")
# The column that dates each table's records.
DATED_BY = {
    "clean.prescription": "start_date",
    "clean.adjuvant": "start_date",
    "clean.pain_score": "scored_at",
    "clean.diagnosis": "diagnosis_date",
    "clean.procedure": "procedure_date",
    "clean.encounter": "start_date",
    "clean.note_mention": "mention_date",
}

Rows = dict[str, list[dict[str, Any]]]


def histories(seed: int, patients: int) -> Rows:
    """Clean rows of patients who are long on therapy, escalate around the first day of 2020, and go on as it comes."""
    rng = np.random.default_rng(seed)
    rows: Rows = {table: [] for table in ("clean.patient", *DATED_BY)}
    for patient in range(patients):
        _live(rng, patient, date(2020, 1, 1) + timedelta(days=int(rng.integers(0, 60))), rows)
    for table in DATED_BY:
        key = f"{table.removeprefix('clean.')}_id"
        for number, row in enumerate(rows[table]):
            row |= {key: f"north:{number}", "source": "north"}
    return rows


def _live(rng: np.random.Generator, patient: int, index: date, rows: Rows) -> None:
    def on(day: float) -> date:
        return index + timedelta(days=int(day))

    rows["clean.patient"].append(
        {
            "patient_id": f"north:{patient}",
            "patient_index": patient,
            "source": "north",
            "sex": "female",
            "birth_year": 1960 if rng.random() < 0.95 else 2003,
            "observation_start_date": on(-500 if rng.random() < 0.95 else -364),
            "observation_end_date": on(rng.choice([60, 200, 900], p=[0.1, 0.2, 0.7])),
            "death_date": on(rng.integers(50, 600)) if rng.random() < 0.1 else None,
        }
    )
    drug, tablets, day = DRUGS[rng.integers(3)], int(rng.integers(1, 4)), -450
    raises = [0, *rng.integers(10, 300, rng.integers(0, 4))]
    while day < 600 and rng.random() > 0.005:
        if any(day <= step + 27 and day >= step for step in raises) and rng.random() < 0.9:
            tablets = min(tablets + int(rng.integers(1, 3)), 12)
        if day > 90 and rng.random() < 0.15:
            tablets = max(tablets // 2, 1)
        if rng.random() < 0.03:
            drug = DRUGS[rng.integers(3)]
        days = int(rng.choice([28, 7], p=[0.9, 0.1]))
        rows["clean.prescription"].append(_fill(patient, drug, on(day), tablets, days if rng.random() < 0.99 else None))
        if rng.random() < 0.05:
            rows["clean.prescription"].append(_fill(patient, DRUGS[0], on(day + rng.integers(0, 20)), 6, 7))
        day += days + int(rng.choice([0, -3, -1, 2, 6, 40], p=[0.75, 0.05, 0.05, 0.05, 0.08, 0.02]))
    for day in range(-200, 300, 90) if patient % 2 else ():
        rows["clean.adjuvant"].append(_adjuvant(patient, on(day), "gabapentin 300 MG Oral Capsule"))
    if patient % 4 == 0:
        rows["clean.adjuvant"].append(_adjuvant(patient, on(150), "duloxetine 30 MG Oral Capsule"))
    for day in range(-400, 600, 7):
        if rng.random() < 0.7:
            known = rng.random() < 0.95
            rows["clean.pain_score"].append(
                {
                    "patient_index": patient,
                    "scored_at": on(day + rng.integers(0, 7)),
                    "instrument": "NRS" if rng.random() < 0.95 else "VAS_100",
                    "recall": "now" if rng.random() < 0.95 else "after_treatment",
                    "setting": "outpatient" if rng.random() < 0.95 else "inpatient",
                    "score": float(rng.integers(0, 11)) if known else None,
                    "score_text": None if known else "unable to score",
                }
            )
    for _ in range(rng.integers(0, 8)):
        rows["clean.diagnosis"].append(_code(patient, on(rng.integers(-400, 500)), str(rng.choice(CODES))))
    for _ in range(rng.integers(0, 2)):
        rows["clean.procedure"].append(_procedure(patient, on(rng.integers(-400, 500))))
    for day in rng.integers(-400, 500, rng.integers(1, 5)):
        rows["clean.encounter"].append(_encounter(patient, on(day), on(day + rng.integers(0, 9)), rng))
    if rng.random() < 0.3:
        rows["clean.note_mention"].append(_mention(patient, on(rng.integers(-400, 500))))


def _fill(patient: int, drug: str, start: date, tablets: int, days: int | None) -> dict[str, Any]:
    return {
        "patient_index": patient,
        "record_kind": "dispensing",
        "drug_text": drug,
        "ndc": f"54017-613-{DRUGS.index(drug):02d}",
        "start_date": start,
        "quantity": float(tablets * (days or 28)),
        "days_supply": days,
    }


def _adjuvant(patient: int, start: date, drug: str) -> dict[str, Any]:
    return {
        "patient_index": patient,
        "record_kind": "dispensing",
        "drug_text": drug,
        "start_date": start,
        "quantity": 84.0,
        "days_supply": 28,
    }


def _code(patient: int, on: date, code: str) -> dict[str, Any]:
    return {"patient_index": patient, "diagnosis_date": on, "code_system": "ICD10CM", "code": code}


def _procedure(patient: int, on: date) -> dict[str, Any]:
    return {"patient_index": patient, "procedure_date": on, "code_system": "CPT4", "code": "27447"}


def _encounter(patient: int, start: date, end: date, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "patient_index": patient,
        "start_date": start,
        "end_date": end if rng.random() < 0.9 else None,
        "setting": str(rng.choice(["inpatient", "emergency", "outpatient"])),
    }


def _mention(patient: int, on: date) -> dict[str, Any]:
    return {
        "patient_index": patient,
        "mention_date": on,
        "concept": "opioid_induced_hyperalgesia",
        "is_negated": False,
    }


def rewritten_after(rows: Rows, day_by_patient: dict[int, date], seed: int) -> Rows:
    """The same histories with whatever is dated after a patient's day dropped, moved, changed or added to."""
    rng = np.random.default_rng(seed)
    rewritten: Rows = {table: found for table, found in rows.items() if table not in DATED_BY}
    for table, dated_by in DATED_BY.items():
        kept = []
        for row in rows[table]:
            last_day = day_by_patient.get(row["patient_index"])
            if last_day is None or row[dated_by] <= last_day:
                kept.append(row)
            elif rng.random() < 0.5:
                later = row[dated_by] + timedelta(days=int(rng.integers(0, 60)))
                kept.append(row | {dated_by: later} | _changed(table, rng))
        rewritten[table] = kept
    source = {row["patient_index"]: row["source"] for row in rows["clean.patient"]}
    for patient, last_day in day_by_patient.items():
        soon = [last_day + timedelta(days=int(rng.integers(1, 9))) for _ in range(5)]
        added = {
            "clean.prescription": _fill(patient, str(rng.choice(DRUGS)), soon[0], 12, 28),
            "clean.diagnosis": _code(patient, last_day + timedelta(days=1), str(rng.choice(("T402", *CODES)))),
            "clean.procedure": _procedure(patient, soon[1]),
            "clean.encounter": _encounter(patient, soon[2], soon[2] + timedelta(days=9), rng)
            | {"setting": "inpatient"},
            "clean.adjuvant": _adjuvant(patient, soon[3], str(rng.choice(ADJUVANTS))),
            "clean.note_mention": _mention(patient, soon[4]),
        }
        for table, row in added.items():
            key = f"{table.removeprefix('clean.')}_id"
            if rng.random() < 0.7:
                more = {key: f"added:{patient}", "source": source[patient]}
                rewritten[table] = [*rewritten[table], row | more]
    return rewritten


def _changed(table: str, rng: np.random.Generator) -> dict[str, Any]:
    if table == "clean.prescription":
        return {"quantity": float(rng.integers(7, 400))}
    if table == "clean.pain_score":
        return {"score": float(rng.integers(0, 11)), "score_text": None}
    return {"code": str(rng.choice(CODES))} if table == "clean.diagnosis" else {}


def derived(rows: Rows, study: Study = STUDY, upto: str | None = None) -> duckdb.DuckDBPyConnection:
    """A warehouse of these clean rows with every table that follows, up to the features or a later table."""
    connection = duckdb.connect()
    for table in REFERENCES:
        table.build(connection, study)
    for contract in CLEAN:
        warehouse.create(connection, contract)
        if found := rows.get(contract.table):
            frame = pl.DataFrame(found, infer_schema_length=None)
            connection.register("rows", frame)
            connection.execute(f"insert into {contract.table} by name from rows")
            connection.unregister("rows")
    for table in [*DERIVED, *(table for table in ALL_TABLES if table.name == upto)]:
        table.build(connection, study)
    return connection
