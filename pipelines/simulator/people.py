"""Who the simulated patients are: true class, body, pain and therapy, drawn once.

Sources: Hayes 2020 (Pain 161:979) and McPherson 2018 (Pain 159:2097), pain level; Morasco 2020 (Pain
161:1332) and Campbell 2020 (PMC7700907), doses; Busse 2018 (JAMA 320:2448), size of analgesia; Chu 2012
(Pain 153:1583), tolerance; Chu 2006 (J Pain 7:43), Treister 2012 (J Opioid Manag 8:343) and Guichard 2022
(Clin J Pain 38:1), onset and offset of hyperalgesia; Rieb 2016 (PMC5113230), withdrawal; J Pain 2014
15:1360, reliability of a single score. Shares and spreads that none of them gives are assumptions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.simulator.physiology import Physiology
from pipelines.simulator.products import choose_family
from pipelines.simulator.world import World

Array = NDArray[Any]

CLASSES = {  # true class: share among patients without hyperalgesia (assumed)
    "stable": 0.53,
    "tolerance": 0.17,
    "progression": 0.14,
    "inter_dose_withdrawal": 0.06,
    "undertreated": 0.06,
    "taper_improver": 0.04,  # improves after any taper without ever having had hyperalgesia
    "oih": 0.0,  # prevalence of the world
}
THERAPIES = {"long_term": 0.70, "starter": 0.15, "short_course": 0.10, "none": 0.05}  # shares (assumed)


class People(NamedTuple):
    """One value per patient. Days count from the first recorded day."""

    true_class: Array
    therapy: Array
    body: Physiology
    nociception_nrs: Array
    nociception_sd: Array
    noise_sd: Array
    adherence: Array  # share of the prescribed dose that is taken
    short_days: Array  # days at the end of each supply with a quarter of the dose
    ramp_nrs: Array  # rise of nociception in disease progression
    ramp_start: Array
    ramp_days: Array
    uses_peg: Array  # is asked the PEG at some visits
    interference_nrs: Array  # what pain keeps a patient from, above or below the pain itself
    family: Array
    start_mme: Array
    start_day: Array
    first_day: Array  # of observation
    last_day: Array
    death_day: Array  # after last_day where it is not observed


def draw_people(rng: np.random.Generator, n: int, world: World) -> People:
    """Draw n patients. Classes are drawn independently, so the order of patients carries none."""

    def centre(default: float, low: float, high: float) -> Array:
        return rng.uniform(low, high, n) if world.randomise else np.full(n, default)

    def normal(mean: Array | float, sd: float, low: float, high: float) -> Array:
        return np.clip(mean + sd * rng.standard_normal(n), low, high)

    def lognormal(median: Array | float, log_sd: float) -> Array:
        return median * np.exp(log_sd * rng.standard_normal(n))

    shares = np.array(list(CLASSES.values())) * (1 - world.prevalence)
    shares[-1] = world.prevalence
    true_class = rng.choice(list(CLASSES), n, p=shares)
    therapy = rng.choice(list(THERAPIES), n, p=list(THERAPIES.values()))
    is_tolerance, is_undertreated = true_class == "tolerance", true_class == "undertreated"

    ordinary_analgesia = normal(centre(0.33, 0.15, 0.40), 0.12, 0.03, 0.6)
    analgesia_max = np.where(is_undertreated, normal(0.5, 0.1, 0.03, 0.8), ordinary_analgesia)
    tolerance_max = np.where(is_tolerance, lognormal(6, 0.4), lognormal(1.6, 0.5))
    oih_max = normal(centre(4.5, 3, 6), 1.2, 1.8, 9)
    hyperalgesia_max = np.where(true_class == "oih", oih_max, np.abs(0.3 * rng.standard_normal(n)))
    off_half_life_days = lognormal(centre(12, 4, 60), log_spread(0.6))
    is_lasting = (rng.random(n) < 0.25) & world.randomise  # months after abstinence some are not as before
    body = Physiology(
        analgesia_max=world.emax_scale * analgesia_max,
        analgesia_half_mme=lognormal(centre(33, 30, 70), log_spread(0.6)),
        tolerance_max=tolerance_max * np.exp2(centre(0, -1, 1)),
        tolerance_rate=_rate(np.where(is_tolerance, 35, 14) * np.exp2(centre(0, -1, 1))),
        hyperalgesia_max_nrs=hyperalgesia_max * world.hyperalgesia_scale,
        hyperalgesia_half_mme=lognormal(centre(world.hyperalgesia_half_mme, 8, 110), log_spread(0.5)),
        hyperalgesia_on_rate=_rate(centre(21, 10, 60)),
        hyperalgesia_off_rate=_rate(np.where(is_lasting, rng.uniform(60, 150, n), off_half_life_days)),
        withdrawal_max_nrs=normal(centre(3, 1, 5), 1, 0, 10),
        dependence_rate=_rate(centre(6, 4, 10)),
    )

    start_mme = np.clip(lognormal(np.where(rng.random(n) < 0.7, 30, 70), 0.7), 10, 220)
    start_mme = np.where(is_undertreated, np.clip(start_mme / 2, 7.5, 60), start_mme)
    is_sudden = rng.random(n) < 0.4
    joins_late = rng.random(n) < world.late_entry_share
    first_day = np.where(joins_late, rng.integers(0, max(world.days // 3, 1), n), 0)
    death_day = first_day + rng.exponential(365 / 0.015, n).astype(int)  # 1.5 % a year
    leaving_day = first_day + rng.exponential(365 / 0.05, n).astype(int)  # 5 % a year
    return People(
        true_class=true_class,
        therapy=therapy,
        body=body,
        nociception_nrs=normal(centre(5.9, 4.8, 6.5), 2.0, 1.5, 9.5),
        nociception_sd=centre(world.drift_sd_nrs, 0.9, 1.9),
        noise_sd=centre(world.report_sd_nrs, 0.8, 2.0),
        adherence=np.where(rng.random(n) < 0.92, 1, rng.uniform(0.4, 1, n)),
        short_days=np.where(true_class == "inter_dose_withdrawal", rng.integers(4, 9, n), 0),
        ramp_nrs=np.where(true_class == "progression", normal(2.5, 0.7, 1, 5), 0),
        ramp_start=rng.uniform(100, max(world.days - 200, 101), n),
        ramp_days=np.where(is_sudden, 3, rng.uniform(45, 180, n)),
        uses_peg=rng.random(n) < 0.3,
        interference_nrs=1.2 * rng.standard_normal(n),
        family=choose_family(rng, start_mme, np.full(n, -1)),
        start_mme=start_mme,
        start_day=np.where(therapy == "starter", rng.integers(30, max(world.days * 7 // 10, 31), n), 0),
        first_day=first_day,
        last_day=np.minimum(np.minimum(death_day, leaving_day), world.days - 1),
        death_day=death_day,
    )


def log_spread(cv: float) -> float:
    """Standard deviation of the logarithm of a lognormal with this coefficient of variation."""
    return float(np.sqrt(np.log1p(cv * cv)))


def _rate(half_life_days: Array) -> Array:
    return 1 - np.exp2(-1 / half_life_days)
