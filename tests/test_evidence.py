"""The evidence ledger of an episode, in the terminal and on a page. D is the index date."""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from pipelines import cli, evidence, evidence_page
from pipelines import study as studies
from pipelines.errors import PipelineError
from pipelines.workspace import Workspace
from tests import made_up_study
from tests.conftest import rows_of
from tests.end_to_end.conftest import oih as called
from tests.sql.drawing import drawn

EPISODE = "7-2021-01-04"
PAIN_ROSE = {
    "adjusted_change_nrs": 1.4,
    "distal_change_nrs": 1.6,
    "expected_change_nrs": 0.2,
    "expected_by": "matched_maintainers",
    "matched_count": 6,
    "proximal_change_nrs": 1,
    "change_se_nrs": 0.5,
    "expected_change_se_nrs": 0.4,
    "adjusted_change_se_nrs": 0.64,
    "distal_nrs": 6,
    "proximal_nrs": 6,
    "response_to_distal_ratio": 1.25,
    "data_grade": "B",
    "fewest_scored_weeks": 4,
}
WINDOWS = """
window_name | start_date | end_date | is_observed
-
B1 | D-365 | D-91 | true
B0 | D-90 | D-1 | true
E | D+14 | D+35 | true
R | D+36 | D+90 | true
R2 | D+91 | D+180 | false
"""
FEEDS = ("diagnoses", "procedures", "encounters", "adjuvants", "notes")


@pytest.fixture(autouse=True)
def wide_console(monkeypatch):
    """Wide enough for no cell to wrap, whatever terminal the tests run in."""
    monkeypatch.setattr(cli.console, "width", 1000)


