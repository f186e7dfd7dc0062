"""Episodes, windows and every rule against an independent slow way, over generated cohorts.

The slow way (tests/oracle) starts where the trajectory ends: runs of dose, counted scores, coded days.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest

from pipelines import simulator, tables, warehouse
from pipelines.study import DosePolicy, Source, Study
from tests.oracle import episode as episodes
from tests.oracle import event, rule, slope, treatment, window
from tests.oracle.daily_dose import Day
from tests.oracle.patient import Fill, Patient, Reading, Run, Span, each_day, on
from tests.sql import borderline, history

# All that a rule can say but for abstaining.
SAID = (
    *(("LF01", "OIH", "weak"), ("LF01", "OIH", "strong"), ("LF02", "OIH_OR_TOL", "weak")),
    *(("LF03", vote, "weak") for vote in ("TOL", "UND", "NOT_OIH")),
    *(("LF04", "OIH", "weak"), ("LF04", "NOT_OIH", "weak"), ("LF05", "OIH", "weak")),
    *(("LF06", "OIH", "weak"), ("LF06", "OIH", "strong"), ("LF07", "NOT_OIH", "weak")),
    *(("LF08", "OIH", "weak"), ("LF08", "OIH", "strong"), ("LF09", "WD", "weak"), ("LF10", "PROG", "weak")),
    *(("LF11", "TOL", "weak"), ("LF12", "UND", "weak"), ("LF13", "OIH", "weak")),
    *(("LF14", "OIH", "weak"), ("LF14", "OIH", "strong"), ("LF15", "OTHER", "weak")),
    *(("LF16", "OIH", "weak"), ("LF16", "OTHER", "weak")),
    *((f"LF{number}", "OTHER", "weak") for number in (17, 18, 19, 20)),
    *((f"LF{number:02d}", "NONE", None) for number in range(1, 21)),
)


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
            observed_to=min((day for day in ends if day is not None), default=None),
            feeds=feeds.get(source, set()),
        )
        for index, name, source, birth_year, observed_from, *ends in rows(
            "select patient_index, patient_id, source, birth_year, observation_start_date, observation_end_date, "
            "death_date, last_date from clean.patient left join trajectory.follow_up using (patient_index)"
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
    for index, day in rows("select distinct patient_index, diagnosis_date from clean.diagnosis"):
        found[index].diagnosed.add(day)
    for index, *coded in rows("select patient_index, coded_date, concept from trajectory.concept_day"):
        found[index].concepts.add(tuple(coded))
    for index, *span in rows(
        "select patient_index, setting, start_date, coalesce(end_date, start_date) from clean.encounter"
    ):
        found[index].encounters.append(Span(*span))
    for index, *span in rows("select patient_index, setting, start_date, end_date from trajectory.inpatient_stay"):
        (found[index].stays if span[0] == "inpatient" else found[index].care).append(Span(*span))
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


class SlowWay:
    """All that the oracle derives from a cohort, each table by name of episode."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        # the bootstrap of a slope is the project's own: its random numbers are no part of a definition
        lows = dict(connection.sql("select episode_id, low_nrs_per_doubling from episode.dose_pain_slope").fetchall())
        self.patients = patients(connection)
        self.episodes = {one.name: one for patient in self.patients for one in episodes.episodes(patient)}
        self.episode_rows = {name: episodes.row(one) for name, one in self.episodes.items()}
        self.changes = {name: window.change(one) for name, one in self.episodes.items()}
        self.expected = window.expected_changes(
            {
                name: (one, self.changes[name], self.episode_rows[name]["excluded_reason"])
                for name, one in self.episodes.items()
            }
        )
        self.judged = [name for name, row in self.episode_rows.items() if row["excluded_reason"] is None]
        tapers = {
            name: treatment.dechallenge(self.episodes[name], self.changes[name]["response_mme"]) for name in self.judged
        }
        expected = treatment.expected_dechallenges(
            {name: (self.episodes[name], self.changes[name], taper) for name, taper in tapers.items()}
        )
        self.tapers = {name: taper | expected[name] for name, taper in tapers.items()}
        for name, change in self.changes.items():
            change["adjusted_change_nrs"] = None
            change["adjusted_change_se_nrs"] = change["change_se_nrs"]
            if name in self.expected:
                change["adjusted_change_nrs"] = change["distal_change_nrs"] - self.expected[name]["expected_change_nrs"]
                change["adjusted_change_se_nrs"] = math.hypot(
                    change["change_se_nrs"], self.expected[name]["expected_change_se_nrs"] or 0
                )
        self.votes = {
            (name, number): said(
                self.episodes[name],
                self.changes[name] | {"dechallenge": self.tapers[name], "slope_low_nrs": lows.get(name) or 0.0},
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
    simulator.write(simulator.simulate(120, 11), folder)
    source = {"simulated": Source(folder=folder / "extract")}
    study = Study(name="world", title="World", sources=source, output=folder)
    with warehouse.opened(folder / "warehouse.duckdb", [folder / "extract"], study.memory_limit) as connection:
        for table in tables.needed_for("label.vote", tables.of(study)):
            table.build(connection, study)
        yield connection


@pytest.fixture(scope="module")
def on_the_limits() -> Iterable[duckdb.DuckDBPyConnection]:
    """Histories on the limits of the definitions, from the clean tables to the votes."""
    # so that medication for opioid use disorder excludes, and does not make the dose unknown first
    policy = DosePolicy(oud_medication="without")
    study = history.STUDY.model_copy(update={"dose_policy": policy})
    with history.derived(borderline.histories(seed=8, patients=240), study, upto="label.vote") as connection:
        yield connection


@pytest.fixture(scope="module", params=["simulated", "on_the_limits"])
def both_ways(request) -> tuple[duckdb.DuckDBPyConnection, SlowWay]:
    """The project's tables of a cohort and the oracle's."""
    connection = request.getfixturevalue(request.param)
    return connection, SlowWay(connection)


def test_episodes_and_what_excludes_them_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    assert differences(connection, "episode.episode", "episode_id", slow.episode_rows) == []


def test_escalations_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    query = "select patient_index, increase_date from episode.escalation where failed_requirement is null"
    expected = {(patient.index, index.day) for patient in slow.patients for index in episodes.escalations(patient)}
    assert {*connection.sql(query).fetchall()} == expected


def test_days_of_pain_and_their_masks_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    expected = {
        (patient.index, *key): pain._asdict()
        for patient in slow.patients
        for key, pain in window.pain_days(patient).items()
    }
    key = "(patient_index, score_date, setting)"
    assert differences(connection, "trajectory.pain_day", key, expected) == []


def test_pain_of_each_window_is_that_of_the_slow_way(both_ways):
    connection, slow = both_ways
    expected = {
        (name, place): {
            "mean_nrs": pain.mean,
            "weekly_sd_nrs": pain.sd,
            "standard_error_nrs": pain.se,
            "scored_week_count": pain.week_count,
            "score_count": pain.score_count,
        }
        for name, one in slow.episodes.items()
        for place in window.WINDOWS
        for pain in [window.window_pain(one, place)]
    }
    assert differences(connection, "episode.window_pain", "(episode_id, window_name)", expected) == []


def test_dose_of_each_window_is_that_of_the_slow_way(both_ways):
    connection, slow = both_ways
    expected = {
        (name, place): {
            "mean_mme": dose.mean,
            "max_mme": dose.highest,
            "covered_days": dose.covered_days,
            "lower_bound_days": dose.unknown_days,
        }
        for name, one in slow.episodes.items()
        for place, days in window.WINDOWS.items()
        for dose in [one.patient.dose(*(on(one.day, day) for day in days))]
    }
    assert differences(connection, "episode.window_dose", "(episode_id, window_name)", expected) == []


def test_changes_grades_and_what_keeps_them_from_being_judged_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    assert differences(connection, "episode.episode_profile", "episode_id", slow.changes) == []


def test_expected_changes_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    assert differences(connection, "episode.expected_change", "episode_id", slow.expected) == []


def test_tapers_and_the_pain_around_them_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    assert differences(connection, "episode.dechallenge_profile", "episode_id", slow.tapers) == []


def test_dose_pain_slopes_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    expected = {}
    for name in slow.judged:
        weeks, sd, found = slope.fitted(slow.episodes[name])
        expected[name] = {
            "scored_week_count": weeks,
            "dose_sd_doublings": None if sd is None else round(sd, 6),
            "slope_nrs_per_doubling": None if found is None else round(found, 6),
            "step_count": slope.step_count(slow.episodes[name]),
        }
    assert differences(connection, "episode.dose_pain_slope", "episode_id", expected) == []


def test_nearest_events_are_those_of_the_slow_way(both_ways):
    connection, slow = both_ways
    expected = {
        (name, kind): dict(
            zip(("event_day", "margin_days", "unread_reason"), event.nearest(slow.episodes[name], kind), strict=True)
        )
        for name in slow.judged
        for kind in event.KINDS
    }
    assert differences(connection, "episode.nearest_event", "(episode_id, kind)", expected) == []


@pytest.mark.parametrize("number", rule.RULES)
def test_each_rule_says_what_the_slow_way_says(both_ways, number):
    connection, slow = both_ways
    expected = {
        key: dict(zip(("vote", "strength", "abstain_reason"), said, strict=True))
        for key, said in slow.votes.items()
        if key[1] == number
    }
    votes = f"(select * from label.vote where rule = '{number}')"
    assert differences(connection, votes, "(episode_id, rule)", expected) == []


def test_every_rule_has_its_slow_way(both_ways):
    connection, _ = both_ways
    assert connection.sql("select distinct rule from label.vote order by rule").fetchall() == [(n,) for n in rule.RULES]


def test_the_histories_on_the_limits_make_every_rule_say_all_it_can(on_the_limits):
    """What is compared above would agree on nothing, too."""
    said = on_the_limits.sql("select distinct rule, vote, strength from label.vote where vote <> 'ABSTAIN'").fetchall()
    kinds = on_the_limits.sql(
        "select distinct index_kind from episode.episode where excluded_reason is null"
    ).fetchall()
    excluded = on_the_limits.sql("select distinct excluded_reason from episode.episode").fetchall()
    failed = on_the_limits.sql("select distinct failed_requirement from episode.escalation").fetchall()
    assert {*SAID} - {*said} == set()
    assert len(kinds) == 4
    assert len(excluded) >= 9
    assert len(failed) >= 8
