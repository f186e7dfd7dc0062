"""How often episodes are flagged, escalations beside sham dates, in rounded counts."""

TABLE = "report.flag_rate"


def tiers(*found: tuple[str, str, int]) -> str:
    """Episodes of as many patients: kind, tier and how many."""
    said = [(kind, tier) for kind, tier, count in found for _ in range(count)]
    rows = "\n".join(f"{number} | {number} | {kind} | {tier}" for number, (kind, tier) in enumerate(said))
    return f"episode_id | patient_index | index_kind | tier\n-\n{rows}"


def test_flagged_is_possible_or_higher_of_those_that_can_be_judged(check_sql):
    check_sql(
        TABLE,
        given={
            "label.tier": tiers(
                ("dose_led", "possible", 11),
                ("dose_led", "probable", 7),
                ("dose_led", "strong_candidate", 4),
                ("dose_led", "mixed", 11),
                ("dose_led", "insufficient_data", 90),
                ("sham_maintainer", "no_paradox", 22),
            )
        },
        then="""
            index_kind      | judged_episodes | flagged_episodes | probable_episodes
            ----------------+-----------------+------------------+------------------
            dose_led        | 33              | 22               | 11
            sham_maintainer | 22              | 0                | 0
        """,
    )


def test_a_kind_of_few_patients_is_left_out(check_sql):
    check_sql(TABLE, given={"label.tier": tiers(("pain_led", "possible", 10))}, then="index_kind\n-")
