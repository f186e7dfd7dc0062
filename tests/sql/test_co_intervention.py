"""What else was begun around a taper."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.co_intervention"
COUNTS = "new_drug_count | new_therapy_count | procedure_count\n-\n"


@pytest.fixture
def check(check_sql):
    """A taper of patient 1 from day 100 to day 200, with every feed delivered."""

    def check(
        then: str, drug: str = "", concept: str = "", event: str = "", is_taper: bool = True, **feeds: object
    ) -> None:
        taper = {"patient_index": 1, "first_cut_date": "D+100", "last_cut_date": "D+200", "is_taper": is_taper}
        given = {
            "episode.dechallenge": drawn("episode_id\n-\na", **taper),
            "episode.delivered_feed": drawn(
                "episode_id\n-\na", **({"has_adjuvants": True, "has_procedures": True} | feeds)
            ),
        }
        for table, head, rows in (
            ("trajectory.exposure_period", "exposure_class | start_date | end_date", drug),
            ("trajectory.concept_day", "concept | coded_date", concept),
            ("trajectory.acute_event", "kind | event_date", event),
        ):
            extra = {"ingredient": "x"} if "exposure" in table else {}
            given[table] = drawn(f"{head}\n-\n{rows}", patient_index=1, **extra) if rows else ""
        check_sql(TABLE, given=given, then=COUNTS + then if "|" in then else then)

    return check


@pytest.mark.parametrize(("day", "count"), [(39, 0), (40, 1), (260, 1), (261, 0)])
def test_around_is_from_60_days_before_the_first_cut_to_60_days_after_the_last(check, day, count):
    check(f"{count} | 0 | 0", drug=f"gabapentinoid | D+{day} | D+{day + 9}")
    check(f"0 | {count} | 0", concept=f"physical_therapy | D+{day}")
    check(f"0 | 0 | {count}", event=f"injection | D+{day}")


@pytest.mark.parametrize(("end", "count"), [(60, 0), (59, 1)])
def test_a_drug_is_new_more_than_90_days_after_the_last_of_its_class(check, end, count):
    check(f"{count} | 0 | 0", drug=f"nsaid | D+0 | D+{end}\nnsaid | D+150 | D+180")


def test_a_span_within_a_longer_one_is_not_new(check):
    check("0 | 0 | 0", drug="nsaid | D-500 | D+149\nnsaid | D-400 | D-390\nnsaid | D+150 | D+180")


def test_a_class_counts_once(check):
    check("2 | 0 | 0", drug="nsaid | D+50 | D+60\ntca | D+50 | D+60\nnsaid | D+200 | D+210")


@pytest.mark.parametrize(
    "exposure_class", ["alpha2_agonist", "cyp3a4_inducer", "rescue_naloxone", "benzodiazepine", "sleep_drug"]
)
def test_what_treats_withdrawal_or_no_pain_is_none(check, exposure_class):
    check("0 | 0 | 0", drug=f"{exposure_class} | D+150 | D+180")


@pytest.mark.parametrize(("last", "count"), [(30, 0), (29, 1)])
def test_therapy_is_new_more_than_90_days_after_the_last(check, last, count):
    check(
        f"0 | {count} | 0", concept=f"physical_therapy | D+{last}\nphysical_therapy | D+120\nphysical_therapy | D+130"
    )


def test_only_operations_and_injections_are_procedures(check):
    check(
        "0 | 0 | 2",
        event="surgery | D+150\ninjection | D+150\ninjection | D+160\ninjury | D+170\nemergency_visit | D+180",
    )


def test_other_concepts_are_no_therapy(check):
    check("0 | 0 | 0", concept="low_back_pain | D+150")


def test_a_feed_that_was_not_delivered_leaves_its_counts_unknown(check):
    check(" | 0 | 0", has_adjuvants=False)
    check("0 | |", has_procedures=False)


def test_without_a_taper_there_is_no_row(check):
    check("episode_id\n-", is_taper=False)
