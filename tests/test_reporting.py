"""The cohort report as a reader gets it: one page, offline, of studies whose patients are made up."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import altair
import duckdb
import jinja2
import polars as pl
import pytest
import vl_convert
import yaml
from jinja2 import nodes

from pipelines import contracts, paths, reporting, sql_files, warehouse
from pipelines import settings as all_settings
from pipelines.study import Study
from tests import made_up_study

TRAINING = "simulated training world, cross-validated by patient"
TRUTH = "simulated truth of this study"


@dataclass
class Check:
    """A check as the report is told of it."""

    table: str
    check: str
    status: str = "passed"
    severity: str = "critical"
    column: str | None = None
    why: str = "Because."
    rows: int = 2_000
    failing_rows: int | None = 0

    @property
    def failing_share(self) -> float | None:
        return None if self.failing_rows is None else self.failing_rows / self.rows


class Page(HTMLParser):
    """A page, taken apart: tags, visible text, headings and the cells of every table by its caption."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._open: list[str] = []
        self._caption = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append((int(tag[1]), ""))
        elif tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables[self._caption].append([])
        elif tag in ("th", "td"):
            self.tables[self._caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self.tables[self._caption] = []
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if self.headings and any(tag in self._open for tag in ("h1", "h2", "h3")):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if "caption" in self._open:
            self._caption += data
        elif "th" in self._open or "td" in self._open:
            self.tables[self._caption][-1][-1] += data

    def table(self, caption: str) -> list[list[str]]:
        """Rows of the table whose caption begins so, without its header."""
        [found] = [rows for title, rows in self.tables.items() if title.startswith(caption)]
        return [[cell.strip() for cell in row] for row in found[1:]]


@dataclass
class Made:
    """A made-up study with its page."""

    connection: duckdb.DuckDBPyConnection
    study: Study
    checks: list[Check] = field(default_factory=list)

    def facts(self) -> reporting.Facts:
        return reporting.Facts(
            run_id="run-5f0c",
            study_name=self.study.name,
            study_title=self.study.title,
            study_hash=self.study.fingerprint,
            code_version="0.1.0+abcdef123456",
            started_at=datetime(2026, 11, 22, 8, 0, tzinfo=UTC),
            finished_at=datetime(2026, 11, 22, 8, 1, 5, tzinfo=UTC),
            sources=tuple(self.study.sources),
            simulated=set(self.study.sources) == {"simulated"},
        )

    def page(self, folder: Path) -> Page:
        file = reporting.write(self.connection, self.study, self.facts(), self.checks, folder)
        return Page(file.read_text(encoding="utf-8"))

    def rows(self, table: str, order: str = "all") -> list[dict]:
        return self.connection.sql(f"from {table} order by {order}").pl().to_dicts()


def make(patients: int, source: str, *evaluated_on: str, shares: dict | None = None, **study: object) -> Made:
    connection = made_up_study.study(patients, 7, source, shares)
    metrics = [
        {"metric": metric, "value": value, "lower": low, "upper": high, "evaluated_on": on, "meaning": "Says much."}
        for on in evaluated_on
        for metric, value, low, high in (("auroc", 0.831, 0.8, 0.86), ("episodes", 2_143.0, None, None))
    ]
    frame = pl.DataFrame(metrics, infer_schema_length=None)
    warehouse.build_from_frame(connection, frame, made_up_study.CONTRACTS["report.model_metric"])
    made = {"name": "made_up", "title": "Made-up cohort", "sources": {source: {"folder": "/x"}}, "output": "/x"}
    return Made(connection, Study.model_validate(made | study))


@pytest.fixture(scope="module")
def demo() -> Iterator[Made]:
    """Simulated patients with episodes, a truth, and checks of every outcome."""
    made = make(2_000, "simulated", TRAINING, TRUTH, settings={"bridge_gap_days": 14})
    bins = pl.DataFrame({"bin": range(10), "episode_count": 90, "patient_count": 84})
    bins = bins.with_columns(mean_predicted=pl.col("bin") / 20, observed_share=pl.col("bin") / 25)
    warehouse.build_from_frame(made.connection, bins, made_up_study.CONTRACTS["report.reliability"])
    made.checks = [
        Check("raw.delivery", "key_unique"),
        Check("clean.patient", "birth_year_between", "failed", "warning", "birth_year", failing_rows=4),
        Check("clean.patient", "sex_in_set", "failed", "warning", "sex", failing_rows=1_996),
        Check("trajectory.dose_period", "dose_mme_between", "failed", "warning", "dose_mme", failing_rows=120),
        Check("label.tier", "every_episode", "error", "critical", failing_rows=None),
    ]
    with made.connection:
        yield made


@pytest.fixture(scope="module")
def demo_page(demo: Made, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return demo.page(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def stays() -> Iterator[Made]:
    """Hospital stays: nobody has scores outside hospital or long-term therapy, so nobody has an episode."""
    shares = {"has_opioid_record": 0.85, "has_pain_score": 0.8, "has_outpatient_scores": 0, "has_long_term_therapy": 0}
    made = make(100, "mimic_iv", TRAINING, shares=shares, long_term_definition="consort")
    with made.connection:
        yield made


@pytest.fixture(scope="module")
def stays_page(stays: Made, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return stays.page(tmp_path_factory.mktemp("stays"))


def count(text: str) -> int | None:
    """A printed count without its share; None where it is withheld."""
    text = text.split(" (")[0]
    return None if text in ("\N{EN DASH}", "<11") else int(text.replace(",", ""))


# One page that needs nothing else


@pytest.mark.parametrize("name", ["demo_page", "stays_page"])
def test_the_page_asks_for_nothing_from_outside(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(|<script|<link|<iframe|<object|<img", page.source, re.IGNORECASE
    )
    assert not [tag for tag, attributes in page.tags if "src" in attributes or tag == "base"]
    outside = [a["href"] for _, a in page.tags if "href" in a and not str(a["href"]).startswith("#")]
    assert set(outside) <= {"../quality/index.html"}  # beside it for as long as it stays inside


@pytest.mark.parametrize("name", ["demo_page", "stays_page"])
def test_every_link_leads_somewhere_on_the_page(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for _, a in page.tags if str(a.get("href", "")).startswith("#")} <= set(ids)


def test_the_page_says_what_it_was_made_of(demo: Made, demo_page: Page) -> None:
    for said in (demo.study.fingerprint, "0.1.0+abcdef123456", "run-5f0c", "2026-11-22 08:01:05 UTC", "Made-up cohort"):
        assert said in demo_page.text
    files = demo_page.table("Delivered files")
    assert files == [[row["source"], row["source_file"], row["sha256"][:12]] for row in demo.rows("raw.delivery")]


@pytest.mark.parametrize("name", ["demo_page", "stays_page"])
def test_no_patient_is_named(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    assert made_up_study.CANARY not in page.source


def test_what_a_table_or_a_study_says_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    made = make(100, "simulated", TRAINING, title=evil)
    made.connection.execute("update raw.delivery set source_file = ?", [evil])
    made.connection.execute("update report.attrition set requirement = ?", [evil])
    made.connection.execute(
        "update report.row_ledger set reason = ? where outcome = 'excluded' and reason <> 'too_early'", [evil]
    )
    made.checks = [Check("clean.patient", evil, "failed", why=evil, column=evil)]
    source = made.page(tmp_path).source
    assert "<script" not in source
    assert source.count(html.escape(evil)) > 15


# What comes first


def test_simulated_patients_are_called_so_before_anything_else(demo_page: Page, stays_page: Page) -> None:
    body = demo_page.source.split("<body>")[1]
    assert body.lstrip().startswith('<div class="simulated"')
    assert "SIMULATED DATA" not in stays_page.text


def test_nothing_before_the_sections_says_that_the_dose_was_the_cause(demo_page: Page) -> None:
    subtitle = demo_page.text.split("Never a reason to taper")[0]
    assert "pain that rose beyond expectation after the opioid dose rose" in subtitle
    assert "because" not in subtitle


@pytest.mark.parametrize("name", ["demo_page", "stays_page"])
def test_candidates_are_never_called_diagnoses_nor_a_reason_to_taper(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    banner, result = page.text.index("Candidates, never diagnoses."), page.text.index("not classifiable")
    assert banner < page.text.index("Never a reason to taper.") < result


def test_the_first_number_is_how_many_patients_are_not_classifiable(
    demo: Made, demo_page: Page, stays_page: Page
) -> None:
    last = demo.rows("report.attrition", "step_number")[-1]
    first_number = re.search(r"[\d,]+", demo_page.source.split('<h2 id="result">')[1].split("<p")[1].split(">")[1])
    assert first_number and int(first_number[0].replace(",", "")) == last["failing_patients"]
    assert re.search(r"100\s+of 100 patients delivered are\s+not classifiable", stays_page.text)


# Counts


def test_no_count_from_1_to_10_is_printed(demo_page: Page, stays_page: Page) -> None:
    counted = {
        "Patients that fail each requirement": [1],
        "Patients by characteristic": [1, 2, 3],
        "Candidate episodes by tier": [1, 2, 3],
        "Votes of": [3, 4],
        "Ingest": [3],
        "Clean": [3],
        "Dose:": [3],
        "Pain:": [3],
        "Records and patients by source": [2, 3],
    }
    hidden = 0
    for page in (demo_page, stays_page):
        for start, places in counted.items():
            for caption in [caption for caption in page.tables if caption.startswith(start)]:
                for row in page.table(caption):
                    for place in places[: len(row) - 1]:
                        number = count(row[place])
                        hidden += number is None
                        assert number is None or number == 0 or number > 10, (caption, row)
        for number in re.findall(r'class="number">([^<]*)<', page.source):
            assert number in ("\N{EN DASH}", "0") or int(number.replace(",", "")) > 10
    assert hidden > 10


def test_counts_that_are_printed_are_the_tables(demo: Made, demo_page: Page) -> None:
    printed = demo_page.table("Patients that fail each requirement")
    for row, true in zip(printed, demo.rows("report.attrition", "step_number"), strict=True):
        assert row[0] == true["requirement"]
        assert count(row[1]) in (None, true["failing_patients"])
        assert row[2] == "" if count(row[1]) is None else f"{100 * true['failing_patients'] / 2_000:.0f} %"
    tiers = {row["tier_number"]: row for row in demo.rows("report.tier_count") if row["index_kind"] == "dose_led"}
    for number, row in enumerate(demo_page.table("Candidate episodes by tier"), start=1):
        assert row[0].lower().startswith(tiers[number]["tier"].replace("_", " "))
        assert count(row[1]) in (None, tiers[number]["patient_count"])
        assert (row[1] == "<11") == (1 <= tiers[number]["patient_count"] <= 10)


def test_shares_are_of_totals_that_are_printed(demo: Made, demo_page: Page) -> None:
    rows = demo_page.table("Patients by characteristic")
    totals = [count(cell) for cell in rows[0][1:]]
    assert totals[0] == 2_000
    shares = 0
    for row in rows[1:]:
        for cell, total in zip(row[1:], totals, strict=False):
            if share := re.search(r"\((.*) %\)", cell):
                shares += 1
                assert total and share[1] in (f"{100 * (count(cell) or 0) / total:.0f}", "<1")
    assert shares > 20


def test_the_smallest_change_that_can_be_seen_is_printed(tmp_path: Path) -> None:
    made = make(400, "simulated", TRAINING)
    with made.connection as connection:
        connection.execute("delete from report.precision")
        connection.execute(
            "insert into report.precision by name select 'dose_led' as index_kind, 110 as judged_episodes, "
            "66 as matched_episodes, 44 as cohort_slope_episodes, 0 as fixed_slope_episodes, "
            "0.6 as median_distal_se_nrs, 1.04 as median_response_se_nrs, 1.2 as median_adjusted_change_se_nrs, "
            "1.97 as median_detectable_change_nrs"
        )
        page = made.page(tmp_path)
    assert page.table("Errors of mean pain") == [
        ["Dose was escalated", "110", "66 (60 %)", "44 (40 %)", "0 (0 %)", "0.60", "1.04", "1.20", "1.97"]
    ]
    assert "cannot be told from error in one patient" in page.text


def test_sham_dates_stand_beside_every_rate(tmp_path: Path) -> None:
    """Votes, tiers and flags of sham dates beside those of escalations, and of these the ones that can be compared."""
    made = make(400, "simulated", TRAINING)
    with made.connection as connection:
        for table in ("flag_rate", "vote_count"):
            connection.execute(f"delete from report.{table}")
        connection.execute(
            "insert into report.vote_count by name select unnest(['dose_led', 'sham_gabapentinoid']) as index_kind, "
            "'LF01' as rule, 'OIH' as vote, 'weak' as strength, '' as abstain_reason, unnest([22, 11]) as episode_count, "
            "11 as patient_count, 110 as judged_count"
        )
        connection.execute(
            "insert into report.flag_rate by name select unnest(['dose_led', 'dose_led', 'sham_maintainer']) as index_kind, "
            "unnest(['all', 'dose_met', 'all']) as episode_group, 110 as judged_episodes, 33 as flagged_episodes, "
            "22 as probable_episodes, 11 as one_step_probable_episodes"
        )
        page = made.page(tmp_path)
    dash = "\N{EN DASH}"
    assert page.table("Votes of LF01") == [
        ["For hyperalgesia", "weak", "", "22 (20 %)", dash, "11 (10 %)", dash],
    ]
    rates = ["110", "33 (30 %)", "22 (20 %)", "11 (10 %)"]
    assert page.table("Episodes flagged") == [
        ["Dose was escalated", *rates],
        ["Dose was escalated, at least 1.3 times the dose of B1", *rates],
        ["Sham: dose kept", *rates],
    ]


def test_bands_stand_in_their_natural_order(demo_page: Page) -> None:
    bands = [row[0] for row in demo_page.table("Patients by characteristic")]
    doses = [band for band in bands if band.endswith("MME") or "MME and" in band]
    assert doses == ["under 20 MME", "20 to 49 MME", "50 to 89 MME", "90 MME and over"]


def test_rows_that_left_are_not_what_entered_one_step_less_what_entered_the_next() -> None:
    """Two delivered tables fill clean.administration, as the header of its mapping says; a few rows of one do not."""
    ledger = contracts.all_contracts()["report.row_ledger"]
    connection = duckdb.connect()
    warehouse.create(connection, ledger)
    connection.executemany(
        "insert into report.row_ledger values (?, 'mimic_iv', ?, ?, ?, ?)",
        [
            ("ingest", "emar", "entered", "", 1_003),
            ("ingest", "emar", "loaded", "", 1_003),
            ("clean", "emar", "entered", "", 1_003),
            ("clean", "emar", "clean", "", 1_000),
            ("clean", "emar", "excluded", "not_an_opioid", 3),
            ("clean", "inputevents", "entered", "", 500),
            ("clean", "inputevents", "clean", "", 500),
            ("dose", "administration", "entered", "", 1_500),
            ("dose", "administration", "dose_known", "", 1_500),
        ],
    )
    published = reporting._protected(connection, make(0, "mimic_iv", TRAINING).study, [ledger])["row_ledger"].frame
    shown = {(step, table, outcome): rows for step, _, table, outcome, _, rows in published.rows()}
    assert shown["clean", "emar", "excluded"] is None
    entered, passed = shown["clean", "emar", "entered"], shown["clean", "emar", "clean"]
    assert entered is None or passed is None
    assert entered is None or None in (
        shown["clean", "inputevents", "clean"],
        shown["dose", "administration", "entered"],
    )


def test_what_one_step_passes_on_is_hidden_where_the_next_begins_with_it(demo: Made) -> None:
    known = [c for c in contracts.all_contracts().values() if c.schema_name == "report"]
    ledger = reporting._protected(demo.connection, demo.study, known)["row_ledger"].frame
    assert ledger["row_count"].null_count() > 0
    for table, step in (("prescription", "dose"), ("pain_score", "pain")):
        passed = ledger.filter(table_name=table, step="clean", outcome="clean")["row_count"].to_list()
        assert passed == ledger.filter(table_name=table, step=step, outcome="entered")["row_count"].to_list()


def test_a_small_number_of_failing_rows_is_not_printed(demo_page: Page) -> None:
    failing = {row[1]: row[2:5] for row in demo_page.table("Checks that did not pass")}
    assert failing == {
        "birth year between: birth_year": ["warning", "<11", ""],
        "sex in set: sex": ["warning", "\N{EN DASH}", ""],
        "dose mme between: dose_mme": ["warning", "120", "6 %"],
        "every episode": ["failed, could not be evaluated", "", ""],
    }
    assert ["clean.patient", "0", "2", "0"] in demo_page.table("Checks by table")
    assert ["label.tier", "0", "0", "1"] in demo_page.table("Checks by table")


def test_the_smallest_count_is_the_studys(demo: Made, tmp_path: Path) -> None:
    disclosed = demo.study.model_copy(
        update={"disclosure": demo.study.disclosure.model_copy(update={"min_cell_count": 30})}
    )
    page = Made(demo.connection, disclosed).page(tmp_path)
    assert "<30" in page.text and "<11" not in page.text


# Nothing to show


def test_a_study_without_an_episode_says_so_and_why(stays_page: Page) -> None:
    assert "No patient of this study has an episode inside the cohort" in stays_page.text
    assert "There is no episode in this study, so there is nothing to draw" in stays_page.text
    assert "There is no episode to vote on" in stays_page.text
    assert "Bar chart of patients by tier" not in stays_page.source
    assert stays_page.source.count("<svg") == 1  # doses do not need an episode
    assert [row[1:4] for row in stays_page.table("Candidate episodes by tier")] == [["0", "0", "0"]] * 7


def test_the_flow_ends_where_nobody_is_left_and_each_requirement_is_still_counted(
    stays: Made, stays_page: Page
) -> None:
    boxes = re.findall(r'class="box (\w+)"><span>(.*?)</span> <span class="number">(.*?)<', stays_page.source)
    assert boxes[-1] == ("remaining", "Pain scored outside hospital in enough weeks", "0")
    assert "No patient is left at this point" in stays_page.text
    failing = [row[1] for row in stays_page.table("Patients that fail each requirement")]
    assert failing[-1] == "100" and len(failing) == 14


def test_a_source_without_encounters_is_named_beside_the_attrition(demo_page: Page, tmp_path: Path) -> None:
    made = make(100, "omop", TRAINING)
    coverage = {"source": "omop", "table_name": "encounter", "is_delivered": False}
    made_up_study.insert(made.connection, "clean.source_coverage", pl.DataFrame([coverage]))
    said = "No encounters were delivered by omop: of its patients nobody leaves for a stay in hospital"
    assert said in " ".join(made.page(tmp_path).text.split())
    assert "No encounters were delivered" not in demo_page.text


def test_a_study_with_no_patient_at_all_has_a_page(tmp_path: Path) -> None:
    made = make(0, "simulated", TRAINING)
    page = made.page(tmp_path)
    assert "No patient was delivered" in page.text


def test_a_classifier_without_truth_is_said_to_be_measured_in_simulated_worlds_only(
    demo_page: Page, stays_page: Page
) -> None:
    assert "measured in the simulated training world only" in stays_page.text
    assert "measured in the simulated training world only" not in demo_page.text
    assert "They are no promise for real patients." in demo_page.text
    assert [caption for caption in demo_page.tables if caption.startswith("Measured on")] == [
        f"Measured on: {TRAINING}",
        f"Measured on: {TRUTH}",
    ]
    assert ["Area under the ROC curve", "0.831", "0.800 to 0.860", "Says much."] in demo_page.table(
        f"Measured on: {TRUTH}"
    )


# Methods


def test_every_setting_stands_with_its_value_default_and_citation(demo: Made, demo_page: Page) -> None:
    printed = {row[0]: row[1:] for row in demo_page.table("Every setting")}
    for row in all_settings.described():
        meaning, value, default, unit, cited = printed[row["name"]]
        assert (meaning, default, unit) == (row["meaning"], str(row["default"]), row["unit"])
        assert value == str(getattr(demo.study.settings, row["name"]))
        number = re.fullmatch(r"\[(\d+)\]", cited)
        assert number and _references(demo_page)[int(number[1]) - 1] == row["citation"]
    changed = re.findall(r'<tr class="changed"><th scope="row"><code>(\w+)</code>', demo_page.source)
    assert changed == ["bridge_gap_days"] and printed["bridge_gap_days"][1:3] == ["14", "30"]


@pytest.mark.parametrize("name", ["demo", "stays"])
def test_the_definition_of_long_term_therapy_in_force_stands_with_its_citation(
    name: str, request: pytest.FixtureRequest
) -> None:
    made, page = request.getfixturevalue(name), request.getfixturevalue(f"{name}_page")
    assert made.study.long_term_definition == {"demo": "covered_90_in_120", "stays": "consort"}[name]
    [row] = [
        row
        for row in made.rows("reference.long_term_definition")
        if row["definition"] == made.study.long_term_definition
    ]
    text = " ".join(page.text.split())
    assert f"by the definition {row['definition']}: {row['title'][0].lower()}{row['title'][1:]} [" in text
    assert row["caveats"] in text and row["citation"] in _references(page)


def test_the_card_of_each_rule_names_the_settings_that_move_it_as_they_are_in_force(
    demo: Made, demo_page: Page
) -> None:
    cards = demo_page.source.split('<h2 id="rules">')[1].split("<h3>")[1:]
    values = {row["name"]: getattr(demo.study.settings, row["name"]) for row in all_settings.described()}
    for sql, card in zip(sql_files.rules(), cards, strict=False):
        assert card.startswith(f"{sql.rule}: ")
        named = re.findall(r"<code>(\w+)</code> ([-\d.]+)", card.split("<dt>Parameters</dt>")[1].split("</dd>")[0])
        assert [name for name, _ in named] and {*dict(named)} == {*sql.settings} & {*values}
        assert all(float(value.rstrip(".")) == values[name] for name, value in named)


def test_every_conversion_factor_of_the_study_stands_with_its_citation(demo: Made, demo_page: Page) -> None:
    factors = {row[0]: row[1:] for row in demo_page.table("Factor set cdc_2022")}
    rows = [row for row in demo.rows("reference.mme_factor") if row["factor_set"] == demo.study.factor_set]
    assert len(rows) == len(factors)
    for row in rows:
        *_, factor, cited = factors[row["ingredient"]]
        assert factor == ("not converted" if row["factor"] is None else f"{float(row['factor']):g}")
        assert _references(demo_page)[int(cited.strip("[]")) - 1] == row["citation"]


@pytest.mark.parametrize(
    "limit",
    [
        "diagnosis of exclusion",
        *("allodynia", "genetics", "lifestyle", "imaging", "What was taken", "sensory tests"),
        "function",
        "makes LF06 weak",
        "withdrawal (LF09), an acute cause (LF10), undertreatment (LF12) and a change",
        "does not say that it rose because of it",
        "Regression to the mean",
        "Dechallenge selects",
        "buprenorphine",
    ],
)
def test_what_extracts_cannot_show_is_said(limit: str, demo_page: Page, stays_page: Page) -> None:
    for page in (demo_page, stays_page):
        assert limit in " ".join(page.source.split('<h2 id="limits">')[1].split("<h2 ")[0].split())


# For every reader


@pytest.mark.parametrize("name", ["demo_page", "stays_page"])
def test_headings_tables_and_charts_can_be_read_aloud(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") == len(page.tables)
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    pictures = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert len(pictures) == tags.count("svg") and all(len(str(picture["aria-label"])) > 30 for picture in pictures)
    assert dict(page.tags)["html"] == {"lang": "en"}


def test_text_in_charts_is_text(demo_page: Page) -> None:
    charts = re.findall(r"<svg.*?</svg>", demo_page.source, re.DOTALL)
    assert len(charts) >= 3
    assert all("<text" in chart for chart in charts)
    assert any("Strong candidate" in chart for chart in charts)


def test_a_chart_draws_no_month_with_few_patients(demo: Made, demo_page: Page) -> None:
    numbers = demo_page.table("Dose (MME per day)")
    drawn = {row[0].lower().replace(" ", "_") for row in numbers}
    for row in demo.rows("report.episode_trajectory"):
        if row["tier"] in drawn and row["observed_patients"] < 11:
            shown = [line for line in numbers if line[0].lower().replace(" ", "_") == row["tier"]]
            assert [str(row["month_number"]), "\N{EN DASH}"] in [line[1:3] for line in shown]
    assert "observed_patients" not in demo_page.source


# Templates and charts


# What is published must be what disclosure control let through; the quality page and the page of one episode stay inside.
PUBLISHED = sorted(path for path in paths.REPORTS.rglob("*.html") if not {"quality", "evidence"} & {*path.parts})


@pytest.mark.parametrize("template", PUBLISHED, ids=lambda path: path.name)
def test_templates_of_the_published_report_do_no_arithmetic(template: Path) -> None:
    tree = jinja2.Environment().parse(template.read_text())
    arithmetic = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow)
    assert not list(tree.find_all(arithmetic))
    assert not [used for used in tree.find_all(nodes.Filter) if used.name in ("sum", "round", "length")]


@pytest.mark.parametrize("definition", sorted((paths.REPORTS / "charts").iterdir()), ids=lambda path: path.stem)
def test_chart_definitions_are_valid_and_named_after_their_table(definition: Path) -> None:
    assert f"report.{definition.stem}" in contracts.all_contracts()
    text = jinja2.Template(definition.read_text()).render(style="{}", top=1)
    altair.Chart.from_dict(yaml.safe_load(text) | {"data": {"values": [{"a": 1}]}})


def test_words_name_what_the_contracts_know() -> None:
    words = yaml.safe_load((paths.REPORTS / "words.yaml").read_text())
    columns = {column.name: column for column in contracts.all_contracts()["label.tier"].columns}
    assert list(words["tier"]) == list(words["tier_meaning"]) == columns["tier"].values
    votes = {column.name: column for column in contracts.all_contracts()["label.vote"].columns}
    assert list(words["vote"]) == votes["vote"].values


def test_a_plot_is_a_picture_of_a_report_table_that_has_something_to_draw(demo: Made, stays: Made) -> None:
    for table in ("report.tier_count", "report.episode_trajectory", "report.reliability"):
        picture = reporting.plot(demo.connection, demo.study, table)
        assert picture and picture.startswith(b"\x89PNG")
        assert reporting.plot(stays.connection, stays.study, table) is None
    for table in ("report.attrition", "clean.patient"):
        assert reporting.plot(demo.connection, demo.study, table) is None


def _references(page: Page) -> list[str]:
    found = re.findall(r'<li id="reference-\d+">(.*?)</li>', page.source, re.DOTALL)
    return [html.unescape(citation) for citation in found]


def test_columns_that_no_contract_declares_are_counted_by_file_and_never_named(tmp_path):
    made = make(0, "simulated", TRAINING)
    made.connection.execute(
        "update raw.delivery set undeclared_columns = ['CANARY', 'ssn'] where table_name = 'diagnosis'"
    )
    page = made.page(tmp_path)
    assert page.table("Columns delivered and not loaded") == [["simulated", "diagnosis.csv", "2"]]
    assert "CANARY" not in page.text and "ssn" not in page.text


def test_the_specification_table_stands_with_the_studys_own_choice_marked(demo_page: Page) -> None:
    rows = demo_page.table("Patients above each threshold under factor set cdc_2022")
    assert [row[0] for row in rows][:4] == [
        "Total days supply (Dasgupta 1)",
        "On-therapy days (Dasgupta 2)",
        "Fixed window (Dasgupta 3)",
        "Maximum day (Dasgupta 4)",
    ]
    assert len(rows) == 13 and all(len(row) == 3 + 2 * 4 for row in rows)
    assert demo_page.source.count('<tr class="changed"><th scope="row">On-therapy days') == 1
    assert "Heat map of the share of patients at or above 90 MME" in demo_page.source


def test_drug_texts_and_flags_of_few_patients_are_not_printed(demo_page: Page) -> None:
    assert [row[:2] for row in demo_page.table("Unread texts by frequency")] == [["oxycodone tablet", "no strength"]]
    assert [row[0] for row in demo_page.table("Row-quality flags")] == ["The same dispensing again"]


def test_counts_beside_specifications_are_multiples_of_the_smallest_count(demo_page: Page) -> None:
    captions = ("Patients above each threshold", "Unread texts by frequency", "Row-quality flags")
    counts = [count(cell) for caption in captions for row in demo_page.table(caption) for cell in row[2:]]
    assert all(number is not None and number % 11 == 0 for number in counts)


def test_a_month_whose_pain_is_withheld_interrupts_the_band_and_is_not_drawn_as_zero():
    dose = {"lower_quartile_mme": 10.0, "median_mme": 20.0, "upper_quartile_mme": 40.0}
    months = [
        {"month_number": -2, **dose, "mean_nrs": 6.0, "standard_error_nrs": 0.5},
        {"month_number": -1, **dose, "mean_nrs": 6.0, "standard_error_nrs": 0.5},
        {"month_number": 0, **dose, "mean_nrs": None, "standard_error_nrs": None},
        {"month_number": 1, **dose, "mean_nrs": 6.0, "standard_error_nrs": 0.5},
        {"month_number": 2, **dose, "mean_nrs": 6.0, "standard_error_nrs": 0.5},
    ]
    drawn = vl_convert.vegalite_to_svg(reporting._chart("episode_trajectory", months, top=60))
    [band] = re.findall(r'<path[^>]* d="([^"]*)"[^>]* fill="#D55E00"', drawn) or re.findall(
        r'<path[^>]* fill="#D55E00"[^>]* d="([^"]*)"', drawn
    )
    assert band.count("M") == 2


def test_a_condition_that_too_few_have_is_named_and_has_no_table(tmp_path: Path) -> None:
    made = make(100, "simulated", TRAINING)
    with made.connection:
        made.connection.execute(
            "insert into report.subgroup_result by name "
            "select unnest(['fibromyalgia', 'migraine', 'migraine']) as covariate, "
            "unnest(['not coded', 'not coded', 'coded']) as category, 'dose_led' as index_kind, "
            "55 as patient_count, 55 as judged_count, 0 as flagged_count, 0 as possible_count"
        )
        page = made.page(tmp_path)
    titles = {title.strip() for title in page.tables}
    assert "Migraine" in titles and "Fibromyalgia" not in titles
    assert re.search(r"or not delivered: .*Fibromyalgia", page.text)
