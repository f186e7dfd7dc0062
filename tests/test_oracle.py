"""Episodes, windows and every rule against an independent slow way, over generated cohorts.

The slow way (tests/oracle) starts where the trajectory ends: runs of dose, counted scores, coded days.
"""

import csv
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest

from pipelines import paths, simulator, tables, warehouse
from pipelines.study import Source, Study
from tests.oracle import episode as episodes
from tests.oracle import event, rule, slope, treatment, window
from tests.oracle.daily_dose import Day
from tests.oracle.episode import Episode
from tests.oracle.patient import Fill, Patient, Reading, Run, Span, each_day, rounded

EXCLUDING = ("active_cancer", "palliative_care", "sickle_cell_disease", "pregnancy", "intrathecal_pump")


# From the tables of a warehouse to the patients of the oracle


def patients(connection: duckdb.DuckDBPyConnection) -> list[Patient]:
    """Everything that the oracle starts from, by patient."""

    def rows(query: str) -> list[tuple]:
        return connection.sql(query).fetchall()

    feeds: dict[str, set[str]] = {}
    for source, table in rows("select source, table_name from clean.source_coverage where is_delivered"):
        feeds.setdefault(source, set()).add(table)
    found = {
        index: Patient(
            index=index,
            name=name,
            source=source,
            birth_year=birth_year,
            observed_from=observed_from,
            observed_to=min((day for day in (observed_to, died) if day is not None), default=None),
            feeds=feeds.get(source, set()),
        )
        for index, name, source, birth_year, observed_from, observed_to, died in rows(
            "select patient_index, patient_id, source, birth_year, observation_start_date, observation_end_date, "
            "death_date from clean.patient"
        )
    }
    for index, start, end, mme, is_lower_bound in rows(
        "select patient_index, start_date, end_date, dose_mme, is_lower_bound from trajectory.dose_period"
    ):
        dose = Day(Decimal(str(mme)), is_lower_bound)
        found[index].days |= {day: dose for day in each_day(start, end)}
    for index, *run in rows("select patient_index, start_date, end_date, long_term_date from trajectory.therapy_run"):
        found[index].runs.append(Run(*run))
    for index, *fill in rows(
        "select patient_index, start_date, end_date, ingredient, release, days_supply is not null, "
        "record_kind = 'administration' from trajectory.record_dose where is_in_timeline"
    ):
        found[index].fills.append(Fill(*fill))
    for index, *span in rows(
        "select patient_index, product_use, start_date, end_date from trajectory.record_amount "
        "where product_use = 'oud_treatment' and end_date is not null"
    ):
        found[index].treated_for_disorder.append(Span(*span))
    for index, *switch in rows(
        "select patient_index, switch_date, event, ingredient_after from trajectory.opioid_switch"
    ):
        found[index].switches.append(tuple(switch))
    for index, *cut in rows(
        "select patient_index, event_date, end_date from trajectory.opioid_event where event = 'abrupt_cut'"
    ):
        found[index].abrupt_cuts.append(tuple(cut))
    for index, day, setting, nrs in rows(
        "select patient_index, scored_at::date, setting, pain_nrs from trajectory.pain_reading where is_counted"
    ):
        found[index].readings.append(Reading(day, setting, None if nrs is None else Fraction(str(nrs))))
    means = meanings()
    for index, day, system, code in rows(
        "select patient_index, diagnosis_date, code_system, code from clean.diagnosis"
    ):
        found[index].diagnosed |= {(day, concept) for concept in means(system, code)} | {(day, "")}
    for index, *coded in rows("select patient_index, coded_date, concept from trajectory.concept_day"):
        found[index].concepts.add(tuple(coded))
    for index, *span in rows(
        "select patient_index, setting, start_date, coalesce(end_date, start_date) from clean.encounter"
    ):
        found[index].encounters.append(Span(*span))
    for index, *span in rows("select patient_index, '', start_date, end_date from trajectory.inpatient_stay"):
        found[index].stays.append(Span(*span))
    for index, *span in rows(
        "select patient_index, exposure_class, start_date, end_date from trajectory.exposure_period"
    ):
        found[index].exposures.append(Span(*span))
    for index, ingredient, day, daily_mg in rows(
        "select patient_index, ingredient, start_date, daily_mg from trajectory.adjuvant_dose "
        "where drug_class = 'gabapentinoid'"
    ):
        found[index].gabapentinoids.append((ingredient, day, None if daily_mg is None else Fraction(str(daily_mg))))
    for index, *mention in rows(
        "select patient_index, mention_date, concept from clean.note_mention where not is_negated"
    ):
        found[index].mentions.append(tuple(mention))
    return list(found.values())


