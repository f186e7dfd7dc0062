"""Candidate episodes: which escalations belong together, who is outside the cohort, how long each is followed."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.episode"


def steps(drawing: str, **values: object) -> str:
    """Escalations of patient 1, each to a dose of its own, within one long run of therapy."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "patient_index": 1,
        "mean_before_mme": 30,
        "mean_after_mme": 60,
        "mean_sustained_mme": 60,
        "run_start_date": "D-400",
        "run_end_date": "D+900",
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header and value is not None})


def patient(**values: object) -> str:
    same = {"birth_year": 1960, "observation_start_date": "D-400", "observation_end_date": "D+900"} | values
    return drawn("patient_index\n-\n1", **{name: value for name, value in same.items() if value is not None})


ONE_STEP = steps("increase_date\n-\nD+0")


def test_an_escalation_becomes_an_episode_with_its_doses_and_days(check_sql):
    check_sql(
        TABLE,
        given={"episode.escalation": steps("increase_date\n-\nD+0", dose_ratio=2), "clean.patient": patient()},
        then=drawn(
            """
            episode_id   | index_date | step_count | known_step_count | is_linked | follow_up_end_date
            -------------+------------+------------+------------------+-----------+-------------------
            1-2021-01-04 | D+0        | 1          | 1                | false     | D+900
            """,
            dose_before_mme=30,
            dose_after_mme=60,
            dose_ratio=2,
            prior_therapy_days=400,
            look_back_days=400,
            follow_up_days=900,
            age_years=61,
        ),
    )


def test_an_increase_that_failed_a_requirement_begins_no_episode(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                """
                increase_date | failed_requirement
                --------------+-------------------
                D-20          | rotation
                D+0           |
                D+20          | ratio_too_small
                """
            ),
            "clean.patient": patient(),
        },
        then=drawn("index_date | step_count\n-\nD+0 | 1"),
    )


def test_steps_less_than_90_days_apart_are_one_episode(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                """
                patient_index | increase_date | mean_sustained_mme
                --------------+---------------+-------------------
                1             | D+0           | 60
                1             | D+89          | 90
                2             | D+0           | 60
                2             | D+90          | 90
                """
            ),
        },
        then=drawn(
            """
            patient_index | index_date | step_count
            --------------+------------+-----------
            1             | D+0        | 2
            2             | D+0        | 1
            2             | D+90       | 1
            """
        ),
    )


def test_a_chain_goes_on_from_its_last_step(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                """
                increase_date | mean_sustained_mme
                --------------+-------------------
                D+0           | 60
                D+60          | 90
                D+120         | 130
                """
            ),
            "clean.patient": patient(),
        },
        then=drawn("index_date | step_count\n-\nD+0 | 2"),
    )


def test_steps_count_up_to_day_90(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                """
                patient_index | increase_date | mean_sustained_mme
                --------------+---------------+-------------------
                1             | D+0           | 60
                1             | D+45          | 90
                1             | D+90          | 130
                2             | D+0           | 60
                2             | D+45          | 90
                2             | D+91          | 130
                """
            ),
        },
        then=drawn("patient_index | index_date | step_count\n-\n1 | D+0 | 3\n2 | D+0 | 2"),
    )


def test_a_step_is_known_on_day_90_if_its_60_days_are_over(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                """
                patient_index | increase_date | mean_sustained_mme
                --------------+---------------+-------------------
                1             | D+0           | 60
                1             | D+31          | 90
                2             | D+0           | 60
                2             | D+32          | 90
                """
            ),
        },
        then=drawn(
            """
            patient_index | step_count | known_step_count
            --------------+------------+-----------------
            1             | 2          | 2
            2             | 2          | 1
            """
        ),
    )


def test_a_refill_that_repeats_a_step_is_no_second_step(check_sql):
    """Late and early refills are increases, too; a step is one only if the dose rises by 20 % beyond the last."""
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                """
                patient_index | increase_date | mean_sustained_mme
                --------------+---------------+-------------------
                1             | D+0           | 60
                1             | D+33          | 60
                2             | D+0           | 60
                2             | D+33          | 72
                3             | D+0           | 60
                3             | D+33          | 71.999
                4             | D+0           | 33.7
                4             | D+33          | 40.44
                """
            ),
        },
        then="""
            patient_index | step_count
            --------------+-----------
            1             | 1
            2             | 2
            3             | 1
            4             | 2
        """,
    )


