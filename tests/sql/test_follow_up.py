"""Up to which day the end of a patient's supply can be seen."""

import pytest

from tests.sql.drawing import drawn

TABLE = "trajectory.follow_up"
FILL = drawn("prescription_id\n-\nnorth:1", patient_index=1, source="north")


@pytest.fixture
def check_last_date(check_sql):
    def check(patient: str, last_date: str, coverage: str = "", in_timeline: bool = True):
        check_sql(
            TABLE,
            given={
                "clean.patient": drawn(
                    f"observation_end_date | death_date\n-\n{patient}", patient_index=1, source="north"
                ),
                "clean.prescription": FILL,
                "clean.source_coverage": coverage,
                "trajectory.record_dose": drawn("record_id\n-\nnorth:1", is_in_timeline=in_timeline),
            },
            then=drawn(f"patient_index | last_date\n-\n1 | {last_date}"),
        )

    return check


@pytest.mark.parametrize(
    ("patient", "data_end", "last_date"),
    [
        ("D+100 |", "D+200", "D+100"),
        ("D+100 | D+50", "D+200", "D+50"),
        ("D+100 | D+150", "D+90", "D+90"),
        ("|", "D+90", "D+90"),
    ],
)
def test_follow_up_ends_with_observation_death_or_the_data(check_last_date, patient, data_end, last_date):
    coverage = drawn(f"last_date\n-\n{data_end}", source="north", table_name="prescription", is_delivered=True)
    check_last_date(patient, last_date, coverage)


@pytest.mark.parametrize("other", ["south | prescription", "north | pain_score"])
def test_another_source_or_table_does_not_end_it(check_last_date, other):
    coverage = drawn(f"source | table_name | last_date\n-\n{other} | D+9", is_delivered=True)
    check_last_date("D+100 |", "D+100", coverage)


def test_a_patient_without_supply_has_no_end_of_it_whatever_others_have(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.patient": drawn("patient_index | observation_end_date\n-\n1 | D+100\n2 | D+100", source="north"),
            "clean.prescription": FILL,
            "trajectory.record_dose": drawn("record_id\n-\nnorth:1", is_in_timeline=True),
        },
        then=drawn("patient_index | last_date\n-\n1 | D+100\n2 |"),
    )


def test_where_only_doses_in_hospital_count_the_end_of_supply_cannot_be_seen(check_last_date):
    check_last_date("D+100 |", "", in_timeline=False)
