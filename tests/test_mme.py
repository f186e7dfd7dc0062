"""``oih mme``: one file in, daily doses out, as a user calls it."""

import os
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from pipelines import (
    cli,
    contracts,
    dose_definitions,
    flat_file,
    mme,
    overlap,
    products,
    specification,
    tables,
    warehouse,
)
from pipelines import study as studies
from pipelines.errors import PipelineError
from tests.conftest import rows_of
from tests.end_to_end.conftest import oih as called
from tests.oracle.dose_definitions import NAMES

WRITTEN = {
    "patient_id": pl.String,
    "definition": pl.String,
    "factor_set": pl.String,
    "overlap": pl.String,
    "daily_mme": pl.Float64,
    "is_lower_bound": pl.Boolean,
    "window_start": pl.Date,
    "window_end": pl.Date,
    "buprenorphine": pl.String,
}
TIMELINE = {
    "patient_id": pl.String,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "dose_mme": pl.Float64,
    "is_lower_bound": pl.Boolean,
}


def oih(*arguments: object) -> str:
    """What ``oih mme`` prints; what it refuses is raised."""
    done = CliRunner().invoke(cli.app, ["mme", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(autouse=True)
def wide_console(monkeypatch):
    """Wide enough for no cell to wrap, whatever terminal the tests run in."""
    monkeypatch.setattr(cli.console, "width", 1000)


def saved(file: Path, drawing: str) -> Path:
    rows = pl.DataFrame(rows_of(drawing), infer_schema_length=None)
    rows.write_parquet(file) if file.suffix == ".parquet" else rows.write_csv(file)
    return file


def loaded(file: Path, schema: dict = WRITTEN) -> pl.DataFrame:
    if file.suffix == ".parquet":
        return pl.read_parquet(file)
    return pl.read_csv(file, schema=schema)


@pytest.fixture
def computed(tmp_path) -> Callable[..., pl.DataFrame]:
    """What is written for a drawn file."""

    def compute(drawing: str, *options: object) -> pl.DataFrame:
        out = tmp_path / "computed.csv"
        oih(saved(tmp_path / "drawn.csv", drawing), "--out", out, *options)
        return loaded(out)

    return compute


def doses(found: pl.DataFrame, *columns: str) -> list[tuple]:
    return found.select("patient_id", *columns, "daily_mme", "is_lower_bound").rows()


# Worked examples ------------------------------------------------------------------------------------------------

# One row per published or hand-worked example: the highest day of `quantity` of a product over `days`. An empty dose
# is one that must not be computed, and the reason is why.
EXAMPLES = """
factor_set      | case                              | drug_text                            | quantity | days | mme     | reason
----------------|-----------------------------------|--------------------------------------|----------|------|---------|-------------------------
anzca_2021      | anzca.oxycodone40                 | OXYCODONE 10 MG TABLET               | 120      | 30   | 60      |
cdc_2022        | arcos.hydrocodone_base            | HYDROCODONE BITARTRATE-ACETAMINOPHEN 7.5-325 MG TABLET | 30 | 30 | 7.5 |
cdc_2022        | arcos.total_grams                 | HYDROCODONE BITARTRATE-ACETAMINOPHEN 7.5-325 MG TABLET | 2400 | 300 | 60 |
cdc_2016        | cdc.factsheet.hydrocodone50       | HYDROCODONE-ACETAMINOPHEN 10-325 MG TAB | 150   | 30   | 50      |
cdc_2016        | cdc.factsheet.hydrocodone90       | HYDROCODONE-ACETAMINOPHEN 10-325 MG TAB | 270   | 30   | 90      |
cdc_2016        | cdc.factsheet.methadone12         | METHADONE 5 MG TABLET                | 72       | 30   | 48      |
cdc_2016        | cdc.factsheet.methadone20         | METHADONE 5 MG TABLET                | 120      | 30   | 80      |
cdc_2016        | cdc.factsheet.oxycodone33         | OXYCODONE 5 MG TABLET                | 198      | 30   | 49.5    |
cdc_2016        | cdc.factsheet.oxycodone60         | OXYCODONE 10 MG TABLET               | 180      | 30   | 90      |
cdc_2016        | cdc.fentanyl25.derivation         | FENTANYL 25 MCG/HR PATCH             | 10       | 30   | 60      |
cdc_2022        | cdc.guideline.hydrocodone         | HYDROCODONE-ACETAMINOPHEN 5-325 MG TAB | 120    | 30   | 20      |
cdc_2022        | cdc.guideline.oxycodoneER         | OXYCODONE ER 10 MG TABLET            | 60       | 30   | 30      |
cdc_2016_file   | cdc.rx.bup5patch.2014_2016        | BUPRENORPHINE 5 MCG/HR PATCH         | 4        | 28   | 9       |
cdc_2018        | cdc.rx.bup5patch.2018             | BUPRENORPHINE 5 MCG/HR PATCH         | 4        | 28   |         | not_converted
cdc_2018        | cdc.rx.butorphanol                | BUTORPHANOL 10 MG/ML NASAL SPRAY     | 2.5      | 30   | 5.833   |
cdc_2018        | cdc.rx.fentanyl25                 | FENTANYL 25 MCG/HR PATCH             | 10       | 30   | 60      |
cdc_2018        | cdc.rx.oxycodone10                | OXYCODONE 10 MG TABLET               | 120      | 30   | 60      |
cdc_2022        | cdc2022.methadone.10              | METHADONE 10 MG TABLET               | 30       | 30   | 47      |
cdc_2022        | cdc2022.methadone.30              | METHADONE 10 MG TABLET               | 90       | 30   | 141     |
cdc_2022        | cdc2022.methadone.100             | METHADONE 10 MG TABLET               | 300      | 30   | 470     |
cdc_2018        | cinyc.fentanyl_mg_hr              | fentanyl 0.025 MG/HR Transdermal Patch | 10     | 30   | 60      |
cms_2018_tiered | cms.methadone.0.5                 | METHADONE 5 MG TABLET                | 3        | 30   | 2       |
cms_2018_tiered | cms.methadone.1                   | METHADONE 5 MG TABLET                | 6        | 30   | 4       |
cms_2018_tiered | cms.methadone.10                  | METHADONE 5 MG TABLET                | 60       | 30   | 40      |
cms_2018_tiered | cms.methadone.20                  | METHADONE 5 MG TABLET                | 120      | 30   | 80      |
cms_2018_tiered | cms.methadone.20.5                | METHADONE 5 MG TABLET                | 123      | 30   | 164     |
cms_2018_tiered | cms.methadone.21                  | METHADONE 5 MG TABLET                | 126      | 30   | 168     |
cms_2018_tiered | cms.methadone.40                  | METHADONE 5 MG TABLET                | 240      | 30   | 320     |
cms_2018_tiered | cms.methadone.40.5                | METHADONE 5 MG TABLET                | 243      | 30   | 405     |
cms_2018_tiered | cms.methadone.60                  | METHADONE 5 MG TABLET                | 360      | 30   | 600     |
cms_2018_tiered | cms.methadone.60.5                | METHADONE 5 MG TABLET                | 363      | 30   | 726     |
cms_2018_tiered | cms.methadone.61                  | METHADONE 5 MG TABLET                | 366      | 30   | 732     |
cms_2018_tiered | cms.methadone.100                 | METHADONE 5 MG TABLET                | 600      | 30   | 1200    |
cms_2018_tiered | cms.methadone.two_rx_one_day      | METHADONE 5 MG TABLET                | 90       | 30   | 240     |
cms_2018_tiered | cms.methadone.two_rx_one_day      | METHADONE 5 MG TABLET                | 90       | 30   | 240     |
cdc_2022        | exact.three_sixteenths            | MORPHINE 50 MG TABLET                | 1        | 3    | 50      |
cdc_2022        | exact.three_sixteenths            | MORPHINE 50 MG TABLET                | 1        | 3    | 50      |
cdc_2022        | exact.three_sixteenths            | MORPHINE 50 MG TABLET                | 1        | 3    | 50      |
cdc_2022        | null.buprenorphine_2022           | BUPRENORPHINE 8 MG SUBLINGUAL FILM   | 60       | 30   |         | not_converted
cdc_2022        | null.epidural_morphine            | MORPHINE 5 MG EPIDURAL INJECTION     | 1        | 1    |         | neuraxial_not_counted
cdc_2022        | null.ingredient_only              | Acetaminophen/Hydrocodone            | 60       | 30   |         | no_route
cdc_2022        | null.negative_quantity            | OXYCODONE 10 MG TABLET               | -60      | 30   |         | negative_quantity
cdc_2022        | null.no_days_supply               | OXYCODONE 10 MG TABLET               | 60       |      |         | no_days_supply
cdc_2022        | null.zero_days_supply             | OXYCODONE 10 MG TABLET               | 60       | 0    |         | days_supply_not_positive
cdc_2022        | policy.threshold_exact            | FENTANYL 37.5 MCG/HR PATCH           | 10       | 30   | 90      |
uk_openprescribing | uk.bup_patch.10                | BUPRENORPHINE 10 MCG/HR PATCH        | 4        | 28   | 24      |
uk_openprescribing | uk.bup_patch.15                | BUPRENORPHINE 15 MCG/HR PATCH        | 4        | 28   | 36      |
uk_openprescribing | uk.bup_patch.20                | BUPRENORPHINE 20 MCG/HR PATCH        | 4        | 28   | 48      |
uk_openprescribing | uk.fent_patch.50               | FENTANYL 50 MCG/HR PATCH             | 10       | 30   | 120     |
"""
CASES = rows_of(EXAMPLES)


@pytest.fixture(scope="module")
def worked(tmp_path_factory) -> dict[str, tuple]:
    """Daily MME, whether it is a lower bound, and the reason, by case."""
    folder = tmp_path_factory.mktemp("worked")
    found = {}
    for factor_set in sorted({str(case["factor_set"]) for case in CASES}):
        rows = [case for case in CASES if case["factor_set"] == factor_set]
        file = folder / f"{factor_set}.csv"
        pl.DataFrame(
            {
                "patient_id": [row["case"] for row in rows],
                "drug_text": [row["drug_text"] for row in rows],
                "start_date": ["2025-01-01"] * len(rows),
                "quantity": [row["quantity"] for row in rows],
                "days_supply": [row["days"] for row in rows],
            }
        ).write_csv(file)
        study = mme.one_off(factor_set=factor_set, dose_policy={"oud_medication": "with"})
        with mme.connected() as connection:
            patients = mme.load(connection, file, study)
            rows = mme.daily_dose(connection, patients, [study], ["dasgupta_4"]).rows(named=True)
            reasons = connection.sql("select patient_index, any_value(reason) from trajectory.record_dose group by all")
            reason_of = dict(reasons.fetchall())
        for row, index in zip(rows, patients["patient_index"], strict=True):
            assert row["factor_set"] == factor_set
            found[row["patient_id"]] = (row["daily_mme"], row["is_lower_bound"], reason_of[index])
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_worked_examples_come_out_exactly_or_are_unknown_with_a_reason(worked, case):
    daily_mme = float(case["mme"]) if case["mme"] else None
    assert worked[case["case"]] == (daily_mme, daily_mme is None, case["reason"])


EARLY_REFILL = """
patient_id | drug_text              | start_date | quantity | days_supply
-----------|------------------------|------------|----------|------------
a          | OXYCODONE 10 MG TABLET | 2025-01-01 | 120      | 30
a          | OXYCODONE 10 MG TABLET | 2025-01-26 | 120      | 30
"""


@pytest.mark.parametrize(
    ("policy", "daily_mme"),
    [
        ("sum", [60, 65.455, 65.455, 120]),
        ("carry_forward_same_drug", [60, 60, 60, 60]),
        ("carry_forward_same_ingredient", [60, 60, 60, 60]),
        ("truncate_at_next_fill", [60, 60, 60, 60]),
    ],
)
def test_an_early_refill_by_each_overlap_policy(computed, policy, daily_mme):
    found = computed(EARLY_REFILL, "--overlap", policy)
    assert found.filter(pl.col("definition").str.starts_with("dasgupta"))["daily_mme"].to_list() == daily_mme
    assert found["overlap"].unique().to_list() == [policy]


@pytest.mark.parametrize(("supply", "daily_mme"), [("clipped", 69.677), ("whole", 116.129)])
def test_supply_at_the_window_is_clipped_or_counts_whole(computed, supply, daily_mme):
    found = computed(
        EARLY_REFILL, "--definition", "dasgupta_3", "--window", "2025-01-01", "2025-01-31", "--supply-at-window", supply
    )
    assert doses(found) == [("a", daily_mme, False)]


# Files in and out -----------------------------------------------------------------------------------------------

PRESCRIPTIONS = """
patient_id | drug_text                  | start_date | quantity | days_supply
-----------|----------------------------|------------|----------|------------
b          | FENTANYL 25 MCG/HR PATCH   | 2024-01-01 | 10       | 30
a          | OXYCODONE 10 MG TABLET     | 2024-01-01 | 120      | 30
a          | MORPHINE 15 MG TABLET      | 2024-01-21 | 20       | 10
c          | HERBAL TEA                 | 2024-01-05 | 10       | 10
"""


def test_every_definition_of_every_patient_is_written_in_the_order_of_patients_and_definitions(computed):
    found = computed(PRESCRIPTIONS)
    assert found.select("patient_id", "definition").rows() == [(who, name) for who in "abc" for name in NAMES]
    assert doses(found.filter(pl.col("definition") == "dasgupta_2")) == [
        ("a", 70.0, False),
        ("b", 60.0, False),
        ("c", None, True),
    ]
    assert found.select("factor_set", "overlap", "window_start", "window_end", "buprenorphine").unique().rows() == [
        ("cdc_2022", "sum", date(2024, 1, 1), date(2024, 1, 30), "with")
    ]


def test_csv_and_parquet_say_the_same_in_and_out(tmp_path):
    found = []
    for given, out in (("in.csv", "out.csv"), ("in.parquet", "out.parquet")):
        oih(saved(tmp_path / given, PRESCRIPTIONS), "--out", tmp_path / out, "--timeline", tmp_path / f"timeline{out}")
        found.append((loaded(tmp_path / out), loaded(tmp_path / f"timeline{out}", TIMELINE)))
    assert_frame_equal(found[0][0], found[1][0])
    assert_frame_equal(found[0][1], found[1][1])
    assert dict(found[1][0].schema) == WRITTEN
    assert dict(found[1][1].schema) == TIMELINE


def test_parquet_with_numbers_and_days_of_their_own_types_is_read(tmp_path):
    rows = pl.DataFrame(
        {
            "patient_id": [2, 1],
            "drug_text": pl.Series(["OXYCODONE 10 MG TABLET"] * 2, dtype=pl.Categorical),
            "start_date": [date(2024, 1, 1)] * 2,
            "quantity": pl.Series(["120.0", "60.0"]).cast(pl.Decimal(10, 1)),
            "days_supply": pl.Series([30, 30], dtype=pl.UInt8),
        }
    )
    rows.write_parquet(tmp_path / "in.parquet")
    oih(tmp_path / "in.parquet", "--out", tmp_path / "out.csv", "--definition", "dasgupta_1")
    assert doses(loaded(tmp_path / "out.csv")) == [("1", 30.0, False), ("2", 60.0, False)]


def test_the_order_of_rows_and_columns_changes_nothing(computed):
    header, ruler, *rows = PRESCRIPTIONS.strip().splitlines()
    found = computed(PRESCRIPTIONS)
    assert computed("\n".join([header, ruler, *reversed(rows)])).equals(found)
    turned = ["|".join(reversed(line.split("|"))) for line in (header, ruler, *rows)]
    assert computed("\n".join(turned)).equals(found)


def test_other_columns_are_left_alone(computed):
    header, ruler, *rows = PRESCRIPTIONS.strip().splitlines()
    more = [f"{header} | prescriber", f"{ruler}|---", *(f"{row} | x" for row in rows)]
    assert computed("\n".join(more)).equals(computed(PRESCRIPTIONS))


def test_the_timeline_is_the_runs_of_equal_dose(tmp_path):
    oih(saved(tmp_path / "in.csv", PRESCRIPTIONS), "--out", tmp_path / "out.csv", "--timeline", tmp_path / "days.csv")
    assert loaded(tmp_path / "days.csv", TIMELINE).rows() == [
        ("a", date(2024, 1, 1), date(2024, 1, 20), 60.0, False),
        ("a", date(2024, 1, 21), date(2024, 1, 30), 90.0, False),
        ("b", date(2024, 1, 1), date(2024, 1, 30), 60.0, False),
        ("c", date(2024, 1, 5), date(2024, 1, 14), 0.0, True),
    ]


def test_a_product_may_come_in_columns_of_its_own(computed):
    found = computed(
        """
        patient_id | ingredient    | strength | strength_unit | form         | start_date | quantity | days_supply
        -----------|---------------|----------|---------------|--------------|------------|----------|------------
        a          | oxycodone     | 10       | MG            | tablet       | 2024-01-01 | 120      | 30
        b          | fentanyl      | 25       | MCG/HR        | patch        | 2024-01-01 | 10       | 30
        c          | fentanyl      | 0.025    | MG/HR         | patch        | 2024-01-01 | 10       | 30
        d          | codeine       | 2.4      | MG/ML         | oral solution | 2024-01-01 | 300      | 10
        e          | dihydrocodeine | 16      | MG            | capsule      | 2024-01-01 | 100      | 10
        f          | oxycodone     |          |               | tablet       | 2024-01-01 | 120      | 30
        g          | codeine       | 2.4      | MG/ML         | solution     | 2024-01-01 | 300      | 10
        """,
        "--definition",
        "dasgupta_2",
        "--factor-set",
        "cdc_2018",
    )
    assert doses(found) == [
        ("a", 60.0, False),
        ("b", 60.0, False),
        ("c", 60.0, False),
        ("d", 10.8, False),
        ("e", 40.0, False),
        ("f", None, True),  # no strength
        ("g", None, True),  # swallowed or injected: a solution alone does not say
    ]


def test_a_route_of_its_own_tells_what_the_form_does_not(computed):
    found = computed(
        """
        patient_id | drug_text                | route  | start_date | quantity | days_supply
        -----------|--------------------------|--------|------------|----------|------------
        a          | MORPHINE 2 MG/ML SOLUTION | PO    | 2024-01-01 | 150      | 10
        b          | MORPHINE 2 MG/ML SOLUTION | IV    | 2024-01-01 | 150      | 10
        c          | MORPHINE 2 MG/ML SOLUTION |       | 2024-01-01 | 150      | 10
        """,
        "--definition",
        "dasgupta_4",
    )
    assert doses(found) == [("a", 30.0, False), ("b", None, True), ("c", None, True)]


def test_blanks_around_cells_are_no_part_of_them(tmp_path):
    (tmp_path / "in.csv").write_text(
        f"{HEADER} a , OXYCODONE 10 MG TABLET , 2024-01-01 , 120 , 30 \n{GOOD.replace('p1', 'a')}"
    )
    oih(tmp_path / "in.csv", "--out", tmp_path / "out.csv", "--definition", "dasgupta_4")
    assert doses(loaded(tmp_path / "out.csv")) == [("a", 120.0, False)]


def test_an_end_date_stands_in_for_days_supply(computed):
    found = computed(
        """
        patient_id | drug_text              | start_date | end_date   | quantity | days_supply
        -----------|------------------------|------------|------------|----------|------------
        a          | OXYCODONE 10 MG TABLET | 2024-01-01 | 2024-01-30 | 120      |
        b          | OXYCODONE 10 MG TABLET | 2024-01-01 | 2024-01-01 | 4        |
        c          | OXYCODONE 10 MG TABLET | 2024-01-01 | 2024-01-02 | 120      | 30
        d          | OXYCODONE 10 MG TABLET | 2024-01-02 | 2024-01-01 | 4        | 30
        """,
        "--definition",
        "dasgupta_4",
    )
    assert doses(found) == [("a", 60.0, False), ("b", 60.0, False), ("c", 60.0, False), ("d", None, True)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_codes_are_looked_up_in_the_users_own_table(tmp_path, suffix):
    table = tmp_path / "codes.csv"
    table.write_text("ndc,drug_text\n00054-0176-13,OXYCODONE 10 MG TABLET\n00002-0351-02,MORPHINE 15 MG TABLET\n")
    file = tmp_path / f"in{suffix}"
    rows = pl.DataFrame(
        {
            "patient_id": ["a", "b", "c"],
            "ndc": [54017613, 2035102, 99999999999],
            "start_date": [date(2024, 1, 1)] * 3,
            "quantity": [120, 60, 60],
            "days_supply": [30, 30, 30],
        }
    )
    rows.write_parquet(file) if suffix == ".parquet" else rows.write_csv(file)
    said = oih(file, "--out", tmp_path / "out.csv", "--ndc-table", table, "--definition", "dasgupta_4")
    assert doses(loaded(tmp_path / "out.csv")) == [("a", 60.0, False), ("b", 30.0, False), ("c", None, True)]
    assert "ndc_not_in_table" in said or "no_opioid_name" in said


@pytest.mark.parametrize(("suffix", "daily_mme"), [(".parquet", 60.0), (".csv", None)])
def test_ten_digits_are_a_code_that_lost_its_zero_if_a_number_and_ambiguous_if_a_text(tmp_path, suffix, daily_mme):
    table = tmp_path / "codes.csv"
    table.write_text("ndc,drug_text\n01234-5678-90,OXYCODONE 10 MG TABLET\n")
    file = tmp_path / f"in{suffix}"
    row = {"patient_id": "a", "ndc": 1234567890, "start_date": date(2024, 1, 1), "quantity": 120, "days_supply": 30}
    rows = pl.DataFrame([row])
    rows.write_parquet(file) if suffix == ".parquet" else rows.write_csv(file)
    oih(file, "--out", tmp_path / "out.csv", "--ndc-table", table, "--definition", "dasgupta_4")
    assert doses(loaded(tmp_path / "out.csv")) == [("a", daily_mme, daily_mme is None)]


# Specifications -------------------------------------------------------------------------------------------------


COMPARED = EARLY_REFILL + "b | HYDROMORPHONE 4 MG TABLET | 2025-01-01 | 120 | 30\n"


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All specifications of the early refill and of an opioid whose factor differs, and the timeline of the one that was asked for."""
    folder = tmp_path_factory.mktemp("compared")
    options = ("--compare", "--overlap", "carry_forward_same_drug", "--timeline", folder / "days.csv")
    oih(saved(folder / "in.csv", COMPARED), "--out", folder / "out.csv", *options)
    return loaded(folder / "out.csv"), loaded(folder / "days.csv", TIMELINE)


def test_compare_gives_every_definition_by_every_factor_set_and_overlap_policy(compared):
    found, _ = compared
    with duckdb.connect() as connection:
        warehouse.build_reference(connection, contracts.all_contracts()["reference.factor_set"])
        factor_sets = specification.general_factor_sets(connection)
    assert len(factor_sets) == 14
    expected = [
        (who, name, factor_set, policy)
        for who in "ab"
        for name in dose_definitions.DEFINITIONS
        for factor_set in factor_sets
        for policy in overlap.OVERLAPS
    ]
    assert found.select("patient_id", "definition", "factor_set", "overlap").rows() == expected


def test_the_window_reaches_as_far_as_any_compared_policy_puts_supply(compared):
    assert compared[0].filter(definition="dasgupta_3")["window_end"].unique().to_list() == [date(2025, 3, 1)]


def test_a_specification_says_the_same_alone_and_when_comparing(compared, computed):
    chosen = {"factor_set": "anzca_2021", "overlap": "truncate_at_next_fill"}
    window = ("--window", "2025-01-01", "2025-03-01")
    alone = computed(COMPARED, "--factor-set", chosen["factor_set"], "--overlap", chosen["overlap"], *window)
    assert compared[0].filter(**chosen).equals(alone)


def test_each_factor_set_gives_its_own_dose(compared):
    found = compared[0].filter(patient_id="b", definition="dasgupta_1", overlap="sum")
    dose = dict(found.select("factor_set", "daily_mme").rows())
    assert (dose["cdc_2018"], dose["cdc_2022"], dose["cdc_2016"]) == (64.0, 80.0, 64.0)


def test_the_timeline_is_that_of_the_policy_asked_for_also_when_comparing(compared):
    assert compared[1].rows() == [
        ("a", date(2025, 1, 1), date(2025, 3, 1), 60.0, False),
        ("b", date(2025, 1, 1), date(2025, 1, 30), 80.0, False),
    ]


BUPRENORPHINE = """
patient_id | drug_text                    | start_date | quantity | days_supply
-----------|------------------------------|------------|----------|------------
a          | BUPRENORPHINE 10 MCG/HR PATCH | 2024-01-01 | 4       | 28
a          | OXYCODONE 10 MG TABLET       | 2024-01-01 | 112      | 28
"""


def test_buprenorphine_counts_is_left_out_or_both(computed):
    options = ("--factor-set", "uk_openprescribing", "--definition", "dasgupta_2")
    assert doses(computed(BUPRENORPHINE, *options), "buprenorphine") == [("a", "with", 84.0, False)]
    both = computed(BUPRENORPHINE, *options, "--buprenorphine", "both")
    assert doses(both, "buprenorphine") == [("a", "with", 84.0, False), ("a", "without", 60.0, False)]
    without = computed(BUPRENORPHINE, *options, "--buprenorphine", "without")
    assert doses(without, "buprenorphine") == [("a", "without", 60.0, False)]


def test_the_indicator_of_the_monitoring_programs_leaves_out_buprenorphine_and_exact_duplicates(computed):
    found = computed(
        BUPRENORPHINE + "a | OXYCODONE 10 MG TABLET | 2024-01-01 | 112 | 28\n",
        "--factor-set",
        "uk_openprescribing",
        "--definition",
        "cdc_pdmp_quarterly",
        "--definition",
        "dasgupta_2",
    )
    assert doses(found, "definition") == [
        ("a", "dasgupta_2", 144.0, False),
        ("a", "cdc_pdmp_quarterly", 60.0, False),
    ]


def test_quarters_follow_each_other(computed):
    found = computed(
        """
        patient_id | drug_text              | start_date | quantity | days_supply
        -----------|------------------------|------------|----------|------------
        a          | OXYCODONE 10 MG TABLET | 2024-03-01 | 120      | 60
        """,
        "--definition",
        "cdc_pdmp_quarterly",
    )
    assert found.select("daily_mme", "window_start", "window_end").rows() == [
        (30.0, date(2024, 3, 1), date(2024, 3, 31)),
        (30.0, date(2024, 4, 1), date(2024, 4, 29)),
    ]


def test_missing_days_supply_is_unknown_unless_imputed(computed):
    drawing = """
    patient_id | drug_text              | start_date | quantity | days_supply
    -----------|------------------------|------------|----------|------------
    a          | OXYCODONE 10 MG TABLET | 2024-01-01 | 120      |
    """
    assert doses(computed(drawing, "--definition", "dasgupta_1")) == [("a", None, True)]
    imputed = computed(drawing, "--definition", "dasgupta_1", "--missing-days-supply", "imputed")
    assert doses(imputed) == [("a", 60.0, False)]


def test_injections_are_unknown_unless_a_set_for_them_is_named(computed):
    drawing = """
    patient_id | drug_text                          | start_date | quantity | days_supply
    -----------|------------------------------------|------------|----------|------------
    a          | MORPHINE 10 MG/ML INJECTION        | 2024-01-01 | 1        | 1
    """
    assert doses(computed(drawing, "--definition", "dasgupta_4")) == [("a", None, True)]
    named = computed(drawing, "--definition", "dasgupta_4", "--parenteral-factor-set", "uptodate_parenteral")
    assert doses(named) == [("a", 30.0, False)]


def test_the_gap_tolerance_bridges(computed):
    drawing = """
    patient_id | drug_text              | start_date | quantity | days_supply
    -----------|------------------------|------------|----------|------------
    a          | OXYCODONE 10 MG TABLET | 2024-01-01 | 40       | 10
    a          | OXYCODONE 10 MG TABLET | 2024-01-21 | 40       | 10
    """
    for gap_days, daily_mme in ((9, 60.0), (10, 40.0)):
        found = computed(drawing, "--definition", "dasgupta_2", "--gap-tolerance-days", gap_days)
        assert doses(found) == [("a", daily_mme, False)]


def test_rows_without_a_dose_are_counted_by_reason(tmp_path):
    said = oih(saved(tmp_path / "in.csv", PRESCRIPTIONS), "--out", tmp_path / "out.csv")
    assert "no_opioid_name" in said
    assert "HERBAL" not in said


# Values that cannot be meant ------------------------------------------------------------------------------------


def test_numbers_that_cannot_be_meant_are_unknown_and_never_mended(computed):
    found = computed(
        """
        patient_id        | drug_text              | start_date | quantity | days_supply
        ------------------|------------------------|------------|----------|------------
        quantity missing  | OXYCODONE 10 MG TABLET | 2024-01-01 |          | 30
        quantity zero     | OXYCODONE 10 MG TABLET | 2024-01-01 | 0        | 30
        quantity negative | OXYCODONE 10 MG TABLET | 2024-01-01 | -120     | 30
        quantity absurd   | OXYCODONE 10 MG TABLET | 2024-01-01 | 1e300    | 30
        days zero         | OXYCODONE 10 MG TABLET | 2024-01-01 | 120      | 0
        days negative     | OXYCODONE 10 MG TABLET | 2024-01-01 | 120      | -30
        days absurd       | OXYCODONE 10 MG TABLET | 2024-01-01 | 120      | 3661
        days beyond all   | OXYCODONE 10 MG TABLET | 2024-01-01 | 120      | 99999999999999
        days most         | OXYCODONE 10 MG TABLET | 2024-01-01 | 3660     | 3660
        five million      | OXYCODONE 10 MG TABLET | 2024-01-01 | 1e7      | 30
        """,
        "--definition",
        "dasgupta_4",
    )
    known = {"days most": 15.0, "five million": 5_000_000.0}
    assert len(found) == 10
    assert {who: dose for who, dose, is_lower_bound in doses(found) if not is_lower_bound} == known
    assert found.filter("is_lower_bound")["daily_mme"].null_count() == 8


def test_strengths_and_units_that_cannot_be_meant_are_unknown_with_a_reason(tmp_path):
    drawing = """
    patient_id | ingredient | strength | strength_unit | form   | start_date | quantity | days_supply
    -----------|------------|----------|---------------|--------|------------|----------|------------
    a          | oxycodone  |          | MG            | tablet | 2024-01-01 | 120      | 30
    b          | oxycodone  | 0        | MG            | tablet | 2024-01-01 | 120      | 30
    c          | oxycodone  | -10      | MG            | tablet | 2024-01-01 | 120      | 30
    d          | oxycodone  | 1e300    | MG            | tablet | 2024-01-01 | 120      | 30
    e          | oxycodone  | 10       | FURLONG       | tablet | 2024-01-01 | 120      | 30
    f          | oxycodone  | 10       | MCG/HR        | tablet | 2024-01-01 | 120      | 30
    g          | fentanyl   | 25       | MG            | patch  | 2024-01-01 | 10       | 30
    h          |            | 10       | MG            | tablet | 2024-01-01 | 120      | 30
    """
    said = oih(saved(tmp_path / "in.csv", drawing), "--out", tmp_path / "out.csv", "--definition", "dasgupta_4")
    assert doses(loaded(tmp_path / "out.csv")) == [(who, None, True) for who in "abcdefgh"]
    for reason, rows in (
        ("no_strength", 2),
        ("negative_strength", 1),
        ("dose_out_of_range", 1),
        ("unknown_unit", 1),
        ("unit_does_not_fit", 2),
        ("no_opioid_name", 1),
    ):
        [line] = [line for line in said.splitlines() if f"│ {reason} " in line]
        assert line.split("│")[2].strip() == str(rows), reason
    assert said.index("unit_does_not_fit") < said.index("dose_out_of_range")  # the commonest first
    assert "FURLONG" not in said


def test_a_patient_of_five_million_mme_changes_no_other(computed):
    found = computed(
        """
        patient_id | drug_text              | start_date | quantity | days_supply
        -----------|------------------------|------------|----------|------------
        a          | OXYCODONE 10 MG TABLET | 2024-01-01 | 1e7      | 30
        b          | TRAMADOL 50 MG TABLET  | 2024-01-01 | 1        | 30
        """,
        "--definition",
        "dasgupta_3",
    )
    assert doses(found) == [("a", 5_000_000.0, False), ("b", 0.333, False)]


def test_a_text_of_ten_thousand_characters_is_read_or_unknown_but_stops_nothing(computed):
    found = computed(
        f"""
        patient_id | drug_text              | start_date | quantity | days_supply
        -----------|------------------------|------------|----------|------------
        a          | {"OXYCODONE 10 MG TABLET " * 435} | 2024-01-01 | 120 | 30
        b          | {"X" * 10_000}         | 2024-01-01 | 120      | 30
        c          | {"((" * 5_000}         | 2024-01-01 | 120      | 30
        d          | OXYCODONE 10 MG TABLET | 2024-01-01 | 120      | 30
        """,
        "--definition",
        "dasgupta_4",
    )
    assert [row for row in doses(found) if row[0] != "a"] == [("b", None, True), ("c", None, True), ("d", 60.0, False)]


# Refusals -------------------------------------------------------------------------------------------------------

HEADER = "patient_id,drug_text,start_date,quantity,days_supply\n"
GOOD = "p1,OXYCODONE 10 MG TABLET,2024-01-01,120,30\n"
CANARY = "canary4711"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (HEADER, "has no rows"),
        ("patient_id,drug_text,start_date,quantity\n" + f"{CANARY},x,2024-01-01,1\n", "has no column days_supply"),
        ("drug_text\n" + CANARY, "has no column patient_id, start_date, quantity, days_supply"),
        ("patient_id,start_date,quantity,days_supply,form\n" + f"{CANARY},2024-01-01,1,1,x\n", "has neither drug_text"),
        (f"{HEADER}{GOOD},{CANARY},2024-01-01,120,30\n", "patient_id is empty in 1 rows, first in row 2"),
        (f"{HEADER}{GOOD}p, {CANARY} ,,120,30\n", "start_date is empty in 1 rows, first in row 2"),
        (f"{HEADER}{GOOD}p,x,{CANARY},120,30\n{GOOD}p,x,{CANARY},1,1\n", "start_date is not a day of 1900 to 2199 such as 2024-01-31 in 2 rows, first in row 2"),
        (f"{HEADER}{GOOD}{CANARY},x,2024-02-30,120,30\n", "start_date is not a day"),
        (f"{HEADER}{GOOD}{CANARY},x,2024-01-311,120,30\n", "start_date is not a day"),
        (f"{HEADER}{GOOD}{CANARY},x,20240131,120,30\n", "start_date is not a day"),
        (f"{HEADER}{GOOD}{CANARY},x,31.01.2024,120,30\n", "start_date is not a day"),
        (f"{HEADER}{GOOD}{CANARY},x,9999-12-31,120,30\n", "start_date is not a day"),
        (f"{HEADER}{GOOD}{CANARY},x,0001-01-01,120,30\n", "start_date is not a day"),
        (f"{HEADER}{GOOD}p,x,2024-01-01,{CANARY},30\n", "quantity is not a number in 1 rows, first in row 2"),
        (f"{HEADER}{GOOD}{CANARY},x,2024-01-01,nan,30\n", "quantity is not a number"),
        (f"{HEADER}{GOOD}{CANARY},x,2024-01-01,inf,30\n", "quantity is not a number"),
        (f"{HEADER}{GOOD}p,x,2024-01-01,1,{CANARY}\n", "days_supply is not a whole number in 1 rows, first in row 2"),
        (f"{HEADER}{GOOD}{CANARY},x,2024-01-01,1,30.5\n", "days_supply is not a whole number"),
        (f"{HEADER}{GOOD}{CANARY},x,2024-01-01,1\n", "row 2 has fewer cells than the header"),
        (f"{HEADER}{GOOD}\n{CANARY},\"x\n,,,,\"\n{GOOD}", "row 3 has fewer cells than the header"),
        (f"{HEADER}{GOOD}{CANARY},x,2024-01-01,1,30,5\n", "cannot be read"),
        (f"quantity,{HEADER}9,{GOOD}", "has several columns quantity"),
        (f"x,x,{HEADER}{CANARY},9,{GOOD}", "has several columns x"),
    ],
)  # fmt: skip
def test_a_file_with_what_no_column_can_hold_is_refused_by_row_number_without_a_value(tmp_path, content, said):
    file = tmp_path / "in.csv"
    file.write_text(content)
    with pytest.raises(PipelineError) as refused:
        oih(file, "--out", tmp_path / "out.csv")
    message = str(refused.value)
    assert message.startswith(f"{file}: ")
    assert said in message
    assert "\n" not in message
    for value in (CANARY, "OXYCODONE", "9999-12-31", "0001-01-01", "20240131", "30.5", "nan", "inf "):
        assert value not in message
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("cell", ["2024-01-31", "2024-01-31 00:00:00", "2024-01-31T08:15:00Z"])
def test_a_day_may_have_a_time(computed, cell):
    found = computed(
        f"""
        patient_id | drug_text              | start_date | quantity | days_supply
        -----------|------------------------|------------|----------|------------
        a          | OXYCODONE 10 MG TABLET | {cell}     | 120      | 30
        """,
        "--definition",
        "dasgupta_3",
    )
    assert found["window_start"].to_list() == [date(2024, 1, 31)]


@pytest.mark.parametrize("type_", [pl.Int64, pl.Datetime("ns")])
def test_a_day_of_parquet_is_a_date_and_no_whole_number(tmp_path, type_):
    file = tmp_path / "in.parquet"
    start = pl.Series([20240131]) if type_ == pl.Int64 else pl.Series([date(2024, 1, 31)]).cast(type_)
    pl.DataFrame(
        {"patient_id": ["a"], "drug_text": ["OXYCODONE 10 MG TABLET"], "start_date": start, "quantity": [120], "days_supply": [30]}
    ).write_parquet(file)  # fmt: skip
    if type_ == pl.Int64:
        with pytest.raises(PipelineError, match="start_date is not a day"):
            oih(file, "--out", tmp_path / "out.csv")
    else:
        oih(file, "--out", tmp_path / "out.csv", "--definition", "dasgupta_3")
        assert loaded(tmp_path / "out.csv")["window_start"].to_list() == [date(2024, 1, 31)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--factor-set", "cdc_1066"], "factor set cdc_1066 is no general set"),
        (["--factor-set", "uptodate_parenteral"], "is no general set"),
        (["--parenteral-factor-set", "cdc_2022"], "has no parenteral factors"),
        (["--definition", "dasgupta_5"], "--definition dasgupta_5: is no definition. Use one of dasgupta_1"),
        (["--window", "2024-01-31", "2024-01-01"], "--window: ends before it begins"),
        (["--window", "yesterday", "2024-01-01"], "--window: is not a day"),
        (["--window", "2024-01-01", "9999-12-31"], "--window: reaches beyond the years 1900 to 2199"),
        (["--window", "2024-01-01", "2200-01-01"], "--window: reaches beyond the years 1900 to 2199"),
        (["--window", "1899-12-31", "2024-01-01"], "--window: reaches beyond the years 1900 to 2199"),
        (["--ndc-table", "nowhere.csv"], "there is no such file"),
    ],
)
def test_options_that_name_nothing_are_refused(tmp_path, options, said):
    file = saved(tmp_path / "in.csv", PRESCRIPTIONS)
    with pytest.raises(PipelineError) as refused:
        oih(file, "--out", tmp_path / "out.csv", *options)
    assert said in str(refused.value)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("cell", ["", "0"])
def test_an_empty_last_cell_is_no_missing_one(tmp_path, cell):
    (tmp_path / "in.csv").write_text(f"{HEADER}p1,OXYCODONE 10 MG TABLET,2024-01-01,120,{cell}\n")
    oih(tmp_path / "in.csv", "--out", tmp_path / "out.csv", "--definition", "dasgupta_4")
    assert doses(loaded(tmp_path / "out.csv")) == [("p1", None, True)]


def test_columns_without_a_name_may_be_many(tmp_path):
    (tmp_path / "in.csv").write_text("".join(f"{line},,\n" for line in (HEADER + GOOD).splitlines()))
    oih(tmp_path / "in.csv", "--out", tmp_path / "out.csv", "--definition", "dasgupta_4")
    assert doses(loaded(tmp_path / "out.csv")) == [("p1", 60.0, False)]


def test_an_end_beyond_all_years_is_an_unknown_end(computed):
    found = computed(
        """
        patient_id | drug_text              | start_date | end_date   | quantity | days_supply
        -----------|------------------------|------------|------------|----------|------------
        a          | OXYCODONE 10 MG TABLET | 2024-01-01 | 9999-12-31 | 120      | 30
        b          | OXYCODONE 10 MG TABLET | 2024-01-01 | 9999-12-31 | 120      |
        c          | OXYCODONE 10 MG TABLET | 2024-01-01 | 0001-01-01 | 120      | 30
        """,
        "--definition",
        "dasgupta_4",
    )
    assert doses(found) == [("a", 60.0, False), ("b", None, True), ("c", 60.0, False)]
    assert found["window_end"].unique().to_list() == [date(2024, 1, 30)]


def test_an_end_that_is_no_day_is_refused(computed):
    drawing = """
    patient_id | drug_text              | start_date | end_date | quantity | days_supply
    -----------|------------------------|------------|----------|----------|------------
    a          | OXYCODONE 10 MG TABLET | 2024-01-01 | later    | 120      | 30
    """
    with pytest.raises(PipelineError, match=r"end_date is not a day .* Write a day .*, or leave it empty\.$"):
        computed(drawing)


def test_a_start_that_is_no_day_must_be_written_and_not_left_empty(computed):
    drawing = """
    patient_id | drug_text              | start_date | quantity | days_supply
    -----------|------------------------|------------|----------|------------
    a          | OXYCODONE 10 MG TABLET | 9999-12-31 | 120      | 30
    """
    with pytest.raises(PipelineError, match=r"Write a day of 1900 to 2199 such as 2024-01-31\.$"):
        computed(drawing)


PARQUET = {
    "patient_id": ["a"],
    "drug_text": ["OXYCODONE 10 MG TABLET"],
    "start_date": [date(2024, 1, 1)],
    "quantity": [120],
    "days_supply": [30],
}


@pytest.mark.parametrize("type_", [pl.String, pl.Categorical, pl.Enum, pl.Binary])
def test_text_of_parquet_in_any_encoding_is_text(tmp_path, type_):
    rows = pl.DataFrame(PARQUET).cast(pl.String)
    types = {name: pl.Enum(rows[name]) if type_ == pl.Enum else type_ for name in rows.columns}
    rows.cast(types).write_parquet(tmp_path / "in.parquet")
    oih(tmp_path / "in.parquet", "--out", tmp_path / "out.csv", "--definition", "dasgupta_4")
    assert doses(loaded(tmp_path / "out.csv")) == [("a", 60.0, False)]


REFUSED = {
    "boolean": pl.Series([True]),
    "list": pl.Series([[1]]),
    "array": pl.Series([[1]], dtype=pl.Array(pl.Int8, 1)),
    "struct": pl.Series([{"x": 1}]),
    "time": pl.Series([time(8, 15)]),
    "duration": pl.Series([timedelta(days=1)]),
}


@pytest.mark.parametrize("type_", REFUSED)
@pytest.mark.parametrize("column", ["patient_id", "drug_text", "start_date", "quantity", "days_supply"])
def test_a_column_of_parquet_that_is_neither_numbers_nor_text_is_refused(tmp_path, column, type_):
    file = tmp_path / "in.parquet"
    pl.DataFrame(PARQUET | {column: REFUSED[type_]}).write_parquet(file)
    with pytest.raises(PipelineError) as refused:
        oih(file, "--out", tmp_path / "out.csv")
    assert str(refused.value).startswith(f"{file}: column {column} holds neither numbers nor text. Write it as ")


@pytest.mark.parametrize("column", ["quantity", "days_supply"])
@pytest.mark.parametrize("type_", [pl.Date, pl.Datetime])
def test_days_are_no_numbers(tmp_path, column, type_):
    file = tmp_path / "in.parquet"
    days = pl.Series([date(2024, 1, 1)]).cast(type_)
    pl.DataFrame(PARQUET | {column: days}).write_parquet(file)
    with pytest.raises(PipelineError, match=f"column {column} holds neither numbers nor text. Write it as numbers."):
        oih(file, "--out", tmp_path / "out.csv")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "in.parquet"
    pl.DataFrame(PARQUET | {"drug_text": [b"\xff"]}).write_parquet(file)
    with pytest.raises(PipelineError, match="column drug_text is not UTF-8"):
        oih(file, "--out", tmp_path / "out.csv")


def test_the_day_of_a_time_is_that_of_its_own_zone(tmp_path):
    start = pl.Series([datetime(2024, 1, 31, 23, 30)]).dt.replace_time_zone("America/New_York")
    pl.DataFrame(PARQUET | {"start_date": start}).write_parquet(tmp_path / "in.parquet")
    oih(tmp_path / "in.parquet", "--out", tmp_path / "out.csv", "--definition", "dasgupta_3")
    assert loaded(tmp_path / "out.csv")["window_start"].to_list() == [date(2024, 1, 31)]


def test_imputed_rows_are_counted_on_the_screen(tmp_path):
    drawing = """
    patient_id | drug_text              | start_date | quantity | days_supply
    -----------|------------------------|------------|----------|------------
    a          | OXYCODONE 10 MG TABLET | 2024-01-01 | 120      |
    b          | OXYCODONE 10 MG TABLET | 2024-01-01 | 60       |
    c          | OXYCODONE 10 MG TABLET | 2024-01-01 | 60       | 30
    """
    file = saved(tmp_path / "in.csv", drawing)
    said = oih(file, "--out", tmp_path / "out.csv", "--missing-days-supply", "imputed")
    [line] = [line for line in said.splitlines() if "days_supply_imputed" in line]
    assert line.split("│")[2].strip() == "2"
    assert "days_supply_imputed" not in oih(file, "--out", tmp_path / "out.csv")


def test_a_definition_that_is_named_twice_is_given_once(computed):
    found = computed(PRESCRIPTIONS, *["--definition", "dasgupta_4", "--definition", "dasgupta_1"] * 2)
    assert found.select("patient_id", "definition").rows() == [
        (who, name) for who in "abc" for name in ("dasgupta_1", "dasgupta_4")
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("in.csv", "--out", "in.csv"),
        ("in.csv", "--out", "out.csv", "--timeline", "out.csv"),
        ("in.csv", "--out", "out.csv", "--timeline", "in.csv"),
        ("in.csv", "--out", "./folder/../in.csv"),
        ("in.csv", "--out", "codes.csv", "--ndc-table", "codes.csv"),
        ("read", "in.csv", "--out", "in.csv"),
    ],
)
def test_no_file_is_written_over_one_that_is_read_or_written(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    file = saved(tmp_path / "in.csv", PRESCRIPTIONS)
    before = file.read_bytes()
    with pytest.raises(PipelineError, match="is the file to read, or written twice"):
        oih(*arguments)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.csv"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--out", "nowhere/out.csv"),
        ("--out", "out.csv", "--timeline", "nowhere/days.csv"),
        ("--out", "out.csv", "--timeline", "days.xlsx"),
        ("--out", "in.csv/out.csv"),
    ],
)
@pytest.mark.parametrize("command", ["compute", "read"])
def test_where_nothing_can_be_written_nothing_is_run(tmp_path, monkeypatch, command, arguments):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "in.csv", PRESCRIPTIONS)

    def run(*_: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr(mme, "load", run)
    monkeypatch.setattr(products, "read_file", run)
    with pytest.raises(PipelineError, match=r"cannot be written|is neither CSV nor Parquet"):
        oih(command, "in.csv", *(arguments if command == "compute" else ("--out", arguments[-1])))
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_folder_that_is_not_ours_is_refused_before_anything_runs(tmp_path, monkeypatch):
    # A superuser may write everywhere.
    monkeypatch.setattr(flat_file.os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(PipelineError, match="cannot be written"):
        oih(saved(tmp_path / "in.csv", PRESCRIPTIONS), "--out", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in.csv"], "error: oih: missing parameter: out. Run oih --help for the commands."),
        (["in.csv", "--out", "out.csv", "--gap-tolerance-days", "-1"], "'--gap-tolerance-days'"),
    ],
)
def test_a_faulty_command_line_is_told_in_one_line_that_names_the_option(arguments, said):
    left = called("mme", *arguments)
    assert (left.returncode, left.stdout) == (1, "")
    assert said in left.stderr
    assert len(left.stderr.strip().splitlines()) == 1
    assert ".." not in left.stderr


@pytest.mark.parametrize(("text", "daily_mme"), [("OxyContin 20 mg", 60.0), ("Ultram 50mg", 20.0), ("XTAMPZA ER 9 MG", 27.0), ("Dilaudid 2 mg", None)])  # fmt: skip
def test_a_brand_that_is_swallowed_has_a_dose_without_a_form(computed, text, daily_mme):
    found = computed(
        f"""
        patient_id | drug_text | start_date | quantity | days_supply
        -----------|-----------|------------|----------|------------
        a          | {text}    | 2024-01-01 | 60       | 30
        """,
        "--definition",
        "dasgupta_4",
    )
    assert doses(found) == [("a", daily_mme, daily_mme is None)]


@pytest.mark.parametrize("out", ["nowhere/out.csv", "out.xlsx", "folder.csv"])
def test_an_output_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path, out):
    (tmp_path / "folder.csv" / "full").mkdir(parents=True)
    file = saved(tmp_path / "in.csv", PRESCRIPTIONS)
    with pytest.raises(PipelineError):
        oih(file, "--out", tmp_path / out, "--definition", "dasgupta_1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "in.csv"]


def test_on_the_command_line_a_refusal_is_one_line_and_exit_code_1(tmp_path):
    (tmp_path / "in.csv").write_text(f"{HEADER}{GOOD}p,x,{CANARY},1,1\n")
    left = called("mme", tmp_path / "in.csv", "--out", tmp_path / "out.csv")
    assert left.returncode == 1
    assert left.stdout == ""
    assert len(left.stderr.strip().splitlines()) == 1
    assert CANARY not in left.stderr


# Reading and explaining -----------------------------------------------------------------------------------------


def test_read_writes_what_each_text_says(tmp_path):
    oih("read", saved(tmp_path / "in.csv", PRESCRIPTIONS), "--column", "drug_text", "--out", tmp_path / "out.csv")
    found = pl.read_csv(tmp_path / "out.csv")
    assert found.columns == [
        "drug_text",
        "ingredient",
        "strength",
        "strength_unit",
        "route",
        "form",
        "release",
        "reason",
    ]
    assert dict(found.select("drug_text", "ingredient").rows()) == {
        "FENTANYL 25 MCG/HR PATCH": "fentanyl",
        "OXYCODONE 10 MG TABLET": "oxycodone",
        "MORPHINE 15 MG TABLET": "morphine",
        "HERBAL TEA": None,
    }


@pytest.fixture
def published(tmp_path) -> Path:
    """A study whose published run holds the early refill of patient a, summed."""
    (tmp_path / "extract").mkdir()
    file = tmp_path / "study.yaml"
    sources = {"simulated": {"folder": "extract"}}
    file.write_text(yaml.safe_dump({"name": "made_up", "title": "Made up", "sources": sources, "output": "out"}))
    study = studies.load(file)
    current = tmp_path / "out" / "current"
    current.mkdir(parents=True)
    with duckdb.connect(str(current / "warehouse.duckdb")) as connection:
        patients = mme.load(connection, saved(tmp_path / "in.csv", EARLY_REFILL), study)
        warehouse.create(connection, contracts.all_contracts()["clean.patient"])
        connection.register("loaded", patients)
        connection.execute(
            "insert into clean.patient by name select patient_index, 'simulated' as source, "
            "'simulated:' || patient_id as patient_id, 'unknown' as sex from loaded"
        )
        [period] = [table for table in tables.of(study) if table.name == "trajectory.dose_period"]
        period.build(connection, study)
    return file


@pytest.mark.parametrize("patient", ["a", "simulated:a"])
def test_explain_shows_the_rows_the_factor_its_source_and_the_policies_of_a_day(published, patient):
    said = " ".join(oih("explain", published, patient, "2025-01-27").split())
    assert said.count("OXYCODONE 10 MG") == 2 or said.count("OXYCODONE") == 2
    assert "Dose of 2025-01-27: 120 MME, the sum of the records above" in said
    assert "Factor set cdc_2022" in said
    assert "overlap sum" in said
    assert "Dowell" in said


def test_explain_of_a_day_without_supply_says_so(published):
    assert "No opioid was in supply on 2025-06-01" in " ".join(oih("explain", published, "a", "2025-06-01").split())


@pytest.mark.parametrize(
    ("patient", "day", "said"), [("nobody", "2025-01-01", "0 patients go by that name"), ("a", "soon", "is not a day")]
)
def test_explain_refuses_what_it_does_not_know(published, patient, day, said):
    with pytest.raises(PipelineError, match=said):
        oih("explain", published, patient, day)
