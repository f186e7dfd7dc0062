"""Warehouses of made-up patients, as a run leaves them before the report tables are built. Nothing in them is real.

The report tables are then built by the project's own SQL, so their counts hang together as those of a study do.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import polars as pl

from pipelines import contracts, sql_files, tables, warehouse
from pipelines.settings import Settings
from pipelines.study import Study
from pipelines.workspace import Workspace
from tests.conftest import PARAMETERS

CONTRACTS = contracts.all_contracts()
CANARY = "patient-canary-4711"

# Each requirement with the one that it presupposes, and the share of patients who then meet it.
REQUIREMENTS = {
    "has_opioid_record": (None, 0.97),
    "has_known_dose": ("has_opioid_record", 0.99),
    "has_pain_score": (None, 0.98),
    "has_outpatient_scores": ("has_pain_score", 0.9),
    "has_long_term_therapy": ("has_opioid_record", 0.7),
    "has_escalation": ("has_long_term_therapy", 0.6),
    "is_adult": ("has_escalation", 0.995),
    "has_look_back": ("is_adult", 0.9),
    "is_in_scope": ("has_look_back", 0.97),
    "has_no_long_stay": ("is_in_scope", 0.97),
    "has_no_unseen_care": ("has_no_long_stay", 0.97),
    "is_not_excluded": ("has_no_unseen_care", 0.97),
    "has_follow_up": ("is_not_excluded", 0.95),
    "is_classifiable": ("has_follow_up", 0.8),
}
# What each rule says of an episode that can be judged: vote, strength, reason to abstain, and how often.
VOTES = {
    "LF01": [
        ("OIH", "strong", None, 0.06),
        ("OIH", "weak", None, 0.2),
        ("NONE", None, None, 0.7),
        ("ABSTAIN", None, "within_measurement_error", 0.04),
    ],
    "LF03": [
        ("TOL", "weak", None, 0.06),
        ("UND", "weak", None, 0.04),
        ("NOT_OIH", "weak", None, 0.04),
        ("NONE", None, None, 0.7),
        ("ABSTAIN", None, "too_few_scores_early", 0.13),
        ("ABSTAIN", None, "within_measurement_error", 0.03),
    ],
    "LF06": [
        ("OIH", "strong", None, 0.04),
        ("OIH", "weak", None, 0.04),
        ("NONE", None, None, 0.1),
        ("ABSTAIN", None, "no_taper", 0.8),
        ("ABSTAIN", None, "follow_up_too_short", 0.02),
    ],
    "LF10": [
        ("PROG", "weak", None, 0.1),
        ("NONE", None, None, 0.8),
        ("ABSTAIN", None, "no_encounter_feed", 0.1),
    ],
}
# Rules that look at what came later, or at events, whether the episode can be judged or not.
ALWAYS_READ = ("LF06", "LF10")
UNJUDGED = {"too_few_scores_distal": 0.5, "too_few_scores_response": 0.4, "dose_unknown": 0.1}
RISE_NRS = {"strong_candidate": 1.6, "probable": 1.8, "possible": 1.2, "mixed": 0.5, "alternative_more_likely": -1.0}
INDEX_DATE = date(2015, 1, 1)


def study(
    patients: int, seed: int, source: str = "simulated", shares: Mapping[str, float] | None = None
) -> duckdb.DuckDBPyConnection:
    """A warehouse with every table that the report reads, and the report tables built from them."""
    rng = np.random.default_rng(seed)
    connection = duckdb.connect()
    for contract in CONTRACTS.values():
        if not contract.is_raw:
            warehouse.create(connection, contract)
    cohort = _cohort(rng, patients, source, shares or {})
    insert(connection, "episode.cohort", cohort)
    _add_patients(connection, rng, patients, source)
    _add_records(connection, rng, cohort)
    _add_episodes(connection, rng, cohort)
    _add_ledger(connection, rng, source)
    _add_specifications(connection, patients)
    for reference in ("mme_factor", "long_term_definition"):
        warehouse.build_reference(connection, CONTRACTS[f"reference.{reference}"])
    for sql in sql_files.tables():
        if sql.table.startswith("report."):
            warehouse.build_from_sql(connection, sql, CONTRACTS[sql.table], PARAMETERS)
    return connection


def attrition(patients: int, seed: int, shares: Mapping[str, float]) -> pl.DataFrame:
    """The attrition table alone."""
    [sql] = [sql for sql in sql_files.tables() if sql.table == "report.attrition"]
    with duckdb.connect() as connection:
        warehouse.create(connection, CONTRACTS["episode.cohort"])
        insert(connection, "episode.cohort", _cohort(np.random.default_rng(seed), patients, "simulated", shares))
        warehouse.build_from_sql(connection, sql, CONTRACTS[sql.table], PARAMETERS)
        return connection.sql("from report.attrition order by step_number").pl()


def _cohort(rng: np.random.Generator, patients: int, source: str, shares: Mapping[str, float]) -> pl.DataFrame:
    flags: dict[str, Any] = {}
    for name, (presupposed, share) in REQUIREMENTS.items():
        flags[name] = rng.random(patients) < shares.get(name, share)
        if presupposed:
            flags[name] &= flags[presupposed]
    return pl.DataFrame({"patient_index": np.arange(patients), **flags}).with_columns(source=pl.lit(source))


def _add_patients(connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, patients: int, source: str) -> None:
    patient = pl.DataFrame(
        {
            "patient_id": [f"{source}:{CANARY}-{number}" for number in range(patients)],
            "patient_index": np.arange(patients),
            "sex": rng.choice(["female", "male", "unknown"], patients, p=[0.555, 0.442, 0.003]),
            "birth_year": np.clip(rng.normal(1960, 16, patients), 1925, 2005).astype(int),
        }
    )
    insert(connection, "clean.patient", patient.with_columns(source=pl.lit(source)))


def _add_records(connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, cohort: pl.DataFrame) -> None:
    """Opioid dispensings with doses, and pain scores by month around the index date."""
    patients = len(cohort)
    dose = np.round(rng.lognormal(3.4, 0.7, patients), 3)
    after = dose * np.where(cohort["has_escalation"], rng.choice([1.3, 1.5, 2.0], patients), 1)
    treated = cohort.with_columns(before_mme=dose, after_mme=after).filter("has_opioid_record")
    for column, start, end in (
        ("before_mme", date(2013, 6, 1), date(2014, 12, 31)),
        ("after_mme", INDEX_DATE, date(2016, 6, 1)),
    ):
        period = treated.select("patient_index", dose_mme=column, is_lower_bound=pl.lit(False))
        insert(connection, "trajectory.dose_period", period.with_columns(start_date=start, end_date=end))
    fills = treated.select("patient_index", "source", "has_known_dose").sample(
        fraction=3, with_replacement=True, seed=1
    )
    fills = pl.concat([treated.select(fills.columns), fills]).with_row_index("number")
    record = fills.with_columns(
        prescription_id=pl.format("{}:prescription:{}", "source", "number"),
        record_kind=pl.lit("dispensing"),
        drug_text=pl.when("has_known_dose")
        .then(pl.lit("oxycodone 5 mg tablet"))
        .when(pl.col("number") % 2 == 0)
        .then(pl.lit("oxycodone tablet"))
        .otherwise(pl.format("oxycodone for {}", pl.lit(CANARY) + pl.col("number").cast(pl.String))),
    )
    texts = record.filter(~pl.col("has_known_dose")).select("drug_text", reason=pl.lit("no_strength")).unique()
    insert(connection, "trajectory.drug_product", texts)
    flagged = record.head(len(record) // 8).select(
        "patient_index", record_id="prescription_id", flag=pl.lit("duplicate")
    )
    insert(
        connection,
        "trajectory.record_flag",
        pl.concat([flagged, flagged.head(3).with_columns(flag=pl.lit("reversal"))]),
    )
    insert(connection, "clean.prescription", record.drop("number", "has_known_dose"))
    known = record.select(
        "patient_index",
        "record_kind",
        record_id="prescription_id",
        dose_micro_mme=pl.when("has_known_dose").then(30_000_000),
        is_in_timeline=pl.lit(True),
        reason=pl.when(~pl.col("has_known_dose")).then(pl.lit("no_strength")),
    )
    insert(connection, "trajectory.record_dose", known)

    scored = cohort.filter("has_pain_score").select("patient_index", "source")
    month = pl.DataFrame({"month_number": np.arange(-12, 12)})
    score = scored.join(month, how="cross").with_row_index("number")
    level = rng.normal(5.5, 1.5, patients)[score["patient_index"]] + rng.normal(0, 1.2, len(score))
    score = score.select(
        "patient_index",
        "source",
        pain_score_id=pl.format("{}:score:{}", "source", "number"),
        scored_at=pl.lit(INDEX_DATE).cast(pl.Datetime) + pl.duration(days=pl.col("month_number") * 30 + 3),
        instrument=pl.lit("NRS"),
        recall=pl.lit("now"),
        setting=pl.lit("outpatient"),
        pain_nrs=pl.when(pl.Series(rng.random(len(score)) > 0.03)).then(pl.Series(np.clip(level, 0, 10))),
    ).with_columns(unknown_reason=pl.when(pl.col("pain_nrs").is_null()).then(pl.lit("unable_to_score")))
    insert(connection, "clean.pain_score", score.with_columns(score="pain_nrs"))
    insert(connection, "trajectory.pain_reading", score.with_columns(is_counted=True))
    insert(
        connection,
        "trajectory.pain_day",
        score.select("patient_index", "setting", "pain_nrs", score_date=pl.col("scored_at").dt.date(), is_masked=False),
    )
    diagnosis = cohort.sample(fraction=0.6, seed=2).select("patient_index", "source").with_row_index("number")
    insert(
        connection,
        "clean.diagnosis",
        diagnosis.select("patient_index", "source", diagnosis_id=pl.format("{}:diagnosis:{}", "source", "number")),
    )


def _add_episodes(connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, cohort: pl.DataFrame) -> None:
    """One or two episodes of every patient inside the cohort, with votes; tiers by the project's SQL."""
    inside = cohort.filter("is_not_excluded")
    again = inside.sample(fraction=0.15, seed=3)
    again = again.with_columns(is_classifiable=pl.col("is_classifiable") & pl.Series(rng.random(len(again)) < 0.6))
    episode = pl.concat([inside, again]).with_row_index("number")
    episode = episode.with_columns(
        episode_id=pl.format("{}:{}", "patient_index", "number"),
        index_kind=pl.lit("dose_led"),
        index_date=INDEX_DATE,
        linked_since_date=INDEX_DATE,
        matched_count=0,
        follow_up_end_date=date(2015, 12, 31),
        data_grade=pl.Series(rng.choice(["A", "B", "C"], len(episode))),
        step_count=pl.Series(rng.choice([1, 2], len(episode), p=[0.9, 0.1])),
        unjudged=pl.Series(rng.choice(list(UNJUDGED), len(episode), p=list(UNJUDGED.values()))),
        is_linked=False,
        is_reversed=False,
        known_step_count=1,
        oih_probability=pl.Series(rng.beta(1, 12, len(episode))),
    ).with_columns(not_classifiable_reason=pl.when(~pl.col("is_classifiable")).then("unjudged"))
    insert(connection, "episode.episode", episode)
    insert(connection, "episode.episode_profile", episode)
    for rule, votes in VOTES.items():
        said = rng.choice(len(votes), len(episode), p=[share for *_, share in votes])
        vote, strength, reason = (pl.Series([votes[number][place] for number in said]) for place in range(3))
        is_cut = pl.lit(rule not in ALWAYS_READ) & ~pl.col("is_classifiable")
        label = episode.select(
            "episode_id",
            rule=pl.lit(rule),
            vote=pl.when(is_cut).then(pl.lit("ABSTAIN")).otherwise(vote),
            strength=pl.when(~is_cut).then(strength),
            abstain_reason=pl.when(is_cut).then("unjudged").otherwise(reason),
        )
        insert(connection, "label.vote", label)
    insert(connection, "label.score", episode.filter("is_classifiable"))
    [tier] = [sql for sql in sql_files.tables() if sql.table == "label.tier"]
    warehouse.build_from_sql(connection, tier, CONTRACTS["label.tier"], Settings().parameters())
    rise = pl.DataFrame({"tier": list(RISE_NRS), "rise_nrs": list(RISE_NRS.values())})
    connection.register("rise", rise)
    connection.execute(
        "update trajectory.pain_day as day set pain_nrs = least(greatest(pain_nrs + rise_nrs, 0), 10) "
        "from (select patient_index, max(rise_nrs) as rise_nrs from label.tier join rise using (tier) group by 1) as up "
        "where day.patient_index = up.patient_index and score_date >= ?",
        [INDEX_DATE],
    )
    connection.unregister("rise")


