"""Which measured change of the dose is an event under which definition, and what else happened to therapy."""

import pytest

from tests.conftest import select
from tests.sql import history
from tests.sql.drawing import INDEX_DATE, drawn

TABLE = "trajectory.opioid_event"

MEASURED = {
    "patient_index": 1,
    "change_date": "D+0",
    "before_start_date": "D-90",
    "before_coverage": 1,
    "before_lower_bound_days": 0,
    "after_start_date": "D+0",
    "after_end_date": "D+59",
    "after_coverage": 1,
    "after_lower_bound_days": 0,
}
RULES = {
    "escalation hayes_2020": "100 | 130 | 130 | false",
    "escalation morasco_2020": "100 | 130 | 130 | true",
    "escalation henry_2015": "100 | 130 | 130 | false",
    "escalation default": "100 | 130 | 130 | false",
    "taper fenton_2019": "100 | 60 |  | true",
    "taper default": "100 | 60 |  | false",
    "abrupt_cut default": "100 | 60 |  | false",
}


def change(rule: str, doses: str | None = None, **values: object) -> str:
    """One measured change; its doses are before, after, sustained, and whether the window before was stable."""
    event, definition = rule.split()
    header = "event | definition | before_mme | after_mme | sustained_mme | is_stable"
    return drawn(f"{header}\n-\n{event} | {definition} | {doses or RULES[rule]}", **(MEASURED | values))


@pytest.fixture
def check_event():
    """Expect that a measured change is an event, or none; a switch beside it is another event."""

    def check(measured: str, is_event: bool, switch: str = "", **settings: float):
        given = {"trajectory.dose_change": measured, "trajectory.opioid_switch": switch}
        found = select(TABLE, given=given, settings=settings).sql(
            f"select event_date from {TABLE} where before_mme is not null"
        )
        assert found.fetchall() == ([(INDEX_DATE,)] if is_event else [])

    return check


@pytest.mark.parametrize("rule", RULES)
def test_a_change_that_is_large_enough_is_an_event(check_sql, rule):
    event, definition = rule.split()
    before, after, *_ = RULES[rule].split("|")
    check_sql(
        TABLE,
        given={"trajectory.dose_change": change(rule)},
        then=drawn(
            f"""
            event   | definition   | event_date | end_date | before_mme | after_mme | ingredient_before
            --------+--------------+------------+----------+------------+-----------+------------------
            {event} | {definition} | D+0        | D+59     | {before}   | {after}   |
            """,
            patient_index=1,
        ),
    )


@pytest.mark.parametrize(
    ("rule", "doses", "is_event"),
    [
        # more than 20 %
        ("escalation hayes_2020", "100 | 120.001 | 0 | false", True),
        ("escalation hayes_2020", "100 | 120 | 0 | false", False),
        # 1.2 in decimals, not quite in binary
        ("escalation hayes_2020", "33.7 | 40.44 | 0 | false", False),
        # at least 15 % over a stable baseline
        ("escalation morasco_2020", "100 | 115 | 0 | true", True),
        ("escalation morasco_2020", "100 | 114.999 | 0 | true", False),
        ("escalation morasco_2020", "100 | 115 | 0 | false", False),
        # at least 30 MME
        ("escalation henry_2015", "300 | 330 | 0 | false", True),
        ("escalation henry_2015", "300 | 329.999 | 0 | false", False),
        ("escalation henry_2015", "10.1 | 40.1 | 0 | false", True),
        # at least 20 % and 5 MME, at once and for 28 days
        ("escalation default", "100 | 120 | 120 | false", True),
        ("escalation default", "100 | 119.999 | 130 | false", False),
        ("escalation default", "100 | 130 | 119.999 | false", False),
        ("escalation default", "20 | 25 | 25 | false", True),
        ("escalation default", "20 | 24.999 | 25 | false", False),
        # at least 15 % less than 12 stable months at 50 MME
        ("taper fenton_2019", "50 | 42.5 | | true", True),
        ("taper fenton_2019", "50 | 42.501 | | true", False),
        ("taper fenton_2019", "49.999 | 10 | | true", False),
        ("taper fenton_2019", "100 | 10 | | false", False),
        # at least 15 % less
        ("taper default", "10 | 8.5 | | false", True),
        ("taper default", "10 | 8.501 | | false", False),
        ("taper default", "10 | 0 | | false", True),
        # more than 30 % less
        ("abrupt_cut default", "100 | 69.999 | | false", True),
        ("abrupt_cut default", "100 | 70 | | false", False),
        ("abrupt_cut default", "10 | 7 | | false", False),
    ],
)
def test_each_definition_has_its_limit(check_event, rule, doses, is_event):
    check_event(change(rule, doses), is_event)


