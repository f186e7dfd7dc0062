"""The row ledger: every row that enters a step leaves it in exactly one way, or the ledger does not add up."""

import pytest

from pipelines import contracts
from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "report.row_ledger"


def unbalanced(given: dict[str, str]) -> list[tuple[str, ...]]:
    """What the ledger's own check reports."""
    connection = select(TABLE, given=given)
    [check] = [e for e in contracts.all_contracts()[TABLE].expectations if e.type == "unexpected_rows_expectation"]
    return connection.sql(check.model_dump()["unexpected_rows_query"].format(batch=TABLE)).fetchall()


def test_a_delivered_row_is_loaded_or_in_quarantine_by_rule(check_sql):
    check_sql(
        TABLE,
        given={
            "raw.delivery": """
                source | table_name | source_file | delivered_rows | loaded_rows | quarantined_rows
                -------+------------+-------------+----------------+-------------+-----------------
                north  | fill       | a.csv       | 100            | 98          | 2
                north  | fill       | b.csv       | 50             | 49          | 1
            """,
            "raw.quarantine": drawn(
                "rule\n-\ntype\ntype\nrange", step="ingest", source="north", table_name="fill", source_file="a.csv"
            ),
            "clean.row_outcome": drawn(
                "outcome | row_count\n-\nclean | 147", source="north", source_table="fill", reason="''"
            ),
        },
        then="""
            step   | source | table_name | outcome     | reason | row_count
            -------+--------+------------+-------------+--------+----------
            ingest | north  | fill       | entered     | ''     | 150
            ingest | north  | fill       | loaded      | ''     | 147
            ingest | north  | fill       | quarantined | type   | 2
            ingest | north  | fill       | quarantined | range  | 1
            clean  | north  | fill       | entered     | ''     | 147
            clean  | north  | fill       | clean       | ''     | 147
        """,
    )


def delivery(table: str, rows: int) -> str:
    return drawn(f"table_name\n-\n{table}", source="north", delivered_rows=rows, loaded_rows=rows, quarantined_rows=0)


OUTCOMES = """
    table_name   | source_table | outcome     | reason           | row_count
    -------------+--------------+-------------+------------------+----------
    prescription | fill         | clean       | ''               | 5
    prescription | fill         | excluded    | not_an_opioid    | 3
    prescription | fill         | quarantined | unknown_patient  | 2
"""


def test_a_loaded_row_is_clean_excluded_with_a_reason_or_quarantined_by_rule(check_sql):
    check_sql(
        TABLE,
        given={"raw.delivery": delivery("fill", 10), "clean.row_outcome": drawn(OUTCOMES, source="north")},
        then="""
            step   | table_name | outcome     | reason          | row_count
            -------+------------+-------------+-----------------+----------
            ingest | fill       | entered     | ''              | 10
            ingest | fill       | loaded      | ''              | 10
            clean  | fill       | entered     | ''              | 10
            clean  | fill       | clean       | ''              | 5
            clean  | fill       | excluded    | not_an_opioid   | 3
            clean  | fill       | quarantined | unknown_patient | 2
        """,
    )


def test_rows_looked_at_for_adjuvants_as_well_enter_and_leave_that_step_too(check_sql):
    outcomes = """
        table_name   | outcome  | reason          | row_count
        -------------+----------+-----------------+----------
        prescription | clean    | ''              | 6
        prescription | excluded | not_an_opioid   | 4
        adjuvant     | clean    | ''              | 3
        adjuvant     | excluded | opioid_product  | 6
        adjuvant     | excluded | not_an_adjuvant | 1
        """
    check_sql(
        TABLE,
        given={
            "raw.delivery": delivery("fill", 10),
            "clean.row_outcome": drawn(outcomes, source="north", source_table="fill"),
        },
        then="""
            step     | table_name | outcome  | reason          | row_count
            ---------+------------+----------+-----------------+----------
            ingest   | fill       | entered  | ''              | 10
            ingest   | fill       | loaded   | ''              | 10
            clean    | fill       | entered  | ''              | 10
            clean    | fill       | clean    | ''              | 6
            clean    | fill       | excluded | not_an_opioid   | 4
            adjuvant | fill       | entered  | ''              | 10
            adjuvant | fill       | clean    | ''              | 3
            adjuvant | fill       | excluded | opioid_product  | 6
            adjuvant | fill       | excluded | not_an_adjuvant | 1
        """,
    )


