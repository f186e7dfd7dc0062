"""Episodes and patients by tier."""

from tests.sql.drawing import drawn

TABLE = "report.tier_count"


def test_every_tier_is_there_in_its_order_and_nobody_is_zero(check_sql):
    check_sql(
        TABLE,
        given={},
        then=drawn(
            """
            tier                    | tier_number
            ------------------------+------------
            strong_candidate        | 1
            probable                | 2
            possible                | 3
            mixed                   | 4
            alternative_more_likely | 5
            no_paradox              | 6
            insufficient_data       | 7
            """,
            episode_count=0,
            patient_count=0,
            unobserved_patients=0,
            mean_probability="",
        ),
    )


def test_a_patient_counts_once_in_every_tier_of_an_episode(check_sql):
    zero = "\n".join(
        f"{tier} | 0 | 0 | 0 |"
        for tier in ("strong_candidate", "mixed", "alternative_more_likely", "no_paradox", "insufficient_data")
    )
    check_sql(
        TABLE,
        given={
            "label.tier": """
                episode_id | patient_index | tier     | is_dechallenge_not_observed
                -----------+---------------+----------+----------------------------
                a          | 1             | probable | true
                b          | 1             | probable | true
                c          | 1             | possible | false
                d          | 2             | probable | false
                e          | 3             | probable | true
            """,
            "label.score": "episode_id | oih_probability\n-\na | 0.2\nb | 0.4\nd | 0.6",
        },
        then=f"""
            tier     | episode_count | patient_count | unobserved_patients | mean_probability
            ---------+---------------+---------------+---------------------+-----------------
            probable | 4             | 3             | 2                   | 0.4
            possible | 1             | 1             | 0                   |
            {zero}
        """,
    )