@pytest.mark.parametrize("rule", RULES)
def test_a_window_before_with_one_day_of_unknown_dose_makes_no_event(check_event, rule):
    check_event(change(rule, before_lower_bound_days=1), False)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.startswith("escalation")])
def test_a_rise_with_one_day_of_unknown_dose_after_it_is_no_event(check_event, rule):
    check_event(change(rule, after_lower_bound_days=1), False)


def test_a_fall_in_a_known_window_is_one_whatever_is_unknown_in_another(check_event):
    check_event(change("taper default", after_lower_bound_days=1), True)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("coverage", "is_event"), [(0.8, True), (0.7999, False)])
def test_80_percent_of_the_days_before_are_covered(check_event, rule, coverage, is_event):
    check_event(change(rule, before_coverage=coverage), is_event)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("coverage", [0.8, 0.7999])
def test_after_a_rise_80_percent_of_the_days_are_covered_and_after_a_fall_any_number(check_event, rule, coverage):
    check_event(change(rule, after_coverage=coverage), coverage == 0.8 or not rule.startswith("escalation"))


def test_a_fall_without_a_window_after_it_that_is_known_and_followed_up_is_no_event(check_event):
    check_event(change("taper default", "100 | | | false"), False)


@pytest.mark.parametrize(
    ("rule", "day", "is_event"),
    [
        # an episode's rise is explained by a rotation on its day
        ("escalation default", "D+0", False),
        ("escalation default", "D-1", True),
        ("escalation default", "D+1", True),
        # a published one by any in its windows
        *[
            (f"escalation {definition}", day, is_event)
            for definition in ("hayes_2020", "morasco_2020", "henry_2015")
            for day, is_event in [("D-91", True), ("D-90", False), ("D+59", False), ("D+60", True)]
        ],
        # a fall by one from 30 days before it, for what was left over
        *[
            (rule, day, is_event)
            for rule in ("taper fenton_2019", "taper default", "abrupt_cut default")
            for day, is_event in [("D-31", True), ("D-30", False), ("D+59", False), ("D+60", True)]
        ],
    ],
)
def test_a_rotation_explains_a_change_of_the_dose_on_its_day_or_in_the_windows_of_a_published_definition(
    check_event, rule, day, is_event
):
    switch = drawn(f"switch_date\n-\n{day}", patient_index=1, event="rotation")
    check_event(change(rule), is_event, switch)


@pytest.mark.parametrize("other", [{"event": "release_switch"}, {"patient_index": 2}])
def test_another_release_or_patient_explains_nothing(check_event, other):
    switch = drawn("switch_date\n-\nD+0", **({"patient_index": 1, "event": "rotation"} | other))
    check_event(change("escalation default"), True, switch)


def test_the_default_escalation_is_that_of_an_episode_whatever_therapy_it_is_in():
    derived = history.derived(history.histories(seed=1, patients=30))
    events = derived.sql(
        f"select patient_index, event_date from {TABLE} where event = 'escalation' and definition = 'default'"
    )
    rises = derived.sql(
        """
        select patient_index, increase_date from episode.escalation
        where failed_requirement is null or failed_requirement in ('acute_course', 'not_long_term')
        """
    )
    assert sorted(events.fetchall()) == sorted(rises.fetchall()) != []


# The end of supply


@pytest.fixture
def check_ends(check_sql):
    """Expect the definitions under which supply ended, given the days of supply."""

    def check(period: str, *definitions: str, last_date: str = "D+900", record: str = "", **settings: int):
        check_sql(
            TABLE,
            given={
                "trajectory.dose_period": drawn(period, patient_index=1),
                "trajectory.follow_up": drawn(f"patient_index | last_date\n-\n1 | {last_date}"),
                "trajectory.record_dose": record,
            },
            settings=settings,
            then="definition\n-\n" + "\n".join(definitions),
        )

    return check


