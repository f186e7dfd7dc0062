"""Attrition: at which requirement each patient leaves."""

from tests.sql.drawing import drawn

TABLE = "report.attrition"

FLAGS = [
    "has_opioid_record",
    "has_known_dose",
    "has_pain_score",
    "has_outpatient_scores",
    "has_long_term_therapy",
    "has_escalation",
    "is_adult",
    "has_look_back",
    "is_in_scope",
    "has_no_long_stay",
    "has_no_unseen_care",
    "is_not_excluded",
    "has_follow_up",
    "is_classifiable",
]


def cohort(*failing: set[int]) -> str:
    """Patients by the numbers of the requirements each fails."""
    rows = [[str(number not in failed).lower() for number in range(1, 15)] for failed in failing]
    lines = "\n".join(" | ".join([str(patient), *row]) for patient, row in enumerate(rows))
    return f"patient_index | {' | '.join(FLAGS)}\n-\n{lines}"


def test_each_requirement_stands_at_its_place(check_sql):
    """One patient fails the first requirement alone, two the second, and so on."""
    check_sql(
        TABLE,
        given={"episode.cohort": cohort(*({number} for number in range(1, 15) for _ in range(number)))},
        then="""
            requirement                                                  | step_number | leaving_patients
            -------------------------------------------------------------+-------------+-----------------
            Opioid prescription or administration                        | 1           | 1
            A daily dose is known                                        | 2           | 2
            A pain score is known                                        | 3           | 3
            Pain scored outside hospital in enough weeks                 | 4           | 4
            Long-term opioid therapy                                     | 5           | 5
            Dose escalation on long-term therapy                         | 6           | 6
            Adult at the index date                                      | 7           | 7
            Look-back observed                                           | 8           | 8
            No cancer, palliative care, sickle cell disease, pregnancy or pump | 9     | 9
            No long stay in hospital in any window                       | 10          | 10
            No long-term care without supply in any window               | 11          | 11
            No medication for opioid use disorder at the index date      | 12          | 12
            On therapy and followed through the response window          | 13          | 13
            Pain scored and dose known in every window                   | 14          | 14
        """,
    )


def test_a_patient_leaves_at_the_first_requirement_but_is_counted_at_each_it_fails(check_sql):
    check_sql(
        TABLE,
        given={"episode.cohort": cohort(set(), {2, 5, 14}, {5}, {1, 2})},
        then="""
            step_number | entering_patients | leaving_patients | remaining_patients | failing_patients
            ------------+-------------------+------------------+--------------------+-----------------
            1           | 4                 | 1                | 3                  | 1
            2           | 3                 | 1                | 2                  | 2
            3           | 2                 | 0                | 2                  | 0
            4           | 2                 | 0                | 2                  | 0
            5           | 2                 | 1                | 1                  | 2
            6           | 1                 | 0                | 1                  | 0
            7           | 1                 | 0                | 1                  | 0
            8           | 1                 | 0                | 1                  | 0
            9           | 1                 | 0                | 1                  | 0
            10          | 1                 | 0                | 1                  | 0
            11          | 1                 | 0                | 1                  | 0
            12          | 1                 | 0                | 1                  | 0
            13          | 1                 | 0                | 1                  | 0
            14          | 1                 | 0                | 1                  | 1
        """,
    )


def test_when_everyone_has_left_the_steps_go_on_with_zero(check_sql):
    check_sql(
        TABLE,
        given={"episode.cohort": cohort({1})},
        then=drawn(
            "step_number | entering_patients\n-\n1 | 1\n" + "\n".join(f"{number} | 0" for number in range(2, 15))
        ),
    )
