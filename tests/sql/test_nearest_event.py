"""Events that may explain pain: when they count, what is a new one, and when nothing can be said."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.nearest_event"
EPISODE = drawn("episode_id\n-\na", patient_index=1, index_date="D+0", follow_up_days=90)
FEEDS = ("has_diagnoses", "has_procedures", "has_encounters", "has_adjuvants", "has_notes")


def feeds(**missing: bool) -> str:
    return drawn("episode_id\n-\na", **(dict.fromkeys(FEEDS, True) | missing))


@pytest.fixture
def check(check_sql):
    """Expect day and margin of the nearest event of a kind."""

    def check(kind: str, day: object, margin: object, episode: str = EPISODE, **given: str) -> None:
        tables = {"episode.episode": episode, "episode.delivered_feed": feeds()} | {
            name.replace("__", "."): drawing for name, drawing in given.items()
        }
        rows = [f"{name} | {day if name == kind else ''} | {margin if name == kind else ''}" for name in KINDS]
        check_sql(TABLE, given=tables, then="kind | event_day | margin_days\n-\n" + "\n".join(rows))

    return check


KINDS = [
    *("injury", "infection", "flare", "cancer", "emergency_pain_visit", "surgery", "injection", "cyp3a4_inducer"),
    *("cyp2d6_inhibitor", "bariatric_surgery", "rotation", "release_switch", "opioid_withdrawal", "narcotic_bowel"),
    *("medication_overuse_headache", "benzodiazepine", "depression", "ptsd"),
]


def acute(kind: str, *days: str) -> str:
    rows = "\n".join(f"{day} | " for day in days)
    return drawn(f"event_date | previous_date\n-\n{rows}", patient_index=1, kind=kind)


def concepts(*rows: str) -> str:
    return drawn("coded_date | concept\n-\n" + "\n".join(rows), patient_index=1)


def drugs(*rows: str) -> str:
    return drawn("exposure_class | start_date | end_date\n-\n" + "\n".join(rows), patient_index=1, ingredient="any")


@pytest.mark.parametrize(
    ("kind", "date", "day", "margin"),
    [
        ("injury", "D-31", -31, -1),
        ("injury", "D-30", -30, 0),
        ("injury", "D+0", 0, 30),
        ("injury", "D+30", 30, 0),
        ("injury", "D+31", 31, -1),
        ("infection", "D+30", 30, 0),
        ("flare", "D+30", 30, 0),
        ("cancer", "D+30", 30, 0),
        ("surgery", "D-31", -31, -1),
        ("surgery", "D+90", 90, 0),
        ("injection", "D+90", 90, 0),
        # Nothing outside the proximal baseline and the response window is looked at.
        ("injury", "D-90", -90, -60),
        ("injury", "D-91", "", ""),
        ("surgery", "D+91", "", ""),
    ],
)
def test_an_acute_event_counts_around_the_index_date_and_a_procedure_up_to_day_90(check, kind, date, day, margin):
    check(kind, day, margin, trajectory__acute_event=acute(kind, date))


@pytest.mark.parametrize(
    ("kind", "previous", "day"),
    [
        ("injury", "", 0),
        ("injury", "D-90", ""),
        ("injury", "D-91", 0),
        ("infection", "D-1", ""),
        ("surgery", "D-1", 0),
        ("injection", "D-1", 0),
    ],
)
def test_a_code_given_again_within_90_days_is_no_new_event_but_each_procedure_is(check, kind, previous, day):
    margin = "" if day == "" else 30
    event = drawn(f"event_date | previous_date\n-\nD+0 | {previous}", patient_index=1, kind=kind)
    check(kind, day, margin, trajectory__acute_event=event)


@pytest.mark.parametrize(
    ("region", "date", "day"),
    [
        ("low_back", "D+0", 0),
        ("low_back", "D+1", ""),
        ("widespread", "D+0", ""),
        ("overlapping_pain_condition", "D+0", ""),
    ],
)
def test_an_emergency_visit_counts_with_pain_of_one_place_on_its_day(check, region, date, day):
    check(
        "emergency_pain_visit",
        day,
        "" if day == "" else 30,
        trajectory__acute_event=acute("emergency_visit", "D+0"),
        trajectory__pain_region_day=drawn(f"coded_date | region\n-\n{date} | {region}", patient_index=1),
    )


def test_of_several_events_the_one_deepest_inside_counts_and_of_two_the_later(check):
    check("injury", 20, 10, trajectory__acute_event=acute("injury", "D-25", "D+20", "D-60"))
    check("injury", 10, 20, trajectory__acute_event=acute("injury", "D-10", "D+10"))


def test_another_patients_event_is_none(check):
    event = drawn("event_date | kind\n-\nD+0 | injury", patient_index=2)
    check("injury", "", "", trajectory__acute_event=event)


@pytest.mark.parametrize(("first", "day"), [("", 90), ("D-275", ""), ("D-276", 90)])
@pytest.mark.parametrize("kind", ["depression", "ptsd", "medication_overuse_headache"])
def test_a_lasting_condition_is_new_without_a_code_in_the_year_before(check, kind, first, day):
    rows = [f"D+90 | {kind}", *([f"{first} | {kind}"] if first else [])]
    check(kind, day, "" if day == "" else 0, trajectory__concept_day=concepts(*rows))


def test_each_code_of_withdrawal_and_each_bariatric_operation_counts(check):
    check(
        "opioid_withdrawal",
        90,
        0,
        trajectory__concept_day=concepts("D+90 | opioid_withdrawal", "D-200 | opioid_withdrawal"),
    )
    check("opioid_withdrawal", -90, 0, trajectory__concept_day=concepts("D-90 | opioid_withdrawal"))
    check(
        "bariatric_surgery",
        60,
        0,
        trajectory__concept_day=concepts("D+60 | bariatric_surgery", "D-200 | bariatric_surgery"),
    )
    check("bariatric_surgery", 61, -1, trajectory__concept_day=concepts("D+61 | bariatric_surgery"))


@pytest.mark.parametrize(("date", "day"), [("D+5", 5), ("D+6", "")])
def test_a_narcotic_bowel_is_a_bowel_code_and_an_adverse_effect_of_an_opioid_on_one_day(check, date, day):
    check(
        "narcotic_bowel",
        day,
        "" if day == "" else 85,
        trajectory__concept_day=concepts("D+5 | narcotic_bowel_proxy", f"{date} | opioid_adverse_effect"),
    )


@pytest.mark.parametrize(
    ("before", "day"),
    [
        ("D-200 | D-180", ""),
        ("D-200 | D-181", 0),
        # the end of the longest supply counts, not that of the last one to begin
        ("D-300 | D-10\ncyp3a4_inducer | D-290 | D-280", ""),
    ],
)
def test_a_drug_is_new_after_180_days_without_its_class(check, before, day):
    rows = [f"cyp3a4_inducer | {before}", "cyp3a4_inducer | D+0 | D+20"]
    check("cyp3a4_inducer", day, "" if day == "" else 30, trajectory__exposure_period=drugs(*rows))


@pytest.mark.parametrize(
    ("kind", "date", "day", "margin"),
    [
        ("cyp3a4_inducer", "D-31", -31, -1),
        ("cyp3a4_inducer", "D-30", -30, 0),
        ("cyp3a4_inducer", "D+60", 60, 0),
        ("cyp3a4_inducer", "D+61", 61, -1),
        ("benzodiazepine", "D+60", 60, 0),
        ("benzodiazepine", "D+61", 61, -1),
    ],
)
def test_a_drug_counts_from_day_minus_30_to_60(check, kind, date, day, margin):
    check(kind, day, margin, trajectory__exposure_period=drugs(f"{kind} | {date} | {date}"))


@pytest.mark.parametrize(
    ("opioid", "day"),
    [
        ("hydrocodone | D-10 | D+0", 0),
        ("hydrocodone | D-10 | D-1", ""),
        ("hydrocodone | D+1 | D+9", ""),
        ("tramadol | D+0 | D+9", 0),
        ("codeine | D+0 | D+9", 0),
        ("oxycodone | D-10 | D+9", ""),
    ],
)
def test_an_inhibitor_of_cyp2d6_counts_while_an_opioid_that_needs_the_enzyme_is_in_supply(check, opioid, day):
    check(
        "cyp2d6_inhibitor",
        day,
        "" if day == "" else 30,
        trajectory__exposure_period=drugs("cyp2d6_inhibitor | D+0 | D+20"),
        trajectory__record_dose=drawn(
            f"ingredient | start_date | end_date\n-\n{opioid}", patient_index=1, is_in_timeline=True
        ),
    )


def test_changes_of_opioid_and_of_release_count_from_day_minus_30_to_60(check):
    """One of day 61 is known after the response window only: what was there before may come back for 30 days."""
    for event in ("rotation", "release_switch"):
        for date, day, margin in [("D-31", -31, -1), ("D-30", -30, 0), ("D+60", 60, 0), ("D+61", "", "")]:
            switch = drawn(f"event | switch_date\n-\n{event} | {date}", patient_index=1)
            check(event, day, margin, trajectory__opioid_switch=switch)


DIAGNOSES = {"injury", "infection", "flare", "cancer", "opioid_withdrawal", "narcotic_bowel"} | {
    *("medication_overuse_headache", "depression", "ptsd", "emergency_pain_visit")
}
UNREAD = {
    "has_diagnoses": ("no_diagnosis_feed", DIAGNOSES),
    "has_procedures": ("no_procedure_feed", {"surgery", "injection", "bariatric_surgery"}),
    "has_encounters": ("no_encounter_feed", {"emergency_pain_visit"}),
    "has_adjuvants": ("no_adjuvant_feed", {"cyp3a4_inducer", "cyp2d6_inhibitor", "benzodiazepine"}),
    "has_notes": ("", set()),
}


@pytest.mark.parametrize("feed", UNREAD)
def test_without_its_feed_a_kind_is_not_read(check_sql, feed):
    reason, kinds = UNREAD[feed]
    check_sql(
        TABLE,
        given={"episode.episode": EPISODE, "episode.delivered_feed": feeds(**{feed: False})},
        then="kind | unread_reason\n-\n" + "\n".join(f"{kind} | {reason if kind in kinds else ''}" for kind in KINDS),
    )


@pytest.mark.parametrize(
    ("followed", "short"),
    [
        (90, set()),
        (89, {"surgery", "injection"} | DIAGNOSES - {"injury", "infection", "flare", "cancer", "emergency_pain_visit"}),
        (29, set(KINDS)),
        ("", set(KINDS)),
    ],
)
def test_a_kind_is_read_if_the_patient_was_followed_to_its_last_day(check_sql, followed, short):
    check_sql(
        TABLE,
        given={
            "episode.episode": drawn("episode_id\n-\na", patient_index=1, index_date="D+0", follow_up_days=followed),
            "episode.delivered_feed": feeds(),
        },
        then="kind | unread_reason\n-\n"
        + "\n".join(f"{kind} | {'follow_up_too_short' if kind in short else ''}" for kind in KINDS),
    )


def test_an_excluded_episode_has_no_rows(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode": drawn(
                "episode_id\n-\na", patient_index=1, index_date="D+0", excluded_reason="under_age"
            ),
            "episode.delivered_feed": feeds(),
        },
        then="episode_id\n-",
    )
