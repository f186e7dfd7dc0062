"""Row-quality flags: what is worth a look, at its limits."""

import pytest

from pipelines.settings import Settings

TABLES = ("trajectory.record_amount", "trajectory.record_dose", "trajectory.record_flag")

PRODUCTS = """
    drug_text     | ingredient  | strength | strength_unit | route       | form
    --------------+-------------+----------+---------------+-------------+---------
    oxycodone     | oxycodone   |          |               | oral        | tablet
    oxycodone 5   | oxycodone   | 5        | MG            | oral        | tablet
    hydrocodone l | hydrocodone |          |               | oral        | solution
    morphine l    | morphine    | 2        | MG/ML         | oral        | solution
    tramadol      | tramadol    | 50       | MG            | oral        | tablet
"""


@pytest.fixture
def check(check_sql):
    def check(prescription, then, settings=None):
        check_sql(
            *TABLES,
            given={"clean.prescription": prescription, "trajectory.drug_product": PRODUCTS},
            then=then,
            settings=settings,
        )

    return check


def test_more_units_a_day_than_the_limit_are_flagged_pieces_and_volumes_apart(check):
    check(
        """
        prescription_id | record_kind | patient_index | drug_text   | start_date | quantity | days_supply
        ----------------+-------------+---------------+-------------+------------+----------+------------
        at_limit        | dispensing  | 1             | oxycodone 5 | 2024-01-01 | 900      | 30
        beyond          | dispensing  | 1             | oxycodone 5 | 2024-01-02 | 901      | 30
        ml_at_limit     | dispensing  | 1             | morphine l  | 2024-01-03 | 3600     | 30
        ml_beyond       | dispensing  | 1             | morphine l  | 2024-01-04 | 3601     | 30
        no_days         | dispensing  | 1             | oxycodone 5 | 2024-01-05 | 9000     |
        """,
        """
        record_id | flag
        ----------+--------------
        beyond    | units_per_day
        ml_beyond | units_per_day
        """,
    )


def test_a_strength_that_no_label_has_is_flagged_within_the_tolerance_it_is_not(check):
    check(
        """
        prescription_id | record_kind | patient_index | drug_text     | strength | strength_unit | start_date | quantity | days_supply
        ----------------+-------------+---------------+---------------+----------+---------------+------------+----------+------------
        label           | dispensing  | 1             | oxycodone     | 5        | mg            | 2024-01-01 | 60       | 30
        rounded         | dispensing  | 1             | oxycodone     | 5.05     | mg            | 2024-01-02 | 60       | 30
        none            | dispensing  | 1             | oxycodone     | 5.06     | mg            | 2024-01-03 | 60       | 30
        erratum         | dispensing  | 1             | hydrocodone l | 7.5      | mg/ml         | 2024-01-04 | 60       | 30
        """,
        """
        record_id | flag
        ----------+-----------------
        none      | strength_outlier
        erratum   | strength_outlier
        """,
    )


def test_a_dose_beyond_the_ceiling_is_flagged_and_kept(check):
    assert Settings().dose_ceiling_mme == 1000
    check(
        """
        prescription_id | record_kind | patient_index | drug_text | start_date | quantity | days_supply
        ----------------+-------------+---------------+-----------+------------+----------+------------
        at_ceiling      | dispensing  | 1             | tramadol  | 2024-01-01 | 100      | 1
        beyond          | dispensing  | 1             | tramadol  | 2024-01-02 | 101      | 1
        """,
        """
        record_id  | flag
        -----------+--------------
        at_ceiling | units_per_day
        beyond     | units_per_day
        beyond     | dose_ceiling
        """,
    )


def test_a_reversal_an_imputed_supply_and_the_same_dispensing_again_are_flagged(check):
    check(
        """
        prescription_id | record_kind | patient_index | drug_text   | start_date | quantity | days_supply
        ----------------+-------------+---------------+-------------+------------+----------+------------
        a               | dispensing  | 1             | oxycodone 5 | 2024-01-01 | 60       | 30
        again           | dispensing  | 1             | oxycodone 5 | 2024-01-01 | 60       | 30
        other_quantity  | dispensing  | 1             | oxycodone 5 | 2024-01-01 | 61       | 30
        other_day       | dispensing  | 1             | oxycodone 5 | 2024-01-02 | 60       | 30
        other_patient   | dispensing  | 2             | oxycodone 5 | 2024-01-01 | 60       | 30
        back            | dispensing  | 1             | oxycodone 5 | 2024-02-01 | -60      | 30
        imputed         | dispensing  | 1             | oxycodone 5 | 2024-03-01 | 60       |
        """,
        """
        record_id | flag
        ----------+--------------------
        again     | duplicate
        back      | reversal
        imputed   | days_supply_imputed
        """,
        settings={"missing_days_supply": "imputed"},
    )


def test_a_quantity_in_a_unit_that_contradicts_the_product_is_flagged_and_has_no_amount(check_sql):
    given = {
        "clean.prescription": """
            prescription_id | record_kind | patient_index | drug_text   | start_date | quantity | quantity_unit | days_supply
            ----------------+-------------+---------------+-------------+------------+----------+---------------+------------
            pieces          | dispensing  | 1             | oxycodone 5 | 2024-01-01 | 60       | EA            | 30
            fhir            | dispensing  | 1             | oxycodone 5 | 2024-01-02 | 60       | {tbl}         | 30
            silent          | dispensing  | 1             | oxycodone 5 | 2024-01-03 | 60       |               | 30
            ml_of_tablets   | dispensing  | 1             | oxycodone 5 | 2024-01-04 | 60       | mL            | 30
            g_of_tablets    | dispensing  | 1             | oxycodone 5 | 2024-01-05 | 60       | GM            | 30
            volume          | dispensing  | 1             | morphine l  | 2024-01-06 | 473      | ML            | 30
            each_of_liquid  | dispensing  | 1             | morphine l  | 2024-01-07 | 473      | EA            | 30
            strange         | dispensing  | 1             | oxycodone 5 | 2024-01-08 | 60       | box           | 30
        """,
        "trajectory.drug_product": PRODUCTS,
    }
    check_sql(
        *TABLES,
        given=given,
        then="""
            record_id      | flag
            ---------------+--------------
            ml_of_tablets  | quantity_unit
            g_of_tablets   | quantity_unit
            each_of_liquid | quantity_unit
        """,
    )
    check_sql(
        "trajectory.record_amount",
        given=given,
        then="""
            record_id      | reason                     | total_amount
            ---------------+----------------------------+-------------------------
            pieces         |                            | 300000000000000000000
            fhir           |                            | 300000000000000000000
            silent         |                            | 300000000000000000000
            ml_of_tablets  | quantity_unit_does_not_fit |
            g_of_tablets   | quantity_unit_does_not_fit |
            volume         |                            | 946000000000000000000
            each_of_liquid | quantity_unit_does_not_fit |
            strange        | unknown_unit               |
        """,
    )
