"""Hold simulated worlds against what published cohorts measured, each quantity measured as its source measured it.

    python -m tests.bench.calibrate_simulator --seeds 5 --patients 10000

Prints, per quantity, the published range, its mean over the seeds and their standard deviation in the ``realistic``
and the ``null`` world, and whether the realistic mean lies inside the range. Misses are printed like the rest. The null
world has no range to meet: it shows how much of a contrast is there without any hyperalgesia. Records alone are read, as
the sources could, but for the contrast of a randomised trial and the potency of tolerance, which no record shows.
"""

import argparse
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines import simulator
from pipelines.simulator import World
from pipelines.simulator.people import draw_people
from pipelines.simulator.physiology import Physiology, State, step
from pipelines.simulator.products import IS_PATCH, UNIT_MME, dispense
from pipelines.simulator.tables import DRUG_TEXTS

Array = NDArray[Any]
FIRST_DATE = date(2021, 1, 1)
HALF_YEAR = 180
FIRST_FILLED = 30  # by then every patient on therapy has filled: supplies from before the record are not in it
TARGETS: dict[str, tuple[float, float, str]] = {
    "mean recorded pain, NRS": (4.6, 5.9, "Hayes 2020, Pain 161:979; McPherson 2018, Pain 159:2097"),
    "single score, intraclass correlation": (0.45, 0.65, "J Pain 2014;15:1360; Lorenz 2009, JABFM 22:291"),
    "scores per patient and year": (4, 17, "methods of this project"),
    "dose up by 15 % in 2 years, share": (0.195, 0.39, "Morasco 2020, Pain 161:1332 (.195); Hayes 2020 (.39)"),
    "dose up by 20 % between half-years, share": (0.195, 0.39, "Hayes 2020: 20,767 of 53,187"),
    "escalators, days 0-90 less before, NRS": (-0.1, 0.1, "Hayes 2020: 4.68 less 4.64"),
    "escalators, days 91-180 less before, NRS": (-0.21, -0.01, "Hayes 2020: 4.53 less 4.64, give or take 0.1"),
    "matched maintainers, days 0-90 less before, NRS": (-0.34, -0.27, "Hayes 2020: 4.32 less 4.59"),
    "matched maintainers, days 91-180 less before, NRS": (-0.34, -0.27, "Hayes 2020: 4.25 less 4.59"),
    "difference in differences, days 0-90, NRS": (0.21, 0.41, "Hayes 2020: 0.31, give or take 0.1"),
    "difference in differences, days 91-180, NRS": (0.13, 0.33, "Hayes 2020: 0.23, give or take 0.1"),
    "tapers after a stable year at 50 MME, share": (0.10, 0.22, "Fenton 2019, PMC6902834"),
    "pain in the year after stopping, NRS per year": (-0.4, 0.0, "McPherson 2018: -0.20, not different from 0"),
    "opioid against none at 12 weeks, NRS": (-0.82, -0.56, "Busse 2018, JAMA 320:2448: -0.69 cm, 95 % interval"),
    "potency lost on 78 mg a day for 30 days": (0.38, 0.46, "Chu 2012, Pain 153:1583: .42, give or take .04"),
}


class Record(NamedTuple):
    """What an extract says of patients on long-term therapy, per patient (row) and day (column)."""

    dose_mme: Array
    score_sum: Array  # over the days before each day, so that windows are differences
    score_count: Array
    first_day: Array
    last_day: Array
    without_hyperalgesia: Array

    def dose(self, first: int, days: int) -> Array:
        """Mean daily dose of a window (MME)."""
        return self.dose_mme[:, first : first + days].mean(axis=1)

    def pain(self, first: int, days: int) -> Array:
        """Mean recorded pain of a window (NRS); NaN where there is no score."""
        end = first + days
        count = self.score_count[:, end] - self.score_count[:, first]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.score_sum[:, end] - self.score_sum[:, first]) / count

    def sees(self, first: int, end: int) -> Array:
        return (self.first_day <= first) & (self.last_day >= end - 1)

    @property
    def days(self) -> int:
        return self.dose_mme.shape[1]


