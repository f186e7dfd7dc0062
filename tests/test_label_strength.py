"""Label strengths: what is none of them is an outlier, worth a look."""

import duckdb
import polars as pl
import pytest

from pipelines import contracts, products, warehouse

# As the contract says it: within 1 % of a label of the ingredient, in the unit, in the form; liquids are one form.
IS_OUTLIER = """
    select not exists (
        from reference.label_strength as label
        where label.ingredient = $ingredient
        and label.strength_unit = $strength_unit
        and replace(replace(label.form, 'injection', 'solution'), 'suspension', 'solution')
            = replace(replace($form, 'injection', 'solution'), 'suspension', 'solution')
        and round(abs($strength / label.strength - 1), 6) <= 0.01
    )
"""


@pytest.fixture(scope="module")
def reference():
    connection = duckdb.connect()
    for table in ("label_strength", "opioid_name"):
        warehouse.build_reference(connection, contracts.all_contracts()[f"reference.{table}"])
    return connection


@pytest.mark.parametrize(
    ("ingredient", "form", "strength", "strength_unit", "is_outlier"),
    [
        # Errors of the CDC files: NDC 12634061604 and 00904259812; Percodan before 2014
        ("hydrocodone", "solution", 7.5, "MG/ML", True),
        ("codeine", "suppository", 325, "MG", True),
        ("codeine", "tablet", 325, "MG", True),
        ("oxycodone", "tablet", 9, "MG", True),
        # What the labels say
        ("hydrocodone", "solution", 0.5, "MG/ML", False),
        ("hydrocodone", "solution", 10 / 15, "MG/ML", False),
        ("hydrocodone", "solution", 0.67, "MG/ML", False),
        ("hydrocodone", "solution", 0.68, "MG/ML", True),
        ("hydrocodone", "tablet", 7.5, "MG", False),
        ("oxycodone", "tablet", 4.88, "MG", False),
        ("fentanyl", "patch", 25, "MCG/HR", False),
        ("fentanyl", "patch", 37.5, "MCG/HR", False),
        ("fentanyl", "patch", 24, "MCG/HR", True),
        ("buprenorphine", "patch", 7.5, "MCG/HR", False),
        ("fentanyl", "spray", 0.6, "MG/SPRAY", False),
        ("hydromorphone", "suspension", 10, "MG/ML", False),
        ("morphine", "tablet", 15.15, "MG", False),
        ("morphine", "tablet", 15.2, "MG", True),
        ("morphine", "tablet", 10, "MG/ML", True),
        # Xtampza: 13.5 mg of the base is on its label, the 30 mg of the salt of the CDC file of 2018 are not
        ("oxycodone", "capsule", 13.5, "MG", False),
        ("oxycodone", "capsule", 30, "MG", True),
    ],
)
def test_a_strength_that_no_label_has_is_an_outlier(reference, ingredient, form, strength, strength_unit, is_outlier):
    given = {"ingredient": ingredient, "form": form, "strength": float(strength), "strength_unit": strength_unit}
    assert reference.execute(IS_OUTLIER, given).fetchall() == [(is_outlier,)]


def test_tylenol_3_at_60_mg_is_a_label_strength_but_contradicts_its_own_name():
    """NDC 00045052260: capsules of 60 mg exist, so only the number in the name tells."""
    [row] = products.read(pl.DataFrame({"drug_text": ["Tylenol w/codeine #3 capsule"]})).rows(named=True)
    assert (row["strength"], row["strength_unit"]) == (30, "MG")


def test_every_label_is_of_a_known_opioid(reference):
    unknown = "from reference.label_strength where ingredient not in (select ingredient from reference.opioid_name)"
    assert reference.execute(unknown).fetchall() == []


def test_no_label_is_there_twice(reference):
    twice = "select columns(* exclude (citation)) from reference.label_strength group by all having count(*) > 1"
    assert reference.execute(twice).fetchall() == []


def test_what_a_label_says_is_read_from_a_text_that_says_it(reference):
    labels = reference.sql("from reference.label_strength where route is not null").pl()
    words = {"solution": "oral solution", "suspension": "oral suspension", "patch": "transdermal patch"}
    texts = labels.with_columns(
        drug_text=pl.format(
            "{} {} {} {} {}",
            "ingredient",
            "strength",
            "strength_unit",
            pl.when(pl.col("route") == "oral").then(pl.lit("")).otherwise(pl.col("route").replace("parenteral", "")),
            pl.col("form").replace(words),
        )
    )
    said = texts.join(products.read(texts), on="drug_text", suffix="_read")
    unlike = said.filter(
        (pl.col("route") != pl.col("route_read"))
        | ((pl.col("strength") - pl.col("strength_read")).abs() > 1e-9)
        | (pl.col("strength_unit") != pl.col("strength_unit_read"))
    )
    assert unlike.select("drug_text", "route", "route_read").rows() == []
