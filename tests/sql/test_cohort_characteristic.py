"""Who the patients are, in categories."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "report.cohort_characteristic"


def cohort(*patients: str) -> str:
    return drawn(
        "patient_index | source | has_opioid_record | has_long_term_therapy | is_classifiable\n-\n"
        + "\n".join(patients)
    )


def test_each_characteristic_counts_every_patient_once_in_each_column(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.cohort": cohort(
                "1 | north | true | true | true", "2 | north | true | true | false", "3 | south | false | false | false"
            ),
            "clean.patient": "patient_index | sex | birth_year\n-\n1 | female | 1960\n2 | male | 1950\n3 | unknown |",
            "trajectory.dose_period": drawn(
                "patient_index | start_date | end_date | dose_mme\n-\n1 | D+0 | D+9 | 30\n2 | D+0 | D+9 | 100"
            ),
        },
        then="""
            characteristic       | category        | delivered_patients | long_term_patients | classifiable_patients
            ---------------------+-----------------+--------------------+--------------------+----------------------
            Sex                  | female          | 1                  | 1                  | 1
            Sex                  | male            | 1                  | 1                  | 0
            Sex                  | unknown         | 1                  | 0                  | 0
            Age at first opioid  | 45 to 64        | 1                  | 1                  | 1
            Age at first opioid  | 65 to 79        | 1                  | 1                  | 0
            Age at first opioid  | no opioid       | 1                  | 0                  | 0
            Mean dose on therapy | 20 to 49 MME    | 1                  | 1                  | 1
            Mean dose on therapy | 90 MME and over | 1                  | 1                  | 0
            Mean dose on therapy | no opioid       | 1                  | 0                  | 0
            Source               | north           | 2                  | 2                  | 1
            Source               | south           | 1                  | 0                  | 0
        """,
    )


def category(
    characteristic: str, patient: str = "patient_index\n-\n1", period: str = "", has_opioid: str = "true"
) -> list[str]:
    """The categories of one characteristic for patient 1."""
    connection = select(
        TABLE,
        given={
            "episode.cohort": cohort(f"1 | north | {has_opioid} | true | true"),
            "clean.patient": patient,
            "trajectory.dose_period": period,
        },
    )
    rows = connection.execute(f"select category from {TABLE} where characteristic = ?", [characteristic]).fetchall()
    return [name for (name,) in rows]


@pytest.mark.parametrize(
    ("birth_year", "band"),
    [
        (2004, "under 18"),
        (2003, "18 to 44"),
        (1977, "18 to 44"),
        (1976, "45 to 64"),
        (1957, "45 to 64"),
        (1956, "65 to 79"),
        (1942, "65 to 79"),
        (1941, "80 and over"),
        ("", "unknown"),
    ],
)
def test_age_is_that_in_the_year_of_the_first_opioid(birth_year, band):
    assert category(
        "Age at first opioid",
        patient=f"patient_index | birth_year\n-\n1 | {birth_year}",
        period=drawn("start_date | end_date\n-\nD+400 | D+409\nD+0 | D+9", patient_index=1, dose_mme=30),
    ) == [band]


@pytest.mark.parametrize(
    ("dose", "band"),
    [
        ("0", "unknown"),
        ("19.999", "under 20 MME"),
        ("20", "20 to 49 MME"),
        ("49.999", "20 to 49 MME"),
        ("50", "50 to 89 MME"),
        ("89.999", "50 to 89 MME"),
        ("90", "90 MME and over"),
    ],
)
def test_dose_bands_are_those_of_the_guideline(dose, band):
    period = drawn(f"dose_mme\n-\n{dose}", patient_index=1, start_date="D+0", end_date="D+9")
    assert category("Mean dose on therapy", period=period) == [band]


def test_the_mean_dose_is_over_days_in_supply():
    """Nine days of 10 and one of 110 are 20 a day; two equal weights would be 60."""
    period = drawn("start_date | end_date | dose_mme\n-\nD+0 | D+8 | 10\nD+100 | D+100 | 110", patient_index=1)
    assert category("Mean dose on therapy", period=period) == ["20 to 49 MME"]


@pytest.mark.parametrize(("has_opioid", "said"), [("true", "unknown"), ("false", "no opioid")])
@pytest.mark.parametrize("characteristic", ["Mean dose on therapy", "Age at first opioid"])
def test_an_opioid_without_a_daily_dose_is_unknown_and_not_none(characteristic, has_opioid, said):
    assert category(characteristic, has_opioid=has_opioid) == [said]


def test_a_patient_that_is_not_among_the_patients_is_counted():
    assert category("Sex", patient="") == ["unknown"]
