"""What can hurt or change scores for a while."""

from tests.sql.drawing import drawn

TABLE = "trajectory.acute_event"


def concepts(*rows: str) -> str:
    return drawn("\n".join(["patient_index | coded_date | concept", "-", *rows]))


def test_every_acute_concept_is_an_event_and_no_other_is(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.concept_day": concepts(
                "1 | D+0 | injury",
                "1 | D+0 | surgery",
                "1 | D+0 | injection",
                "1 | D+0 | infection",
                "1 | D+0 | inflammatory_flare",
                "1 | D+0 | active_cancer",
                "1 | D+0 | low_back_pain",
                "1 | D+0 | physical_therapy",
            ),
        },
        then=drawn(
            """
            patient_index | event_date | kind      | previous_date
            --------------+------------+-----------+--------------
            1             | D+0        | injury    |
            1             | D+0        | surgery   |
            1             | D+0        | injection |
            1             | D+0        | infection |
            1             | D+0        | flare     |
            1             | D+0        | cancer    |
            """
        ),
    )


def test_a_visit_to_an_emergency_department_is_an_event_on_its_first_day_once(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.encounter": drawn(
                """
                patient_index | start_date | end_date | setting
                --------------+------------+----------+----------
                1             | D+0        | D+1      | emergency
                1             | D+0        | D+0      | emergency
                1             | D+5        | D+9      | inpatient
                1             | D+6        | D+6      | outpatient
                2             | D+7        |          | emergency
                """
            )
        },
        then=drawn(
            """
            patient_index | event_date | kind
            --------------+------------+----------------
            1             | D+0        | emergency_visit
            2             | D+7        | emergency_visit
            """
        ),
    )


def test_an_event_knows_the_one_before_of_its_kind_and_patient(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.concept_day": concepts(
                "1 | D+0 | injury",
                "1 | D+30 | injury",
                "1 | D+20 | infection",
                "1 | D+90 | injury",
                "2 | D+60 | injury",
            ),
        },
        then=drawn(
            """
            patient_index | event_date | kind      | previous_date
            --------------+------------+-----------+--------------
            1             | D+0        | injury    |
            1             | D+30       | injury    | D+0
            1             | D+90       | injury    | D+30
            1             | D+20       | infection |
            2             | D+60       | injury    |
            """
        ),
    )
