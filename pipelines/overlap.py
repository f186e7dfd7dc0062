"""What becomes of supply that overlaps: policies that move or end the days of prescriptions, before doses are added up.

- ``sum``: every supply is taken from the day it was dispensed; overlapping doses add up.
- ``carry_forward_same_drug``: a refill of the same opioid, strength and form begins when what is left of the earlier
  ones is used up (Ilgen and Bohnert's rule for early refills).
- ``carry_forward_same_ingredient``: the same for all products of one ingredient, but no supply begins more than
  ``cap_days`` after it was dispensed; what is still left then overlaps and adds up.
- ``truncate_at_next_fill``: the next fill of the same ingredient ends the supply before it.

Source: policies and their names are compared in Dasgupta 2021, Clin J Pain 37:565, and the studies it cites.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args

import numpy as np
import polars as pl

from pipelines.dose_timeline import Integers, batches

Overlap = Literal["sum", "carry_forward_same_drug", "carry_forward_same_ingredient", "truncate_at_next_fill"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)

NEVER = -1  # instead of a number of the drug: the record is not moved
_APART = 1 << 32  # more than all days of a patient; keeps the running maximum of one group out of the next


def overlapped(record: pl.DataFrame, policy: Overlap, cap_days: int = 15) -> pl.DataFrame:
    """Move or end records as a policy says.

    Only supply moves: a record without days_supply (given in hospital, or of unknown length) stays where it is. The
    result does not depend on the order of rows: fills of one drug on one day are taken shortest first, then lowest dose
    first.

    Args:
        record: One row per record: patient_index, start_date, end_date, days_supply (NULL if it is not supply),
            drug_number and ingredient_number (equal for what counts as the same drug and ingredient) and
            dose_micro_mme.
        policy: What becomes of overlapping supply.
        cap_days: Most days that ``carry_forward_same_ingredient`` puts a supply off.

    Returns:
        The records in the same order, with start_date and end_date as the policy has them, and fill_date, the start
        as it was. Carry-forward keeps the days of every record; truncation takes the days from the next fill on away.
    """
    record = record.with_columns(fill_date="start_date")
    if policy == "sum" or record.is_empty():
        return record
    group = "drug_number" if policy == "carry_forward_same_drug" else "ingredient_number"
    columns = [
        record["patient_index"].to_numpy(),
        record.select(pl.when(pl.col("days_supply").is_not_null()).then(group).fill_null(NEVER)).to_series().to_numpy(),
        record["start_date"].to_physical().to_numpy(),
        record["end_date"].to_physical().to_numpy(),
        record["dose_micro_mme"].fill_null(NEVER).to_numpy(),
    ]
    start, end = columns[2].copy(), columns[3].copy()

    def move(rows: Integers) -> None:
        patient, drug, first, last, dose = (column[rows].astype(np.int64) for column in columns)
        supply = np.flatnonzero(drug >= 0)
        if not len(supply):
            return
        order = supply[_ordered(patient[supply], drug[supply], first[supply], last[supply], dose[supply])]
        group = (patient[order] << 32) + drug[order]
        first, last = first[order], last[order]
        if policy == "truncate_at_next_fill":
            first, last = _truncated(group, first, last)
        elif policy == "carry_forward_same_drug":
            first, last = _carried(group, first, last)
        else:
            first, last = _carried_at_most(group, first, last, cap_days)
        start[rows[order]], end[rows[order]] = first, last

    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        list(pool.map(move, batches(columns[0])))
    return record.with_columns(
        start_date=pl.Series(start.astype(np.int32)).cast(pl.Date),
        end_date=pl.Series(end.astype(np.int32)).cast(pl.Date),
    )


def _ordered(patient: Integers, drug: Integers, start: Integers, end: Integers, dose: Integers) -> Integers:
    """Order by patient, drug and day; among fills of one day by length and dose, so that ties have one order."""
    records = len(patient)
    first_patient, first_day = patient.min(), start.min()
    drug_bits = int(drug.max()).bit_length()
    day_bits = int(start.max() - first_day).bit_length()
    row_bits = records.bit_length()
    if int(patient.max() - first_patient).bit_length() + drug_bits + day_bits + row_bits > 63:
        return np.lexsort((dose, end, start, drug, patient))
    key = (((patient - first_patient) << drug_bits | drug) << day_bits) + (start - first_day)
    packed = key << row_bits | np.arange(records)
    packed.sort()
    order = packed & ((1 << row_bits) - 1)
    key = packed >> row_bits
    is_tie = np.zeros(records, dtype=bool)
    is_tie[1:] = key[1:] == key[:-1]
    is_tie[:-1] |= is_tie[1:]
    tied = np.flatnonzero(is_tie)
    order[tied] = order[tied][np.lexsort((dose[order[tied]], end[order[tied]], key[tied]))]
    return order


def _carried(group: Integers, start: Integers, end: Integers) -> tuple[Integers, Integers]:
    """Supply begins when all before it is used up: shifted start = c + running maximum of (start - c)."""
    days = end - start + 1
    is_first = np.append(True, group[1:] != group[:-1])
    number = np.cumsum(is_first) - 1
    before = np.cumsum(days) - days  # those of earlier groups included, which cancel out
    slack = start - before + number * _APART
    shifted = before + np.maximum.accumulate(slack) - number * _APART
    return shifted, shifted + days - 1


def _carried_at_most(group: Integers, start: Integers, end: Integers, cap_days: int) -> tuple[Integers, Integers]:
    """The same, but no later than cap_days after the fill.

    A supply that could not wait ends before what it overlaps with, which still holds later ones back: the running end
    is no sum any more. Groups that the cap touches are walked fill by fill, all of them at once; they are few.
    """
    shifted, _ = _carried(group, start, end)
    days = end - start + 1
    touched = np.flatnonzero(np.isin(group, group[shifted - start > cap_days]))
    if len(touched):
        own = group[touched]
        is_first = np.append(True, own[1:] != own[:-1])
        number = np.cumsum(is_first) - 1
        nth = np.arange(len(touched)) - np.flatnonzero(is_first)[number]
        by_nth = np.argsort(nth, kind="stable")
        used_up = np.full(number[-1] + 1, np.iinfo(np.int64).min)
        for fills in np.split(by_nth, np.flatnonzero(np.diff(nth[by_nth])) + 1):
            row, of = touched[fills], number[fills]
            shifted[row] = np.clip(used_up[of], start[row], start[row] + cap_days)
            used_up[of] = np.maximum(used_up[of], shifted[row] + days[row])
    return shifted, shifted + days - 1


def _truncated(group: Integers, start: Integers, end: Integers) -> tuple[Integers, Integers]:
    """Supply ends the day before the next fill of another day."""
    is_new = np.append(True, (group[1:] != group[:-1]) | (start[1:] != start[:-1]))
    begins = np.flatnonzero(is_new)
    following = np.append(begins[1:], len(group))[np.cumsum(is_new) - 1]
    has_next = following < len(group)
    following = np.minimum(following, len(group) - 1)
    has_next &= group[following] == group
    return start, np.where(has_next, np.minimum(end, start[following] - 1), end)
