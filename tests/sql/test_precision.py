"""How small a change can be seen, and how the expected change came about, in rounded counts."""

from tests.sql.drawing import drawn

TABLE = "report.precision"


def episodes(*groups: tuple[str, int], **same: object) -> dict[str, str]:
    """Episodes of a patient each: how the expected change came about (with the slope), and how many."""
    rows = list(enumerate(how for how, count in groups for _ in range(count)))
    usual = {"index_kind": "dose_led", "distal_se_nrs": 1, "response_se_nrs": 1, "adjusted_change_se_nrs": 1} | same
    return {
        "episode.episode_profile": drawn(
            "episode_id | patient_index | expected_by\n-\n"
            + "\n".join(f"{number} | {number} | {how.split()[0]}" for number, how in rows),
            **usual,
        ),
        "episode.expected_change": drawn(
            "episode_id | regression_slope\n-\n" + "\n".join(f"{number} | {how.split()[1]}" for number, how in rows)
        ),
    }


def test_the_expected_change_is_counted_by_where_it_comes_from(check_sql):
    check_sql(
        TABLE,
        given=episodes(("matched_maintainers 0.47", 22), ("regression 0.3", 11), ("regression 0.47", 33)),
        then="""
            index_kind | judged_episodes | matched_episodes | cohort_slope_episodes | fixed_slope_episodes
            -----------+-----------------+------------------+-----------------------+---------------------
            dose_led   | 66              | 22               | 11                    | 33
        """,
    )


def test_the_median_errors_and_what_lies_beyond_them(check_sql):
    """3 scored weeks in R and 9 in B1, at an SD of 1.8: a standard error of 1.2 and a detectable change of 1.97."""
    given = episodes(("regression 0.3", 11), distal_se_nrs=0.6, response_se_nrs=1.0392, adjusted_change_se_nrs=1.2)
    then = """
        median_distal_se_nrs | median_response_se_nrs | median_adjusted_change_se_nrs | median_detectable_change_nrs
        ---------------------+------------------------+----------------------+-----------------------------
        0.6                  | 1.04                   | 1.2                  | 1.97
    """
    check_sql(TABLE, given=given, then=then)


def test_a_kind_of_few_patients_is_left_out_and_counts_are_rounded(check_sql):
    check_sql(TABLE, given=episodes(("regression 0.3", 10)), then="index_kind\n-")
    given = episodes(("regression 0.3", 16), ("matched_maintainers 0.3", 5))
    then = "judged_episodes | matched_episodes | cohort_slope_episodes\n-\n22 | 0 | 11"
    check_sql(TABLE, given=given, then=then)


def test_what_cannot_be_judged_or_is_outside_the_cohort_is_not_counted(check_sql):
    for outside in ({"excluded_reason": "pregnancy"}, {"not_classifiable_reason": "dose_unknown"}):
        check_sql(TABLE, given=episodes(("regression 0.3", 30), **outside), then="index_kind\n-")
