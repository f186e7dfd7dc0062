"""Each overlap policy as drawn rows, and all of them against an oracle that takes one supply after the other."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import dose_timeline, overlap
from tests.oracle import overlap as oracle
from tests.oracle.overlap import Supply

RECORD = {
    "patient_index": pl.Int32,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "days_supply": pl.Int32,
    "drug_number": pl.Int32,
    "ingredient_number": pl.Int32,
    "dose_micro_mme": pl.Int64,
}
CARRY = ("carry_forward_same_drug", "carry_forward_same_ingredient")
MOVING = (*CARRY, "truncate_at_next_fill")

# `patient | drug | start | days | dose`: a drug is an ingredient and a strength, as in oxycodone 5; days without a
# number are those of something given in hospital, `- 3`; a dose is in MME, or ? if unknown.
INGREDIENTS = ("morphine", "oxycodone")


def supplies(drawing: str) -> list[Supply]:
    rows = []
    for line in drawing.strip().splitlines():
        patient, drug, start, days, dose = (text.strip() for text in line.split("|"))
        ingredient, strength = drug.split()
        length = int(days.removeprefix("-"))
        first = date.fromisoformat(start)
        rows.append(
            Supply(
                int(patient),
                first,
                first + timedelta(days=length - 1),
                None if days.startswith("-") else length,
                100 * INGREDIENTS.index(ingredient) + int(strength),
                INGREDIENTS.index(ingredient),
                None if dose == "?" else int(Decimal(dose) * 1_000_000),
            )
        )
    return rows


def frame(rows: list[Supply]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RECORD, orient="row")


def check(policy: str, given: str, then: str, **cap: int) -> None:
    """The rows of ``then`` are `first day | last day`, in the order of those given."""
    found = overlap.overlapped(frame(supplies(given)), policy, **cap)
    lines = [line.split("|") for line in then.strip().splitlines()]
    expected = [tuple(date.fromisoformat(text.strip()) for text in line) for line in lines]
    assert found.select("start_date", "end_date").rows() == expected


# Sum ------------------------------------------------------------------------------------------------------------


def test_sum_leaves_every_supply_on_the_days_it_was_dispensed_for():
    check(
        "sum",
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-26 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-30
        2024-01-26 | 2024-02-24
        """,
    )


# Carry forward --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", CARRY)
def test_an_early_refill_begins_on_the_day_after_the_last_of_the_earlier_supply(policy):
    check(
        policy,
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-26 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-30
        2024-01-31 | 2024-02-29
        """,
    )


@pytest.mark.parametrize("policy", CARRY)
def test_a_refill_on_the_day_after_the_last_stays(policy):
    check(
        policy,
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-31 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-30
        2024-01-31 | 2024-02-29
        """,
    )


