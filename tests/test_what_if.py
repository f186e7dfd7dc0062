"""Rules and tiers under other thresholds, from the stored tables of a run. Nothing of the run changes."""

import csv
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
import yaml

from pipelines import paths, sql_files, tables, what_if
from pipelines import study as studies
from pipelines.errors import PipelineError
from pipelines.settings import Settings
from pipelines.workspace import Workspace
from tests import made_up_study
from tests.test_evidence import cells, oih, wide_console  # noqa: F401

SEED = 20261122
KINDS = ["dose_led", "pain_led", "sham_maintainer"]


def profiles(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """Episodes with a paradox far beyond error whose adjusted rise is any, and no relief and no taper to read."""
    rise = np.round(rng.uniform(0, 3, rows), 2)
    return pl.DataFrame({"number": np.arange(rows), "adjusted_change_nrs": rise}).with_columns(
        episode_id=pl.format("episode-{}", "number"),
        patient_index="number",
        index_kind=pl.Series(rng.choice(KINDS, rows)),
        index_date=date(2021, 1, 4),
        proximal_change_nrs=1.0,
        adjusted_change_se_nrs=0.1,
        response_to_distal_ratio=2.0,
        distal_nrs=6.0,
        data_grade=pl.Series(rng.choice(["A", "B", "C"], rows)),
        step_count=1,
        known_step_count=1,
        matched_count=0,
        is_linked=False,
        linked_since_date=date(2021, 1, 4),
        is_reversed=False,
    )


@pytest.fixture
def study_file(tmp_path) -> Path:
    file = tmp_path / "study.yaml"
    sources = {"simulated": {"folder": "extract"}}
    file.write_text(yaml.safe_dump({"name": "made_up", "title": "Made up", "sources": sources, "output": "out"}))
    (tmp_path / "extract").mkdir()
    return file


@pytest.fixture
def publish(study_file) -> Callable[[pl.DataFrame], Path]:
    def publish(profile: pl.DataFrame) -> Path:
        study = studies.load(study_file)
        made_up_study.publish(
            study, lambda warehouse: made_up_study.insert(warehouse, "episode.episode_profile", profile)
        )
        return study_file

    return publish


@pytest.fixture
def study(publish) -> Path:
    return publish(profiles(np.random.default_rng(SEED), 300))


def stored(study: Path, query: str) -> pl.DataFrame:
    with duckdb.connect(str(Workspace(studies.load(study)).published), read_only=True) as connection:
        return connection.sql(query).pl()


def moves(study: Path, **changes: object) -> what_if.Moves:
    return what_if.of(studies.load(study), {name: str(value) for name, value in changes.items()})


def histories(rng: np.random.Generator, patients: int) -> dict[str, pl.DataFrame]:
    """What episodes with their windows, tapers and events are built from; pain that rose falls after a taper."""
    number = pl.Series("patient_index", np.arange(patients))
    start, index_date = date(2018, 1, 1), date(2021, 1, 4)
    episode = pl.DataFrame({"patient_index": number}).with_columns(
        episode_id=pl.format("episode-{}", "patient_index"),
        index_kind=pl.Series(rng.choice(["dose_led", "sham_maintainer"], patients)),
        index_date=index_date,
        linked_since_date=index_date,
        follow_up_end_date=index_date + timedelta(700),
        follow_up_days=700,
        prior_therapy_days=400,
        step_count=1,
        known_step_count=1,
        is_linked=False,
        is_reversed=False,
    )
    cut = np.round(rng.uniform(0.1, 0.9, patients), 2)
    days = [
        (start, -1, 30 + 0 * cut),
        (index_date, 119, 60 + 0 * cut),
        (index_date + timedelta(120), 700, 60 * (1 - cut)),
    ]
    period = pl.concat(
        pl.DataFrame({"patient_index": number, "dose_mme": dose}).with_columns(
            start_date=first, end_date=index_date + timedelta(last), is_lower_bound=False
        )
        for first, last, dose in days
    )
    scored = pl.DataFrame({"patient_index": number}).join(pl.DataFrame({"day": range(-364, 500, 7)}), how="cross")
    scored = scored.filter(
        pl.Series(rng.random(len(scored)) < rng.uniform(0.2, 0.9, patients)[scored["patient_index"]])
    )
    rise = (
        rng.uniform(-1, 4, patients)[scored["patient_index"]]
        * scored["day"].is_between(0, np.where(cut >= 0.25, 160, 600)[scored["patient_index"]]).to_numpy()
    )
    pain = pl.Series(np.round(np.clip(4 + rise + rng.normal(0, 0.5, len(scored)), 0, 10), 1))
    event = pl.DataFrame({"patient_index": number, "day": rng.integers(-80, 80, patients)}).filter(number % 3 == 0)
    return {
        "clean.patient": pl.DataFrame({"patient_index": number}).with_columns(
            patient_id=pl.format("{}", "patient_index"), source=pl.lit("simulated")
        ),
        "clean.source_coverage": pl.DataFrame(
            {"table_name": ["diagnosis", "procedure", "encounter", "adjuvant", "note_mention"]}
        ).with_columns(source=pl.lit("simulated"), is_delivered=True, row_count=1),
        "episode.episode": episode,
        "trajectory.dose_period": period,
        "trajectory.pain_day": scored.select(
            "patient_index",
            score_date=pl.lit(index_date) + pl.duration(days="day"),
            pain_nrs=pain,
            setting=pl.lit("outpatient"),
            score_count=1,
            unknown_count=0,
            is_masked=False,
        ),
        "trajectory.acute_event": event.select(
            "patient_index", event_date=pl.lit(index_date) + pl.duration(days="day"), kind=pl.lit("injury")
        ),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Callable[..., Path]:
    """Publish a run whose windows, tapers and events the project's SQL built from histories, under some settings."""

    @cache
    def run(**settings: float) -> Path:
        folder = tmp_path_factory.mktemp("run")
        (folder / "extract").mkdir()
        content = {"name": "made_up", "title": "Made up", "sources": {"simulated": {"folder": "extract"}}}
        file = folder / "study.yaml"
        file.write_text(yaml.safe_dump(content | {"settings": settings, "output": "out"}))
        study = studies.load(file)

        def fill(warehouse: duckdb.DuckDBPyConnection) -> None:
            given = histories(np.random.default_rng(SEED), 120)
            for table, frame in given.items():
                made_up_study.insert(warehouse, table, frame)
            for table in tables.of(study):
                if table.name in what_if._of_rules():
                    table.build(warehouse, study)

        made_up_study.publish(study, fill)
        return file

    return run


RISES = """
select episode_id, vote, evidence[1].value as rise_nrs
from label.vote where rule = 'LF01' and evidence[1].name = 'adjusted change R - B1'
"""


# Who moves -------------------------------------------------------------------------------------------------------


def test_unchanged_settings_move_nobody(run):
    settings = Settings()
    found = moves(run(), **{name: getattr(settings, name) for name in what_if.changeable()})
    assert found.revoted_count == 0
    assert len(found.reasons) == 0
    assert found.tiers.filter(pl.col("tier_before") != pl.col("tier_after")).is_empty()


@pytest.mark.parametrize("threshold", [0.5, 0.99, 1.01, 1.5, 2.5])
def test_a_changed_threshold_moves_exactly_those_whose_evidence_lies_between_the_old_and_the_new(study, threshold):
    rises = stored(study, RISES)
    low, high = sorted([1.0, threshold])
    between = rises.filter(pl.col("rise_nrs").is_between(low, high, closed="left"))
    assert len(between) > 0
    found = moves(study, weak_rise_nrs=threshold).reasons
    assert set(found["episode_id"]) == set(between["episode_id"])
    assert set(found["rule"]) == {"LF01"}
    assert set(found["vote_before"]) == {"OIH" if threshold > 1 else "NONE"}
    assert set(found["vote_after"]) == {"NONE" if threshold > 1 else "OIH"}


@pytest.mark.parametrize(
    ("rise", "threshold", "moves_away"), [(1.5, 1.5, False), (1.49, 1.5, True), (1.0, 1.01, True), (1.51, 1.5, False)]
)
def test_exactly_at_the_new_threshold_a_rise_still_counts(publish, rise, threshold, moves_away):
    profile = profiles(np.random.default_rng(SEED), 1).with_columns(adjusted_change_nrs=rise)
    assert len(moves(publish(profile), weak_rise_nrs=threshold).reasons) == moves_away


def test_each_that_moves_has_the_value_and_both_thresholds_as_its_reason(publish):
    profile = profiles(np.random.default_rng(SEED), 1).with_columns(
        adjusted_change_nrs=1.2, index_kind=pl.lit("dose_led")
    )
    [reason] = moves(publish(profile), weak_rise_nrs=1.5, proximal_fall_limit_nrs=-0.5).reasons.to_dicts()
    assert reason["episode_id"] == "episode-0"
    assert (reason["tier_before"], reason["tier_after"]) == ("possible", "no_paradox")
    assert (reason["rule"], reason["vote_before"], reason["vote_after"]) == ("LF01", "OIH", "NONE")
    assert (reason["name"], reason["value_before"], reason["value_after"]) == ("adjusted change R - B1", 1.2, 1.2)
    assert (reason["threshold_before"], reason["threshold_after"], reason["unit"]) == (1.0, 1.5, "NRS point")
    assert reason["settings"] == "weak_rise_nrs 1.0 to 1.5; proximal_fall_limit_nrs -0.3 to -0.5"


def test_a_threshold_that_no_evidence_has_is_named_itself(publish):
    profile = profiles(np.random.default_rng(SEED), 1).with_columns(
        adjusted_change_nrs=2.1, distal_nrs=9.0, data_grade=pl.lit("A"), index_kind=pl.lit("dose_led")
    )
    [reason] = moves(publish(profile), strong_rise_nrs=2.5).reasons.to_dicts()
    assert (reason["strength_before"], reason["strength_after"], reason["name"]) == ("strong", "weak", None)
    assert reason["settings"] == "strong_rise_nrs 2.0 to 2.5"


def test_the_tiers_before_are_those_of_the_run_and_every_episode_is_counted(study):
    found = moves(study, weak_rise_nrs=1.5).tiers
    before = found.group_by("index_kind", "tier_before").agg(pl.col("episode_count").sum())
    run = stored(study, "select index_kind, tier, count(*) from label.tier group by all")
    assert set(before.cast({"tier_before": pl.String}).rows()) == set(run.rows())


def test_votes_of_rules_that_do_not_use_the_setting_are_the_stored_ones(publish):
    study = publish(profiles(np.random.default_rng(SEED), 100))
    loaded = studies.load(study)
    assert "LF12" not in [sql.rule for sql in sql_files.rules() if "weak_rise_nrs" in sql.parameters]
    with duckdb.connect(str(Workspace(loaded).published)) as connection:
        connection.execute(
            "update label.vote set vote = 'UND', strength = 'weak', abstain_reason = null where rule = 'LF12'"
        )
        [tier] = [table for table in tables.of(loaded) if table.name == "label.tier"]
        tier.build(connection, loaded)
    found = moves(study, weak_rise_nrs=1.5)
    assert found.revoted_count > 0
    run = stored(study, "select distinct tier from label.tier")["tier"].to_list()
    assert "alternative_more_likely" in run
    assert set(found.tiers["tier_before"]) == set(run)


def test_the_settings_of_the_run_are_compared_with_and_not_those_of_the_file_by_now(study):
    content = yaml.safe_load(study.read_text())
    study.write_text(yaml.safe_dump(content | {"settings": {"weak_rise_nrs": 2.5, "min_scored_weeks": 9}}))
    found = moves(study, weak_rise_nrs=1.5)
    assert found.settings == {"weak_rise_nrs": (1.0, 1.5)}
    assert len(found.reasons) == len(stored(study, f"from ({RISES}) where rise_nrs >= 1 and rise_nrs < 1.5"))


def test_an_episode_outside_the_cohort_is_not_counted(publish):
    profile = profiles(np.random.default_rng(SEED), 2).with_columns(excluded_reason=pl.Series([None, "pregnancy"]))
    assert moves(publish(profile), weak_rise_nrs=0.1).tiers["episode_count"].sum() == 1


# Tables that lead to rules alone -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("acute_to_day", 60, "LF10"),  # the days on which an event counts
        ("new_acute_days", 20, None),  # of what is new: every event of these histories is
        ("min_scored_weeks", 5, "LF01"),  # which episodes can be judged
        ("grade_b_weeks", 5, None),  # the tiers alone
        ("strong_se", 4.0, "LF01"),
        ("taper_min_cut", 0.6, "LF06"),
        ("kept_min_cut", 0.6, "LF06"),
        ("within_person_sd_nrs", 0.4, "LF01"),
    ],
)
def test_the_tiers_are_those_of_a_run_with_that_setting(run, setting, value, rule):
    found = moves(run(), **{setting: value})
    other = stored(run(**{setting: value}), "select index_kind, tier, count(*) from label.tier group by all")
    after = found.tiers.group_by("index_kind", "tier_after").agg(pl.col("episode_count").sum())
    assert set(after.cast({"tier_after": pl.String}).rows()) == set(other.rows())
    assert (found.revoted_count > 0) == (rule is not None)
    assert rule is None or rule in found.reasons["rule"].to_list()
    assert all(said.startswith(f"{setting} ") for said in found.reasons["settings"])


