"""Candidates by subgroup, rounded so that no count tells of one patient."""

from tests.sql.drawing import drawn

TABLE = "report.subgroup_result"


def tiers(*counts: tuple[str, int]) -> list[str]:
    return [tier for tier, count in counts for _ in range(count)]


def check(check_sql, found: list[str], then: str, change: float = 1.0) -> None:
    """Episodes of a patient each, all of one category."""
    ids = range(len(found))
    given = {
        "label.tier": drawn(
            "episode_id | patient_index | tier\n-\n" + "\n".join(f"{n} | {n} | {found[n]}" for n in ids),
            index_kind="dose_led",
        ),
        "episode.subgroup": drawn("episode_id\n-\n" + "\n".join(map(str, ids)), covariate="sex", category="female"),
        "episode.episode_profile": drawn("episode_id\n-\n" + "\n".join(map(str, ids)), adjusted_change_nrs=change),
    }
    check_sql(TABLE, given=given, then=then)


def test_counts_are_rounded_to_multiples_of_the_smallest_published_count(check_sql):
    found = tiers(
        ("probable", 5), ("strong_candidate", 1), ("possible", 5), ("no_paradox", 9), ("insufficient_data", 16)
    )
    then = """
        covariate | category | patient_count | episode_count | judged_count | flagged_count | possible_count
        -
        sex       | female   | 33            | 33            | 22           | 11            | 0
    """
    check(check_sql, found, then)


def test_a_group_of_fewer_patients_is_left_out(check_sql):
    check(check_sql, tiers(("possible", 10)), "covariate\n-")


def test_a_mean_is_of_enough_patients_that_can_be_judged(check_sql):
    then = "patient_count | mean_adjusted_change_nrs\n-\n{}"
    check(check_sql, tiers(("possible", 11)), then.format("11 | 1"))
    check(check_sql, tiers(("possible", 10), ("insufficient_data", 1)), then.format("11 |"))
