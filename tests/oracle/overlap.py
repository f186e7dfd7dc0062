"""Overlap policies the slow and obvious way: one supply after the other, with a set of the days each is taken on.

It shares no code and no idea with pipelines.overlap, so that agreement means something. Supplies are tuples; a supply
without days_supply is what was given, and nothing moves it.
"""

from datetime import date, timedelta
from typing import NamedTuple

ONE_DAY = timedelta(days=1)


class Supply(NamedTuple):
    patient_index: int
    start_date: date
    end_date: date
    days_supply: int | None
    drug_number: int
    ingredient_number: int
    dose_micro_mme: int | None


def taken(supplies: list[Supply], policy: str, cap_days: int) -> list[set[date]]:
    """Days on which each supply is taken, in the order of the supplies."""
    days: list[set[date]] = [set() for _ in supplies]
    for number in sorted(range(len(supplies)), key=lambda number: turn(supplies[number])):
        supply = supplies[number]
        length = (supply.end_date - supply.start_date).days + 1
        first = supply.start_date
        rivals = [
            other
            for other, rival in enumerate(supplies)
            if other != number
            and None not in (rival.days_supply, supply.days_supply)
            and rival.patient_index == supply.patient_index
            and (
                rival.drug_number == supply.drug_number
                if policy == "carry_forward_same_drug"
                else rival.ingredient_number == supply.ingredient_number
            )
        ]
        if policy.startswith("carry_forward"):
            waited = 0
            while any(max(days[other], default=date.min) >= first for other in rivals):
                if policy == "carry_forward_same_ingredient" and waited == cap_days:
                    break
                first += ONE_DAY
                waited += 1
        if policy == "truncate_at_next_fill":
            for other in rivals:
                until_next = (supplies[other].start_date - supply.start_date).days
                length = min(length, until_next) if until_next > 0 else length
        days[number] = {first + ONE_DAY * day for day in range(length)}
    return days


def turn(supply: Supply) -> tuple:
    """Whose supply is taken first: the day of the fill, then the shorter, then the lower dose, an unknown one lowest."""
    return supply.start_date, supply.end_date, -1 if supply.dose_micro_mme is None else supply.dose_micro_mme