def test_each_further_look_at_a_table_is_a_step_named_after_what_is_looked_for(check_sql):
    outcomes = """
        table_name     | outcome  | reason                | row_count
        ---------------+----------+-----------------------+----------
        administration | clean    | ''                    | 1
        administration | excluded | not_an_administration | 9
        prescription   | clean    | ''                    | 6
        prescription   | excluded | administration        | 4
        """
    check_sql(
        TABLE,
        given={
            "raw.delivery": delivery("drug", 10),
            "clean.row_outcome": drawn(outcomes, source="north", source_table="drug"),
        },
        then="""
            step           | table_name | outcome  | reason                | row_count
            ---------------+------------+----------+-----------------------+----------
            ingest         | drug       | entered  | ''                    | 10
            ingest         | drug       | loaded   | ''                    | 10
            clean          | drug       | entered  | ''                    | 10
            clean          | drug       | clean    | ''                    | 6
            clean          | drug       | excluded | administration        | 4
            administration | drug       | entered  | ''                    | 10
            administration | drug       | clean    | ''                    | 1
            administration | drug       | excluded | not_an_administration | 9
        """,
    )


def test_a_row_lost_among_the_adjuvants_shows():
    outcomes = """
        table_name   | outcome  | reason          | row_count
        -------------+----------+-----------------+----------
        prescription | clean    | ''              | 10
        adjuvant     | clean    | ''              | 9
        """
    found = unbalanced(
        {
            "raw.delivery": delivery("fill", 10),
            "clean.row_outcome": drawn(outcomes, source="north", source_table="fill"),
        }
    )
    assert found == [("adjuvant", "north", "fill")]


def test_a_table_that_is_only_looked_up_in_leaves_that_way(check_sql):
    check_sql(
        TABLE,
        given={"raw.delivery": delivery("drug_name", 10)},
        then="""
            step   | table_name | outcome   | row_count
            -------+------------+-----------+----------
            ingest | drug_name  | entered   | 10
            ingest | drug_name  | loaded    | 10
            clean  | drug_name  | entered   | 10
            clean  | drug_name  | looked_up | 10
        """,
    )


def test_a_table_looked_up_in_one_source_can_fill_a_clean_table_of_another(check_sql):
    check_sql(
        TABLE,
        given={
            "raw.delivery": drawn("source\n-\nnorth\nsouth", table_name="fill", delivered_rows=10, loaded_rows=10),
            "clean.row_outcome": drawn(OUTCOMES, source="north"),
        },
        then="""
            step   | source | outcome     | row_count
            -------+--------+-------------+----------
            ingest | north  | entered     | 10
            ingest | north  | loaded      | 10
            clean  | north  | entered     | 10
            clean  | north  | clean       | 5
            clean  | north  | excluded    | 3
            clean  | north  | quarantined | 2
            ingest | south  | entered     | 10
            ingest | south  | loaded      | 10
            clean  | south  | entered     | 10
            clean  | south  | looked_up   | 10
        """,
    )


@pytest.mark.parametrize(("rows", "balanced"), [(10, True), (11, False), (9, False)])
def test_a_row_lost_or_made_up_between_loading_and_cleaning_shows(rows, balanced):
    found = unbalanced({"raw.delivery": delivery("fill", rows), "clean.row_outcome": drawn(OUTCOMES, source="north")})
    assert found == ([] if balanced else [("clean", "north", "fill")])


def test_the_same_table_of_another_source_does_not_make_up_for_it():
    both = drawn("source | loaded_rows\n-\nnorth | 9\nsouth | 11", table_name="fill", delivered_rows=10)
    outcome = drawn("source\n-\nnorth\nsouth", source_table="fill", outcome="clean", reason="''", row_count=10)
    found = unbalanced({"raw.delivery": both, "clean.row_outcome": outcome})
    assert {row[:2] for row in found} >= {("clean", "north"), ("clean", "south")}


RECORDS = {
    "clean.prescription": drawn("prescription_id\n-\na\nb\nc\nd", source="north"),
    "clean.administration": drawn("administration_id\n-\ne", source="north"),
}
DOSES = """
    record_id | is_in_timeline | dose_micro_mme | reason
    ----------+----------------+----------------+-------------------
    a         | true           | 30             |
    b         | true           |                | no_days_supply
    c         | false          | 30             | order_not_exposure
    d         | false          |                | order_not_exposure
    e         | true           | 0              |
"""