def test_a_refill_that_repeats_a_step_does_not_lengthen_the_chain(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                """
                increase_date | mean_sustained_mme
                --------------+-------------------
                D+0           | 60
                D+56          | 60
                D+100         | 90
                """
            ),
            "clean.patient": patient(),
        },
        then=drawn("index_date | step_count\n-\nD+0 | 1\nD+100 | 1"),
    )


def test_after_90_days_a_step_is_one_at_any_dose(check_sql):
    """The old mean is then from after the last step: a rise over it is a rise."""
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                "increase_date | mean_sustained_mme\n-\nD+0 | 60\nD+90 | 50",
            ),
        },
        then=drawn("index_date\n-\nD+0\nD+90"),
    )


@pytest.mark.parametrize(("days", "is_linked"), [(179, "true"), (180, "false")])
def test_an_episode_within_180_days_of_the_last_step_is_linked_to_it(check_sql, days, is_linked):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps(
                f"""
                increase_date | mean_sustained_mme
                --------------+-------------------
                D+0           | 60
                D+60          | 90
                D+{60 + days} | 130
                """
            ),
        },
        then=drawn(f"index_date | is_linked\n-\nD+0 | false\nD+{60 + days} | {is_linked}"),
    )


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"observation_start_date": "D-365"}, ""),
        ({"observation_start_date": "D-364"}, "short_look_back"),
        ({"observation_start_date": None}, "short_look_back"),
        ({"birth_year": 2003}, ""),
        ({"birth_year": 2004}, "under_age"),
        ({"birth_year": None}, "age_unknown"),
        ({"birth_year": 2004, "observation_start_date": "D-364"}, "under_age"),
    ],
)
def test_adults_with_365_days_of_look_back_are_inside_the_cohort(check_sql, known, reason):
    check_sql(
        TABLE,
        given={"episode.escalation": ONE_STEP, "clean.patient": patient(**known)},
        then=f"patient_index | excluded_reason\n-\n1 | {reason}",
    )


def test_a_patient_that_is_not_among_the_patients_keeps_the_episode(check_sql):
    check_sql(
        TABLE,
        given={"episode.escalation": ONE_STEP},
        then="patient_index | excluded_reason | follow_up_days\n-\n1 | age_unknown |",
    )


@pytest.mark.parametrize(
    ("date", "reason"), [("D-366", ""), ("D-365", "active_cancer"), ("D-1", "active_cancer"), ("D+0", "")]
)
def test_a_code_excludes_from_the_first_to_the_last_day_of_the_look_back(check_sql, date, reason):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.concept_day": drawn(f"coded_date\n-\n{date}", patient_index=1, concept="active_cancer"),
        },
        then=f"patient_index | excluded_reason\n-\n1 | {reason}",
    )


@pytest.mark.parametrize(
    ("concept", "reason"),
    [
        ("palliative_care", "palliative_care"),
        ("sickle_cell_disease", "sickle_cell_disease"),
        ("pregnancy", "pregnancy"),
        ("intrathecal_pump", "intrathecal_pump"),
        ("surgery", ""),
        ("low_back_pain", ""),
    ],
)
def test_a_few_concepts_exclude(check_sql, concept, reason):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.concept_day": drawn(f"concept\n-\n{concept}", patient_index=1, coded_date="D-10"),
        },
        then=f"patient_index | excluded_reason\n-\n1 | {reason}",
    )


def test_many_excluding_codes_are_one_episode_with_one_reason(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.concept_day": drawn(
                "coded_date | concept\n-\nD-10 | palliative_care\nD-10 | active_cancer\nD-9 | active_cancer\nD-8 | pregnancy",
                patient_index=1,
            ),
        },
        then="patient_index | excluded_reason\n-\n1 | active_cancer",
    )


def test_another_patients_code_excludes_nobody(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.concept_day": drawn("concept\n-\nactive_cancer", patient_index=2, coded_date="D-10"),
        },
        then="patient_index | excluded_reason\n-\n1 |",
    )


@pytest.mark.parametrize(
    ("encounter", "reason"),
    [
        ("hospice | D-400 | D-366", ""),
        ("hospice | D-400 | D-365", "palliative_care"),
        ("hospice | D-365 |", "palliative_care"),
        ("hospice | D-366 |", ""),
        ("hospice | D-1 | D+30", "palliative_care"),
        ("hospice | D+0 | D+30", ""),
        ("long_term_care | D-10 | D-1", ""),
    ],
)
def test_hospice_in_the_look_back_excludes_as_its_codes_do(check_sql, encounter, reason):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "clean.encounter": drawn(f"setting | start_date | end_date\n-\n{encounter}", patient_index=1),
        },
        then=f"patient_index | excluded_reason\n-\n1 | {reason}",
    )


