"""The quality page: what was checked, what changed, where rows went, and other limits tried without a rerun."""

import json
import os
import re
from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest

from pipelines import contracts, quality, simulator, tables, warehouse
from pipelines import study as studies
from pipelines.checks import CheckResult
from pipelines.cli.quality import quality as oih_quality
from pipelines.drift import Drift
from pipelines.errors import CheckError, PipelineError, WorkspaceError
from pipelines.quality import ledger, page, results, sankey
from pipelines.quality.results import Threshold
from pipelines.run import Run
from pipelines.workspace import Workspace
from tests.conftest import draw

CANARY = "canary-4711"


def check(name="days_supply_between", failing=0, rows=100, table="clean.prescription", severity="critical", **more):
    found = {
        "table": table,
        "check": name,
        "expectation": "expect_column_values_to_be_between",
        "arguments": {"column": "days_supply", "min_value": 1},
        "column": "days_supply",
        "severity": severity,
        "why": "A supply lasts a day and more.",
        "status": "passed",
        "rows": rows,
        "failing_rows": failing,
    }
    judged = CheckResult(**(found | more))
    return judged.judged(judged.max_failing_share, judged.max_failing_rows) if "status" not in more else judged


def run_of(*checks, **more):
    facts = {"run_id": "now", "study_name": "s", "study_title": "S", "study_hash": "abc", "code_version": "1+x"}
    return quality.RunResults(**facts, started_at=datetime(2026, 1, 2, tzinfo=UTC), results=list(checks), **more)


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "extract"
    folder.mkdir()
    return studies.Study(name="s", title="S", sources={"simulated": {"folder": folder}}, output=tmp_path / "out")


