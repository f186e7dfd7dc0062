"""What a body does with a dose, day by day, and what it would have done with another.

Nobody has fitted a human model of chronic hyperalgesia yet: the form of its equation is assumed.

Sources: Ekblom 1993 (J Pharmacol Exp Ther 266:244) and Ouellet 1995 (J Pharmacokinet Biopharm 23:531), an
effect site with a tolerance compartment, and hyperalgesia that outlasts the dose; Chu 2012 (Pain 153:1583),
speed and size of tolerance; Suzan 2013 (Pain Physician 16:65), hyperalgesia grows with dose beside analgesia.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TRUTH_DAYS = 91  # days 0 to 90 after an escalation


class Physiology(NamedTuple):
    """What a patient's body does with a dose: one value per patient. Rates are shares per day."""

    analgesia_max: Array  # share of nociception that opioids can take away
    analgesia_half_mme: Array
    tolerance_max: Array
    tolerance_rate: Array
    hyperalgesia_max_nrs: Array
    hyperalgesia_half_mme: Array
    hyperalgesia_on_rate: Array
    hyperalgesia_off_rate: Array
    withdrawal_max_nrs: Array
    dependence_rate: Array


class State(NamedTuple):
    """Where a patient's body stands: one value per patient."""

    effect_site_mme: Array
    tolerance: Array
    hyperalgesia_nrs: Array
    dependence_mme: Array


def step(
    body: Physiology, state: State, intake_mme: Array, nociception_nrs: Array
) -> tuple[State, Array, Array, Array]:
    """Live one day.

    Args:
        body: One value per patient, as are all arrays here.
        state: At the end of the day before.
        intake_mme: Dose taken today.
        nociception_nrs: What would hurt today without any opioid.

    Returns:
        State at the end of the day, share of nociception relieved, withdrawal pain (NRS) and felt pain (NRS).
    """
    effect = state.effect_site_mme + 0.6 * (intake_mme - state.effect_site_mme)
    tolerance_target = body.tolerance_max * effect / (effect + 60)
    tolerance = state.tolerance + body.tolerance_rate * (tolerance_target - state.tolerance)
    analgesia = body.analgesia_max * effect / (body.analgesia_half_mme * (1 + tolerance) + effect)
    rise = _hyperalgesia_target(body, effect) - state.hyperalgesia_nrs
    rate = np.where(rise > 0, body.hyperalgesia_on_rate, body.hyperalgesia_off_rate)
    hyperalgesia = state.hyperalgesia_nrs + rate * rise
    dependence = state.dependence_mme + body.dependence_rate * (effect - state.dependence_mme)
    withdrawal = body.withdrawal_max_nrs * np.clip((dependence - effect) / (dependence + 10) - 0.1, 0, 1)
    felt = nociception_nrs * (1 - analgesia) + hyperalgesia + withdrawal
    return State(effect, tolerance, hyperalgesia, dependence), analgesia, withdrawal, felt


def after_long(body: Physiology, intake_mme: Array) -> State:
    """Where a body stands after long on a dose: nine tenths of steady state; the burn-in does the rest."""
    tolerance = body.tolerance_max * intake_mme / (intake_mme + 60)
    steady = State(intake_mme, tolerance, _hyperalgesia_target(body, intake_mme), intake_mme)
    return State(*(0.9 * part for part in steady))


def _hyperalgesia_target(body: Physiology, effect_site_mme: Array) -> Array:
    relative = effect_site_mme / body.hyperalgesia_half_mme
    steep = relative * relative * np.sqrt(relative)  # power 2.5, in steps that round alike on every machine
    return body.hyperalgesia_max_nrs * steep / (steep + 1)


class Outcome(NamedTuple):
    """What an escalation did: one value per escalation. Means over days 14 to 90 unless said."""

    pain_difference_nrs: Array  # reported pain, escalated less held
    hyperalgesia_state_nrs: Array  # hyperalgesia after escalating, days 30 to 90
    nociception_nrs: Array  # this and the rest: after escalating
    analgesia: Array
    hyperalgesia_nrs: Array
    withdrawal_nrs: Array


def live_twice(
    body: Physiology, state: State, adherence: Array, short_days: Array, cycle_days: Array, hold_mme: Array,
    escalate_mme: Array, nociception_nrs: Array, noise_nrs: Array,
) -> Outcome:  # fmt: skip
    """Live the 91 days after each escalation twice, escalated and held, under the same nociception and noise.

    Each arm keeps its dose throughout; a late refill, a later change or an acute course is in neither.

    Args:
        body, state: One value per escalation; state at the end of the day before.
        adherence, short_days, cycle_days: One value per escalation.
        hold_mme, escalate_mme: Daily dose before and after.
        nociception_nrs, noise_nrs: (91, escalations), as they happened.
    """
    held = raised = state
    difference, state_level, *sums = (np.zeros(len(hold_mme)) for _ in range(6))
    for day in range(TRUTH_DAYS):
        is_short = day % cycle_days >= cycle_days - short_days
        taken = np.where(is_short, 0.25, adherence)
        held, _, _, felt_held = step(body, held, hold_mme * taken, nociception_nrs[day])
        raised, analgesia, withdrawal, felt = step(body, raised, escalate_mme * taken, nociception_nrs[day])
        if day >= 14:
            difference += np.clip(felt + noise_nrs[day], 0, 10) - np.clip(felt_held + noise_nrs[day], 0, 10)
            parts = nociception_nrs[day], analgesia, raised.hyperalgesia_nrs, withdrawal
            sums = [total + part for total, part in zip(sums, parts, strict=True)]
        if day >= 30:
            state_level += raised.hyperalgesia_nrs
    return Outcome(difference / 77, state_level / 61, *(total / 77 for total in sums))