def meanings() -> Callable[[str, str], list[str]]:
    """What a diagnosis excludes for, by the code list."""
    with (paths.SQL / "1_reference" / "code_list.csv").open(encoding="utf-8") as file:
        listed = [row for row in csv.DictReader(file) if row["concept"] in EXCLUDING]
    known: dict[tuple[str, str], list[str]] = {}

    def concepts(system: str, code: str) -> list[str]:
        if (system, code) not in known:
            known[system, code] = [
                row["concept"] for row in listed if row["code_system"] == system and code.startswith(row["code_prefix"])
            ]
        return known[system, code]

    return concepts


class SlowWay:
    """All that the oracle derives from a cohort, each table by name of episode."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        lows = dict(connection.sql("select episode_id, low_nrs_per_doubling from episode.dose_pain_slope").fetchall())
        self.episodes = {one.name: one for patient in patients(connection) for one in episodes.episodes(patient)}
        self.rows = {name: episodes.row(one) for name, one in self.episodes.items()}
        self.changes = {name: window.change(one) for name, one in self.episodes.items()}
        self.expected = window.expected_changes(
            {name: (one, self.changes[name], self.rows[name]["excluded_reason"]) for name, one in self.episodes.items()}
        )
        self.judged = [name for name, row in self.rows.items() if row["excluded_reason"] is None]
        tapers = {
            name: treatment.dechallenge(self.episodes[name], self.changes[name]["response_mme"]) for name in self.judged
        }
        expected = treatment.expected_dechallenges(
            {name: (self.episodes[name], self.changes[name], taper) for name, taper in tapers.items()}
        )
        self.tapers = {name: taper | expected[name] for name, taper in tapers.items()}
        for name, change in self.changes.items():
            change["adjusted_change_nrs"] = None
            if name in self.expected:
                change["adjusted_change_nrs"] = change["distal_change_nrs"] - self.expected[name]["expected_change_nrs"]
        self.votes = {
            (name, number): said(
                self.episodes[name],
                self.changes[name] | {"dechallenge": self.tapers[name], "slope_low_nrs": lows[name]},
            )
            for name in self.judged
            for number, said in rule.RULES.items()
        }


def differences(
    connection: duckdb.DuckDBPyConnection, table: str, key: str, expected: dict[Any, dict]
) -> list[tuple[Any, str, Any, Any]]:
    """Where the rows of a table and those of the oracle are not the same: key, column, project's, oracle's."""
    columns = list(next(iter(expected.values())))
    found = {
        row[0]: dict(zip(columns, row[1:], strict=True))
        for row in connection.sql(f"select {key}, {', '.join(columns)} from {table}").fetchall()
    }
    apart = [(name, "row", name in found, name in expected) for name in found.keys() ^ expected.keys()]
    for name in found.keys() & expected.keys():
        for column in columns:
            if not same(found[name][column], expected[name][column]):
                apart.append((name, column, found[name][column], expected[name][column]))
    return sorted(apart, key=str)


def same(one: Any, other: Any) -> bool:
    """Equal; numbers that are not whole as the project rounds them."""
    if isinstance(one, float) and other is not None:
        return abs(one - float(other)) < 2e-9 * max(1, abs(one))
    return bool(one == other)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Iterable[duckdb.DuckDBPyConnection]:
    """A small simulated world, from its extract to the votes."""
    folder = tmp_path_factory.mktemp("world")
    simulator.write(simulator.simulate(150, 11), folder)
    source = {"simulated": Source(folder=folder / "extract")}
    study = Study(name="world", title="World", sources=source, output=folder)
    with warehouse.opened(folder / "warehouse.duckdb", [folder / "extract"], study.memory_limit) as connection:
        for table in tables.needed_for("label.vote", tables.of(study)):
            table.build(connection, study)
        yield connection


@pytest.fixture(scope="module")
def slow(simulated) -> SlowWay:
    return SlowWay(simulated)


def test_episodes(simulated, slow):
    assert differences(simulated, "episode.episode", "episode_id", slow.rows) == []