def test_every_opioid_record_has_a_known_dose_or_a_reason(check_sql):
    check_sql(
        TABLE,
        given={**RECORDS, "trajectory.record_dose": DOSES},
        then="""
            step | source | table_name     | outcome         | reason             | row_count
            -----+--------+----------------+-----------------+--------------------+----------
            dose | north  | prescription   | entered         | ''                 | 4
            dose | north  | prescription   | dose_known      | ''                 | 1
            dose | north  | prescription   | dose_unknown    | no_days_supply     | 1
            dose | north  | prescription   | not_in_timeline | order_not_exposure | 2
            dose | north  | administration | entered         | ''                 | 1
            dose | north  | administration | dose_known      | ''                 | 1
        """,
    )


def test_a_record_that_lost_its_dose_row_shows():
    assert unbalanced({**RECORDS, "trajectory.record_dose": DOSES}) == []
    lost = "\n".join(line for line in DOSES.splitlines() if not line.strip().startswith("b "))
    assert unbalanced({**RECORDS, "trajectory.record_dose": lost}) == [("dose", "north", "prescription")]


READINGS = drawn(
    """
    scored_at           | is_counted | not_counted_reason | setting    | pain_nrs | unknown_reason
    --------------------+------------+--------------------+------------+----------+----------------
    2021-01-04 08:00:00 | true       |                    | outpatient | 5        |
    2021-01-04 09:00:00 | true       |                    | outpatient | 6        |
    2021-01-04 10:00:00 | true       |                    | outpatient |          | unable_to_score
    2021-01-04 11:00:00 | false      | other_recall       | outpatient | 2        |
    2021-01-04 12:00:00 | false      | observed           | outpatient |          | out_of_range
    2021-01-04 08:00:00 | true       |                    | inpatient  | 5        |
    2021-01-05 08:00:00 | true       |                    | outpatient | 5        |
    """,
    source="north",
    patient_index=1,
)
CLEAN_SCORES = "source\n-\n" + "north\n" * 7
DAYS = drawn(
    """
    score_date | setting    | is_masked
    -----------+------------+----------
    D+0        | outpatient | false
    D+0        | inpatient  | false
    D+1        | outpatient | true
    """,
    patient_index=1,
)


SCORED = {"clean.pain_score": CLEAN_SCORES, "trajectory.pain_reading": READINGS, "trajectory.pain_day": DAYS}


def test_every_score_is_known_masked_unknown_or_not_counted_for_a_reason(check_sql):
    check_sql(
        TABLE,
        given=SCORED,
        then="""
            step | source | table_name | outcome       | reason          | row_count
            -----+--------+------------+---------------+-----------------+----------
            pain | north  | pain_score | entered       | ''              | 7
            pain | north  | pain_score | score_known   | ''              | 3
            pain | north  | pain_score | score_unknown | unable_to_score | 1
            pain | north  | pain_score | masked        | ''              | 1
            pain | north  | pain_score | not_counted   | other_recall    | 1
            pain | north  | pain_score | not_counted   | observed        | 1
        """,
    )


def test_a_score_whose_day_is_missing_shows():
    assert unbalanced(SCORED) == []
    lost = "\n".join(line for line in DAYS.splitlines() if "inpatient" not in line)
    assert unbalanced(SCORED | {"trajectory.pain_day": lost}) == [("pain", "north", "pain_score")]


def test_a_score_that_was_not_read_shows():
    lost = "\n".join(READINGS.splitlines()[:-1])
    assert unbalanced(SCORED | {"trajectory.pain_reading": lost}) == [("pain", "north", "pain_score")]


def test_sources_are_kept_apart_at_every_step(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.prescription": "prescription_id | source\n-\na | north\nb | south",
            "trajectory.record_dose": drawn("record_id\n-\na\nb", is_in_timeline=True, dose_micro_mme=1),
            "clean.pain_score": "source\n-\nnorth\nsouth\nsouth",
            "trajectory.pain_reading": drawn(
                "source\n-\nnorth\nsouth\nsouth", is_counted=False, not_counted_reason="other_recall"
            ),
        },
        then="""
            step | source | outcome      | row_count
            -----+--------+--------------+----------
            dose | north  | entered      | 1
            dose | north  | dose_known   | 1
            dose | south  | entered      | 1
            dose | south  | dose_known   | 1
            pain | north  | entered      | 1
            pain | north  | not_counted  | 1
            pain | south  | entered      | 2
            pain | south  | not_counted  | 2
        """,
    )