@pytest.mark.parametrize(
    ("stay", "reason"),
    [
        ("D-20 | D-14", ""),
        ("D-20 | D-13", "long_inpatient_stay"),
        ("D-380 | D-366", ""),
        ("D-379 | D-365", "long_inpatient_stay"),
        # on day 90 nobody knows how long a stay will last
        ("D+83 | D+90", "long_inpatient_stay"),
        ("D+83 | D+99", "long_inpatient_stay"),
        ("D+84 | D+99", ""),
        ("D+91 | D+99", ""),
    ],
)
def test_a_stay_of_more_than_7_days_in_any_window_excludes(check_sql, stay, reason):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.inpatient_stay": drawn(
                f"start_date | end_date\n-\n{stay}", patient_index=1, setting="inpatient"
            ),
        },
        then=f"patient_index | excluded_reason\n-\n1 | {reason}",
    )


UNSEEN = "long_term_care_without_supply"


@pytest.mark.parametrize(
    ("stay", "supply", "reason"),
    [
        ("D-20 | D-14 | 7", "D-400 | D-21", ""),
        ("D-20 | D-13 | 8", "D-400 | D-21", UNSEEN),
        ("D-20 | D-13 | 8", "D-400 | D-20", ""),
        ("D-20 | D-13 | 8", "D-13 | D+90", ""),
        ("D-20 | D-13 | 8", "D-12 | D+90", UNSEEN),
        ("D-20 | D-13 | 8", "", UNSEEN),
        # only the days that the windows reach count, for the stay and for supply in it
        ("D-400 | D-359 | 42", "", ""),
        ("D-400 | D-358 | 43", "", UNSEEN),
        ("D-400 | D-358 | 43", "D-400 | D-366", UNSEEN),
        ("D-400 | D-358 | 43", "D-400 | D-365", ""),
        ("D+83 | D+200 | 118", "", UNSEEN),
        ("D+84 | D+200 | 117", "", ""),
        ("D+83 | D+200 | 118", "D+91 | D+200", UNSEEN),
        ("D+83 | D+200 | 118", "D+90 | D+200", ""),
    ],
)
def test_more_than_7_days_of_long_term_care_without_a_day_of_supply_in_them_exclude(check_sql, stay, supply, reason):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.inpatient_stay": drawn(
                f"start_date | end_date | stay_days\n-\n{stay}", patient_index=1, setting="long_term_care"
            ),
            "trajectory.dose_period": drawn(f"start_date | end_date\n-\n{supply}", patient_index=1, dose_mme=30),
        },
        then=f"patient_index | excluded_reason\n-\n1 | {reason}",
    )


def test_of_two_stays_in_long_term_care_one_without_supply_excludes(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.inpatient_stay": drawn(
                "start_date | end_date | stay_days\n-\nD-100 | D-80 | 21\nD-60 | D-40 | 21",
                patient_index=1,
                setting="long_term_care",
            ),
            "trajectory.dose_period": drawn(
                "patient_index | start_date | end_date\n-\n1 | D-90 | D-80\n2 | D-90 | D+90", dose_mme=30
            ),
        },
        then=f"patient_index | excluded_reason\n-\n1 | {UNSEEN}",
    )


@pytest.mark.parametrize(
    ("supply", "reason"),
    [
        ("D-60 | D-31 | oud_treatment", ""),
        ("D-60 | D-30 | oud_treatment", "opioid_use_disorder_medication"),
        ("D+0 | D+27 | oud_treatment", "opioid_use_disorder_medication"),
        ("D+1 | D+28 | oud_treatment", ""),
        ("D-10 | D+17 | pain", ""),
        ("D-10 | D+17 |", ""),
    ],
)
def test_medication_for_opioid_use_disorder_at_the_index_date_excludes(check_sql, supply, reason):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.record_amount": drawn(f"start_date | end_date | product_use\n-\n{supply}", patient_index=1),
        },
        then=f"patient_index | excluded_reason\n-\n1 | {reason}",
    )


def test_what_excludes_has_an_order(check_sql):
    """A code comes before a long stay, that before unseen long-term care, that before medication for opioid use disorder."""
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps("patient_index\n-\n1\n2\n3\n4", increase_date="D+0"),
            "clean.patient": drawn("patient_index\n-\n1\n2\n3\n4", birth_year=1960, observation_start_date="D-400"),
            "trajectory.concept_day": drawn("patient_index\n-\n1", concept="active_cancer", coded_date="D-10"),
            "trajectory.inpatient_stay": drawn(
                "patient_index | setting\n-\n1 | inpatient\n2 | inpatient\n1 | long_term_care\n2 | long_term_care\n"
                "3 | long_term_care",
                start_date="D-20",
                end_date="D-10",
                stay_days=11,
            ),
            "trajectory.record_amount": drawn(
                "patient_index\n-\n1\n2\n3\n4", start_date="D-20", end_date="D-1", product_use="oud_treatment"
            ),
        },
        then="""
            patient_index | excluded_reason
            --------------+-------------------------------
            1             | active_cancer
            2             | long_inpatient_stay
            3             | long_term_care_without_supply
            4             | opioid_use_disorder_medication
        """,
    )


