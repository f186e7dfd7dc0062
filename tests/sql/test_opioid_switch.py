"""When one opioid replaces another, or one release of an opioid the other."""

import pytest

from tests.sql.drawing import drawn

TABLE = "trajectory.opioid_switch"


def record(drawing: str, **same: object) -> str:
    return drawn(drawing, **({"patient_index": 1, "is_in_timeline": True} | same))


@pytest.fixture
def check_switches(check_sql):
    """Expect the kinds of change on D+0, given the records."""

    def check(records: str, *events: str, **settings: int):
        rows = "\n".join(f"{event} | D+0" for event in events)
        check_sql(
            TABLE,
            given={"trajectory.record_dose": records},
            settings=settings,
            then=drawn(f"event | switch_date\n-\n{rows}") if events else "event\n-",
        )

    return check


def test_oxycodone_ends_and_morphine_begins(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.record_dose": record(
                """
                ingredient | release  | start_date | end_date
                -----------+----------+------------+---------
                oxycodone  |          | D-60       | D-31
                oxycodone  |          | D-30       | D-1
                morphine   | extended | D+0        | D+29
                morphine   | extended | D+30       | D+59
                """
            )
        },
        then=drawn(
            """
            event    | switch_date | last_supply_date | ingredient_before | ingredient_after | release_before | release_after
            ---------+-------------+------------------+-------------------+------------------+----------------+--------------
            rotation | D+0         | D-1              | oxycodone         | morphine         |                |
            """,
            patient_index=1,
        ),
    )


def test_tablets_that_act_longer_replace_those_that_do_not_say_so(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.record_dose": record(
                """
                release  | start_date | end_date
                ---------+------------+---------
                         | D-30       | D-1
                extended | D+0        | D+29
                """,
                ingredient="oxycodone",
            )
        },
        then=drawn(
            """
            event          | switch_date | last_supply_date | ingredient_before | ingredient_after | release_before | release_after
            ---------------+-------------+------------------+-------------------+------------------+----------------+--------------
            release_switch | D+0         | D-1              | oxycodone         | oxycodone        | not extended   | extended
            """,
            patient_index=1,
        ),
    )


@pytest.mark.parametrize("kind", ["rotation", "release_switch"])
@pytest.mark.parametrize(
    ("stopping", "is_switch"),
    [
        ("D-60 | D-1", True),
        # what is left of the old supply is used up
        ("D-60 | D+29", True),
        ("D-60 | D+30", False),
        # stopped too long ago to have been swapped
        ("D-60 | D-30", True),
        ("D-60 | D-31", False),
        # begins with the new one
        ("D+0  | D+5", False),
    ],
)
def test_what_was_there_within_30_days_before_and_is_gone_30_days_later_was_swapped(
    check_switches, kind, stopping, is_switch
):
    old, new = {"rotation": ("oxycodone |", "morphine |"), "release_switch": ("oxycodone |", "oxycodone | extended")}[
        kind
    ]
    records = record(
        f"""
        ingredient | release | start_date | end_date
        -----------+---------+------------+---------
        {old} | {stopping}
        {new} | D+0 | D+27
        """
    )
    check_switches(records, *([kind] if is_switch else []))


def test_an_old_opioid_that_is_refilled_and_lasts_has_not_stopped(check_switches):
    records = record(
        """
        ingredient | start_date | end_date
        -----------+------------+---------
        oxycodone  | D-28       | D-1
        oxycodone  | D+29       | D+56
        morphine   | D+0        | D+27
        """
    )
    check_switches(records)


@pytest.mark.parametrize(("end", "is_switch"), [("D-31", True), ("D-30", False)])
def test_an_opioid_that_was_there_within_30_days_is_not_new(check_switches, end, is_switch):
    records = record(
        f"""
        ingredient | start_date | end_date
        -----------+------------+---------
        oxycodone  | D-25       | D-1
        morphine   | D-90       | {end}
        morphine   | D+0        | D+27
        """
    )
    check_switches(records, *(["rotation"] if is_switch else []))


def test_another_opioid_beside_therapy_that_goes_on_is_no_switch(check_switches):
    records = record(
        """
        ingredient | release   | start_date | end_date
        -----------+-----------+------------+---------
        morphine   | extended  | D-60       | D+60
        oxycodone  | immediate | D+0        | D+4
        """
    )
    check_switches(records)


def test_a_rotation_to_extended_tablets_of_another_opioid_is_no_release_switch(check_switches):
    records = record(
        """
        ingredient | release  | start_date | end_date
        -----------+----------+------------+---------
        oxycodone  |          | D-60       | D-1
        morphine   | extended | D+0        | D+27
        """
    )
    check_switches(records, "rotation")


def test_two_opioids_replaced_by_one_are_one_rotation(check_sql):
    records = record(
        """
        ingredient | start_date | end_date
        -----------+------------+---------
        oxycodone  | D-60       | D-2
        morphine   | D-60       | D-1
        methadone  | D+0        | D+27
        """
    )
    check_sql(
        TABLE,
        given={"trajectory.record_dose": records},
        then=drawn(
            """
            event    | last_supply_date | ingredient_before    | ingredient_after
            ---------+------------------+----------------------+-----------------
            rotation | D-1              | morphine + oxycodone | methadone
            """
        ),
    )


def test_the_days_are_those_of_the_settings(check_switches):
    records = record("ingredient | start_date | end_date\n-\noxycodone | D-60 | D-8\nmorphine | D+0 | D+27")
    check_switches(records, rotation_days=7)
    check_switches(records, "rotation", rotation_days=8)


@pytest.mark.parametrize(
    "old",
    ["2 | true | oxycodone", "1 | false | oxycodone", "1 | true |"],
    ids=["another patient's", "not in the timeline", "of an unknown opioid"],
)
def test_records_that_tell_nothing_of_the_patients_opioid_are_swapped_for_none(check_switches, old):
    records = drawn(
        f"""
        patient_index | is_in_timeline | ingredient | start_date | end_date
        --------------+----------------+------------+------------+---------
        {old}                                       | D-60       | D-1
        1             | true           | morphine   | D+0        | D+27
        """
    )
    check_switches(records)
