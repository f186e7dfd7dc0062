"""Each rule of the OMOP mapping, drawn: delivered rows in, mapped rows out."""

import re

import duckdb
import polars as pl
import pytest

from pipelines import checks, paths
from tests.conftest import CONTRACTS, draw

CONCEPT = """
    concept_id | concept_name                              | vocabulary_id | concept_code
    -----------+-------------------------------------------+---------------+-------------
    0          | No matching concept                       | None          | No matching concept
    1          | oxycodone hydrochloride 5 MG Oral Tablet  | RxNorm        | 1049621
    2          | naloxone 4 MG/ACTUAT Nasal Spray          | RxNorm        | 1725059
    3          | Ipratropium Bromide Inhaler               | RxNorm        | 1
    4          | oxycodone hydrochloride 5 MG [Roxicodone] | NDC           | 00054465025
    5          | Oral                                      | SNOMED        | 26643006
    6          | 72 HR fentanyl 0.025 MG/HR Transdermal System | RxNorm    | 245134
    7          | gabapentin 300 MG Oral Capsule            | RxNorm        | 310431
    11         | oxycodone                                 | RxNorm        | 7804
    12         | acetaminophen                             | RxNorm        | 161
    13         | fentanyl                                  | RxNorm        | 4337
    21         | milligram                                 | UCUM          | mg
    22         | hour                                      | UCUM          | h
    23         | Actuation                                 | UCUM          | {actuat}
    31         | Moderate pain                             | SNOMED        | 50415004
"""


# People


def test_a_patient_is_observed_from_the_first_to_the_last_day_of_all_spans(check_sql):
    check_sql(
        "clean_omop.patient",
        given={
            "raw_omop.person": """
                person_id | gender_concept_id | year_of_birth | source_file | source_row
                ----------+-------------------+---------------+-------------+-----------
                1         | 8532              | 1960          | person.csv  | 1
                2         | 8507              | 1961          | person.csv  | 2
                3         | 0                 |               | person.csv  | 3
            """,
            "raw_omop.observation_period": """
                person_id | observation_period_start_date | observation_period_end_date
                ----------+-------------------------------+----------------------------
                1         | 2015-01-01                    | 2016-12-31
                1         | 2010-01-01                    | 2012-12-31
                2         | 2011-01-01                    | 2011-01-01
            """,
            "raw_omop.death": "person_id | death_date\n-\n2 | 2011-01-01",
        },
        then="""
            patient_id | sex     | birth_year | observation_start_date | observation_end_date | death_date | source_table | source_file | source_row
            -----------+---------+------------+------------------------+----------------------+------------+--------------+-------------+-----------
            omop:1     | female  | 1960       | 2010-01-01             | 2016-12-31           |            | person       | person.csv  | 1
            omop:2     | male    | 1961       | 2011-01-01             | 2011-01-01           | 2011-01-01 | person       | person.csv  | 2
            omop:3     | unknown |            |                        |                      |            | person       | person.csv  | 3
        """,
    )


# Drugs