def test_each_episode_of_a_patient_has_a_look_back_of_its_own(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps("increase_date\n-\nD+0\nD+300"),
            "clean.patient": patient(),
            "trajectory.concept_day": drawn("concept\n-\nactive_cancer", patient_index=1, coded_date="D+100"),
        },
        then=drawn("index_date | excluded_reason\n-\nD+0 |\nD+300 | active_cancer"),
    )


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ({"observation_end_date": "D+89"}, "D+89"),
        ({"observation_end_date": "D+500", "death_date": "D+80"}, "D+80"),
        ({"observation_end_date": "D+80", "death_date": "D+500"}, "D+80"),
        ({"observation_end_date": None, "death_date": "D+80"}, "D+80"),
        ({"observation_end_date": None}, ""),
    ],
)
def test_follow_up_ends_with_observation_or_death(check_sql, known, end):
    days = end.removeprefix("D+")
    check_sql(
        TABLE,
        given={"episode.escalation": ONE_STEP, "clean.patient": patient(**known)},
        then=drawn(f"patient_index | follow_up_end_date | follow_up_days\n-\n1 | {end} | {days}"),
    )


@pytest.mark.parametrize(("supplied_to", "end"), [("D+600", "D+600"), ("D+950", "D+900"), ("", "D+900")])
def test_follow_up_ends_where_the_delivered_supply_ends(check_sql, supplied_to, end):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.follow_up": drawn(f"patient_index | last_date\n-\n1 | {supplied_to}"),
        },
        then=drawn(f"patient_index | follow_up_end_date\n-\n1 | {end}"),
    )


@pytest.mark.parametrize(
    ("coded", "end"),
    [
        (["D-400 | active_cancer"], "D+900"),
        (["D+0 | active_cancer"], "D+0"),
        (["D+200 | palliative_care", "D+300 | active_cancer"], "D+200"),
        (["D+200 | sickle_cell_disease", "D+200 | pregnancy"], "D+900"),
        (["D+200 | surgery"], "D+900"),
        (["D+200 | surgery", "D+300 | surgery", "D+400 | surgery"], "D+300"),
        (["D+91 | surgery", "D+92 | surgery"], "D+92"),
        (["D+90 | surgery", "D+92 | surgery"], "D+900"),  # one within R masks scores, and is not repeated in C
    ],
)
def test_cancer_palliative_care_and_a_second_operation_after_r_end_the_follow_up(check_sql, coded, end):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "trajectory.concept_day": drawn("\n".join(["coded_date | concept", "-", *coded]), patient_index=1),
        },
        then=drawn(f"patient_index | follow_up_end_date\n-\n1 | {end}"),
    )


@pytest.mark.parametrize(("day", "end"), [("D-1", "D+900"), ("D+0", "D+0"), ("D+100", "D+100")])
def test_hospice_after_the_index_date_ends_the_follow_up(check_sql, day, end):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "clean.patient": patient(),
            "clean.encounter": drawn(f"start_date\n-\n{day}", patient_index=1, setting="hospice"),
        },
        then=drawn(f"patient_index | follow_up_end_date\n-\n1 | {end}"),
    )


def period(drawing: str) -> str:
    return drawn(drawing, patient_index=1)


@pytest.mark.parametrize(
    ("periods", "is_reversed"),
    [
        ("D+0 | D+27 | 60\nD+28 | D+200 | 30", "true"),
        ("D+0 | D+28 | 60\nD+29 | D+200 | 30", "false"),
        ("D+0 | D+27 | 60\nD+28 | D+200 | 33", "true"),
        ("D+0 | D+27 | 60\nD+28 | D+200 | 33.001", "false"),
        # a late refill on day 28 is a gap, not a reversal
        ("D+0 | D+25 | 60\nD+30 | D+200 | 60", "false"),
        # taken back and raised again
        ("D+0 | D+9 | 60\nD+10 | D+19 | 30\nD+20 | D+200 | 60", "false"),
    ],
)
def test_a_rise_is_reversed_if_day_28_is_back_within_110_percent(check_sql, periods, is_reversed):
    check_sql(
        TABLE,
        given={
            "episode.escalation": ONE_STEP,
            "trajectory.dose_period": period(f"start_date | end_date | dose_mme\n-\n{periods}"),
        },
        then=f"patient_index | is_reversed\n-\n1 | {is_reversed}",
    )


