"""What may be published: small counts, and every count from which one could be worked out, are hidden.

The attacks here do not use the programme that hides. They put together what a reader knows and look for the smallest
and largest value that a hidden count can have.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from pipelines import contracts, disclosure
from pipelines.contracts import Contract
from pipelines.errors import ContractError
from tests import made_up_study
from tests.conftest import rows_of

REPORT = [contract for contract in contracts.all_contracts().values() if contract.schema_name == "report"]


def contract(table: str, key: str, counts: list[str], adds_up: list[dict], **column: Any) -> Contract:
    """A report table of patient counts; ``column`` adds to the declaration of single columns."""
    return Contract.model_validate(
        {
            "table": f"report.{table}",
            "description": "Counts.",
            "key": [key],
            "columns": [
                {"name": key, "type": "VARCHAR", "description": "Row."},
                *(
                    {"name": name, "type": "BIGINT", "description": "Count."}
                    | column.get(name, {"is_patient_count": True})
                    for name in counts
                ),
            ],
            "adds_up": adds_up,
        }
    )


BAND = contract("band", "band", ["patients"], [{"total": "all patients", "parts": ["patients"], "over": []}])
WHOLE = contract("whole", "name", ["patients"], [{"total": "all patients", "parts": ["patients"]}])
NESTED = contract(
    "nested",
    "name",
    ["treated", "tapered"],
    [{"total": "treated", "parts": ["tapered", "treated but not tapered, {name}"]}],
)
APART = contract("apart", "name", ["patients"], [], patients={"is_patient_count": True, "shows_small": True})


def bands(*patients: int) -> dict[str, pl.DataFrame]:
    """Patients by band, and in a table of its own their total."""
    return {
        "report.band": pl.DataFrame({"band": [f"band {n}" for n in range(len(patients))], "patients": patients}),
        "report.whole": pl.DataFrame({"name": ["all"], "patients": [sum(patients)]}),
    }


def nested(treated: int, tapered: int) -> dict[str, pl.DataFrame]:
    return {"report.nested": pl.DataFrame({"name": ["all"], "treated": [treated], "tapered": [tapered]})}


def shown(tables: Mapping[str, pl.DataFrame], min_cell_count: int = 11) -> list[int | None]:
    """Published counts of these little tables, one after the other."""
    known = [BAND, WHOLE, NESTED, APART]
    published = disclosure.protect(tables, known, min_cell_count)
    return [count for table in published.values() for row in table.frame.rows() for count in row[1:]]


# One count


@pytest.mark.parametrize(("patients", "published"), [(0, [0]), (1, [None]), (10, [None]), (11, [11]), (2_000, [2_000])])
def test_a_count_from_1_to_10_is_hidden_and_zero_is_not(patients: int, published: list) -> None:
    assert shown({"report.apart": pl.DataFrame({"name": ["all"], "patients": [patients]})}) == published


@pytest.mark.parametrize(("min_cell_count", "published"), [(1, [4]), (4, [4]), (5, [None])])
def test_the_study_sets_the_smallest_count(min_cell_count: int, published: list) -> None:
    assert shown({"report.apart": pl.DataFrame({"name": ["all"], "patients": [4]})}, min_cell_count) == published


def test_only_a_small_count_of_a_column_that_shows_so_is_called_small() -> None:
    tables = {"report.apart": pl.DataFrame({"name": ["a", "b"], "patients": [4, 40]})} | bands(4, 40, 400)
    published = disclosure.protect(tables, [BAND, WHOLE, APART], 11)
    assert published["report.apart"].small == {(0, "patients")}
    assert published["report.band"].small == frozenset()


# Counts that add up


def test_beside_one_hidden_part_of_a_published_total_another_is_hidden() -> None:
    assert shown(bands(4, 40, 400)) == [None, 40, None, 444]


def test_hidden_parts_add_up_to_enough_for_any_of_them_to_be_large() -> None:
    assert shown(bands(4, 40, 5)) == [None, None, None, 49], "4 and 5 could not be 11"
    assert shown(bands(4, 40, 8)) == [None, 40, None, 52], "4 and 8 could be 11 and 1"


def test_one_and_eleven_do_not_stand_beside_their_total() -> None:
    assert shown(bands(1, 11)) == [None, None, None], "who knows which is the small one would know both"


def test_zeros_stay_even_where_they_are_the_only_other_parts() -> None:
    assert shown(bands(4, 0, 0)) == [None, 0, 0, None]


def test_a_small_difference_of_two_published_counts_is_hidden() -> None:
    assert shown(nested(100, 96)) == [100, None]
    assert shown(nested(100, 100)) == [100, 100]
    assert shown(nested(100, 89)) == [100, 89]


def test_which_count_is_hidden_beside_a_small_one_does_not_depend_on_its_value() -> None:
    hidden = {
        tuple(count is None for count in shown(bands(*counts))) for counts in [(4, 40, 50), (4, 50, 40), (9, 11, 30)]
    }
    assert hidden == {(True, False, True, False)}


def test_what_leaves_cannot_be_had_from_what_remains() -> None:
    frame = made_up_study.attrition(2_000, 1, dict.fromkeys(made_up_study.REQUIREMENTS, 1.0))
    is_after = pl.col("step_number") > 8
    is_there = pl.col("step_number") == 8
    frame = frame.with_columns(
        entering_patients=pl.when(is_after).then(1_996).otherwise(2_000),
        leaving_patients=pl.when(is_there).then(4).otherwise(0),
        remaining_patients=pl.when(is_after | is_there).then(1_996).otherwise(2_000),
        failing_patients=pl.when(is_after | is_there).then(4).otherwise(0),
    )
    published = disclosure.protect({"report.attrition": frame}, REPORT, 11)["report.attrition"].frame
    assert published["leaving_patients"].to_list() == [0] * 7 + [None] + [0] * 6
    assert published["remaining_patients"].to_list() == [2_000] * 7 + [None] * 7
    assert published["failing_patients"].to_list() == [0] * 7 + [None] * 7


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 1_000), st.sampled_from([0.9, 0.97, 0.995]), st.sampled_from([0.9, 0.97, 0.995]))
def test_one_number_under_two_names_is_hidden_or_shown_under_both(seed: int, first: float, second: float) -> None:
    """Before the first requirement nobody has left; what enters one remained after the one before."""
    shares = {"has_opioid_record": first, "has_known_dose": second, "has_pain_score": 0.99}
    frame = made_up_study.attrition(400, seed, shares)
    published = disclosure.protect({"report.attrition": frame}, REPORT, 11)["report.attrition"].frame
    entering, leaving, remaining, failing = (published[name].is_null().to_list() for name in published.columns[2:])
    assert leaving[0] == failing[0]
    assert entering[0] or remaining[1] == failing[1], "who is delivered and has no known dose did not remain"
    assert entering[1:] == remaining[:-1]


def test_a_count_in_another_table_gives_nothing_away() -> None:
    published = disclosure.protect(bands(4, 40) | nested(44, 0), [BAND, WHOLE, NESTED], 11)
    assert published["report.whole"].frame["patients"].to_list() == [44]
    assert published["report.band"].frame["patients"].to_list() == [None, None]


def report(**tables: str) -> dict[str, pl.DataFrame]:
    """Report tables from drawings: a header line, a ruler, a line per row."""
    frames = {}
    for name, drawing in tables.items():
        table = next(table for table in REPORT if table.name == name)
        numbers = [column.name for column in table.columns if column.type in ("BIGINT", "INTEGER", "DOUBLE")]
        frame = pl.DataFrame([{key: cell or "" for key, cell in row.items()} for row in rows_of(drawing)])
        frame = frame.with_columns(
            pl.lit(None).alias(column) for column in table.column_names if column not in frame.columns
        )
        frames[table.table] = frame.with_columns(pl.col(numbers).cast(pl.Int64, strict=False))
    return frames


SEXES = """
characteristic | category | delivered_patients | long_term_patients | classifiable_patients
---------------+----------+--------------------+--------------------+----------------------
Sex            | female   | 100                | {}                 | {}
Sex            | male     | 100                | 60                 | 20
"""
TIERS = """
index_kind | tier              | episode_count | patient_count | unobserved_patients
-----------+-------------------+---------------+---------------+--------------------
dose_led   | no_paradox        | 100           | 90            | {}
dose_led   | insufficient_data | 40            | 34            | 34
"""
SOURCES = """
source   | record_kind | row_count | patient_count
---------+-------------+-----------+--------------
hospital | patient     | 100       | 100
hospital | diagnosis   | 900       | 96
"""
LEDGER = """
step   | source   | table_name | outcome     | reason | row_count
-------+----------+------------+-------------+--------+----------
clean  | hospital | score      | clean       |        | 1000
clean  | hospital | score      | entered     |        | 1000
ingest | hospital | score      | entered     |        | 1003
ingest | hospital | score      | loaded      |        | 1000
ingest | hospital | score      | quarantined | range  | 3
"""


PAIN = """
step | source   | table_name | outcome       | reason | row_count
-----+----------+------------+---------------+--------+----------
pain | hospital | pain_score | entered       |        | 1000
pain | hospital | pain_score | masked        |        | 100
pain | hospital | pain_score | score_known   |        | 860
pain | hospital | pain_score | score_unknown | asleep | 40
"""
SCORES = """
source   | record_kind                     | row_count | patient_count
---------+---------------------------------+-----------+--------------
hospital | pain score, emergency, unknown  | 4         | 4
hospital | pain score, outpatient, unknown | 36        | 20
hospital | pain score, outpatient          | 960       | 90
hospital | patient                         | 100       | 100
"""


@pytest.mark.parametrize(
    ("tables", "together"),
    [
        (report(cohort_characteristic=SEXES.format(96, 50)), "delivered_patients 0, long_term_patients 0"),
        (report(cohort_characteristic=SEXES.format(60, 56)), "long_term_patients 0, classifiable_patients 0"),
        (report(source_summary=SOURCES), "patient_count 0, patient_count 1"),
        (report(source_summary=SOURCES), "row_count 0, patient_count 1"),
        (report(tier_count=TIERS.format(86)), "patient_count 0, unobserved_patients 0"),
        (report(row_ledger=LEDGER), "row_count 2, row_count 3"),
        (report(row_ledger=LEDGER), "row_count 2, row_count 1"),
        (report(row_ledger=LEDGER), "row_count 2, row_count 0"),
        (report(row_ledger=PAIN, source_summary=SCORES), "source_summary.row_count 1, row_ledger.row_count 3"),
    ],
)  # fmt: skip
def test_numbers_that_together_give_a_small_count_away_are_not_all_shown(
    tables: dict[str, pl.DataFrame], together: str
) -> None:
    published = disclosure.protect(tables, REPORT, 11)
    shown = []
    for cell in together.split(", "):
        column, row = cell.split()
        table, _, column = column.rpartition(".")
        frame = published[f"report.{table}"] if table else next(iter(published.values()))
        shown.append(frame.frame[column][int(row)])
    assert None in shown


def test_the_ledger_and_the_summary_call_a_count_of_pain_scores_by_one_name() -> None:
    """Otherwise what one of them hides could be had from the other."""
    ledger, summary = (
        {total.total for total in found.adds_up if "pain scores" in total.total}
        for found in REPORT
        if found.name in ("row_ledger", "source_summary")
    )
    assert ledger == summary == {"counted pain scores of {source}", "unknown pain scores of {source}"}


# What describes few patients


DESCRIBED = contract(
    "described",
    "tier",
    ["patients", "episodes", "probability"],
    [{"total": "all episodes", "parts": ["episodes"], "over": []}],
    episodes={"unit": "episode", "withheld_with": "patients"},
    probability={"type": "DOUBLE", "withheld_with": "patients"},
)


def test_episodes_and_averages_of_few_patients_are_hidden_with_them() -> None:
    tiers = pl.DataFrame({"tier": ["a", "b"], "patients": [4, 40], "episodes": [14, 50], "probability": [0.2, 0.1]})
    published = disclosure.protect({"report.described": tiers}, [DESCRIBED], 11)["report.described"].frame
    assert published.rows() == [("a", None, None, None), ("b", 40, 50, 0.1)]


def test_episodes_of_few_patients_cannot_be_had_from_the_total() -> None:
    tiers = pl.DataFrame({"tier": ["a", "b"], "patients": [4, 40], "episodes": [14, 50], "probability": [0.2, 0.1]})
    total = contract("total", "name", ["episodes"], [{"total": "all episodes", "parts": ["episodes"]}])
    all_episodes = pl.DataFrame({"name": ["all"], "episodes": [64]})
    tables = {"report.described": tiers, "report.total": all_episodes}
    published = disclosure.protect(tables, [DESCRIBED, total], 11)
    assert published["report.described"].frame["episodes"].to_list() == [None, None]
    assert published["report.total"].frame["episodes"].to_list() == [64]


def test_a_count_that_is_never_published_still_hides_what_it_describes() -> None:
    monthly = contract(
        "monthly",
        "month",
        ["scored", "mean"],
        [],
        scored={"is_patient_count": True, "is_published": False},
        mean={"type": "DOUBLE", "withheld_with": "scored"},
    )
    frame = pl.DataFrame({"month": ["1", "2", "3"], "scored": [10, 11, 0], "mean": [4.0, 5.0, None]})
    published = disclosure.protect({"report.monthly": frame}, [monthly], 11)["report.monthly"].frame
    assert published.to_dict(as_series=False) == {"month": ["1", "2", "3"], "mean": [None, 5.0, None]}


# Contracts


def test_counts_that_do_not_add_up_as_declared_stop_the_report_without_telling_them() -> None:
    tables = bands(20, 30)
    tables["report.whole"] = tables["report.whole"].with_columns(patients=pl.lit(7_351))
    with pytest.raises(ContractError, match=r"report\.\w+\.patients: does not add up") as raised:
        disclosure.protect(tables, [BAND, WHOLE], 11)
    assert "7351" not in str(raised.value) and "7_351" not in str(raised.value)


def test_a_term_of_one_word_must_be_a_column(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "6_report"
    folder.mkdir()
    (folder / "band.yaml").write_text(
        "table: report.band\ndescription: Bands.\nkey: [band]\n"
        "columns: [{name: band, type: VARCHAR, description: Band.}]\n"
        "adds_up: [{total: everybody, parts: [band]}]\n"
    )
    with pytest.raises(ContractError, match="names no column: everybody"):
        contracts.read(folder / "band.yaml")


# Figures of papers and of simulated worlds: the same whoever the patients are.
CITED = {"published_low", "published_high", "null_world_mean", "null_world_sd"}
COUNTING = [table for table in REPORT if any(column.is_patient_count for column in table.columns)]


@pytest.mark.parametrize("table", COUNTING, ids=lambda table: table.name)
def test_every_number_of_a_report_table_is_a_count_or_is_withheld_with_one(table: Contract) -> None:
    for column in table.columns:
        if column.type == "BIGINT":
            assert column.is_count and (column.is_patient_count or column.withheld_with), column.name
        elif column.type == "DOUBLE" and column.is_published and column.name not in CITED:
            assert column.withheld_with, column.name


# Attacks on all little tables there are


def consistent(tables: dict[str, pl.DataFrame], published: list[int | None], bound: int) -> Iterator[tuple[int, ...]]:
    """Counts of every table of this shape that a reader cannot tell from the published one."""
    if "report.nested" in tables:
        candidates: Iterator[tuple[int, ...]] = (
            (treated, tapered) for treated in range(bound) for tapered in range(treated + 1)
        )
        complete = (candidate for candidate in candidates)
    else:
        parts = len(published) - 1
        complete = ((*counts, sum(counts)) for counts in itertools.product(range(bound), repeat=parts))
    for counts in complete:
        if all(count == told if told is not None else count > 0 for count, told in zip(counts, published, strict=True)):
            yield counts


def quantities(tables: dict[str, pl.DataFrame], counts: tuple[int, ...]) -> tuple[int, ...]:
    """What must not be known: the counts, and for nested ones their difference."""
    return (*counts, counts[0] - counts[1]) if "report.nested" in tables else counts


PAIRS = [
    *(bands(*counts) for counts in itertools.product(range(6), repeat=2)),
    *(nested(treated, tapered) for treated in range(9) for tapered in range(treated + 1)),
]
LITTLE = [*PAIRS, *(bands(*counts) for counts in itertools.product(range(5), repeat=3))]


@pytest.mark.parametrize(("min_cell_count", "little"), [(3, LITTLE), (4, PAIRS)])
def test_no_little_table_gives_a_small_count_away(min_cell_count: int, little: list) -> None:
    """A reader lists all tables that fit what is published: a small count may always be large."""
    for tables in little:
        published = shown(tables, min_cell_count)
        true = tuple(count for frame in tables.values() for row in frame.rows() for count in row[1:])
        possible = [quantities(tables, counts) for counts in consistent(tables, published, 18)]
        assert true in {counts[: len(true)] for counts in possible}
        for number, count in enumerate(quantities(tables, true)):
            if 1 <= count < min_cell_count:
                assert max(counts[number] for counts in possible) >= min_cell_count, (true, published)
                assert len({counts[number] for counts in possible}) > 1, (true, published)


def test_a_reader_who_knows_which_hidden_counts_are_small_still_knows_none() -> None:
    for tables in PAIRS:
        published = shown(tables, 4)
        true = quantities(
            tables, tuple(count for frame in tables.values() for row in frame.rows() for count in row[1:])
        )
        size = [min(count, 1) + (count >= 4) for count in true]
        same_size = [
            counts
            for counts in (quantities(tables, found) for found in consistent(tables, published, 18))
            if [min(count, 1) + (count >= 4) for count in counts] == size
        ]
        everything_hidden = all(count in (None, 0) for count in published)
        for number, count in enumerate(true):
            if 1 <= count < 4 and not everything_hidden:
                assert len({counts[number] for counts in same_size}) > 1, (true, published)


def test_a_reader_who_runs_the_programme_on_every_table_learns_no_small_count() -> None:
    """Tables with the same published page differ in every small count, however the page came about."""
    pages = defaultdict(list)
    for treated in range(24):
        for tapered in range(treated + 1):
            pages[tuple(shown(nested(treated, tapered), 4))].append((treated, tapered, treated - tapered))
    for first in range(24):
        for second in range(24 - first):
            pages[tuple(shown(bands(first, second), 4))].append((first, second, first + second))
    for page, alike in pages.items():
        if max(max(counts) for counts in alike) > 16:
            continue  # its other tables may lie beyond those tried
        for number in range(3):
            found = {counts[number] for counts in alike}
            assert not (len(found) == 1 and 1 <= min(found) < 4), (page, alike)


# Attacks by linear programming


def reach(
    of: np.ndarray, known: np.ndarray, told: np.ndarray, hidden: np.ndarray, is_whole: bool = True
) -> tuple[float, float]:
    """Smallest and largest value of a sum of unknowns, given published sums of them, and that hidden ones are not 0."""
    rules = [LinearConstraint(csr_matrix(known), told, told)] if len(known) else []
    rules += [LinearConstraint(csr_matrix(hidden), 1, np.inf)] if len(hidden) else []
    bounds = []
    for sign in (1, -1):
        solved = milp(
            sign * of, constraints=rules, integrality=np.full(len(of), int(is_whole)), bounds=Bounds(0, 10_000)
        )
        assert solved.status == 0, solved.message
        bounds.append(solved.fun * sign)
    return bounds[0], bounds[1]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0, 0, 1, 3, 7, 10, 11, 14, 60]), min_size=3, max_size=3), min_size=2, max_size=4)
)
def test_no_table_with_margins_gives_a_small_count_away(counts: list[list[int]]) -> None:
    """Rows and columns with all their totals, solved as a reader would."""
    table = np.array(counts)
    columns = ["first", "second", "third"]
    cross = contract(
        "cross",
        "row",
        [*columns, "in_row"],
        [
            {"total": "in_row", "parts": columns},
            *({"total": f"all {name}", "parts": [name], "over": []} for name in columns),
        ],
    )
    margin = contract("margin", "name", ["patients"], [{"total": "all {name}", "parts": ["patients"]}])
    frame = pl.DataFrame(table, schema=columns, orient="row").with_columns(
        row=pl.Series([f"row {n}" for n in range(len(table))]), in_row=pl.Series(table.sum(axis=1))
    )
    tables = {
        "report.cross": frame.select("row", *columns, "in_row"),
        "report.margin": pl.DataFrame({"name": columns, "patients": table.sum(axis=0)}),
    }
    published = disclosure.protect(tables, [cross, margin], 11)
    cells = np.eye(table.size).reshape(*table.shape, table.size)
    sums = [*cells.reshape(-1, table.size), *cells.sum(axis=1), *cells.sum(axis=0)]
    told = [
        *published["report.cross"].frame.select(columns).to_numpy().astype(float).ravel(),
        *published["report.cross"].frame["in_row"].cast(pl.Float64).to_numpy(),
        *published["report.margin"].frame["patients"].cast(pl.Float64).to_numpy(),
    ]
    known = np.array([s for s, t in zip(sums, told, strict=True) if not np.isnan(t)]).reshape(-1, table.size)
    hidden = np.array([s for s, t in zip(sums, told, strict=True) if np.isnan(t)]).reshape(-1, table.size)
    numbers = np.array([t for t in told if not np.isnan(t)])
    for of in sums:
        if 1 <= of @ table.ravel() <= 10:
            low, high = reach(of, known, numbers, hidden)
            assert low < high and high >= 11


SHARES = st.fixed_dictionaries(
    {name: st.sampled_from([0.5, 0.9, 0.97, 0.995, 1.0]) for name in made_up_study.REQUIREMENTS}
)


@settings(max_examples=3, deadline=None, derandomize=True, phases=[Phase.generate])  # shrinking would take minutes
@given(st.integers(0, 1_000), st.sampled_from([100, 400]), SHARES)
def test_attrition_and_cohort_give_no_group_of_patients_away(
    seed: int, patients: int, shares: dict[str, float]
) -> None:
    """The reader counts unknown patients by every pattern of requirements met, sex and dose.

    No count is taken from ``adds_up``: a group is small if fewer than 11 patients are in one published group and not
    in another that lies within it. What ``adds_up`` forgets is found here.
    """
    frames, published = _protected(made_up_study.study(patients, seed, shares=shares))
    cohort = frames["report.cohort_characteristic"].with_row_index("row")
    cohort = cohort.filter(pl.col("characteristic") != "Age at first opioid")
    names = ["Sex", "Mean dose on therapy"]
    categories = [cohort.filter(pl.col("characteristic") == name)["category"].to_list() for name in names]
    kinds = [
        (pattern, *values)
        for pattern in _patterns()
        for values in itertools.product(*categories)
        if all((value == "no opioid") == (not pattern[0]) for value in values[1:])
    ]
    met = np.array([kind[0] for kind in kinds], dtype=bool)
    groups: dict[tuple[str, int, str], np.ndarray] = {}
    entering = np.ones(len(kinds), dtype=bool)
    for row in range(met.shape[1]):
        remaining = entering & met[:, row]
        for name, group in (
            ("entering_patients", entering),
            ("leaving_patients", entering & ~met[:, row]),
            ("remaining_patients", remaining),
            ("failing_patients", ~met[:, row]),
        ):
            groups["report.attrition", row, name] = group
        entering = remaining
    for row, characteristic, category in cohort.select("row", "characteristic", "category").iter_rows():
        of = names.index(characteristic) + 1 if characteristic in names else None
        here = np.array([of is None or kind[of] == category for kind in kinds])
        for name, group in (
            ("delivered_patients", here),
            ("long_term_patients", here & met[:, list(made_up_study.REQUIREMENTS).index("has_long_term_therapy")]),
            ("classifiable_patients", here & met[:, list(made_up_study.REQUIREMENTS).index("is_classifiable")]),
        ):
            groups["report.cohort_characteristic", row, name] = group
    true = {cell: frames[cell[0]][cell[2]][cell[1]] for cell in groups}
    told = {cell: published[cell[0]].frame[cell[2]][cell[1]] for cell in groups}
    known = np.array([group for cell, group in groups.items() if told[cell] is not None], dtype=float)
    numbers = np.array([number for number in told.values() if number is not None])
    hidden = np.array([group for cell, group in groups.items() if told[cell] is None], dtype=float)
    tiers = frames["report.tier_count"].with_row_index("row")
    [unjudged_row] = tiers.filter(index_kind="dose_led", tier="insufficient_data")["row"]
    are_unjudged_told_small = (unjudged_row, "patient_count") in published["report.tier_count"].small
    requirements = list(made_up_study.REQUIREMENTS)
    is_unjudged = met[:, requirements.index("is_not_excluded")] & ~met[:, requirements.index("is_classifiable")]
    targets = {group.tobytes(): group for cell, group in groups.items() if 1 <= true[cell] <= 10}
    for outer, inner in itertools.permutations(groups, 2):
        if 1 <= true[outer] - true[inner] <= 10 and not (groups[inner] & ~groups[outer]).any():
            rest = groups[outer] & ~groups[inner]
            targets[rest.tobytes()] = rest
    for target in targets.values():
        low, high = reach(target.astype(float), known, numbers, hidden.reshape(-1, len(kinds)), is_whole=False)
        # Who cannot be judged is small where the table of tiers says so; how small stays unknown.
        is_told_small = are_unjudged_told_small and not (target & ~is_unjudged).any()
        assert low < high and (high > 11 - 1e-6 or is_told_small)


@pytest.mark.parametrize("patients", [400, 2_000])
def test_counts_of_votes_are_rounded_so_that_tiers_and_votes_do_not_tell_each_other(patients: int) -> None:
    frames, _ = _protected(made_up_study.study(patients, 1))
    votes = frames["report.vote_count"]
    assert len(votes)
    for counted in ("episode_count", "patient_count"):
        assert (votes[counted] % 11 == 0).all() and (votes[counted] >= 11).all()


def _protected(study: duckdb.DuckDBPyConnection) -> tuple[dict[str, pl.DataFrame], dict[str, disclosure.Published]]:
    with study:
        frames = {
            table.table: study.sql(f"from {table.table} order by {', '.join(table.key)}").pl() for table in REPORT
        }
    return frames, disclosure.protect(frames, REPORT, 11)


def _patterns() -> list[tuple[int, ...]]:
    """Every way in which one patient can meet and fail the requirements."""
    names = list(made_up_study.REQUIREMENTS)
    presupposed = [names.index(before) if before else None for before, _ in made_up_study.REQUIREMENTS.values()]
    return [
        pattern
        for pattern in itertools.product((0, 1), repeat=len(names))
        if all(not met or before is None or pattern[before] for met, before in zip(pattern, presupposed, strict=True))
    ]