def read_record(tables: dict[str, pl.DataFrame]) -> Record:
    """Lay out doses and outpatient scores by day. A fill without days supply counts as a usual one."""
    truth = tables["truth/patient"].filter(pl.col("therapy") == "long_term").with_row_index("row")
    patient = truth.select("row", "patient_id", "true_class").join(tables["extract/patient"], on="patient_id")
    day = {name: (pl.col(name).cast(pl.Date) - FIRST_DATE).dt.total_days() for name in
           ("observation_start_date", "observation_end_date", "fill_date", "scored_at")}  # fmt: skip
    days = patient.select(day["observation_end_date"].max()).item() + 1
    products = {
        text: (float(UNIT_MME[family, column]), bool(IS_PATCH[family]))
        for (family, _, column), text in np.ndenumerate(DRUG_TEXTS)
    }
    product = pl.DataFrame([(text, *known) for text, known in products.items()],
                           ["drug_text", "unit_mme", "is_patch"], orient="row")  # fmt: skip
    usual_days = pl.when("is_patch").then(30).otherwise(28)
    supply_days = pl.col("days_supply").fill_null(usual_days)
    fill = tables["extract/prescription"].join(product, on="drug_text").join(patient, on="patient_id").select(
        "row", start=day["fill_date"], end=day["fill_date"] + supply_days,
        dose=pl.col("quantity") * pl.when("is_patch").then(3).otherwise(1) * pl.col("unit_mme") / supply_days,
    ).filter(pl.col("dose") < 1000)  # fmt: skip
    change = np.zeros((len(patient), days + 1))
    row, start, end, dose = (fill[column].to_numpy() for column in ("row", "start", "end", "dose"))
    np.add.at(change, (row, start), dose)
    np.add.at(change, (row, np.minimum(end, days)), -dose)
    score = tables["extract/pain_score"].filter(
        (pl.col("instrument") == "NRS") & (pl.col("setting") == "outpatient")
    ).join(patient, on="patient_id").select(
        "row", day=day["scored_at"] + 1, nrs=pl.col("score").cast(pl.Int64, strict=False)
    ).drop_nulls()  # fmt: skip
    total, count = np.zeros((2, len(patient), days + 1))
    row, at, nrs = (score[column].to_numpy() for column in ("row", "day", "nrs"))
    np.add.at(total, (row, at), nrs)
    np.add.at(count, (row, at), 1)
    return Record(
        dose_mme=np.maximum(change[:, :-1].cumsum(axis=1), 0).round(6),
        score_sum=total.cumsum(axis=1),
        score_count=count.cumsum(axis=1),
        first_day=patient.select(day["observation_start_date"]).to_series().to_numpy(),
        last_day=patient.select(day["observation_end_date"]).to_series().to_numpy(),
        without_hyperalgesia=(patient["true_class"] != "oih").to_numpy(),
    )


def scores(record: Record) -> dict[str, float]:
    """Level, reliability and number of recorded scores."""
    count = record.score_count[:, -1]
    value = np.diff(record.score_sum, axis=1)
    at = np.diff(record.score_count, axis=1)
    years = (record.last_day - record.first_day + 1).sum() / 365
    many = count >= 5
    mean = record.score_sum[many, -1] / count[many]
    per_day = np.divide(value, at, out=np.zeros_like(value), where=at > 0)  # one score a day, nearly always
    squares = (at[many] * (per_day[many] - mean[:, None]) ** 2).sum()
    n = count[many]
    within = squares / (n - 1).sum()
    between = (n * (mean - (n * mean).sum() / n.sum()) ** 2).sum() / (len(n) - 1)
    usual = (n.sum() - (n**2).sum() / n.sum()) / (len(n) - 1)
    return {
        "mean recorded pain, NRS": record.score_sum[:, -1].sum() / count.sum(),
        "single score, intraclass correlation": (between - within) / (between + (usual - 1) * within),
        "scores per patient and year": count.sum() / years,
    }


