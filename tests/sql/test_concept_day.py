"""What the codes of a patient's days mean."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "trajectory.concept_day"


def diagnoses(*rows: str) -> str:
    return drawn("\n".join(["patient_index | diagnosis_date | code_system | code", "-", *rows]))


def procedures(*rows: str) -> str:
    return drawn("\n".join(["patient_index | procedure_date | code_system | code", "-", *rows]))


def test_a_code_stands_on_its_day_for_every_concept_whose_prefix_it_begins_with(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.diagnosis": diagnoses(
                "1 | D+0 | ICD10CM | M545",
                "1 | D+9 | ICD10CM | M545",
                "1 | D+0 | ICD10CM | E119",  # no concept
                "2 | D+0 | ICD10CM | F1123",
                "2 | D+0 | SNOMED | 278860009",  # a system without a list
            ),
            "clean.procedure": procedures("1 | D+1 | CPT4 | 97110"),
        },
        then=drawn(
            """
            patient_index | coded_date | concept
            --------------+------------+--------------------
            1             | D+0        | low_back_pain
            1             | D+0        | region_low_back
            1             | D+9        | low_back_pain
            1             | D+9        | region_low_back
            2             | D+0        | opioid_use_disorder
            2             | D+0        | opioid_withdrawal
            1             | D+1        | physical_therapy
            """
        ),
    )


def test_the_same_concept_coded_twice_on_a_day_is_one_row(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.diagnosis": diagnoses(
                "1 | D+0 | ICD10CM | F329", "1 | D+0 | ICD10CM | F331", "1 | D+0 | ICD9CM | 311"
            )
        },
        then=drawn("patient_index | coded_date | concept\n-\n1 | D+0 | depression"),
    )


@pytest.mark.parametrize(
    ("code_system", "code", "concepts"),
    [
        ("CPT4", "27447", ["surgery"]),
        ("CPT4", "20610", ["injection"]),  # stands among the operations
        ("CPT4", "62350", ["intrathecal_pump", "surgery"]),
        ("CPT4", "43775", ["bariatric_surgery", "surgery"]),
        ("CPT4", "36415", []),  # venipuncture stands there, too
        ("CPT4", "99213", []),
        ("ICD10PCS", "0SRC0J9", ["surgery"]),
        ("ICD10PCS", "3E0R33Z", ["injection"]),
        ("ICD9PCS", "0391", ["injection"]),
        ("ICD9PCS", "8154", ["surgery"]),
        ("ICD9PCS", "9904", []),
        ("SNOMED", "52734007", ["surgery"]),
        ("SNOMED", "710824005", []),
    ],
)
def test_an_operation_is_surgery_and_an_injection_is_none(check_sql, code_system, code, concepts):
    rows = "\n".join(f"1 | D+0 | {concept}" for concept in concepts)
    check_sql(
        TABLE,
        given={"clean.procedure": procedures(f"1 | D+0 | {code_system} | {code}")},
        then=drawn(f"patient_index | coded_date | concept\n-\n{rows}"),
    )


def test_a_code_means_nothing_in_another_system(check_sql):
    check_sql(
        TABLE,
        given={"clean.diagnosis": diagnoses("1 | D+0 | ICD9CM | M545", "1 | D+0 | ICD10CM | 7242")},
        then=drawn("patient_index | coded_date | concept\n-\n"),
    )


# What excludes an episode, and what is near it but does not.
EXCLUDING = [
    ("ICD10CM", "C50911", "active_cancer"),
    ("ICD10CM", "C439", "active_cancer"),
    ("ICD10CM", "C4491", ""),  # basal cell carcinoma of skin
    ("ICD10CM", "D0512", ""),  # in situ
    ("ICD10CM", "Z853", ""),  # history of cancer
    ("ICD9CM", "1749", "active_cancer"),
    ("ICD9CM", "1739", ""),
    ("ICD10CM", "Z515", "palliative_care"),
    ("ICD10CM", "Z5111", ""),
    ("ICD9CM", "V667", "palliative_care"),
    ("ICD10CM", "D5700", "sickle_cell_disease"),
    ("ICD10CM", "D573", ""),  # the trait
    ("ICD9CM", "28262", "sickle_cell_disease"),
    ("ICD9CM", "2825", ""),  # the trait
    ("ICD10CM", "O80", "pregnancy"),
    ("ICD9CM", "650", "pregnancy"),
    ("ICD10CM", "Z451", "intrathecal_pump"),
    # a prefix counts in its own code system only
    ("ICD9CM", "C50911", ""),
    ("ICD10CM", "1749", ""),
    # and only at the beginning of a code
    ("ICD10CM", "XC50", ""),
    ("ICD10CM", "M545", ""),
]


def test_codes_exclude_by_prefix_within_their_code_system():
    concepts = {concept for *_, concept in EXCLUDING if concept}
    rows = [f"{i} | D+0 | {system} | {code}" for i, (system, code, _) in enumerate(EXCLUDING)]
    found = select(TABLE, given={"clean.diagnosis": diagnoses(*rows)}).sql(
        f"select patient_index, concept from {TABLE}"
    )
    told = {patient: concept for patient, concept in found.fetchall() if concept in concepts}
    assert [told.get(i, "") for i in range(len(EXCLUDING))] == [concept for *_, concept in EXCLUDING]