def _values(column: str) -> list[str]:
    return next(found.values or [] for found in CONTRACTS["report.dose_specification"].columns if found.name == column)


def _add_specifications(connection: duckdb.DuckDBPyConnection, patients: int) -> None:
    """Counts above thresholds that fall from one threshold to the next, rounded as the project rounds them."""
    definitions = pl.DataFrame({"definition": _values("definition")})
    overlaps = pl.DataFrame({"overlap": _values("overlap")})
    grid = definitions.join(overlaps, how="cross").join(
        pl.DataFrame({"factor_set": ["cdc_2018", "cdc_2022"]}), how="cross"
    )
    thresholds = pl.DataFrame({"threshold_mme": [50, 90, 120, 200], "share": [0.4, 0.2, 0.1, 0.05]})
    grid = grid.join(thresholds, how="cross").join(pl.DataFrame({"comparison": [">", ">="]}), how="cross")
    insert(
        connection,
        "report.dose_specification",
        grid.with_columns(
            patient_count=pl.lit(patients // 11 * 11),
            lower_bound_count=pl.lit(11),
            above_count=(pl.col("share") * patients / 11).round().cast(pl.Int64) * 11,
            is_of_study=(pl.col("factor_set") == "cdc_2022")
            & (pl.col("overlap") == "sum")
            & (pl.col("definition") == "dasgupta_2"),
        ),
    )


def _add_ledger(connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, source: str) -> None:
    """Deliveries in which a few rows did not fit and some were not wanted."""
    delivered = {mapping.table.split(".")[1]: mapping.driving_tables[0] for mapping in sql_files.mappings(source)}
    for clean in ("patient", "prescription", "pain_score", "diagnosis"):
        table = delivered.get(clean, f"raw.{clean}").split(".")[1]
        loaded = warehouse.count(connection, f"clean.{clean}")
        quarantined, excluded = int(rng.integers(0, 9)), int(rng.integers(0, 400)) if clean != "patient" else 0
        outcome = [
            ("clean", "", loaded),
            ("excluded", "not_an_opioid", excluded),
            ("excluded", "too_early", quarantined),
        ]
        file = pl.DataFrame(
            {
                "source": source,
                "table_name": table,
                "source_file": f"{table}.csv",
                "sha256": rng.bytes(32).hex(),
                "size_bytes": 1_000,
                "delivered_rows": loaded + excluded + 2 * quarantined,
                "loaded_rows": loaded + excluded + quarantined,
                "quarantined_rows": quarantined,
            }
        )
        insert(connection, "raw.delivery", file)
        insert(
            connection,
            "raw.quarantine",
            pl.DataFrame({"source_row": np.arange(quarantined)}).with_columns(
                step=pl.lit("ingest"),
                source=pl.lit(source),
                table_name=pl.lit(table),
                rule=pl.lit("range"),
                record=pl.lit(CANARY),
            ),
        )
        rows = pl.DataFrame(outcome, schema=["outcome", "reason", "row_count"], orient="row").filter(
            pl.col("row_count") > 0
        )
        insert(
            connection,
            "clean.row_outcome",
            rows.with_columns(source=pl.lit(source), table_name=pl.lit(clean), source_table=pl.lit(table)),
        )


@cache
def _empty_warehouse() -> bytes:
    """A warehouse with every table and no row: making it takes longer than most tests."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "warehouse.duckdb"
        with duckdb.connect(str(file)) as connection:
            for contract in CONTRACTS.values():
                if not contract.is_raw:
                    warehouse.create(connection, contract)
        return file.read_bytes()


def publish(study: Study, fill: Callable[[duckdb.DuckDBPyConnection], None]) -> Path:
    """The published run of a study, as a run leaves it: every table, the votes and tiers built by the project's SQL.

    Args:
        fill: Puts rows into the tables that votes and tiers are built from, which are there and empty.

    Returns:
        The warehouse.
    """
    folder = Workspace(study).run_folder("made-up")
    folder.mkdir(parents=True)
    (folder / "warehouse.duckdb").write_bytes(_empty_warehouse())
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        fill(connection)
        for table in tables.of(study):
            if table.name in ("label.vote", "label.tier"):
                table.build(connection, study)
    manifest = {"study": json.loads(study.model_dump_json()), "run_id": "made-up"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    Workspace(study).current.symlink_to(Path("runs") / "made-up")
    return folder / "warehouse.duckdb"


def insert(connection: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    """Insert the columns of a frame that the table has."""
    connection.register("made_up", frame.select(name for name in CONTRACTS[table].types if name in frame.columns))
    connection.execute(f"insert into {table} by name from made_up")
    connection.unregister("made_up")