@pytest.mark.parametrize("policy", CARRY)
def test_a_refill_on_the_last_day_moves_by_one(policy):
    check(
        policy,
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-30 | 1  | 20
        """,
        """
        2024-01-01 | 2024-01-30
        2024-01-31 | 2024-01-31
        """,
    )


@pytest.mark.parametrize("policy", CARRY)
def test_what_was_put_off_puts_off_what_follows_until_a_gap_takes_it_up(policy):
    check(
        policy,
        """
        0 | oxycodone 5 | 2024-01-01 | 10 | 20
        0 | oxycodone 5 | 2024-01-06 | 10 | 20
        0 | oxycodone 5 | 2024-01-20 | 10 | 20
        0 | oxycodone 5 | 2024-02-01 | 10 | 20
        """,
        """
        2024-01-01 | 2024-01-10
        2024-01-11 | 2024-01-20
        2024-01-21 | 2024-01-30
        2024-02-01 | 2024-02-10
        """,
    )


@pytest.mark.parametrize("policy", CARRY)
def test_fills_of_one_day_follow_each_other_the_shortest_first_then_the_lowest_dose(policy):
    check(
        policy,
        """
        0 | oxycodone 5 | 2024-01-01 | 5 | 40
        0 | oxycodone 5 | 2024-01-01 | 5 | 20
        0 | oxycodone 5 | 2024-01-01 | 2 | 90
        """,
        """
        2024-01-08 | 2024-01-12
        2024-01-03 | 2024-01-07
        2024-01-01 | 2024-01-02
        """,
    )


@pytest.mark.parametrize("policy", CARRY)
def test_a_supply_of_unknown_dose_moves_and_is_waited_for(policy):
    check(
        policy,
        """
        0 | oxycodone 5 | 2024-01-01 | 10 | 20
        0 | oxycodone 5 | 2024-01-06 | 10 | ?
        0 | oxycodone 5 | 2024-01-16 | 10 | 20
        """,
        """
        2024-01-01 | 2024-01-10
        2024-01-11 | 2024-01-20
        2024-01-21 | 2024-01-30
        """,
    )


def test_fills_of_one_day_have_the_same_turns_where_dates_lie_too_far_apart_to_pack(monkeypatch):
    monkeypatch.setattr(dose_timeline, "_BATCH_BITS", 31)  # all in one batch
    far = Supply(2**31 - 1, date(1, 1, 1), date(1, 1, 2), 2, 2**30, 2**30, None)
    fills = supplies(
        """
        0 | oxycodone 5 | 2024-01-01 | 5 | 20
        0 | oxycodone 5 | 2024-01-01 | 2 | 90
        0 | oxycodone 5 | 2024-01-01 | 2 | 40
        """
    )
    found = overlap.overlapped(frame([*fills, far]), "carry_forward_same_drug")
    assert found["start_date"].to_list()[:3] == [date(2024, 1, 5), date(2024, 1, 3), date(2024, 1, 1)]


def test_among_fills_of_one_day_and_length_an_unknown_dose_comes_first():
    check(
        "carry_forward_same_drug",
        """
        0 | oxycodone 5 | 2024-01-01 | 3 | 0
        0 | oxycodone 5 | 2024-01-01 | 3 | ?
        """,
        """
        2024-01-04 | 2024-01-06
        2024-01-01 | 2024-01-03
        """,
    )


@pytest.mark.parametrize("policy", MOVING)
def test_a_record_without_days_supply_never_moves_and_nothing_waits_for_it(policy):
    check(
        policy,
        """
        0 | oxycodone 5 | 2024-01-01 | 10   | 20
        0 | oxycodone 5 | 2024-01-05 | - 10 | 20
        0 | oxycodone 5 | 2024-01-12 | 10   | 20
        """,
        """
        2024-01-01 | 2024-01-10
        2024-01-05 | 2024-01-14
        2024-01-12 | 2024-01-21
        """,
    )


def test_same_drug_lets_another_strength_overlap():
    check(
        "carry_forward_same_drug",
        """
        0 | oxycodone 5  | 2024-01-01 | 10 | 20
        0 | oxycodone 10 | 2024-01-06 | 10 | 40
        """,
        """
        2024-01-01 | 2024-01-10
        2024-01-06 | 2024-01-15
        """,
    )


def test_same_ingredient_puts_another_strength_off_but_no_other_ingredient():
    check(
        "carry_forward_same_ingredient",
        """
        0 | oxycodone 5  | 2024-01-01 | 10 | 20
        0 | oxycodone 10 | 2024-01-06 | 10 | 40
        0 | morphine 10  | 2024-01-06 | 10 | 40
        """,
        """
        2024-01-01 | 2024-01-10
        2024-01-11 | 2024-01-20
        2024-01-06 | 2024-01-15
        """,
    )


@pytest.mark.parametrize("policy", MOVING)
def test_patients_never_wait_for_each_other(policy):
    check(
        policy,
        """
        1 | oxycodone 5 | 2024-01-06 | 10 | 20
        0 | oxycodone 5 | 2024-01-01 | 10 | 20
        """,
        """
        2024-01-06 | 2024-01-15
        2024-01-01 | 2024-01-10
        """,
    )


# The cap of same-ingredient carry-forward -----------------------------------------------------------------------


def test_a_supply_waits_for_exactly_the_cap():
    check(
        "carry_forward_same_ingredient",
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-16 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-30
        2024-01-31 | 2024-02-29
        """,
        cap_days=15,
    )


def test_a_supply_that_would_wait_a_day_more_than_the_cap_overlaps_by_that_day():
    check(
        "carry_forward_same_ingredient",
        """
        0 | oxycodone 5 | 2024-01-01 | 31 | 20
        0 | oxycodone 5 | 2024-01-16 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-31
        2024-01-31 | 2024-02-29
        """,
        cap_days=15,
    )


def test_same_drug_carry_forward_has_no_cap():
    check(
        "carry_forward_same_drug",
        """
        0 | oxycodone 5 | 2024-01-01 | 90 | 20
        0 | oxycodone 5 | 2024-01-02 | 30 | 20
        """,
        """
        2024-01-01 | 2024-03-30
        2024-03-31 | 2024-04-29
        """,
        cap_days=15,
    )


