"""Where the pain was, by code."""

from tests.sql.drawing import drawn

TABLE = "trajectory.pain_region_day"


def test_a_region_counts_on_days_without_an_injury_of_the_same_patient(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.concept_day": drawn(
                """
                patient_index | coded_date | concept
                --------------+------------+---------------------------
                1             | D+0        | region_low_back
                1             | D+0        | low_back_pain
                1             | D+5        | region_upper_limb
                1             | D+5        | injury
                1             | D+6        | region_upper_limb
                1             | D+7        | region_widespread
                1             | D+7        | overlapping_pain_condition
                1             | D+7        | fibromyalgia
                2             | D+5        | region_neck
                2             | D+5        | infection
                """
            )
        },
        then=drawn(
            """
            patient_index | coded_date | region
            --------------+------------+---------------------------
            1             | D+0        | low_back
            1             | D+6        | upper_limb
            1             | D+7        | widespread
            1             | D+7        | overlapping_pain_condition
            2             | D+5        | neck
            """
        ),
    )


def test_every_region_of_the_code_lists_is_one_of_the_table(check_sql):
    check_sql(
        "trajectory.concept_day",
        TABLE,
        given={
            "clean.diagnosis": drawn(
                """
                diagnosis_date | code_system | code
                ---------------+-------------+-------
                D+0            | ICD10CM     | R519
                D+0            | ICD10CM     | M542
                D+0            | ICD10CM     | M546
                D+0            | ICD10CM     | M545
                D+0            | ICD10CM     | M25511
                D+0            | ICD10CM     | M25561
                D+0            | ICD10CM     | R109
                D+0            | ICD10CM     | R079
                D+0            | ICD10CM     | M797
                """,
                patient_index=1,
            )
        },
        then=drawn(
            """
            region
            -
            head
            neck
            thoracic_back
            low_back
            upper_limb
            lower_limb
            abdomen_pelvis
            chest
            widespread
            overlapping_pain_condition
            """
        ),
    )
