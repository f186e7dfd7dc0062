"""A whole simulated study with its classifier, run twice through Dagster as a user would."""

import json
import re

import duckdb
import pytest
import yaml

from pipelines import simulator
from tests.end_to_end.conftest import oih

LABELS = ("label.vote", "label.tier", "label.score", "report.model_metric", "trajectory.dose_period")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    simulator.write(simulator.simulate(400, 11), folder / "simulated")
    content = {
        "name": "small_demo",
        "title": "A small demonstration",
        "sources": {"simulated": {"folder": "simulated/extract"}},
        "truth": "simulated/truth",
        "output": "out",
        "training": {"patient_count": 1500, "seed": 3},
    }
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump(content))
    runs = []
    for _ in range(2):
        ran = oih("run", study)
        assert ran.returncode == 0, ran.stderr
        runs.append((folder / "out" / "current").resolve())
    return runs


def rows(run, query):
    with duckdb.connect(str(run / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_same_study_gives_the_same_labels_again(demo):
    first, second = demo
    assert first != second
    for table in LABELS:
        query = f"select count(*), bit_xor(hash(t)) from {table} as t"
        assert rows(first, query) == rows(second, query), table
        assert rows(first, query)[0][0] > 0, table


def test_study_and_code_stand_in_every_published_output(demo):
    manifest = json.loads((demo[1] / "manifest.json").read_text())
    for page in ("report/index.html", "quality/index.html"):
        text = (demo[1] / page).read_text()
        assert manifest["study_hash"] in text
        assert manifest["code_version"] in text
    assert {file["source_file"] for file in manifest["inputs"]} >= {"patient.csv", "prescription.csv"}


def test_the_report_says_simulated_and_reaches_for_nothing_outside(demo):
    page = (demo[1] / "report" / "index.html").read_text()
    assert "simulated" in page.lower()
    outside = set(re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)([^"']*)""", page))
    assert outside == {"../quality/index.html"}
    quality = (demo[1] / "quality" / "index.html").read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data_docs/)""", quality)
    assert "<script" not in page


def test_no_patient_is_named_in_what_is_published(demo):
    page = (demo[1] / "report" / "index.html").read_text()
    assert not re.search(r"\bP\d{6}\b|simulated:[A-Z0-9]", page)


def test_every_episode_inside_the_cohort_has_one_tier_and_every_classifiable_one_a_score(demo):
    inside = rows(demo[1], "select count(*) from episode.episode_profile where excluded_reason is null")
    assert rows(demo[1], "select count(*), count(distinct episode_id) from label.tier") == [inside[0] * 2]
    unscored = "select count(*) from episode.feature anti join label.score using (episode_id)"
    assert rows(demo[1], unscored) == [(0,)]


def test_truth_never_enters_a_table_the_labels_are_made_from(demo):
    columns = rows(demo[1], "select distinct column_name from information_schema.columns")
    assert not {name for (name,) in columns} & {"y_escalation", "y_state", "true_class", "dominant_cause"}


def test_rows_out_are_rows_in_at_every_step(demo):
    unbalanced = rows(
        demo[1],
        "select step, source, table_name from report.row_ledger group by all having "
        "sum(row_count) filter (outcome = 'entered') is distinct from sum(row_count) filter (outcome <> 'entered')",
    )
    assert unbalanced == []
