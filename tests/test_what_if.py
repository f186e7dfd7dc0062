"""Rules and tiers under other thresholds, from the stored tables of a run. Nothing of the run changes."""

import csv
import json
import re
from collections.abc import Callable
from datetime import date
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


RISES = """
select episode_id, vote, evidence[1].value as rise_nrs
from label.vote where rule = 'LF01' and evidence[1].name = 'adjusted change R - B1'
"""


# Who moves -------------------------------------------------------------------------------------------------------


def test_unchanged_settings_move_nobody(study):
    settings = Settings()
    found = moves(study, **{name: getattr(settings, name) for name in what_if.changeable()})
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


# What may change --------------------------------------------------------------------------------------------------


def test_what_may_change_is_what_rules_and_tiers_use_and_nothing_before_them():
    may = what_if.changeable()
    assert may >= {"weak_rise_nrs", "strong_rise_nrs", "relief_nrs", "improvement_nrs", "paradox_min_dose_ratio"}
    before = [sql for sql in sql_files.tables() if sql.path.parent.name < "5_label"]
    assert before
    assert not [sql.table for sql in before if sql.parameters & may]


@pytest.mark.parametrize(
    "name",
    [
        "response_to_day",  # of no rule
        "min_scored_weeks",  # of rules, and of an earlier step, too
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