def text(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


# --- what changed since the last run ---


def changed(before, now):
    return [(change.check, change.what, change.before, change.now) for change in results.changes(before, now)]


def test_a_check_that_passed_before_and_fails_now_is_newly_failing():
    found = changed(run_of(check(failing=0)), run_of(check(failing=3)))
    assert found == [("days_supply_between", "newly failing", "passed, 0 of 100 rows", "failed, 3 of 100 rows")]


def test_a_check_that_failed_before_and_passes_now_is_mended():
    assert [what for _, what, *_ in changed(run_of(check(failing=3)), run_of(check(failing=0)))] == ["mended"]


NOT_JUDGED = {"status": "not_applicable", "rows": 0, "failing_rows": 0}
ERROR = {"status": "error", "failing_rows": None, "reason": "Why."}


@pytest.mark.parametrize(
    ("before", "now", "what"),
    [
        ({"failing": 3}, NOT_JUDGED, ["no longer has a row to judge"]),
        ({"failing": 0}, NOT_JUDGED, ["no longer has a row to judge"]),
        (ERROR, NOT_JUDGED, ["no longer has a row to judge"]),
        ({"failing": 3}, ERROR, ["can no longer be evaluated"]),
        ({"failing": 0}, ERROR, ["can no longer be evaluated"]),
        (NOT_JUDGED, ERROR, ["can no longer be evaluated"]),
        (ERROR, {"failing": 3}, ["newly failing"]),
        (NOT_JUDGED, {"failing": 3}, ["newly failing"]),
        (NOT_JUDGED, {"failing": 0}, ["has rows to judge again"]),
        (ERROR, {"failing": 0}, ["mended"]),
        ({"failing": 3}, {"failing": 3, "severity": "warning"}, ["critical then, now a warning"]),
        ({"failing": 0, "severity": "warning"}, {"failing": 0}, ["a warning then, now critical"]),
        ({"failing": 3}, {"failing": 2, "severity": "warning"}, ["critical then, now a warning", "fewer failing rows"]),
        ({"failing": 3}, {"failing": 3, "max_failing_rows": 5}, ["other limits", "mended"]),
    ],
)
def test_every_change_of_status_severity_and_limits_is_told(before, now, what):
    assert [said for _, said, *_ in changed(run_of(check(**before)), run_of(check(**now)))] == what


def test_a_check_that_the_run_before_did_not_reach_is_no_new_one():
    before = run_of(not_built=["clean.prescription"])
    assert [what for _, what, *_ in changed(before, run_of(check(failing=1)))] == ["failing, not reached then"]


def kept_run(study, run_id, is_published, results_of, age_seconds):
    folder = study.output / "runs" / run_id
    (folder / "quality").mkdir(parents=True)
    run_of(results_of).model_copy(update={"run_id": run_id}).save(folder / "quality")
    os.utime(folder / "quality" / results.FILE, (1_000_000 - age_seconds,) * 2)
    if is_published:
        (folder / "manifest.json").write_text("{}")


@pytest.mark.parametrize(("is_published", "said"), [(True, "was published"), (False, "failed and was not published")])
def test_a_run_is_compared_with_the_last_one_whether_published_or_not_and_says_which(
    is_published, said, study, tmp_path
):
    kept_run(study, "first", True, check(failing=1), 9)
    kept_run(study, "second", is_published, check(failing=2), 5)
    kept_run(study, "now", False, check(failing=3), 1)  # of this run itself, from before it was stopped
    before = results.last(Workspace(study), "now")
    assert (before.results.run_id, before.is_published, before.codes) == ("second", is_published, None)
    page_of = quality.write(tmp_path / "page", run_of(check(failing=3)), study, None, before)
    assert f"Compared with run second of 2026-01-02T00:00:00+00:00, which {said}" in text(page_of.read_text())
    assert results.last(Workspace(study.model_copy(update={"output": tmp_path / "none"})), "now") is None


def test_failing_rows_go_up_and_down_without_a_change_of_status():
    allowed = {"max_failing_rows": 50}
    assert [w for _, w, *_ in changed(run_of(check(failing=3, **allowed)), run_of(check(failing=4, **allowed)))] == [
        "more failing rows"
    ]
    assert [w for _, w, *_ in changed(run_of(check(failing=4)), run_of(check(failing=3)))] == ["fewer failing rows"]


def test_what_did_not_change_is_not_listed():
    assert changed(run_of(check(failing=3)), run_of(check(failing=3))) == []


def test_a_new_check_is_listed_only_where_it_fails():
    assert changed(run_of(), run_of(check(failing=0))) == []
    assert [what for _, what, *_ in changed(run_of(), run_of(check(failing=1)))] == ["new check, failing"]


def test_a_check_that_is_gone_is_listed_unless_the_run_ended_before_it():
    assert [what for _, what, *_ in changed(run_of(check()), run_of())] == ["no longer checked"]
    assert changed(run_of(check()), run_of(not_built=["clean.prescription"])) == []


def test_what_got_worse_comes_first():
    before = run_of(check("a", failing=3), check("b", failing=0), check("c", failing=1))
    now = run_of(check("a", failing=0), check("b", failing=1), check("c", failing=2))
    assert [what for _, what, *_ in changed(before, now)] == ["newly failing", "more failing rows", "mended"]


def test_tables_with_other_numbers_of_rows_are_listed():
    before = run_of(row_counts={"clean.patient": 5, "clean.prescription": 9, "gone": 1})
    now = run_of(row_counts={"clean.patient": 5, "clean.prescription": 7, "new": 1})
    assert results.row_changes(before, now) == [("clean.prescription", 9, 7)]


def test_codes_of_enough_patients_that_only_one_run_has_are_listed():
    def used(**patients):
        rows = [("north", "diagnosis", code, 20, count, None) for code, count in patients.items()]
        columns = ["source", "kind", "code", "row_count", "patient_count", "change"]
        return pl.DataFrame(
            rows,
            schema=dict.fromkeys(columns[:3], pl.String)
            | {"row_count": int, "patient_count": int, "change": pl.String},
            orient="row",
        )

    found = page._code_changes(used(A=11, B=10, C=11, D=30), used(A=11, C=10, E=11, F=10), 11)
    assert [(row["change"], row["code"]) for row in found] == [("vanished", "D"), ("new", "E")]
    assert page._code_changes(None, used(A=11), 11) == []


# --- other limits ---


def test_limits_are_shares_per_cent_or_rows_and_both_of_one_check_hold():
    found = results.thresholds(["a=0.01", "t.x.b=1%", "c=100rows", "c=0.5", "d=1 row"])
    assert found == [
        Threshold("a", 0.01, None),
        Threshold("t.x.b", 0.01, None),
        Threshold("c", 0.5, 100),
        Threshold("d", None, 1),
    ]


@pytest.mark.parametrize("limit", ["a", "=1%", "a=", "a=many", "a=-1", "a=2", "a=101%", "a=1.5rows"])
def test_what_is_no_limit_is_refused_in_one_line(limit):
    with pytest.raises(PipelineError, match=r"^--threshold[^\n]*\.$"):
        results.thresholds([limit])


@pytest.mark.parametrize(
    ("limit", "status"), [("2%", "failed"), ("3%", "passed"), ("2rows", "failed"), ("3rows", "passed"), ("0", "failed")]
)
def test_the_same_counts_are_judged_anew(limit, status):
    name = "clean.prescription.days_supply_between"
    [found] = results.judged([check(failing=3)], results.thresholds([f"{name}={limit}"]))
    assert (found.status, found.failing_rows, found.rows) == (status, 3, 100)


@pytest.mark.parametrize(("limit", "share"), [("0.7%", 0.007), ("2.9%", 0.029), ("0.007", 0.007), ("100%", 1.0)])
def test_a_share_is_read_as_it_is_written(limit, share):
    assert results.thresholds([f"a={limit}"]) == [Threshold("a", share)]


@pytest.mark.parametrize(
    ("limit", "limits", "status"),
    [
        ("5rows", (0.02, 5), "failed"),
        ("5%", (0.05, 2), "failed"),
        ("3%", (0.03, 2), "failed"),
    ],
)
def test_a_limit_that_is_not_given_stays_that_of_the_contract(limit, limits, status):
    known = check("x", failing=3, max_failing_share=0.02, max_failing_rows=2)
    [found] = results.judged([known], results.thresholds([f"x={limit}"]))
    assert ((found.max_failing_share, found.max_failing_rows), found.status) == (limits, status)
    [both] = results.judged([known], results.thresholds(["x=3%", "x=3rows"]))
    assert both.status == "passed"


def test_a_check_is_named_alone_where_one_table_has_it():
    found = [check("key_unique", table="a.b"), check("key_unique", table="a.c"), check("x", failing=1, table="a.c")]
    assert results.judged(found, [Threshold("x", 0.5)])[2].status == "passed"
    with pytest.raises(PipelineError, match=r"2 tables have it \(a\.b, a\.c\)\. Put the table before it"):
        results.judged(found, [Threshold("key_unique", 0.5)])
    with pytest.raises(PipelineError, match="no such check"):
        results.judged(found, [Threshold("y", 0.5)])


def test_a_check_that_counts_no_rows_has_no_limit():
    with pytest.raises(PipelineError, match="counts no rows"):
        results.judged([check("x", failing=None, status="passed")], [Threshold("x", 0.5)])


@pytest.fixture
def kept(study, tmp_path):
    """A study file whose last run failed a critical check, and a run before."""
    for run_id, failing in (("first", 0), ("last", 3)):
        folder = Workspace(study).run_folder(run_id) / "quality"
        folder.mkdir(parents=True)
        run_of(check(failing=failing)).model_copy(update={"run_id": run_id}).save(folder)
    file = tmp_path / "study.yaml"
    file.write_text("name: s\ntitle: S\nsources: {simulated: {folder: extract}}\noutput: out\n")
    return file


def oih(file, **options):
    oih_quality(**({"study": file, "run": None, "threshold": None, "out": None} | options))


def test_oih_quality_fails_where_a_critical_check_fails_and_says_which_where_and_by_how_much(kept, capsys):
    with pytest.raises(CheckError, match=r"^clean\.prescription: days_supply_between: failed, 3 of 100 rows\. "):
        oih(kept)


def test_oih_quality_passes_under_a_limit_that_holds_and_leaves_the_run_as_it_was(kept, study, capsys):
    file = Workspace(study).run_folder("last") / "quality" / "checks.json"
    before = file.read_bytes()
    oih(kept, threshold=["days_supply_between=3%"])
    said = "critical: clean.prescription.days_supply_between: failed -> passed, 3 of 100 rows (at most 3 % allowed)"
    assert said in capsys.readouterr().out
    assert file.read_bytes() == before


def test_oih_quality_reads_the_run_that_is_named(kept):
    oih(kept, run="first")
    with pytest.raises(WorkspaceError, match="keeps no run other that left results"):
        oih(kept, run="other")


def test_oih_quality_writes_its_page_outside_of_the_output_only(kept, study, tmp_path):
    oih(kept, threshold=["days_supply_between=3%"], out=tmp_path / "tried")
    assert "Every check passed" in (tmp_path / "tried" / "index.html").read_text()
    with pytest.raises(PipelineError, match="inside the study's output"):
        oih(kept, out=study.output / "runs" / "last" / "quality")


def test_results_that_were_changed_by_hand_are_refused_in_one_line(tmp_path):
    (tmp_path / "checks.json").write_text('{"run_id": 1')
    with pytest.raises(WorkspaceError, match="is not as a run wrote it"):
        results.read(tmp_path)


def test_results_are_read_as_they_were_saved(tmp_path):
    run = run_of(check(failing=3, max_failing_share=0.1), failures=["x"], row_counts={"a.b": 1})
    run.save(tmp_path)
    assert results.read(tmp_path) == run
    assert json.loads((tmp_path / "checks.json").read_text())["results"][0]["failing_share"] == 0.03


# --- the page ---


def test_every_check_has_numerator_denominator_threshold_status_severity_and_reason(study, tmp_path):
    checks = [
        check("a", failing=3, max_failing_share=0.05),
        check("b", failing=4, rows=200, severity="warning"),
        check("c", failing=0, rows=0),
        check("d", failing=None, status="error", reason="It is not SQL."),
    ]
    shown = quality.write(tmp_path / "q", run_of(*checks), study, None).read_text()
    rows = [text(row).strip() for row in re.findall(r"<tr>.*?</tr>", shown.split('id="checks"')[1], re.S)]
    assert "a passed critical 3 100 3.0 % 5 % A supply lasts a day and more." in rows
    assert "b failed warning 4 200 2.0 % 0 rows A supply lasts a day and more." in rows
    assert "c not applicable critical 0 0 0 rows There was no row to judge." in rows
    assert "d error critical 100 0 rows It is not SQL." in rows


def test_a_failed_run_says_why_and_which_tables_it_never_reached(study, tmp_path):
    failed = run_of(failures=["patient.csv: is empty. Deliver it again."], not_built=["clean.patient"])
    shown = quality.write(tmp_path / "q", failed, study, None).read_text()
    assert "Run failed" in shown and "patient.csv: is empty. Deliver it again." in shown
    assert "The run ended before a table was checked." in shown
    assert "1 tables of the study<" in shown and "clean.patient." in shown
    assert "The run ended before a file was read." in shown


def test_the_page_needs_no_network_and_no_script(study, tmp_path):
    shown = quality.write(tmp_path / "q", run_of(check()), study, None, data_docs="data_docs").read_text()
    assert "<script" not in shown
    assert set(re.findall(r'(?:src|href)="(?!#)([^"]*)"', shown)) == {
        "data_docs/index.html",
        "data_docs/clean.prescription.html",
    }


def test_what_is_hostile_in_titles_and_reasons_is_text_on_the_page(study, tmp_path):
    bad = "<script>alert(1)</script>"
    run = run_of(check(why=bad, failing=1), failures=[bad]).model_copy(update={"study_title": bad})
    shown = quality.write(tmp_path / "q", run, study, None).read_text()
    assert "<script" not in shown and "&lt;script&gt;" in shown


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        for contract in contracts.all_contracts().values():
            if contract.schema_name == "quality" or contract.table in ("report.row_ledger", "report.unread_text"):
                warehouse.create(opened, contract)
        yield opened


def built(**more):
    names = [c.table for c in contracts.all_contracts().values() if c.schema_name in ("quality", "report")]
    return run_of(row_counts=dict.fromkeys(names, 1), **more)


def test_texts_that_few_patients_share_are_not_shown(study, tmp_path, connection):
    draw(
        connection,
        "quality.unit_flip",
        f"""
        source | measure  | drug_text          | quarter_start_date | row_count | patient_count | median_before | median_amount
        -------|----------|--------------------|--------------------|-----------|---------------|---------------|--------------
        north  | strength | {CANARY}           | 2020-01-01         | 9         | 10            | 5             | 5000
        north  | strength | oxycodone <b> 5 mg | 2020-01-01         | 9         | 11            | 5             | 5000
        """,
    )
    draw(
        connection,
        "quality.code_use",
        f"""
        source | kind      | code     | row_count | patient_count | change
        -------|-----------|----------|-----------|---------------|---------
        north  | drug_text | {CANARY} | 9         | 10            |
        north  | diagnosis | M54      | 11        | 11            | new
        """,
    )
    before = quality.Before(run_of(), codes=connection.sql("from quality.code_use where false").pl())
    shown = quality.write(tmp_path / "q", built(), study, connection, before).read_text()
    assert CANARY not in shown
    assert "oxycodone &lt;b&gt; 5 mg" in shown
    assert "1 more are of texts that fewer than 11 patients share" in shown
    assert "M54" in shown


def test_tables_that_this_run_did_not_build_are_not_shown_though_the_warehouse_holds_them(study, tmp_path, connection):
    draw(
        connection,
        "quality.level_shift",
        """
        source | series | measure    | month_number | finding      | level | expected_level
        -------|--------|------------|--------------|--------------|-------|---------------
        north  | OLDRUN | median_mme | 600          | single_month | 9     | 1
        """,
    )
    assert "OLDRUN" not in quality.write(tmp_path / "q", run_of(), study, connection).read_text()
    shown = quality.write(tmp_path / "q", built(), study, connection).read_text()
    assert "OLDRUN median mme 2020-01 single month 9 1" in text(shown)


def test_gaps_that_follow_one_another_are_one(study, tmp_path, connection):
    draw(
        connection,
        "quality.coverage_month",
        """
        source | table_name | month_start_date | row_count
        -------|------------|------------------|----------
        north  | pain_score | 2020-01-01       | 5
        north  | pain_score | 2020-02-01       | 0
        north  | pain_score | 2020-03-01       | 0
        north  | pain_score | 2020-04-01       | 5
        north  | pain_score | 2020-05-01       | 0
        north  | pain_score | 2020-06-01       | 5
        """,
    )
    shown = text(quality.write(tmp_path / "q", built(), study, connection).read_text())
    assert "north clean.pain_score 2020-02 to 2020-03 2 north clean.pain_score 2020-05 1" in shown


def page_of(folder, connection, dates, **more):
    sources = {"simulated": {"folder": folder, "dates": dates}}
    study = studies.Study(name="s", title="S", sources=sources, output=folder / "out")
    return text(quality.write(folder / "q", built(**more), study, connection).read_text())


def test_results_by_the_calendar_are_off_for_shifted_dates_with_a_notice(tmp_path, connection):
    shifted, real = page_of(tmp_path, connection, "shifted"), page_of(tmp_path, connection, "real")
    assert "so they have no calendar" in shifted and "so they have no calendar" not in real
    assert shifted.count("Off for simulated, whose dates are shifted.") == 5
    assert "No month is without a row" in real and "No month is without a row" not in shifted
    assert "Off for" not in real


def test_the_page_says_where_nobody_told_whether_dates_are_shifted(tmp_path, connection):
    said = "Nobody told whether dates are shifted. Results by the calendar are shown for simulated"
    assert said in page_of(tmp_path, connection, "unknown")
    assert said not in page_of(tmp_path, connection, "real") + page_of(tmp_path, connection, "shifted")


def test_columns_that_are_not_those_of_the_contract_stand_on_the_page_what_stops_a_run_first(study, tmp_path):
    def found(column, kind, now=None, is_critical=False):
        return Drift("simulated", "raw_simulated.patient", "patient.csv", column, kind, now, is_critical)

    drifts = [
        found("shop", "new"),
        found("<b>", "new"),
        found("note", "renamed", "notes"),
        found("sex", "gone", None, True),
        found("birth_year", "retyped", "text where most values are no INTEGER", True),
    ]
    run = run_of(drifts=drifts)
    shown = quality.write(tmp_path / "q", run, study, None).read_text()
    rows = [
        text(row).strip()
        for row in re.findall(r"<tr>.*?</tr>", shown.split('id="drift"')[1].split("</table>")[0], re.S)
    ]
    assert rows == [
        "Source File Found Severity Column Now",
        "simulated patient.csv gone critical sex",
        "simulated patient.csv retyped critical birth_year text where most values are no INTEGER",
        "simulated patient.csv not declared warning shop, &lt;b&gt;",
        "simulated patient.csv renamed warning note notes",
    ]
    assert results.read(tmp_path / "q") == run


def test_a_run_whose_tables_were_not_kept_says_so(study, tmp_path):
    shown = text(
        quality.write(tmp_path / "q", run_of(check(), row_counts={"clean.patient": 1}), study, None).read_text()
    )
    assert shown.count("The tables of this run were not kept.") == 3
    assert "The run ended before" not in shown


def test_tables_that_grow_with_the_extract_are_cut_and_say_so(study, tmp_path, connection):
    rows = f"from range({page.ROWS_SHOWN + 7}) as t (number)"
    connection.execute(
        "insert into report.unread_text by name select 'text ' || number as drug_text, 'no_strength' as reason, "
        f"22 as record_count, 22 as patient_count {rows}"
    )
    shown = quality.write(tmp_path / "q", built(), study, connection).read_text()
    assert shown.count('class="wide">text ') == page.ROWS_SHOWN
    assert "7 more are in the warehouse." in shown


# --- the ledger as a Sankey ---

LEDGER = [
    ("ingest", "prescription", "entered", "", 12),
    ("ingest", "prescription", "loaded", "", 10),
    ("ingest", "prescription", "quarantined", "type", 2),
    ("clean", "prescription", "entered", "", 10),
    ("clean", "prescription", "clean", "", 8),
    ("clean", "prescription", "excluded", "not_an_opioid", 2),
    ("adjuvant", "prescription", "entered", "", 10),
    ("adjuvant", "prescription", "clean", "", 1),
    ("adjuvant", "prescription", "excluded", "not_an_adjuvant", 9),
    ("dose", "prescription", "entered", "", 8),
    ("dose", "prescription", "dose_known", "", 5),
    ("dose", "prescription", "dose_unknown", "no_strength", 3),
    ("ingest", "lookup", "entered", "", 99),
    ("ingest", "lookup", "loaded", "", 99),
    ("clean", "lookup", "entered", "", 99),
    ("clean", "lookup", "looked_up", "", 99),
]


def diagram(rows):
    names = ("step", "table_name", "outcome", "reason", "row_count")
    drawn = [dict(zip(names, row, strict=True)) | {"source": "simulated"} for row in rows]
    [found] = ledger.diagrams(drawn, lambda name: name)
    return found


def test_every_way_out_of_the_ledger_is_drawn_with_its_count():
    found = diagram(LEDGER)
    nodes = {text(label).strip() for label in re.findall(r"<text.*?</text>", found.svg)}
    assert nodes == {
        "prescription 12",
        "loaded 10",
        "quarantined: type 2",
        "clean.prescription 8",
        "clean.adjuvant 1",
        "excluded: not_an_opioid 2",
        "dose_known 5",
        "dose_unknown: no_strength 3",
    }
    assert found.looked_up == [("lookup", 99)]


def test_bands_are_as_wide_as_their_rows():
    width = {
        says: float(drawn)
        for drawn, says in re.findall(r'stroke-width="([\d.]+)".*?<title>(.*?)</title>', diagram(LEDGER).svg)
    }
    assert width["prescription to loaded: 10 rows"] / width[
        "prescription to quarantined: type: 2 rows"
    ] == pytest.approx(5, rel=0.01)
    assert len(width) == 7


def test_reasons_beyond_the_most_frequent_are_one_node():
    reasons = [("clean", "prescription", "excluded", f"reason_{number:02}", 100 - number) for number in range(12)]
    found = diagram([*LEDGER[:5], *reasons])
    assert "excluded: reason_08" in found.svg and "excluded: reason_09" not in found.svg
    assert "excluded: other reasons <tspan>270</tspan>" in found.svg


def test_a_delivered_table_of_no_rows_is_not_drawn():
    found = diagram([*LEDGER, ("ingest", "note", "entered", "", 0), ("ingest", "note", "loaded", "", 0)])
    assert found == diagram(LEDGER)


def test_a_diagram_without_rows_is_none_and_labels_are_escaped():
    assert sankey.svg([], [], "x") == ""
    nodes = [sankey.Node("a", "<b>", 0, "kept"), sankey.Node("b", "b", 1, "kept")]
    assert "&lt;b&gt;" in sankey.svg(nodes, [sankey.Link("a", "b", 1)], "x")


# --- a run ---


def test_a_failed_run_leaves_its_page_its_results_and_data_docs(tmp_path):
    simulator.write(simulator.simulate(20, 5), tmp_path)
    study = studies.Study(
        name="s", title="S", sources={"simulated": {"folder": tmp_path / "extract"}}, output=tmp_path / "out"
    )
    file = tmp_path / "extract" / "procedure.csv"
    file.write_text(file.read_text() + "X,P1,not a day,CPT4,1\n")
    by_name = {table.name: table for table in tables.of(study)}
    with Run(study, "failed") as run:
        run.build(by_name["raw_simulated.procedure"])
    folder = run.folder / "quality"
    found = results.read(folder)
    assert found.row_counts["raw_simulated.procedure"] > 0
    assert {result.table for result in found.results} == {"raw_simulated.procedure"}
    assert "clean.patient" in found.not_built
    shown = (folder / "index.html").read_text()
    assert "This is ingest alone." in shown and "Quarantined: type" in shown
    assert "not a day" not in shown
    assert (folder / "data_docs" / "raw_simulated.procedure.html").exists()
    assert quality.last(Workspace(study), "failed") is None