def test_an_event_that_counts_by_another_last_day_is_a_reason_with_its_day_and_both_edges(run):
    study = run()
    day = (
        "select episode_id, event_day from episode.nearest_event where kind = 'injury' and event_day between 31 and 60"
    )
    late = dict(stored(study, day).iter_rows())
    assert late
    reasons = moves(study, acute_to_day=60).reasons.filter(pl.col("name") == "day of injury")
    assert len(reasons) > 0
    for reason in reasons.iter_rows(named=True):
        assert reason["value_after"] == late[reason["episode_id"]]
        assert (reason["rule"], reason["vote_before"], reason["vote_after"]) == ("LF10", "NONE", "PROG")
        assert (reason["threshold_before"], reason["settings"]) == (30, "acute_to_day 30 to 60")


# What may change --------------------------------------------------------------------------------------------------


def test_what_may_change_is_what_rules_and_tiers_use_and_the_tables_that_lead_to_them_alone():
    may = what_if.changeable()
    assert may >= {"weak_rise_nrs", "strong_rise_nrs", "relief_nrs", "improvement_nrs", "paradox_min_dose_ratio"}
    assert may >= {
        "acute_to_day",
        "metabolism_to_day",
        "min_scored_weeks",
        "strong_se",
        "taper_min_cut",
        "kept_min_cut",
    }
    # nothing that makes an episode, a step of the dose or a day of pain
    makers = [sql for sql in sql_files.tables() if sql.path.parent.name < "4_episode"]
    makers += [sql for sql in sql_files.tables() if sql.table in ("episode.episode", "episode.escalation")]
    assert not [sql.table for sql in makers if sql.table in what_if._reads() and sql.parameters & may]