def test_a_cap_of_no_days_moves_nothing():
    check(
        "carry_forward_same_ingredient",
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-16 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-30
        2024-01-01 | 2024-01-30
        2024-01-16 | 2024-02-14
        """,
        cap_days=0,
    )


def test_a_short_supply_that_could_not_wait_does_not_let_later_ones_forget_the_long_one():
    check(
        "carry_forward_same_ingredient",
        """
        0 | oxycodone 5 | 2024-01-01 | 60 | 20
        0 | oxycodone 5 | 2024-01-05 | 5  | 20
        0 | oxycodone 5 | 2024-02-20 | 10 | 20
        """,
        """
        2024-01-01 | 2024-02-29
        2024-01-20 | 2024-01-24
        2024-03-01 | 2024-03-10
        """,
        cap_days=15,
    )


def test_the_cap_of_one_patient_changes_nothing_for_another():
    check(
        "carry_forward_same_ingredient",
        """
        0 | oxycodone 5 | 2024-01-01 | 60 | 20
        0 | oxycodone 5 | 2024-01-05 | 5  | 20
        1 | oxycodone 5 | 2024-01-01 | 60 | 20
        1 | oxycodone 5 | 2024-02-20 | 5  | 20
        """,
        """
        2024-01-01 | 2024-02-29
        2024-01-08 | 2024-01-12
        2024-01-01 | 2024-02-29
        2024-02-23 | 2024-02-27
        """,
        cap_days=3,
    )


# Truncation -----------------------------------------------------------------------------------------------------


def test_the_next_fill_ends_the_supply_on_the_day_before():
    check(
        "truncate_at_next_fill",
        """
        0 | oxycodone 5  | 2024-01-01 | 30 | 20
        0 | oxycodone 10 | 2024-01-26 | 30 | 20
        0 | morphine 10  | 2024-01-10 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-25
        2024-01-26 | 2024-02-24
        2024-01-10 | 2024-02-08
        """,
    )


def test_a_fill_after_the_last_day_ends_nothing():
    check(
        "truncate_at_next_fill",
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-31 | 30 | 20
        0 | oxycodone 5 | 2024-04-01 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-30
        2024-01-31 | 2024-02-29
        2024-04-01 | 2024-04-30
        """,
    )


def test_fills_of_one_day_do_not_end_each_other_but_the_next_fill_ends_both():
    check(
        "truncate_at_next_fill",
        """
        0 | oxycodone 5  | 2024-01-01 | 30 | 20
        0 | oxycodone 10 | 2024-01-01 | 10 | 20
        0 | oxycodone 5  | 2024-01-08 | 30 | 20
        """,
        """
        2024-01-01 | 2024-01-07
        2024-01-01 | 2024-01-07
        2024-01-08 | 2024-02-06
        """,
    )


def test_a_fill_on_the_next_day_leaves_one_day():
    check(
        "truncate_at_next_fill",
        """
        0 | oxycodone 5 | 2024-01-01 | 30 | 20
        0 | oxycodone 5 | 2024-01-02 | 1  | ?
        """,
        """
        2024-01-01 | 2024-01-01
        2024-01-02 | 2024-01-02
        """,
    )


# What every policy keeps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", overlap.OVERLAPS)
def test_the_day_of_the_fill_is_kept_beside_the_days_of_the_supply(policy):
    record = frame(
        supplies(
            """
            0 | oxycodone 5 | 2024-01-01 | 30 | 20
            0 | oxycodone 5 | 2024-01-26 | 30 | 20
            """
        )
    )
    assert overlap.overlapped(record, policy)["fill_date"].to_list() == record["start_date"].to_list()


@pytest.mark.parametrize("policy", overlap.OVERLAPS)
def test_no_record_stays_none(policy):
    found = overlap.overlapped(frame([]), policy)
    assert found.schema == RECORD | {"fill_date": pl.Date}
    assert found.is_empty()


@pytest.mark.parametrize("policy", MOVING)
def test_days_of_several_centuries_and_the_largest_patient_fit(policy):
    drawing = """
    0          | oxycodone 5 | 1899-12-30 | 10 | 20
    0          | oxycodone 5 | 2199-01-01 | 10 | 20
    2147483647 | oxycodone 5 | 2199-01-01 | 10 | 20
    """
    check(
        policy,
        drawing,
        """
        1899-12-30 | 1900-01-08
        2199-01-01 | 2199-01-10
        2199-01-01 | 2199-01-10
        """,
    )


# Against the oracle ---------------------------------------------------------------------------------------------

PROPERTY = settings(deadline=None, max_examples=50)
FIRST_DAY = date(1969, 12, 20)  # days before 1970 count below zero


@st.composite
def a_supply(draw):
    start = FIRST_DAY + timedelta(days=draw(st.integers(0, 60)))
    length = draw(st.one_of(st.integers(1, 8), st.integers(1, 40)))
    ingredient = draw(st.integers(0, 1))
    return Supply(
        draw(st.sampled_from([0, 1, 8_192, 100_000])),  # far apart, in different batches
        start,
        start + timedelta(days=length - 1),
        draw(st.sampled_from([length, length, length, None])),
        10 * ingredient + draw(st.integers(0, 1)),
        ingredient,
        draw(st.sampled_from([None, 0, 10, 20])),
    )


