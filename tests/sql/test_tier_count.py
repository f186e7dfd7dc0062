"""Episodes and patients by tier."""

from tests.sql.drawing import drawn

TABLE = "report.tier_count"


TIERS = (
    *("strong_candidate", "probable", "possible", "mixed", "alternative_more_likely", "no_paradox"),
    "insufficient_data",
)
KINDS = ("dose_led", "pain_led", "sham_maintainer", "sham_gabapentinoid")


def test_every_tier_of_every_kind_is_there_in_its_order_and_nobody_is_zero(check_sql):
    rows = "\n".join(f"{kind} | {tier} | {number}" for kind in KINDS for number, tier in enumerate(TIERS, start=1))
    check_sql(
        TABLE,
        given={},
        then=drawn(
            f"index_kind | tier | tier_number\n-\n{rows}",
            episode_count=0,
            patient_count=0,
            unobserved_patients=0,
            mean_probability="",
        ),
    )


def test_a_patient_counts_once_in_every_tier_of_an_episode(check_sql):
    seen = [("dose_led", "probable"), ("dose_led", "possible"), ("sham_maintainer", "probable")]
    zero = "\n".join(f"{kind} | {tier} | 0 | 0 | 0 |" for kind in KINDS for tier in TIERS if (kind, tier) not in seen)
    check_sql(
        TABLE,
        given={
            "label.tier": """
                episode_id | patient_index | index_kind      | tier     | is_dechallenge_not_observed
                -----------+---------------+-----------------+----------+----------------------------
                a          | 1             | dose_led        | probable | true
                b          | 1             | dose_led        | probable | true
                c          | 1             | dose_led        | possible | false
                d          | 2             | dose_led        | probable | false
                e          | 3             | dose_led        | probable | true
                f          | 1             | sham_maintainer | probable | true
            """,
            "label.score": "episode_id | oih_probability\n-\na | 0.2\nb | 0.4\nd | 0.6",
        },
        then=f"""
            index_kind      | tier     | episode_count | patient_count | unobserved_patients | mean_probability
            ----------------+----------+---------------+---------------+---------------------+-----------------
            dose_led        | probable | 4             | 3             | 2                   | 0.4
            dose_led        | possible | 1             | 1             | 0                   |
            sham_maintainer | probable | 1             | 1             | 1                   |
            {zero}
        """,
    )
