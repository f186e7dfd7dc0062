"""What visits do and leave on record: pain scores, refills, dose changes, other drugs, acute courses, stays.

Sources: Hayes 2020 (Pain 161:979) and Morasco 2020 (Pain 161:1332), how often and how far doses rise;
Fenton 2019 (JAMA Netw Open, PMC6902834), how often they are tapered; HSR&D brief 275, how recorded scores
miss what patients would say. The hazards below are set to meet these.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.simulator.adjuvants import Adjuvants
from pipelines.simulator.people import People, log_spread
from pipelines.simulator.physiology import TRUTH_DAYS, after_long, step
from pipelines.simulator.products import (
    ACUTE_FAMILIES,
    HIGHEST_MME,
    INGREDIENT,
    STRENGTH,
    STRONGEST,
    UNIT_MME,
    choose_family,
    dispense,
)
from pipelines.simulator.world import World

Array = NDArray[Any]

BASELINE_DAYS = 90  # kept before the first recorded day, so that every escalation has a baseline
NEVER = 1_000_000
DRIFT_DAYS = 300  # so slowly, or matched maintainers would not go on improving as they do in Hayes 2020
CARE_NRS = 0.8  # what care without opioids takes away half a year after it took their place
POLICY_DAY = 550  # from here on prescribers raise less, and taper high doses more
SCHEDULED, UNSCHEDULED, EMERGENCY, INPATIENT = range(4)  # what a score was taken at


class Clinic:
    """Patients, what they take and feel, and what their visits leave on record, one day at a time.

    The body, the visits and what happens to patients draw from generators of their own: what a visit decides
    does not change the noise that patients live under.
    """

    def __init__(self, rng: np.random.Generator, people: People, world: World) -> None:
        n = len(people.family)
        self.people, self.world, self.n = people, world, n
        self.body_rng, self.visit_rng, self.event_rng, adjuvant_rng = rng.spawn(4)
        on_therapy = people.therapy == "long_term"
        starts = people.therapy == "starter"
        self.family, self.plan = people.family.copy(), people.start_mme.copy()
        _, _, self.cycle, self.dose = dispense(self.family, self.plan)
        self.supply_end = np.where(on_therapy, self.visit_rng.integers(0, 28, n), -NEVER)  # first day without supply
        self.next_fill = np.where(on_therapy, self.supply_end, np.where(starts, people.start_day, NEVER))
        self.phase = self.visit_rng.integers(0, 84, n)
        intake = np.where(on_therapy, self.dose * people.adherence, 0.0)
        self.state = after_long(people.body, intake)
        self.drift = people.nociception_sd * self.body_rng.standard_normal(n)
        self.noise = people.noise_sd * self.body_rng.standard_normal(n)
        self.reported = np.zeros(n)
        self.taper_left, self.taper_cut = np.zeros(n, dtype=int), np.zeros(n)
        self.rehab_start, self.care_start = np.full(n, NEVER), np.full(n, NEVER)
        self.steps = np.zeros(n, dtype=int)
        self.acute_start = np.full(n, -NEVER)
        self.yearly_acute = 0.04 + 0.8 * (people.therapy == "short_course")
        self.stay_end = np.full(n, -NEVER)
        self.course_end, self.course_mme = np.full(n, -NEVER), np.zeros(n)
        self.prescriber_since, self.prescriber = people.start_day.copy(), np.zeros(n, dtype=int)
        self.is_under_review = np.zeros(n, dtype=bool)
        self.last_score, self.score_before = np.full(n, np.nan), np.full(n, np.nan)
        self.baseline_sum, self.baseline_count = np.zeros(n), np.zeros(n, dtype=int)
        self.adjuvants = Adjuvants(adjuvant_rng, n)
        history = (BASELINE_DAYS + world.days + TRUTH_DAYS, n)  # row 0 is day -90
        self.nociception, self.noises, self.analgesia, self.hyperalgesia, self.withdrawal = (
            np.full(history, np.nan, dtype=np.float32) for _ in range(5)
        )
        self.is_treated = np.zeros(history, dtype=bool)  # any opioid taken that day
        self.fills: list[tuple[Array, ...]] = []
        self.scores: list[tuple[Array, ...]] = []
        self.functions: list[tuple[Array, ...]] = []
        self.visits: list[tuple[Array, ...]] = []
        self.stays: list[tuple[Array, ...]] = []
        self.acute_events: list[tuple[Array, ...]] = []
        self.escalations: list[tuple[Array, ...]] = []

    def live(self, day: int) -> None:
        """Live one day under whatever is prescribed."""
        people, rng = self.people, self.body_rng
        keep = np.exp(-1 / DRIFT_DAYS)  # nociception drifts over months, reports vary over days
        shock = np.sqrt(1 - keep**2) * rng.standard_normal(self.n)
        self.drift = keep * self.drift + people.nociception_sd * shock
        self.noise = 0.6 * self.noise + 0.8 * people.noise_sd * rng.standard_normal(self.n)
        ramp = people.ramp_nrs * np.clip((day - people.ramp_start) / people.ramp_days, 0, 1)
        rehab = np.clip(0.03 * (day - self.rehab_start), 0, 2) + np.clip(
            CARE_NRS * (day - self.care_start) / 180, 0, CARE_NRS
        )
        acute = 3 * np.clip(1 - (day - self.acute_start) / 30, 0, 1)
        nociception = np.clip(people.nociception_nrs + self.drift + ramp - rehab + acute, 0, 12)
        left = self.supply_end - day
        taken = np.where((left - 1) % self.cycle < people.short_days, 0.25, people.adherence)
        intake = self.dose * (left > 0) * taken + self.course_mme * (day < self.course_end) * people.adherence
        self.state, analgesia, withdrawal, felt = step(people.body, self.state, intake, nociception)
        self.reported = np.clip(felt + self.noise, 0, 10)
        if day >= -BASELINE_DAYS:
            row = day + BASELINE_DAYS
            self.nociception[row], self.noises[row], self.analgesia[row] = nociception, self.noise, analgesia
            self.hyperalgesia[row], self.withdrawal[row] = self.state.hyperalgesia_nrs, withdrawal
            self.is_treated[row] = intake > 0

    def happen(self, day: int) -> None:
        """What comes from outside: surgery, injury, a stay in hospital for something else, another prescriber."""
        rng, people = self.event_rng, self.people
        luck = 365 * rng.random(self.n)
        # Surgery in 4 % a year or, in those who only take short courses, injury: pain and a supply.
        yearly = self.yearly_acute
        hit = np.flatnonzero((luck < yearly) & (day >= self.acute_start + 90))
        is_surgery = rng.random(len(hit)) < 0.04 / yearly[hit]
        self.acute_start[hit] = day
        self.acute_events.append((hit, np.full(len(hit), day), is_surgery))
        self._stay(day, hit[is_surgery], np.full(is_surgery.sum(), 3))
        takes = hit[people.therapy[hit] != "none"]
        family = rng.integers(0, ACUTE_FAMILIES, len(takes))
        days = rng.choice([7, 14, 30], len(takes), p=[0.4, 0.35, 0.25])
        self.course_end[takes], self.course_mme[takes] = day + days, 4 * UNIT_MME[family, 0]
        self._fill(day, takes, family, STRENGTH[family, 0], 4 * days, days, np.ones(len(takes), dtype=bool))

        ill = np.flatnonzero((luck > 365 - 0.06) & (day >= self.stay_end))
        self._stay(day, ill, 1 + np.ceil(3 * np.exp(0.8 * rng.standard_normal(len(ill)))).astype(int))

        # Another prescriber knows nothing of what was tried, and looks at the therapy anew.
        moves = np.flatnonzero(np.abs(luck - 180) < 0.04)
        self.prescriber[moves] += 1
        self.prescriber_since[moves] = np.maximum(day, people.start_day[moves])
        self.is_under_review[moves] = True
        self.steps[moves] = self.baseline_sum[moves] = self.baseline_count[moves] = 0
        self.last_score[moves] = self.score_before[moves] = np.nan
        is_between = moves[(rng.random(len(moves)) < 0.2) & (self.next_fill[moves] > day)]
        self.next_fill[is_between] += rng.integers(3, 15, len(is_between)) * (self.next_fill[is_between] < NEVER)

    def score(self, day: int) -> None:
        """Visits, planned or because pain itself brings them about, and the pain that they leave on record."""
        rng = self.visit_rng
        is_untreated = self.supply_end <= day - 28
        is_scheduled = (self.next_fill == day) | (is_untreated & ((day + self.phase) % 84 == 0))
        is_inpatient = day < self.stay_end
        comes = rng.random(self.n) < np.minimum(0.2, np.exp(0.25 * (self.reported - 5)) / 90)
        who = np.flatnonzero(is_scheduled | comes | is_inpatient)
        kind = np.where(is_scheduled[who], SCHEDULED, np.where(rng.random(len(who)) < 0.05, EMERGENCY, UNSCHEDULED))
        kind[is_inpatient[who]] = INPATIENT
        came = kind != INPATIENT
        self.visits.append((who[came], np.full(came.sum(), day), kind[came]))
        review = who[kind == SCHEDULED]
        review = review[self.next_fill[review] != day]  # of those who do not come for a refill
        self.adjuvants.review(day, review, *self._recorded(review), *np.zeros((2, len(review)), dtype=bool))

        asked = who[(kind == SCHEDULED) & self.people.uses_peg[who] & (rng.random(len(who)) < 0.35)]
        shift = np.outer([0, 1, 1], self.people.interference_nrs[asked])  # the first item is pain itself
        items = np.rint(self.reported[asked] + shift + rng.standard_normal((3, len(asked))))
        self.functions.append((asked, np.full(len(asked), day), np.clip(items, 0, 10).sum(axis=0).astype(int)))

        is_scored = rng.random(len(who)) < np.where(kind == SCHEDULED, 0.85, 1) * self.world.score_density
        who, kind = who[is_scored | (kind == INPATIENT)], kind[is_scored | (kind == INPATIENT)]
        luck, slip = rng.random(len(who)), rng.integers(1, 4, len(who))
        fault = np.where(luck < 0.25, -slip, np.where(luck < 0.32, slip, 0))
        score = np.clip(np.rint(self.reported[who]) + fault, 0, 10).astype(int)
        self.scores.append((who, np.full(len(who), day), score, kind))
        who, score = who[kind <= UNSCHEDULED], score[kind <= UNSCHEDULED]  # what prescribers know
        self.score_before[who] = np.where(np.isnan(self.last_score[who]), score, self.last_score[who])
        self.last_score[who] = score
        early = day < self.prescriber_since[who] + 150
        self.baseline_sum[who[early]] += score[early]
        self.baseline_count[who[early]] += 1

    def prescribe(self, day: int) -> None:
        """Refill, and at a refill raise, lower, rotate or stop, by the pain on record."""
        rng, world = self.visit_rng, self.world
        who = np.flatnonzero(self.next_fill == day)
        n, dose = len(who), self.dose[who]
        is_refill = self.supply_end[who] >= 0
        luck = np.where(is_refill, rng.random((6, n)), 1.0)
        pain, usual = self._recorded(who)
        has_failed = (self.steps[who] >= 2) & (pain >= 6)
        is_new_here = self.is_under_review[who]
        after_policy = day >= POLICY_DAY

        hazard = 0.006 + 0.05 * has_failed + 0.004 * (dose > 90) * (1 + after_policy) + 0.02 * is_new_here
        begins = (luck[0] < world.taper_scale * hazard) & (self.taper_left[who] == 0)
        is_abrupt = luck[1] < 0.2
        cuts_to_come = np.where(is_abrupt, 2, rng.integers(4, 8, n))
        self.taper_left[who] = np.where(begins, cuts_to_come, self.taper_left[who])
        cut = np.where(is_abrupt, 0.5, rng.uniform(0.1, 0.2, n))
        self.taper_cut[who] = np.where(begins, cut, self.taper_cut[who])
        cuts = self.taper_left[who] > 0
        self.taper_left[who] -= cuts
        improves = cuts & (self.people.true_class[who] == "taper_improver") & (self.rehab_start[who] == NEVER)
        self.rehab_start[who[improves]] = day

        rotates = ~cuts & (luck[2] < 0.01 + 0.02 * has_failed + 0.03 * is_new_here)
        slope = world.escalation_slope
        odds = np.exp(-4.5 - 0.2 * after_policy + slope * (pain - 5) + slope * (pain - usual))
        raises = ~cuts & ~rotates & (day >= self.acute_start[who] + 30) & (luck[3] < odds / (1 + odds))
        stops = (luck[4] < 0.004) | (cuts & (self.taper_left[who] == 0) & (luck[5] < 0.25))
        self.is_under_review[who] = False
        cared_for = who[stops & (rng.random(n) < 0.58)]
        self.care_start[cared_for] = np.minimum(self.care_start[cared_for], day)

        plan, family = self.plan[who], self.family[who]
        size = np.clip(1.4 * np.exp(log_spread(0.25) * rng.standard_normal(n)), 1.15, 2.5)
        plan = np.where(cuts, plan * (1 - self.taper_cut[who]), plan)
        plan = np.where(rotates, plan * rng.uniform(0.5, 0.75, n), plan)
        family = np.where(rotates, choose_family(rng, plan, INGREDIENT[family]), family)
        raised = np.where(raises, np.maximum(np.minimum(np.maximum(plan, dose) * size, 320), plan), plan)
        family = np.where(raised > HIGHEST_MME[family], STRONGEST[family], family)
        raised = np.minimum(raised, HIGHEST_MME[family])
        strength, quantity, days, new_dose = dispense(family, raised)
        is_up = raises & (new_dose > dose) & ~stops
        self.plan[who] = np.where(is_up, raised, plan)
        self.steps[who] += is_up
        up = who[is_up]
        self.escalations.append((up, np.full(len(up), day), dose[is_up], new_dose[is_up], days[is_up],
                                 *(part[up] for part in self.state)))  # fmt: skip

        self.family[who], self.dose[who], self.cycle[who] = family, new_dose, days
        is_inter_dose = self.people.short_days[who] > 0
        is_late = rng.random(n) < np.where(is_inter_dose, 0.17, 0.013)  # .7 and .08 in half a year of refills
        self.supply_end[who] = np.where(stops, day, day + days)
        self.next_fill[who] = np.where(stops, NEVER, day + days + is_late * rng.integers(3, 9, n))
        go = ~stops
        is_new = (new_dose != dose) | rotates | ~is_refill
        self._fill(day, who[go], family[go], strength[go], quantity[go], days[go], is_new[go])
        self.adjuvants.review(day, who, pain, usual, cuts, stops)

    def _recorded(self, who: Array) -> tuple[Array, Array]:
        """Pain of late and of before, as the prescriber knows them; NaN before any score."""
        pain = (self.last_score[who] + self.score_before[who]) / 2
        count = self.baseline_count[who]
        return pain, np.where(count > 0, self.baseline_sum[who] / np.maximum(count, 1), pain)

    def _stay(self, day: int, who: Array, days: Array) -> None:
        self.stay_end[who] = np.maximum(self.stay_end[who], day + days)
        self.stays.append((who, np.full(len(who), day), days))

    def _fill(self, day: int, who: Array, family: Array, strength: Array, quantity: Array, days: Array,
              is_new: Array) -> None:  # fmt: skip
        self.fills.append((who, np.full(len(who), day), family, strength, quantity, days, is_new,
                           self.prescriber[who]))  # fmt: skip