@pytest.mark.parametrize("rule", [sql.rule for sql in sql_files.rules() if sql.rule not in ("LF17", "LF18", "LF20")])
def test_every_rule_has_a_threshold_that_may_change(rule):
    """But for those that ask for a code within 90 days of the index date: the days are those of the windows."""
    [sql] = [sql for sql in sql_files.rules() if sql.rule == rule]
    assert what_if._depends_on(sql) & what_if.changeable()


def test_a_setting_that_no_tier_depends_on_is_refused_as_one(study):
    with pytest.raises(PipelineError, match="quadrant_min_nrs: moves no rule and no tier"):
        moves(study, quadrant_min_nrs=1.3)


@pytest.mark.parametrize(
    "name",
    [
        "response_to_day",  # of no rule
        "escalation_min_ratio",  # of what makes an episode
        "month_days",  # of what Python builds
        "slope_min_dose_sd",  # of a rule, and of what Python builds before it
    ],
)
def test_a_setting_of_an_earlier_step_is_refused_by_name_with_what_uses_it(study, name):
    with pytest.raises(PipelineError) as refused:
        moves(study, **{name: 3})
    said = re.fullmatch(
        rf"{name}: (\S+) uses it, so an earlier step would have to be rebuilt\. Change it in the study and run that again\.",
        str(refused.value),
    )
    assert said
    users = {sql.table for sql in sql_files.tables() if name in sql.parameters}
    assert said[1] in users or name in (paths.ROOT / said[1]).read_text()


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["no_such=1"], "no_such: is no setting. Rules and tiers have "),
        (["weak_rise_nrs"], "is no setting with a value"),
        (["weak_rise_nrs="], "is no setting with a value"),
        (["weak_rise_nrs=1", "weak_rise_nrs=2"], "weak_rise_nrs: is given twice"),
        (["weak_rise_nrs=much"], "weak_rise_nrs: Input should be a valid number"),
        (["weak_rise_nrs=-1"], "weak_rise_nrs: Input should be greater than 0"),
        (["weak_se=nan"], "weak_se: nan is no number that values compare with"),
        (["weak_rise_nrs=1e999"], "weak_rise_nrs: 1e999 is no number that values compare with"),
    ],
)
def test_what_is_no_setting_or_no_value_of_one_is_refused(study, assignments, said):
    with pytest.raises(PipelineError) as refused:
        oih("what-if", study, *(part for assignment in assignments for part in ("--set", assignment)))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_that_other_rules_made_is_refused(study):
    with duckdb.connect(str(Workspace(studies.load(study)).published)) as connection:
        connection.execute("update label.tier set tier = 'mixed' where episode_id = 'episode-7'")
    with pytest.raises(PipelineError, match="so another version of the project made it"):
        moves(study, weak_rise_nrs=1.5)