def doses(record: Record) -> dict[str, float]:
    """How often doses rise (Morasco 2020, Hayes 2020) and are tapered (Fenton 2019)."""
    seen = record.sees(0, FIRST_FILLED + 730)
    baseline = record.dose(FIRST_FILLED, 90)
    treated = seen & (baseline > 0)
    rises = (
        np.max([record.dose(first, 90) for first in range(FIRST_FILLED + 90, FIRST_FILLED + 641, 10)], axis=0)
        >= 1.15 * baseline
    )
    escalates, maintains = np.zeros((2, len(seen)), dtype=bool)
    for _, who, ratio in half_years(record):
        escalates[who[ratio > 1.2]] = True
        maintains[who[np.abs(ratio - 1) <= 0.2]] = True

    stable, tapered = [], []
    for first in range(FIRST_FILLED, record.days - 365 - 210, 30):
        mean = record.dose(first, 365)
        parts = np.array([record.dose(first + start, 60) for start in range(0, 301, 60)])
        is_stable = (
            record.sees(first, first + 575)
            & (mean >= 50)
            & (np.abs(parts / np.maximum(mean, 1) - 1) <= 0.15).all(axis=0)
        )
        after = np.min([record.dose(first + 365 + start, 60) for start in range(0, 151, 30)], axis=0)
        stable.append(is_stable.sum())
        tapered.append((is_stable & (after <= 0.85 * mean)).sum())
    return {
        "dose up by 15 % in 2 years, share": rises[treated].mean(),
        "dose up by 20 % between half-years, share": escalates.sum() / (escalates | maintains).sum(),
        "tapers after a stable year at 50 MME, share": sum(tapered) / sum(stable),
    }


def half_years(record: Record) -> list[tuple[int, Array, Array]]:
    """Pairs of half-years on therapy: the day between them, who is seen in both, and the dose ratio."""
    pairs = []
    for index in range(FIRST_FILLED + HALF_YEAR, record.days - HALF_YEAR + 1, HALF_YEAR):
        covered = [(record.dose_mme[:, first : first + HALF_YEAR] > 0).mean(axis=1) >= 0.5
                   for first in (index - HALF_YEAR, index)]  # fmt: skip
        who = np.flatnonzero(record.sees(index - HALF_YEAR, index + HALF_YEAR) & covered[0] & covered[1])
        pairs.append(
            (
                index,
                who,
                (record.dose(index, HALF_YEAR) / np.maximum(record.dose(index - HALF_YEAR, HALF_YEAR), 1e-9))[who],
            )
        )
    return pairs


def escalators_and_maintainers(record: Record) -> dict[str, float]:
    """Hayes 2020: pain before and after the day between two half-years, escalators against maintainers.

    Maintainers are weighted to the escalators of the same half-year, baseline pain (in steps of half a point) and dose.
    """
    parts = []
    for index, who, ratio in half_years(record):
        before, early, late = (record.pain(index + first, 90)[who] for first in (-90, 0, 90))
        mme = record.dose(index - HALF_YEAR, HALF_YEAR)[who]
        stratum = index * 10_000 + np.nan_to_num(np.rint(before * 2)) * 10 + np.digitize(mme, [20, 50, 90])
        kept = np.isfinite(before + early + late) & ((ratio > 1.2) | (np.abs(ratio - 1) <= 0.2))
        parts.append(np.stack([ratio > 1.2, stratum, early - before, late - before])[:, kept])
    table = pl.DataFrame(np.concatenate(parts, axis=1).T, ["is_escalator", "stratum", "early", "late"], orient="row")
    means = table.group_by("stratum", "is_escalator").agg(pl.len(), pl.col("early", "late").mean())
    up, same = (means.filter(pl.col("is_escalator") == flag) for flag in (1, 0))
    pair = up.join(same, on="stratum")
    mean = {
        name: (pair[column] * pair["len"]).sum() / pair["len"].sum()
        for name, column in (("up_early", "early"), ("up_late", "late"),
                             ("same_early", "early_right"), ("same_late", "late_right"))
    }  # fmt: skip
    return {
        "escalators, days 0-90 less before, NRS": mean["up_early"],
        "escalators, days 91-180 less before, NRS": mean["up_late"],
        "matched maintainers, days 0-90 less before, NRS": mean["same_early"],
        "matched maintainers, days 91-180 less before, NRS": mean["same_late"],
        "difference in differences, days 0-90, NRS": mean["up_early"] - mean["same_early"],
        "difference in differences, days 91-180, NRS": mean["up_late"] - mean["same_late"],
    }


