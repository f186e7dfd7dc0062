"""How often episodes are flagged, escalations beside sham dates, in rounded counts."""

TABLE = "report.flag_rate"


def tiers(*found: tuple[str, str, int], ratio: float = 1.0, by_steps: bool = False, first: int = 0) -> dict[str, str]:
    """Episodes of as many patients: kind, tier and how many."""
    said = [(kind, tier) for kind, tier, count in found for _ in range(count)]
    numbered = list(enumerate(said, start=first))
    rows = "\n".join(f"{number} | {number} | {kind} | {tier} | {by_steps}" for number, (kind, tier) in numbered)
    ratios = "\n".join(f"{number} | {ratio}" for number, _ in numbered)
    return {
        "label.tier": f"episode_id | patient_index | index_kind | tier | is_probable_by_steps\n-\n{rows}",
        "episode.episode_profile": f"episode_id | response_to_distal_ratio\n-\n{ratios}",
    }


def together(one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    return {table: drawing + "\n" + other[table].split("\n-\n")[1] for table, drawing in one.items()}


def test_flagged_is_possible_or_higher_of_those_that_can_be_judged(check_sql):
    check_sql(
        TABLE,
        given=tiers(
            ("dose_led", "possible", 11),
            ("dose_led", "probable", 7),
            ("dose_led", "strong_candidate", 4),
            ("dose_led", "mixed", 11),
            ("dose_led", "insufficient_data", 90),
            ("sham_maintainer", "no_paradox", 22),
        ),
        then="""
            index_kind      | episode_group | judged_episodes | flagged_episodes | probable_episodes
            ----------------+---------------+-----------------+------------------+------------------
            dose_led        | all           | 33              | 22               | 11
            sham_maintainer | all           | 22              | 0                | 0
        """,
    )


def test_a_kind_of_few_patients_is_left_out(check_sql):
    check_sql(TABLE, given=tiers(("pain_led", "possible", 10)), then="index_kind\n-")


def test_escalations_that_rose_as_far_as_lf01_asks_have_a_row_of_their_own(check_sql):
    """Sham dates are all compared as they are: of them nothing is asked."""
    rose = tiers(("dose_led", "possible", 11), ("dose_led", "no_paradox", 11), ("sham_maintainer", "possible", 22))
    rose["episode.episode_profile"] = rose["episode.episode_profile"].replace("1.0", "1.3")
    less = tiers(("dose_led", "no_paradox", 33), ratio=1.299, first=100)
    check_sql(
        TABLE,
        given=together(rose, less),
        then="""
            index_kind      | episode_group | judged_episodes | flagged_episodes
            ----------------+---------------+-----------------+-----------------
            dose_led        | all           | 55              | 11
            dose_led        | dose_met      | 22              | 11
            sham_maintainer | all           | 22              | 22
        """,
    )


def test_the_row_is_left_out_where_all_less_it_would_tell_of_few_patients(check_sql):
    def groups(less: int) -> None:
        given = together(
            tiers(("dose_led", "possible", 22), ratio=1.3), tiers(("dose_led", "no_paradox", less), first=100)
        )
        shown = less == 0 or less >= 11
        check_sql(TABLE, given=given, then="episode_group\n-\nall" + ("\ndose_met" if shown else ""))

    for less in (1, 10, 11):
        groups(less)
    alone = tiers(("dose_led", "possible", 22), ratio=1.3)
    check_sql(TABLE, given=alone, then="episode_group | judged_episodes\n-\nall | 22\ndose_met | 22")


def test_what_is_probable_by_repeated_steps_alone_is_told_apart(check_sql):
    given = together(
        tiers(("dose_led", "probable", 22), by_steps=True),
        tiers(("dose_led", "probable", 11), ("dose_led", "strong_candidate", 11), first=100),
    )
    check_sql(TABLE, given=given, then="probable_episodes | one_step_probable_episodes\n-\n44 | 22")
