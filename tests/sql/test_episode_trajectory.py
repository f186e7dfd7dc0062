"""Dose and pain by month around the index date; the dose of a month is over all its 30 days."""

from tests.conftest import select

GIVEN = {
    "label.tier": """
        episode_id | patient_index | tier
        -----------+---------------+---------
        a          | 1             | possible
        b          | 2             | possible
    """,
    "episode.episode": """
        episode_id | patient_index | index_kind | index_date | follow_up_end_date
        -----------+---------------+------------+------------+-------------------
        a          | 1             | dose_led   | 2021-01-31 | 2021-03-31
        b          | 2             | dose_led   | 2021-01-31 | 2021-03-01
    """,
    "trajectory.dose_period": """
        patient_index | start_date | end_date   | dose_mme
        --------------+------------+------------+---------
        1             | 2021-01-01 | 2021-01-30 | 60
        1             | 2021-01-31 | 2021-02-14 | 120
        2             | 2021-01-31 | 2021-03-01 | 20
    """,
    "trajectory.pain_day": """
        patient_index | score_date | setting    | pain_nrs | is_masked
        --------------+------------+------------+----------+----------
        1             | 2021-02-01 | outpatient | 4        | false
        1             | 2021-02-09 | outpatient | 8        | false
        1             | 2021-02-10 | icu        | 0        | false
        1             | 2021-02-11 | outpatient | 0        | true
    """,
}


def test_a_month_counts_those_observed_to_its_end_and_its_dose_is_over_all_its_days():
    built = select("report.episode_trajectory", given=GIVEN).sql(
        "select month_number, observed_patients, median_mme, scored_patients, mean_nrs "
        "from report.episode_trajectory where month_number between -1 and 1 order by month_number"
    )
    assert built.fetchall() == [
        (-1, 2, 30.0, 0, None),
        (0, 2, 40.0, 1, 6.0),  # weeks of 4 and 8; hospital and masked scores are left out
        (1, 1, 0.0, 0, None),
    ]


def test_a_score_of_an_unknown_setting_counts_where_the_study_says_so():
    given = GIVEN | {
        "trajectory.pain_day": GIVEN["trajectory.pain_day"].replace("| outpatient | 8", "| unknown    | 8")
    }
    for settings, mean_nrs in ((["outpatient"], 4.0), (["outpatient", "unknown"], 6.0)):
        built = select("report.episode_trajectory", given=given, settings={"pain_settings": settings})
        found = built.sql("select mean_nrs from report.episode_trajectory where month_number = 0").fetchall()
        assert found == [(mean_nrs,)]


def test_a_year_on_either_side_is_there_and_no_more():
    followed = GIVEN | {"episode.episode": GIVEN["episode.episode"].replace("2021-03-31", "2029-01-01")}
    built = select("report.episode_trajectory", given=followed).sql(
        "select min(month_number), max(month_number), count(*) from report.episode_trajectory"
    )
    assert built.fetchall() == [(-12, 11, 24)]