a_history = st.lists(a_supply(), max_size=14)
a_policy = st.sampled_from(MOVING)
a_cap = st.sampled_from([0, 1, 5, 15])


def days_of(record: pl.DataFrame) -> list[set[date]]:
    return [
        {start + timedelta(days=day) for day in range((end - start).days + 1)}
        for start, end in record.select("start_date", "end_date").iter_rows()
    ]


@PROPERTY
@given(a_history, a_policy, a_cap)
def test_every_policy_agrees_with_the_oracle(rows, policy, cap_days):
    found = overlap.overlapped(frame(rows), policy, cap_days)
    # Equal supplies may trade places: they are told apart by nothing.
    kept = [name for name in RECORD if name not in ("start_date", "end_date", "drug_number")]
    told = found.select(*kept, "fill_date").rows()
    oracles = [
        (*frame([row]).select(kept).row(0), row.start_date, days)
        for row, days in zip(rows, oracle.taken(rows, policy, cap_days), strict=True)
    ]
    found_days = [(*row, days) for row, days in zip(told, days_of(found), strict=True)]
    assert sorted(map(repr_of, found_days)) == sorted(map(repr_of, oracles))


def repr_of(row: tuple) -> str:
    return repr((*row[:-1], sorted(row[-1])))


@PROPERTY
@given(a_history, st.sampled_from(CARRY), a_cap)
def test_carry_forward_keeps_the_days_of_every_supply_and_all_of_its_opioid(rows, policy, cap_days):
    record = frame(rows)
    found = overlap.overlapped(record, policy, cap_days)
    assert (found["end_date"] - found["start_date"]).equals(record["end_date"] - record["start_date"])
    assert (found["start_date"] >= record["start_date"]).all()

    def total(rows: pl.DataFrame) -> list[tuple]:
        period = dose_timeline.dose_period(rows.with_columns(pl.col("dose_micro_mme") * 1000))
        days = (period["end_date"] - period["start_date"]).dt.total_days() + 1
        milli_mme = np.rint(period["dose_mme"].to_numpy() * 1000).astype(np.int64)
        return (
            period.select("patient_index", amount=pl.Series(milli_mme) * days)
            .group_by("patient_index")
            .sum()
            .sort("patient_index")
            .rows()
        )

    assert total(found) == total(record)


@PROPERTY
@given(a_history)
def test_no_days_of_one_drug_overlap_after_carry_forward_of_the_same_drug(rows):
    found = overlap.overlapped(frame([row for row in rows if row.days_supply]), "carry_forward_same_drug")
    taken = [
        (patient, drug, day)
        for patient, drug, days in zip(found["patient_index"], found["drug_number"], days_of(found), strict=True)
        for day in days
    ]
    assert len(taken) == len(set(taken))


@PROPERTY
@given(a_history, a_policy, a_cap, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_day_of_any_patient(rows, policy, cap_days, random):
    shuffled = rows.copy()
    random.shuffle(shuffled)
    found, moved = (overlap.overlapped(frame(given), policy, cap_days) for given in (rows, shuffled))
    kept = [name for name in found.columns if name != "drug_number"]
    assert moved.select(kept).sort(kept).equals(found.select(kept).sort(kept))


@PROPERTY
@given(a_history, a_policy, a_cap, st.integers(0, 20))
def test_the_size_of_a_batch_changes_nothing(rows, policy, cap_days, bits):
    found = overlap.overlapped(frame(rows), policy, cap_days)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dose_timeline, "_BATCH_BITS", bits)
        assert overlap.overlapped(frame(rows), policy, cap_days).equals(found)


@PROPERTY
@given(a_history, st.sampled_from(["carry_forward_same_drug", "truncate_at_next_fill"]))
def test_doing_it_twice_changes_nothing_more_where_no_cap_starts_anew(rows, policy):
    """Not so for same-ingredient carry-forward: from the day it was put off to, a supply could be put off again."""
    once = overlap.overlapped(frame(rows), policy)
    twice = overlap.overlapped(once, policy)
    assert twice.select(list(RECORD)).equals(once.select(list(RECORD)))


@PROPERTY
@given(a_history, a_policy)
def test_dates_too_far_apart_to_pack_give_the_same_days(rows, policy):
    far = Supply(2**31 - 1, date(1, 1, 1), date(1, 1, 2), 2, 2**30, 2**30, None)
    found = overlap.overlapped(frame([*rows, far]), policy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dose_timeline, "_BATCH_BITS", 31)  # all in one batch
        assert overlap.overlapped(frame([*rows, far]), policy).equals(found)
    assert found.head(len(rows)).equals(overlap.overlapped(frame(rows), policy))