def test_a_manifest_of_another_version_or_no_run_at_all_is_refused(study):
    manifest = Workspace(studies.load(study)).current / "manifest.json"
    content = json.loads(manifest.read_text())
    content["study"]["settings"]["no_such_setting"] = 1
    manifest.write_text(json.dumps(content))
    with pytest.raises(PipelineError, match="is of another version of the project"):
        moves(study, weak_rise_nrs=1.5)
    Workspace(studies.load(study)).current.unlink()
    with pytest.raises(PipelineError, match="has no published run"):
        moves(study, weak_rise_nrs=1.5)


# The terminal ------------------------------------------------------------------------------------------------------


def test_the_matrix_and_the_reasons_are_printed(publish):
    profile = profiles(np.random.default_rng(SEED), 3).with_columns(
        adjusted_change_nrs=pl.Series([1.2, 1.7, 0.2]), index_kind=pl.lit("dose_led"), data_grade=pl.lit("C")
    )
    said = oih("what-if", publish(profile), "--set", "weak_rise_nrs=1.5")
    assert "Counts are exact. Keep them inside." in said
    assert "weak_rise_nrs: 1.0 in the run, here 1.5" in said
    rows = cells(said)
    assert ["Possible", "1", "1"] in rows
    assert ["No paradox", "0", "1"] in rows
    assert "1 episodes move; 1 votes change" in said
    because = "adjusted change R - B1: 1.2 NRS point; threshold 1 to 1.5"
    assert ["episode-0", "Possible to No paradox", "LF01", "For hyperalgesia, weak to Did not fire", because] in rows


def test_every_line_is_in_the_file(study, tmp_path):
    oih("what-if", study, "--set", "weak_rise_nrs=1.5", "--out", tmp_path / "moved.csv")
    with (tmp_path / "moved.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["episode_id"] for row in rows} == set(moves(study, weak_rise_nrs=1.5).reasons["episode_id"])
    assert rows[0].keys() >= {"index_kind", "tier_before", "tier_after", "rule", "name", "value_after", "settings"}


def test_the_file_is_never_written_into_the_output(study, tmp_path):
    with pytest.raises(PipelineError, match="is inside the study's output"):
        oih("what-if", study, "--set", "weak_rise_nrs=1.5", "--out", tmp_path / "out" / "current" / "report.csv")