@pytest.mark.parametrize(
    ("days_supply", "quantity", "known_days", "known_quantity", "reason"),
    [
        ("30", "60", "30", "60", ""),
        ("1", "60", "1", "60", ""),
        ("180", "60", "180", "60", ""),
        ("181", "60", "", "60", "days_supply_out_of_range"),
        ("371", "0", "", "", "days_supply_out_of_range"),
        ("0", "60", "", "60", "days_supply_not_positive"),
        ("0", "0", "", "", "days_supply_not_positive"),
        ("-1", "60", "", "60", "days_supply_not_positive"),
        ("30", "0", "30", "", "zero_quantity"),
        ("30", "", "30", "", "no_quantity"),
        ("", "60", "", "60", ""),
    ],
)
def test_an_impossible_supply_is_unknown_and_its_row_stays(
    check_sql, days_supply, quantity, known_days, known_quantity, reason
):
    check_sql(
        "clean_omop.prescription",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.drug_exposure": f"""
                drug_exposure_id | person_id | drug_concept_id | drug_type_concept_id | days_supply   | quantity
                -----------------+-----------+-----------------+----------------------+---------------+---------
                9                | 1         | 1               | 32869                | {days_supply} | {quantity}
            """,
        },
        then=f"""
            prescription_id | days_supply  | quantity         | dose_unknown_reason | excluded_reason
            ----------------+--------------+------------------+---------------------+----------------
            omop:9          | {known_days} | {known_quantity} | {reason}            |
        """,
    )


KINDS = """
    drug_exposure_id | drug_concept_id | drug_type_concept_id | drug_exposure_start_date | quantity | dose_unit_source_value
    -----------------+-----------------+----------------------+--------------------------+----------+-----------------------
    claim            | 1               | 32869                | 2021-05-01               | 60       |
    dispensed        | 1               | 38000175             | 2021-05-01               | 60       |
    ordered          | 1               | 32838                | 2021-05-01               | 60       |
    ehr              | 1               | 32817                | 2021-05-01               | 60       |
    untyped          | 1               | 0                    | 2021-05-01               | 60       |
    given            | 1               | 32818                | 2021-05-01               | 5        | mg
    given_unit       | 1               | 38000180             | 2021-05-01               | 5        |
    given_zero       | 1               | 32818                | 2021-05-01               | 0        | mg
    listed           | 1               | 32830                | 2021-05-01               | 60       |
    told             | 1               | 32865                | 2021-05-01               | 60       |
    trap             | 3               | 32818                | 2021-05-01               | 60       |
    antagonist       | 2               | 32869                | 2021-05-01               | 60       |
    unnamed          | 0               | 32869                | 2021-05-01               | 60       |
"""
NUMBERED = {
    name: str(number)
    for number, name in enumerate(
        [
            "claim",
            "dispensed",
            "ordered",
            "ehr",
            "untyped",
            "given",
            "given_unit",
            "given_zero",
            "listed",
            "told",
            "trap",
            "antagonist",
            "unnamed",
        ],
        1,
    )
}


def numbered(drawing: str) -> str:
    """Rows are named in the drawing for the reader; the CDM numbers them."""
    for name, number in NUMBERED.items():
        drawing = drawing.replace(f" {name} ", f" {number} ").replace(f":{name} ", f":{number} ")
    return drawing


def test_the_type_tells_a_dispensing_from_an_order_and_one_that_nobody_knows_is_no_more_than_an_order(check_sql):
    check_sql(
        "clean_omop.prescription",
        given={"raw_omop.concept": CONCEPT, "raw_omop.drug_exposure": numbered(KINDS)},
        then=numbered("""
            prescription_id | record_kind | excluded_reason
            ----------------+-------------+----------------
            omop:claim      | dispensing  |
            omop:dispensed  | dispensing  |
            omop:ordered    | order       |
            omop:ehr        | order       |
            omop:untyped    | order       |
            omop:given      | order       | administration
            omop:given_unit | order       | administration
            omop:given_zero | order       | administration
            omop:listed     | order       | medication_list
            omop:told       | order       | self_report
            omop:trap       | order       | not_an_opioid
            omop:antagonist | dispensing  | not_an_opioid
            omop:unnamed    | dispensing  | drug_not_named
        """),
    )


def test_what_was_given_is_an_administration_with_an_amount_or_the_reason_why_not(check_sql):
    check_sql(
        "clean_omop.administration",
        given={"raw_omop.concept": CONCEPT, "raw_omop.drug_exposure": numbered(KINDS)},
        then=numbered("""
            administration_id | started_at          | amount | amount_unit | amount_unknown_reason | excluded_reason
            ------------------+---------------------+--------+-------------+-----------------------+----------------------
            omop:claim        | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_administration
            omop:dispensed    | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_administration
            omop:ordered      | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_administration
            omop:ehr          | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_administration
            omop:untyped      | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_administration
            omop:given        | 2021-05-01 00:00:00 | 5      | mg          |                       |
            omop:given_unit   | 2021-05-01 00:00:00 |        |             | unit_not_charted      |
            omop:given_zero   | 2021-05-01 00:00:00 |        | mg          | dose_not_charted      |
            omop:listed       | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_administration
            omop:told         | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_administration
            omop:trap         | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_opioid
            omop:antagonist   | 2021-05-01 00:00:00 |        |             | unit_not_charted      | not_an_opioid
            omop:unnamed      | 2021-05-01 00:00:00 |        |             | unit_not_charted      | drug_not_named
        """),
    )


def test_an_infusion_has_an_end_and_a_single_dose_none(check_sql):
    check_sql(
        "clean_omop.administration",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.drug_exposure": """
                drug_exposure_id | drug_concept_id | drug_type_concept_id | drug_exposure_start_datetime | drug_exposure_end_datetime
                -----------------+-----------------+----------------------+------------------------------+---------------------------
                1                | 1               | 32818                | 2021-05-01 09:00:00          | 2021-05-01 10:30:00
                2                | 1               | 32818                | 2021-05-01 09:00:00          | 2021-05-01 09:00:00
            """,
        },
        then="""
            administration_id | started_at          | ended_at
            ------------------+---------------------+--------------------
            omop:1            | 2021-05-01 09:00:00 | 2021-05-01 10:30:00
            omop:2            | 2021-05-01 09:00:00 |
        """,
    )


def test_a_drug_is_named_by_its_concept_and_else_as_the_source_did(check_sql):
    check_sql(
        "clean_omop.prescription",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.drug_exposure": """
                drug_exposure_id | drug_concept_id | drug_source_concept_id | drug_source_value     | route_concept_id | route_source_value
                -----------------+-----------------+------------------------+-----------------------+------------------+-------------------
                1                | 1               | 4                      | 00054465025           | 5                | PO
                2                | 0               | 4                      | 00054465025           | 0                | PO
                3                | 0               | 0                      | OXYCODONE 10 MG TAB   |                  |
                4                | 99              | 0                      | MORPHINE 15 MG TAB    |                  |
            """,
        },
        then="""
            prescription_id | drug_text                                 | ndc         | route_text | excluded_reason
            ----------------+-------------------------------------------+-------------+------------+----------------
            omop:1          | oxycodone hydrochloride 5 MG Oral Tablet  | 00054465025 | Oral       |
            omop:2          | oxycodone hydrochloride 5 MG [Roxicodone] | 00054465025 | PO         |
            omop:3          | OXYCODONE 10 MG TAB                       |             |            |
            omop:4          | MORPHINE 15 MG TAB                        |             |            |
        """,
    )


STRENGTH = """
    drug_concept_id | ingredient_concept_id | amount_value | amount_unit_concept_id | numerator_value | numerator_unit_concept_id | denominator_value | denominator_unit_concept_id
    ----------------+-----------------------+--------------+------------------------+-----------------+---------------------------+-------------------+----------------------------
"""


@pytest.mark.parametrize(
    ("drug", "rows", "strength", "unit"),
    [
        ("1", "1 | 11 | 5 | 21 | | | |", "5", "mg"),
        ("1", "1 | 11 | 5 | 21 | | | |\n1 | 12 | 325 | 21 | | | |", "5", "mg"),  # the partner's is left out
        ("1", "1 | 11 | 5 | 21 | | | |\n1 | 11 | 10 | 21 | | | |", "", ""),  # two over time
        ("1", "1 | 12 | 325 | 21 | | | |", "", ""),
        ("1", "1 | 11 | 0 | 21 | | | |", "", ""),
        ("6", "6 | 13 | | | 1.8 | 21 | 72 | 22", "0.025", "mg/h"),
        ("6", "6 | 13 | | | 0.025 | 21 | | 22", "0.025", "mg/h"),
        ("6", "6 | 13 | | | 0.1 | 21 | | 23", "0.1", "mg/actuat"),
        ("6", "6 | 13 | | | 0.1 | 21 | | 99", "", ""),  # a unit that no concept names
    ],
)
def test_strength_is_the_opioids_per_unit_where_it_is_delivered(check_sql, drug, rows, strength, unit):
    check_sql(
        "clean_omop.prescription",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.drug_strength": STRENGTH + rows,
            "raw_omop.drug_exposure": f"drug_exposure_id | drug_concept_id\n-\n9 | {drug}",
        },
        then=f"prescription_id | strength | strength_unit\n-\nomop:9 | {strength} | {unit}",
    )


def test_an_order_ends_when_the_source_said_and_a_dispensing_and_an_impossible_end_have_none(check_sql):
    check_sql(
        "clean_omop.prescription",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.drug_exposure": """
                drug_exposure_id | drug_concept_id | drug_type_concept_id | drug_exposure_start_date | verbatim_end_date
                -----------------+-----------------+----------------------+--------------------------+------------------
                1                | 1               | 32838                | 2021-01-01               | 2021-01-01
                2                | 1               | 32838                | 2021-01-01               | 2021-06-29
                3                | 1               | 32838                | 2021-01-01               | 2021-06-30
                4                | 1               | 32838                | 2021-01-01               | 2020-12-31
                5                | 1               | 32869                | 2021-01-01               | 2021-01-30
            """,
        },
        then="""
            prescription_id | end_date
            ----------------+-----------
            omop:1          | 2021-01-01
            omop:2          | 2021-06-29
            omop:3          |
            omop:4          |
            omop:5          |
        """,
    )


def test_an_order_is_for_the_visit_in_which_it_was_recorded_and_a_dispensing_for_none(check_sql):
    check_sql(
        "clean_omop.prescription",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.visit_occurrence": """
                visit_occurrence_id | visit_concept_id
                --------------------+-----------------
                1                   | 9201
                2                   | 9202
                3                   | 9203
                4                   | 262
                5                   | 0
            """,
            "raw_omop.drug_exposure": """
                drug_exposure_id | drug_concept_id | drug_type_concept_id | visit_occurrence_id
                -----------------+-----------------+----------------------+--------------------
                1                | 1               | 32838                | 1
                2                | 1               | 32838                | 2
                3                | 1               | 32838                | 3
                4                | 1               | 32838                | 4
                5                | 1               | 32838                | 5
                6                | 1               | 32838                | 9
                7                | 1               | 32838                |
                8                | 1               | 32869                | 1
            """,
        },
        then="""
            prescription_id | record_kind | care_setting
            ----------------+-------------+-------------
            omop:1          | order       | inpatient
            omop:2          | order       | outpatient
            omop:3          | order       |
            omop:4          | order       | inpatient
            omop:5          | order       |
            omop:6          | order       |
            omop:7          | order       |
            omop:8          | dispensing  |
        """,
    )


def test_an_adjuvant_may_be_dispensed_ordered_or_given_and_is_no_opioid_product(check_sql):
    check_sql(
        "clean_omop.adjuvant",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.drug_exposure": """
                drug_exposure_id | drug_concept_id | drug_type_concept_id | days_supply | quantity
                -----------------+-----------------+----------------------+-------------+---------
                1                | 7               | 32869                | 30          | 90
                2                | 7               | 32818                | 371         | 0
                3                | 7               | 32830                |             |
                4                | 2               | 32838                |             |
                5                | 1               | 32838                |             |
                6                | 3               | 32838                |             |
            """,
        },
        then="""
            adjuvant_id | record_kind     | days_supply | quantity | excluded_reason
            ------------+-----------------+-------------+----------+----------------
            omop:1      | dispensing      | 30          | 90       |
            omop:2      | administration  |             |          |
            omop:3      | medication_list |             |          | medication_list
            omop:4      | order           |             |          |
            omop:5      | order           |             |          | opioid_product
            omop:6      | order           |             |          | not_an_adjuvant
        """,
    )


def test_a_kind_of_record_that_is_not_listed_counts_as_an_order_and_is_told():
    with duckdb.connect() as connection:
        draw(
            connection,
            "raw_omop.drug_exposure",
            """
            drug_exposure_id | person_id | drug_exposure_start_date | drug_type_concept_id
            -----------------+-----------+--------------------------+---------------------
            1                | 1         | 2021-01-01               | 32838
            2                | 1         | 2021-01-01               | 32869
            3                | 1         | 2021-01-01               | 32827
            4                | 1         | 2021-01-01               | 0
            5                | 1         | 2021-01-01               |
            """,
        )
        found = checks.check(connection, CONTRACTS["raw_omop.drug_exposure"])
    [kind] = [one for one in found if "drug_record_kind" in one.why]
    assert (kind.severity, kind.status, kind.failing_rows, kind.rows) == ("warning", "failed", 3, 5)


def test_the_check_of_kinds_lists_those_of_the_reference_table():
    [listed] = [one for one in CONTRACTS["raw_omop.drug_exposure"].expectations]
    numbers = set(re.findall(r"\d{3,}", listed.unexpected_rows_query))
    reference = pl.read_csv(paths.SQL / "1_reference" / "drug_record_kind.csv", infer_schema=False)
    assert numbers == set(reference["type_concept_id"])


# Pain


def test_a_score_is_known_by_its_concept_and_else_by_its_loinc_code(check_sql):
    check_sql(
        "clean_omop.pain_score",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.measurement": """
                measurement_id | measurement_concept_id | measurement_source_value | measurement_date | measurement_datetime | value_as_number | value_source_value | value_as_concept_id
                ---------------+------------------------+--------------------------+------------------+----------------------+-----------------+--------------------+--------------------
                1              | 43055141               | PAIN                     | 2021-05-01       | 2021-05-01 09:30:00  | 7               | 7/10               | 0
                2              | 0                      | 72514-3                  | 2021-05-01       |                      | 0               |                    |
                3              | 43055141               | 72514-3                  | 2021-05-01       |                      |                 | asleep             |
                4              | 43055141               | 72514-3                  | 2021-05-01       |                      |                 |                    | 31
                5              | 3025315                | 29463-7                  | 2021-05-01       |                      | 58.6            | 58.6               | 0
            """,
            "raw_omop.observation": """
                observation_id | observation_concept_id | observation_source_value | observation_date | value_as_number | value_as_string
                ---------------+------------------------+--------------------------+------------------+-----------------+----------------
                1              | 46235652               | 75893-8                  | 2021-05-01       | 4               |
                2              | 42869857               | 72102-7                  | 2021-05-01       | 88              |
                3              | 3034263                | 38208-5                  | 2021-05-01       | 5               |
                4              | 0                      | 72514-3                  | 2021-05-01       |                 | uta
            """,
        },
        then="""
            pain_score_id      | scored_at           | instrument | recall  | score | score_text    | setting | excluded_reason
            -------------------+---------------------+------------+---------+-------+---------------+---------+--------------------
            omop:measurement:1 | 2021-05-01 09:30:00 | NRS        | now     | 7     | 7/10          | unknown |
            omop:measurement:2 | 2021-05-01 00:00:00 | NRS        | now     | 0     |               | unknown |
            omop:measurement:3 | 2021-05-01 00:00:00 | NRS        | now     |       | asleep        | unknown |
            omop:measurement:4 | 2021-05-01 00:00:00 | NRS        | now     |       | Moderate pain | unknown |
            omop:measurement:5 | 2021-05-01 00:00:00 |            |         | 58.6  | 58.6          | unknown | not_on_a_pain_scale
            omop:observation:1 | 2021-05-01 00:00:00 | PEG_PAIN   | average | 4     |               | unknown |
            omop:observation:2 | 2021-05-01 00:00:00 | KOOS_PAIN  | unknown | 88    |               | unknown |
            omop:observation:3 | 2021-05-01 00:00:00 |            |         | 5     |               | unknown | not_on_a_pain_scale
            omop:observation:4 | 2021-05-01 00:00:00 | NRS        | now     |       | uta           | unknown |
        """,
    )


def test_beside_a_number_a_unit_and_a_code_of_an_answer_are_no_text(check_sql):
    check_sql(
        "clean_omop.pain_score",
        given={
            "raw_omop.concept": CONCEPT,
            "raw_omop.measurement": """
                measurement_id | measurement_concept_id | value_as_number | value_source_value | value_as_concept_id
                ---------------+------------------------+-----------------+--------------------+--------------------
                1              | 43055141               | 6               | 6 {score}          |
                2              | 43055141               | 0               | LA6752-5           |
                3              | 43055141               | 5               | LA6752-5           | 31
                4              | 43055141               |                 | LA6752-5           |
                5              | 43055141               | 0               | Unable to score    |
                6              | 43055141               | 7               | {score}            |
            """,
        },
        then="""
            pain_score_id      | score | score_text
            -------------------+-------+----------------
            omop:measurement:1 | 6     | 6
            omop:measurement:2 | 0     |
            omop:measurement:3 | 5     | Moderate pain
            omop:measurement:4 |       | LA6752-5
            omop:measurement:5 | 0     | Unable to score
            omop:measurement:6 | 7     |
        """,
    )


@pytest.mark.parametrize(
    ("visit_concept_id", "setting"),
    [
        ("9201", "inpatient"),
        ("262", "inpatient"),
        ("32037", "icu"),
        ("42898160", "inpatient"),
        ("9202", "outpatient"),
        ("9203", "emergency"),
        ("0", "unknown"),
    ],
)
def test_the_visit_tells_the_setting(check_sql, visit_concept_id, setting):
    check_sql(
        "clean_omop.pain_score",
        given={
            "raw_omop.visit_occurrence": f"visit_occurrence_id | visit_concept_id\n-\n5 | {visit_concept_id}",
            "raw_omop.measurement": "measurement_id | measurement_concept_id | visit_occurrence_id\n-\n1 | 43055141 | 5",
        },
        then=f"pain_score_id | setting\n-\nomop:measurement:1 | {setting}",
    )


# Codes

CODES = """
    concept_id | vocabulary_id | concept_code
    -----------+---------------+-------------
    0          | None          | No matching concept
    1          | ICD10CM       | C50.9a
    2          | ICD9CM        | 174.9
    3          | SNOMED        | 254837009
    4          | ICD10CM       | Z51.5
    5          | Read          | B34..
    6          | CPT4          | 27447
    7          | CPT4          | 99213
    8          | CPT4          | 36415
    9          | ICD10PCS      | 0SRC0J9
    10         | ICD10PCS      | 30233N1
    11         | ICD9Proc      | 81.54
    12         | ICD9Proc      | 99.04
    13         | SNOMED        | 609588000
    14         | SNOMED        | 710824005
    15         | HCPCS         | G0463
"""


def test_a_diagnosis_is_in_icd_where_the_source_coded_so_and_else_in_snomed(check_sql):
    check_sql(
        "clean_omop.diagnosis",
        given={
            "raw_omop.concept": CODES,
            "raw_omop.condition_occurrence": """
                condition_occurrence_id | condition_concept_id | condition_source_concept_id | condition_start_date
                ------------------------+----------------------+-----------------------------+---------------------
                1                       | 3                    | 1                           | 2021-05-01
                2                       | 3                    | 2                           | 2021-05-01
                3                       | 3                    | 3                           | 2021-05-01
                4                       | 3                    | 5                           | 2021-05-01
                5                       | 0                    | 5                           | 2021-05-01
                6                       | 3                    |                             | 2021-05-01
            """,
        },
        then="""
            diagnosis_id     | diagnosis_date | code_system | code      | excluded_reason
            -----------------+----------------+-------------+-----------+----------------------
            omop:condition:1 | 2021-05-01     | ICD10CM     | C509A     |
            omop:condition:2 | 2021-05-01     | ICD9CM      | 1749      |
            omop:condition:3 | 2021-05-01     | SNOMED      | 254837009 |
            omop:condition:4 | 2021-05-01     | SNOMED      | 254837009 |
            omop:condition:5 | 2021-05-01     |             |           | code_system_not_known
            omop:condition:6 | 2021-05-01     | SNOMED      | 254837009 |
        """,
    )


def test_an_icd_code_is_a_diagnosis_wherever_its_domain_put_it(check_sql):
    check_sql(
        "clean_omop.diagnosis",
        given={
            "raw_omop.concept": CODES,
            "raw_omop.observation": """
                observation_id | observation_concept_id | observation_source_concept_id
                ---------------+------------------------+------------------------------
                1              | 3                      | 4
                2              | 3                      | 3
            """,
            "raw_omop.procedure_occurrence": """
                procedure_occurrence_id | procedure_concept_id | procedure_source_concept_id
                ------------------------+----------------------+----------------------------
                1                       | 3                    | 4
                2                       | 6                    | 6
            """,
        },
        then="""
            diagnosis_id       | code_system | code | excluded_reason
            -------------------+-------------+------+----------------
            omop:observation:1 | ICD10CM     | Z515 |
            omop:observation:2 |             |      | not_a_diagnosis
            omop:procedure:1   | ICD10CM     | Z515 |
            omop:procedure:2   |             |      | not_a_diagnosis
        """,
    )


@pytest.mark.parametrize(
    ("source", "standard", "system", "code", "reason"),
    [
        (6, 6, "CPT4", "27447", ""),
        (7, 7, "CPT4", "99213", ""),  # an office visit: what a procedure means is for trajectory to say
        (9, 13, "ICD10PCS", "0SRC0J9", ""),
        (10, 0, "ICD10PCS", "30233N1", ""),
        (11, 13, "ICD9PCS", "8154", ""),
        (0, 13, "SNOMED", "609588000", ""),
        (0, 14, "SNOMED", "710824005", ""),
        (15, 0, "HCPCS", "G0463", ""),
        (5, 0, "", "", "code_system_not_known"),
    ],
)
def test_a_procedure_counts_in_the_system_that_its_source_coded_it_in(
    check_sql, source, standard, system, code, reason
):
    check_sql(
        "clean_omop.procedure",
        given={
            "raw_omop.concept": CODES,
            "raw_omop.procedure_occurrence": f"""
                procedure_occurrence_id | procedure_concept_id | procedure_source_concept_id | procedure_date
                ------------------------+----------------------+-----------------------------+---------------
                1                       | {standard}           | {source}                    | 2021-05-01
            """,
        },
        then=f"""
            procedure_id | procedure_date | code_system | code   | excluded_reason
            -------------+----------------+-------------+--------+----------------
            omop:1       | 2021-05-01     | {system}    | {code} | {reason}
        """,
    )


# Visits


def test_a_visit_is_what_its_concept_says_and_its_days_stay_as_delivered(check_sql):
    check_sql(
        "clean_omop.encounter",
        given={
            "raw_omop.visit_occurrence": """
                visit_occurrence_id | person_id | visit_concept_id | visit_start_date | visit_end_date | source_file | source_row
                --------------------+-----------+------------------+------------------+----------------+-------------+-----------
                1                   | 7         | 9201             | 2021-05-01       | 2021-05-09     | v.csv       | 1
                2                   | 7         | 262              | 2021-05-01       |                | v.csv       | 2
                3                   | 7         | 32037            | 2021-05-01       | 2021-05-02     | v.csv       | 3
                4                   | 7         | 9202             | 2021-05-01       | 2021-05-01     | v.csv       | 4
                5                   | 7         | 9203             | 2021-05-02       | 2021-05-01     | v.csv       | 5
                6                   | 7         | 42898160         | 2021-05-01       | 2021-07-01     | v.csv       | 6
                7                   | 7         | 8863             | 2021-05-01       | 2021-07-01     | v.csv       | 7
                8                   | 7         | 8546             | 2021-05-01       | 2021-07-01     | v.csv       | 8
                9                   | 7         | 0                | 2021-05-01       | 2021-05-01     | v.csv       | 9
                10                  | 7         |                  | 2021-05-01       | 2021-05-01     | v.csv       | 10
            """,
        },
        then="""
            encounter_id | patient_id | setting        | start_date | end_date   | source_table     | source_row | excluded_reason
            -------------+------------+----------------+------------+------------+------------------+------------+----------------
            omop:1       | omop:7     | inpatient      | 2021-05-01 | 2021-05-09 | visit_occurrence | 1          |
            omop:2       | omop:7     | inpatient      | 2021-05-01 |            | visit_occurrence | 2          |
            omop:3       | omop:7     | inpatient      | 2021-05-01 | 2021-05-02 | visit_occurrence | 3          |
            omop:4       | omop:7     | outpatient     | 2021-05-01 | 2021-05-01 | visit_occurrence | 4          |
            omop:5       | omop:7     | emergency      | 2021-05-02 | 2021-05-01 | visit_occurrence | 5          |
            omop:6       | omop:7     | long_term_care | 2021-05-01 | 2021-07-01 | visit_occurrence | 6          |
            omop:7       | omop:7     | long_term_care | 2021-05-01 | 2021-07-01 | visit_occurrence | 7          |
            omop:8       | omop:7     | hospice        | 2021-05-01 | 2021-07-01 | visit_occurrence | 8          |
            omop:9       | omop:7     | unknown        | 2021-05-01 | 2021-05-01 | visit_occurrence | 9          |
            omop:10      | omop:7     | unknown        | 2021-05-01 | 2021-05-01 | visit_occurrence | 10         |
        """,
    )