def stopping(record: Record) -> dict[str, float]:
    """McPherson 2018: change of pain per year in the year after discontinuation, each patient against themselves."""
    treated = record.dose_mme > 0
    last = record.days - 1 - treated[:, ::-1].argmax(axis=1)
    long_before = np.array([treated[i, max(day - 180, 0) : day].mean() > 0.8 for i, day in enumerate(last)])
    stops = record.without_hyperalgesia & long_before & (last >= 180) & (record.last_day - last >= 90)
    rows, days = np.nonzero(np.diff(record.score_count, axis=1) * stops[:, None])
    after = (days > last[rows]) & (days <= last[rows] + 365)
    rows, time = rows[after], (days[after] - last[rows[after]]) / 365
    value = (
        np.diff(record.score_sum, axis=1)[rows, days[after]] / np.diff(record.score_count, axis=1)[rows, days[after]]
    )
    count = np.maximum(np.bincount(rows), 1)
    time = time - (np.bincount(rows, time) / count)[rows]
    value = value - (np.bincount(rows, value) / count)[rows]
    return {"pain in the year after stopping, NRS per year": (time * value).sum() / (time**2).sum()}


def trial(seed: int, world: World, patient_count: int) -> dict[str, float]:
    """Opioid against none in people who took none before: same noise, last week of twelve (Busse 2018)."""
    rng = np.random.default_rng(seed)
    people = draw_people(rng, patient_count, world)
    dose = dispense(people.family, people.start_mme)[3] * people.adherence
    drift, noise = people.nociception_sd * rng.standard_normal(patient_count), 0.0
    treated = untreated = State(*np.zeros((4, patient_count)))
    differences = []
    for _ in range(84):
        drift = np.exp(-1 / 120) * drift + people.nociception_sd * np.sqrt(1 - np.exp(-1 / 60)) * rng.standard_normal(
            patient_count
        )
        noise = 0.6 * noise + 0.8 * people.noise_sd * rng.standard_normal(patient_count)
        nociception = np.clip(people.nociception_nrs + drift, 0, 12)
        treated, _, _, felt = step(people.body, treated, dose, nociception)
        untreated, _, _, felt_untreated = step(people.body, untreated, 0 * dose, nociception)
        differences.append((np.clip(felt + noise, 0, 10) - np.clip(felt_untreated + noise, 0, 10)).mean())
    return {"opioid against none at 12 weeks, NRS": float(np.mean(differences[-7:]))}


def tolerance() -> dict[str, float]:
    """Potency that a typical body loses to a month on 78 mg of morphine a day (Chu 2012)."""
    body = Physiology(*np.array([0.27, 45, 1.6, 1 - 2 ** (-1 / 14), 0, 75, 0.03, 0.05, 3, 0.1])[:, None])
    state = State(*np.zeros((4, 1)))
    for _ in range(30):
        state, *_ = step(body, state, np.array([78.0]), np.array([6.0]))
    return {"potency lost on 78 mg a day for 30 days": 1 - 1 / (1 + float(state.tolerance[0]))}


def measure(seed: int, world: World, patient_count: int) -> dict[str, float]:
    """Every quantity of ``TARGETS`` in a world of this seed."""
    record = read_record(simulator.simulate(patient_count, seed, world))
    found = scores(record) | doses(record) | escalators_and_maintainers(record) | stopping(record)
    return found | trial(seed, world, patient_count) | tolerance()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--patients", type=int, default=10_000)
    asked = parser.parse_args()
    worlds = {name: [measure(seed, simulator.load_world(name), asked.patients) for seed in range(1, asked.seeds + 1)]
              for name in ("realistic", "null")}  # fmt: skip
    print(f"{'quantity':52} {'published':>16} {'realistic (SD)':>18} {'':4} {'null (SD)':>18}  source")
    for quantity, (low, high, source) in TARGETS.items():
        mean, spread = {}, {}
        for name, found in worlds.items():
            mean[name] = np.mean([one[quantity] for one in found])
            spread[name] = np.std([one[quantity] for one in found], ddof=min(1, asked.seeds - 1))
        shown = [f"{mean[name]:.3f} ({spread[name]:.3f})" for name in worlds]
        inside = "in" if low <= mean["realistic"] <= high else "OUT"
        print(f"{quantity:52} {f'{low} to {high}':>16} {shown[0]:>18} {inside:4} {shown[1]:>18}  {source}")


if __name__ == "__main__":
    main()