def test_supply_that_ends_for_good_and_supply_that_comes_back(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.dose_period": drawn(
                """
                start_date | end_date | dose_mme | is_lower_bound
                -----------+----------+----------+---------------
                D-60       | D-31     | 90       | false
                D-30       | D-1      | 45       | false
                D+120      | D+149    | 30       | true
                """,
                patient_index=1,
            ),
            "trajectory.follow_up": drawn("last_date\n-\nD+239", patient_index=1),
        },
        then=drawn(
            """
            definition | event_date | end_date | before_mme | after_mme
            -----------+------------+----------+------------+----------
            default    | D+0        | D+119    | 45         | 0
            gap_60     | D+0        | D+119    | 45         | 0
            gap_30     | D+0        | D+119    | 45         | 0
            default    | D+150      |          |            | 0
            gap_60     | D+150      |          |            | 0
            gap_30     | D+150      |          |            | 0
            """,
            patient_index=1,
            event="discontinuation",
        ),
    )


@pytest.mark.parametrize(
    ("refill", "definitions"),
    [
        ("D+29", []),
        ("D+30", ["gap_30"]),
        ("D+59", ["gap_30"]),
        ("D+60", ["gap_30", "gap_60"]),
        ("D+89", ["gap_30", "gap_60"]),
        ("D+90", ["gap_30", "gap_60", "default"]),
    ],
)
def test_the_gap_is_as_long_as_its_definition_says(check_ends, refill, definitions):
    check_ends(f"start_date | end_date\n-\nD-60 | D-1\n{refill} | D+899", *definitions)


@pytest.mark.parametrize(
    ("last_date", "definitions"),
    [("D+89", ["default", "gap_30", "gap_60"]), ("D+88", ["gap_30", "gap_60"]), ("D+28", []), ("", [])],
)
def test_nobody_stops_in_the_last_days_of_follow_up(check_ends, last_date, definitions):
    check_ends("start_date | end_date\n-\nD-60 | D-1", *definitions, last_date=last_date)


@pytest.mark.parametrize(
    ("unknown", "is_end"),
    [
        ("dispensing | D-1 | | true |", False),
        # a supply of unknown length may still last
        ("dispensing | D-91 | | true |", False),
        ("dispensing | D-92 | | true |", True),
        ("order | D+5 | | false | order_without_days_supply", False),
        ("order | D+5 | | false | order_not_exposure", True),
        ("dispensing | D-60 | 60 | true |", True),
        ("administration | D-1 | | true |", True),
    ],
)
def test_supply_of_unknown_length_may_not_have_ended(check_ends, unknown, is_end):
    record = drawn(
        f"record_kind | start_date | days_supply | is_in_timeline | reason\n-\n{unknown}",
        patient_index=1,
    )
    settings = {"discontinuation_shortest_days": 88, "discontinuation_shorter_days": 89}
    definitions = ["default", "gap_88", "gap_89"] if is_end else []
    if unknown.startswith("dispensing | D-91"):
        definitions = ["gap_88", "gap_89"]
    check_ends("start_date | end_date\n-\nD-60 | D-1", *definitions, record=record, **settings)


# What was swapped, and tolerance


def test_changes_of_opioid_and_of_release_are_events_without_a_dose(check_sql):
    swapped = """
        event          | switch_date | ingredient_before | ingredient_after | release_before | release_after
        ---------------+-------------+-------------------+------------------+----------------+--------------
        rotation       | D+0         | oxycodone         | methadone        |                |
        release_switch | D+9         | morphine          | morphine         | not extended   | extended
        """
    check_sql(
        TABLE,
        given={"trajectory.opioid_switch": drawn(swapped, patient_index=1)},
        then=drawn(
            swapped.replace("switch_date", "event_date"),
            patient_index=1,
            definition="default",
            before_mme="",
            after_mme="",
        ),
    )


def test_tolerance_begins_on_the_day_that_completes_the_week(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.tolerant_period": drawn(
                "start_date | tolerant_date | end_date\n-\nD-6 | D+0 | D+20", patient_index=1
            )
        },
        then=drawn("event_date | end_date\n-\nD+0 | D+20", event="opioid_tolerant", definition="fda"),
    )