def oih(*arguments: object) -> str:
    """What the command line prints; what it refuses is raised."""
    done = CliRunner().invoke(cli.app, [*map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def cells(output: str) -> list[list[str]]:
    """The rows of printed tables as their cells."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line]


@pytest.fixture
def publish(tmp_path) -> Callable[..., Path]:
    """The study file of a published run with one episode of patient 7 and drawn rows."""

    def publish(profile: dict | None = None, fed: tuple[str, ...] = FEEDS, **given: str) -> Path:
        file = tmp_path / "study.yaml"
        sources = {"simulated": {"folder": "extract"}}
        file.write_text(yaml.safe_dump({"name": "made_up", "title": "Made up", "sources": sources, "output": "out"}))
        (tmp_path / "extract").mkdir()
        same = {"episode_id": EPISODE, "patient_index": 7}
        row = same | {
            "index_kind": "dose_led",
            "index_date": "D+0",
            "follow_up_end_date": "D+150",
            "step_count": 1,
            "known_step_count": 1,
            "is_linked": False,
            "linked_since_date": "D+0",
            "is_reversed": False,
            "matched_count": 0,
        }
        row |= PAIN_ROSE | (profile or {})
        feeds = same | {f"has_{feed}": feed in fed for feed in FEEDS}
        del feeds["patient_index"]
        tables = {
            "episode.episode_profile": one_row(row),
            "episode.delivered_feed": one_row(feeds),
            "episode.episode_window": drawn(WINDOWS, **same),
        } | {name.replace("__", "."): drawing for name, drawing in given.items()}

        def fill(connection: duckdb.DuckDBPyConnection) -> None:
            for table, drawing in tables.items():
                for cell in rows_of(drawing):
                    columns, marks = ", ".join(cell), ", ".join("?" for _ in cell)
                    connection.execute(f"insert into {table} ({columns}) values ({marks})", list(cell.values()))

        made_up_study.publish(studies.load(file), fill)
        return file

    return publish


def one_row(values: dict) -> str:
    known = {name: value for name, value in values.items() if value is not None}
    first, *rest = known
    return drawn(f"{first}\n-\n{known[first]}", **{name: known[name] for name in rest})


def of(study: Path) -> evidence.Evidence:
    return evidence.of(studies.load(study), EPISODE)


# The terminal ----------------------------------------------------------------------------------------------------


def test_each_value_that_a_rule_looked_at_stands_with_its_threshold_and_margin(publish):
    rows = cells(oih("explain", publish(), EPISODE))
    assert ["LF01", "Did not fire", "adjusted change R - B1", "1.4", "1", "0.4", "NRS point"] in rows
    assert ["", "", "dose ratio R to B1", "1.25", "1.3", "-0.05", "ratio"] in rows


def test_a_rule_that_abstains_says_why_and_one_that_fires_how_strongly(publish):
    said = oih("explain", publish({"response_to_distal_ratio": 1.3}), EPISODE)
    assert "For hyperalgesia, weak" in said
    assert "Abstained: Too few scores in E, the early window" in said


def test_the_tier_has_its_sentence_and_the_expected_change_its_source(publish):
    said = oih("explain", publish(), EPISODE)
    assert "│ No paradox" in said
    assert "B: 4 scored weeks in the sparsest of B1, B0 and R" in said
    assert (
        "1.6 NRS points from B1 to R; 0.2 (standard error 0.4) was to be expected, the change of 6 matched patients"
        in said
    )
    assert "1.4 is beyond it" in said


def test_without_a_match_the_expected_change_is_said_to_be_regression(publish):
    regression = {"expected_by": "regression", "matched_count": 0, "expected_change_se_nrs": None}
    said = oih("explain", publish(regression), EPISODE)
    assert "0.2 (standard error unknown) was to be expected, the change that regression to the mean explains" in said
    assert "since nobody matched" in said


def test_an_episode_that_cannot_be_judged_says_so_in_words_and_its_unknown_values_are_unknown(publish):
    unknown = {"distal_change_nrs": None, "adjusted_change_nrs": None, "expected_change_nrs": None, "expected_by": None}
    study = publish(unknown | {"not_classifiable_reason": "too_few_scores_distal", "data_grade": None})
    said = oih("explain", study, EPISODE)
    assert ["Not classifiable", "Too few scored weeks in B1, the distal baseline"] in cells(said)
    assert "not known: too few scores in B1 or in R" in said
    assert ["LF01", "adjusted change R - B1", "unknown"] in [
        [row[0], *row[2:4]] for row in cells(said) if len(row) == 7
    ]


def test_an_episode_outside_the_cohort_says_why(publish):
    said = oih("explain", publish({"excluded_reason": "active_cancer"}), EPISODE)
    assert ["Tier", "Outside the cohort: active cancer."] in cells(said)
    assert "no rule votes outside the cohort" in said


def test_windows_stand_with_their_dates_and_whether_they_were_observed(publish):
    rows = cells(oih("explain", publish(), EPISODE))
    assert ["R", "2021-02-09 to 2021-04-04", "unknown", "unknown", "0"] in rows
    assert ["R2", "2021-04-05 to 2021-07-03, not observed whole"] in [row[:2] for row in rows]
    assert ["C", "2021-04-05 to 2022-04-04, not observed whole"] in [row[:2] for row in rows]


def test_an_unknown_episode_or_a_study_that_has_not_run_is_one_line(publish, tmp_path):
    study = publish()
    left = called("explain", study, "7-2021-01-05")
    assert (left.returncode, left.stdout) == (1, "")
    assert left.stderr == ("error: made_up: has no episode of that name. Write it as in label.tier of its last run.\n")
    Workspace(studies.load(study)).current.unlink()
    with pytest.raises(PipelineError, match="has no published run"):
        oih("explain", study, EPISODE)


# Events ----------------------------------------------------------------------------------------------------------


def test_what_happened_from_b1_to_c_is_named_by_day_and_nothing_of_others(publish):
    study = publish(
        episode__escalation=drawn(
            "patient_index | increase_date | mean_before_mme | mean_after_mme | failed_requirement\n-\n"
            "7 | D+0 | 20 | 30 |\n7 | D+40 | 30 | 45 |\n7 | D+60 | 30 | 31 | ratio\n8 | D+10 | 20 | 40 |",
            is_long_term=True,
        ),
        trajectory__opioid_event=drawn(
            "patient_index | event | definition | event_date\n-\n"
            "7 | taper | a | D+200\n7 | taper | b | D+200\n7 | abrupt_cut | c | D+200\n7 | escalation | a | D+0\n"
            "8 | taper | a | D+210"
        ),
        trajectory__opioid_switch=drawn(
            "event | switch_date | last_supply_date | ingredient_before | ingredient_after\n-\n"
            "rotation | D-30 | D-31 | morphine | oxycodone",
            patient_index=7,
        ),
        trajectory__acute_event=drawn("patient_index | event_date | kind\n-\n7 | D+456 | injury\n7 | D+455 | surgery"),
        trajectory__inpatient_stay=drawn(
            "setting | start_date | end_date | stay_days | is_end_known\n-\ninpatient | D-370 | D-365 | 6 | true\n"
            "long_term_care | D-364 | D-357 | 8 | true\ninpatient | D+9 | D+9 | 1 | false",
            patient_index=7,
        ),
        clean__procedure=drawn(
            "procedure_id | patient_index | procedure_date | code\n-\na | 7 | D-366 | 1\nb | 7 | D-365 | 2\nc | 7 | D-365 | 3",
            source="simulated",
            code_system="CPT4",
            source_table="procedure",
            source_file="procedure.csv",
            source_row=1,
        ),
    )
    found = of(study).events
    assert found.select("day", "kind", "what").rows() == [
        (-370, "stay in hospital", "6 days"),
        (-365, "procedure", "CPT4 2; CPT4 3"),
        (-364, "stay in long-term care", "8 days"),
        (-30, "change of opioid", "rotation, morphine to oxycodone"),
        (0, "dose step", "20.0 to 30.0 MME a day"),
        (9, "stay in hospital", "1 or more days"),
        (40, "dose step", "30.0 to 45.0 MME a day"),
        (200, "dose cut", "abrupt cut; taper"),
        (455, "acute event", "surgery"),
    ]


def test_an_adjuvant_begins_where_none_of_it_was_in_supply_for_as_long_as_therapy_bridges(publish):
    study = publish(
        trajectory__adjuvant_dose=drawn(
            "adjuvant_id | ingredient | drug_class | start_date | end_date\n-\n"
            "a | gabapentin | gabapentinoid | D-100 | D-71\n"
            # 30 days after the last day of supply, and 31 days after it
            "b | gabapentin | gabapentinoid | D-41 | D-12\n"
            "c | gabapentin | gabapentinoid | D+19 |\n"
            "d | duloxetine | snri | D-41 |",
            patient_index=7,
        )
    )
    assert of(study).events.select("day", "what").rows() == [
        (-100, "gabapentin, gabapentinoid"),
        (-41, "duloxetine, snri"),
        (19, "gabapentin, gabapentinoid"),
    ]


@pytest.mark.parametrize(("is_taper", "days"), [(True, [120, 150]), (False, [])])
def test_the_cuts_of_a_taper_that_rules_read_are_named_and_days_that_stand_in_for_cuts_are_not(publish, is_taper, days):
    cut = {
        "episode_id": EPISODE,
        "patient_index": 7,
        "first_cut_date": "D+120",
        "last_cut_date": "D+150",
        "is_taper": is_taper,
        "is_observable": True,
        "before_week_count": 3,
        "after_week_count": 3,
    }
    assert of(publish(episode__dechallenge=one_row(cut))).events["day"].to_list() == days


def test_a_rule_without_evidence_is_shown_too(publish):
    study = publish()
    with duckdb.connect(str(Workspace(studies.load(study)).published)) as connection:
        connection.execute("update label.vote set evidence = [] where rule = 'LF03'")
    assert "LF03" in [row[0] for row in cells(oih("explain", study, EPISODE))]


# The page --------------------------------------------------------------------------------------------------------


@pytest.fixture
def chart(publish) -> Callable[..., dict]:
    return lambda **given: evidence_page.timeline(of(publish(**given)))


def test_a_dose_is_as_wide_as_its_days_and_cut_at_the_first_of_b1_and_the_last_of_c(chart):
    found = chart(
        trajectory__dose_period=drawn(
            "patient_index | start_date | end_date | dose_mme | is_lower_bound\n-\n"
            "7 | D-500 | D-366 | 9 | false\n7 | D-365 | D-365 | 10 | false\n7 | D+0 | D+0 | 30 | true\n"
            "7 | D+455 | D+500 | 20 | false\n8 | D+0 | D+9 | 40 | false"
        )
    )
    columns = ("from_day", "to_day", "dose_mme", "is_lower_bound")
    assert [tuple(row[name] for name in columns) for row in found["datasets"]["dose"]] == [
        (-365, -364, 10, False),
        (0, 1, 30, True),
        (455, 456, 20, False),
    ]


def test_scores_near_an_operation_or_from_hospital_are_rings_and_unknown_ones_are_not_drawn(chart):
    found = chart(
        trajectory__pain_day=drawn(
            "score_date | setting | pain_nrs | is_masked\n-\n"
            "D-365 | outpatient | 4 | false\nD+1 | outpatient | 5 | true\nD+2 | inpatient | 6 | false\n"
            "D+3 | outpatient | | false\nD-366 | outpatient | 7 | false",
            patient_index=7,
            score_count=1,
            unknown_count=0,
        )
    )
    assert [(row["from_day"], row["pain_nrs"], row["is_counted"]) for row in found["datasets"]["pain"]] == [
        (-365, 4, True),
        (1, 5, False),
        (2, 6, False),
    ]


def test_windows_are_shaded_by_name_from_their_first_day_to_the_end_of_their_last(chart):
    found = chart(
        episode__window_pain=drawn(
            "window_name | mean_nrs | standard_error_nrs | scored_week_count\n-\nR | 9.5 | 0.9 | 4\nB1 | 4 | 0.5 | 9",
            episode_id=EPISODE,
            patient_index=7,
            score_count=9,
        )
    )
    rows = {row["window_name"]: row for row in found["datasets"]["windows"]}
    assert {name: (row["from_day"], row["to_day"]) for name, row in rows.items()} == {
        "B1": (-365, -90),
        "B0": (-90, 0),
        "E": (14, 36),
        "R": (36, 91),
        "R2": (91, 181),
        "C": (91, 456),
    }
    assert (rows["B1"]["low_nrs"], rows["B1"]["high_nrs"]) == (3.5, 4.5)
    assert rows["R"]["high_nrs"] == 10
    assert rows["E"]["mean_nrs"] is None


def test_an_empty_lane_of_a_feed_that_nobody_delivered_says_so(chart):
    found = chart(
        fed=("diagnoses",),
        trajectory__acute_event=drawn("patient_index | event_date | kind\n-\n7 | D+1 | injury"),
    )
    [lanes] = re.findall(r"'domain': (\['dose step'.*?\])", str(found["vconcat"][3]))[:1]
    assert "'procedure: not delivered'" in lanes
    assert "'acute event'" in lanes
    assert found["datasets"]["events"][0]["lane"] == "acute event"


@pytest.mark.parametrize(("end", "day"), [("D+454", 455), ("D+455", None), (None, None)])
def test_the_end_of_follow_up_is_marked_where_windows_go_on_beyond_it(publish, end, day):
    found = evidence_page.timeline(of(publish({"follow_up_end_date": end})))
    assert (day is not None) == ("follow-up ends" in str(found))
    assert day is None or f"'from_day': {day}" in str(found["vconcat"])


def test_the_page_needs_no_network_and_no_script_and_says_that_it_stays_inside(publish, tmp_path):
    oih("explain", publish(), EPISODE, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"<script|<link|<iframe|@import|url\(", page)
    assert not set(re.findall(r"https?://[^\"\s<]+", page)) - {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "stays inside the secure environment" in page
    assert "A candidate, never a diagnosis" in page
    assert "No advice" in page
    assert ">-0.05<" in page
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600


def test_what_the_page_shows_is_escaped(publish, tmp_path):
    event = drawn("patient_index | event_date | kind\n-\n7 | D+1 | <script>")
    oih("explain", publish(trajectory__acute_event=event), EPISODE, "--out", tmp_path / "page.html")
    assert "<script>" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("out", ["out/page.html", "out/current/report/index.html", "out/runs/made-up/report/x.html"])
def test_the_page_is_never_written_where_the_published_report_is(publish, tmp_path, out):
    study = publish()
    (tmp_path / "out" / "runs" / "made-up" / "report").mkdir()
    with pytest.raises(PipelineError, match="is inside the study's output"):
        oih("explain", study, EPISODE, "--out", tmp_path / out)
    (tmp_path / "link.html").symlink_to(tmp_path / out)
    with pytest.raises(PipelineError, match="is inside the study's output"):
        oih("explain", study, EPISODE, "--out", tmp_path / "link.html")
    assert not list((tmp_path / "out").rglob("*.html"))


@pytest.mark.parametrize("out", ["page.txt", "nowhere/page.html", "folder.html"])
def test_a_page_that_cannot_be_written_is_refused(publish, tmp_path, out):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(PipelineError, match="cannot be written"):
        oih("explain", publish(), EPISODE, "--out", tmp_path / out)


def test_the_run_stays_as_it_was(publish, tmp_path):
    study = publish()
    warehouse = Workspace(studies.load(study)).published
    before = sha256(warehouse.read_bytes()).hexdigest()
    oih("explain", study, EPISODE, "--out", tmp_path / "page.html")
    oih("what-if", study, "--set", "weak_rise_nrs=0.5")
    assert sha256(warehouse.read_bytes()).hexdigest() == before