@pytest.mark.parametrize(("day", "is_reversed"), [("D+27", "true"), ("D+28", "false")])
def test_a_rise_is_reversed_if_therapy_ends_before_day_28(check_sql, day, is_reversed):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps("increase_date\n-\nD+0", run_end_date=day),
            "trajectory.dose_period": period(f"start_date | end_date | dose_mme\n-\nD+0 | {day} | 60"),
        },
        then=f"patient_index | is_reversed\n-\n1 | {is_reversed}",
    )


@pytest.mark.parametrize(
    ("periods", "is_linked"),
    [
        ("D+0 | D+119 | 60\nD+120 | D+299 | 30", "false"),  # 180 days at the old dose
        ("D+0 | D+120 | 60\nD+121 | D+299 | 30", "true"),
        ("D+0 | D+119 | 60\nD+120 | D+299 | 33", "false"),  # 110 % of it
        ("D+0 | D+119 | 60\nD+120 | D+299 | 33.1", "true"),
        ("D+0 | D+119 | 60\nD+120 | D+200 | 30\nD+201 | D+210 | 60\nD+211 | D+299 | 30", "true"),
        ("D+0 | D+119 | 60", "false"),  # days without supply are of no dose
    ],
)
def test_an_episode_is_linked_until_therapy_was_back_at_its_dose_for_180_days(check_sql, periods, is_linked):
    since = "D+0" if is_linked == "true" else "D+300"
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps("increase_date | mean_sustained_mme\n-\nD+0 | 60\nD+300 | 60"),
            "trajectory.dose_period": drawn(f"start_date | end_date | dose_mme\n-\n{periods}", patient_index=1),
        },
        then=drawn(f"index_date | is_linked | linked_since_date\n-\nD+0 | false | D+0\nD+300 | {is_linked} | {since}"),
    )


@pytest.mark.parametrize(
    ("periods", "is_linked"),
    [
        ("D-200 | D+500 | 33", "false"),
        ("D-200 | D+500 | 33.1", "true"),
        ("D-200 | D+119 | 60\nD+120 | D+500 | 30", "false"),
        ("D-200 | D+120 | 60\nD+121 | D+500 | 30", "true"),
        ("D-200 | D+298 | 30\nD+299 | D+500 | 60", "true"),
        ("D-200 | D+299 | 30\nD+300 | D+500 | 60", "false"),  # raised from the date on, not before it
    ],
)
def test_a_run_of_one_dose_around_a_sham_date_links_it_if_the_dose_is_raised(check_sql, periods, is_linked):
    check_sql(
        TABLE,
        given={
            "episode.stable_index": steps(
                "index_kind | index_date\n-\nsham_gabapentinoid | D+0\nsham_gabapentinoid | D+300",
                mean_before_mme=30,
                mean_sustained_mme=None,
            ),
            "trajectory.dose_period": drawn(f"start_date | end_date | dose_mme\n-\n{periods}", patient_index=1),
        },
        then=drawn(f"index_date | is_linked\n-\nD+0 | false\nD+300 | {is_linked}"),
    )


def test_kinds_of_index_dates_keep_apart(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.escalation": steps("increase_date\n-\nD+0"),
            "episode.stable_index": steps(
                """
                index_kind         | index_date | failed_requirement
                -------------------+------------+-------------------
                pain_led           | D+10       |
                pain_led           | D+40       |
                pain_led           | D+90       | dose_not_stable
                sham_gabapentinoid | D+20       |
                sham_maintainer    | D+30       |
                sham_maintainer    | D+60       |
                """,
                mean_sustained_mme=None,
            ),
        },
        then=drawn(
            """
            episode_id                      | index_kind         | index_date | is_linked | is_reversed
            --------------------------------+--------------------+------------+-----------+------------
            1-2021-01-04                    | dose_led           | D+0        | false     | true
            1-2021-01-14-pain_led           | pain_led           | D+10       | false     | false
            1-2021-01-24-sham_gabapentinoid | sham_gabapentinoid | D+20       | false     | false
            1-2021-02-03-sham_maintainer    | sham_maintainer    | D+30       | false     | false
            1-2021-03-05-sham_maintainer    | sham_maintainer    | D+60       | false     | false
            """
        ),
    )
