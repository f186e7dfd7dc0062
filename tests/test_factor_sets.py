"""The factor sets against what was read in the published tables, drawn here by hand."""

import re
from collections import defaultdict
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from pipelines import contracts, paths, products, reference_pages, warehouse
from pipelines.reference_pages import Product
from tests.conftest import rows_of

KEY = ["factor_set", "ingredient", "route", "form", "dose_unit", "above_mg_per_day"]
REFERENCE = paths.SQL / "1_reference"


def reference(table):
    return pl.read_csv(REFERENCE / f"{table}.csv", infer_schema=False)


FACTORS = reference("mme_factor").to_dicts()
SETS = reference("factor_set").to_dicts()
BY_PLACE = {tuple(row[name] for name in KEY): row for row in FACTORS}


def factor(factor_set, ingredient, route="oral", form="any", dose_unit="MG", above="0"):
    """Factor of a row, ``none`` where the set leaves the opioid out on purpose, ``-`` where there is no row."""
    row = BY_PLACE.get((factor_set, ingredient, route, form, dose_unit, above))
    if row is None:
        return "-"
    return "none" if row["factor"] is None else row["factor"]


# One line per product, one column per set; a dash: no row in the set. Fentanyl and buccal buprenorphine, printed per
# mcg, stand here per mg; patches per mcg/h worn, whatever form the source prints.
COMPARISON = """
    ingredient     | route       | form        | dose_unit | von_korff_2008 | cdc_2012 | cdc_2013 | cdc_2014 | cdc_2016_file | cdc_2018 | cdc_2016 | cms_2015 | cms_2018 | cdc_2022 | nih_heal_2025 | anzca_2021 | uk_openprescribing
    --
    codeine        | oral        | any         | MG        | 0.15           | 0.15     | 0.15     | 0.15     | 0.15          | 0.15     | 0.15     | 0.15     | 0.15     | 0.15     | 0.15          | 0.13       | 0.1
    codeine        | rectal      | suppository | MG        | -              | 0.15     | 0.15     | 0.15     | -             | -        | -        | -        | -        | -        | -             | -          | -
    dihydrocodeine | oral        | any         | MG        | 0.25           | 0.25     | 0.25     | 0.25     | 0.25          | 0.25     | -        | 0.25     | 0.25     | -        | 0.25          | -          | 0.1
    hydrocodone    | oral        | any         | MG        | 1              | 1        | 1        | 1        | 1             | 1        | 1        | 1        | 1        | 1        | 1             | -          | -
    hydromorphone  | oral        | any         | MG        | 4              | 4        | 4        | 4        | 4             | 4        | 4        | 4        | 4        | 5        | 5             | 5          | 5
    hydromorphone  | rectal      | suppository | MG        | -              | 4        | 4        | 4        | 4             | 4        | -        | -        | -        | -        | -             | -          | -
    hydromorphone  | parenteral  | any         | MG        | -              | 4        | 4        | 4        | -             | -        | -        | -        | -        | -        | -             | 15         | 12.5
    levorphanol    | oral        | any         | MG        | 11             | -        | -        | -        | -             | -        | -        | -        | -        | -        | 11            | -          | -
    levorphanol    | oral        | tablet      | MG        | -              | 11       | 11       | 11       | 11            | 11       | -        | 11       | 11       | -        | -             | -          | -
    levorphanol    | parenteral  | any         | MG        | -              | 11       | 11       | 11       | -             | -        | -        | -        | -        | -        | -             | -          | -
    meperidine     | oral        | any         | MG        | 0.1            | 0.1      | 0.1      | 0.1      | 0.1           | 0.1      | -        | 0.1      | 0.1      | -        | 0.1           | -          | 0.1
    meperidine     | parenteral  | any         | MG        | -              | 0.1      | 0.1      | 0.1      | -             | -        | -        | -        | -        | -        | -             | 0.4        | 0.24
    morphine       | oral        | any         | MG        | 1              | 1        | 1        | 1        | 1             | 1        | 1        | 1        | 1        | 1        | 1             | 1          | 1
    morphine       | rectal      | suppository | MG        | -              | 1        | 1        | 1        | 1             | 1        | -        | -        | -        | -        | -             | -          | -
    morphine       | parenteral  | any         | MG        | -              | 1        | 1        | 1        | -             | -        | -        | -        | -        | -        | -             | 3          | 2
    opium          | oral        | any         | MG        | -              | 1        | 1        | -        | -             | -        | -        | 1        | 1        | -        | 1             | -          | -
    opium          | rectal      | suppository | MG        | -              | 1        | 1        | 1        | 1             | 1        | -        | -        | -        | -        | -             | -          | -
    opium          | rectal      | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | 1             | -          | -
    opium          | parenteral  | any         | MG        | -              | -        | -        | 1        | -             | -        | -        | -        | -        | -        | -             | -          | -
    oxycodone      | oral        | any         | MG        | 1.5            | 1.5      | 1.5      | 1.5      | 1.5           | 1.5      | 1.5      | 1.5      | 1.5      | 1.5      | 1.5           | 1.5        | 1.5
    oxycodone      | rectal      | suppository | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | 1.5        | -
    oxycodone      | parenteral  | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | 3          | 3
    oxymorphone    | oral        | any         | MG        | 3              | 3        | 3        | 3        | 3             | 3        | 3        | 3        | 3        | 3        | 3             | -          | -
    oxymorphone    | rectal      | suppository | MG        | -              | 3        | 3        | 3        | 3             | 3        | -        | -        | -        | -        | -             | -          | -
    oxymorphone    | parenteral  | any         | MG        | -              | 3        | 3        | 3        | -             | -        | -        | -        | -        | -        | -             | -          | -
    codeine        | parenteral  | any         | MG        | -              | 0.15     | 0.15     | 0.15     | -             | -        | -        | -        | -        | -        | -             | 0.25       | 0.1
    pentazocine    | oral        | any         | MG        | 0.37           | -        | -        | -        | -             | -        | -        | -        | -        | -        | 0.37          | -          | 0.37
    pentazocine    | oral        | tablet      | MG        | -              | 0.37     | 0.37     | 0.37     | 0.37          | 0.37     | -        | 0.37     | 0.37     | -        | -             | -          | -
    propoxyphene   | oral        | any         | MG        | 0.23           | 0.23     | 0.23     | 0.23     | 0.23          | 0.23     | -        | -        | -        | -        | -             | 0.1        | 0.1
    tapentadol     | oral        | any         | MG        | -              | 1        | 1        | 0.4      | 0.4           | 0.4      | 0.4      | 0.4      | 0.4      | 0.4      | 0.3           | 0.3        | 0.4
    tramadol       | oral        | any         | MG        | 0.1            | 0.1      | 0.1      | 0.1      | 0.1           | 0.1      | -        | 0.1      | 0.1      | 0.2      | 0.2           | 0.2        | 0.1
    tramadol       | parenteral  | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | -          | 0.2
    butorphanol    | nasal       | spray       | MG        | -              | 7        | 7        | 7        | 7             | 7        | -        | 7        | 7        | -        | -             | -          | -
    butorphanol    | nasal       | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | 7             | -          | -
    butorphanol    | parenteral  | any         | MG        | -              | 7        | 7        | 7        | -             | -        | -        | -        | -        | -        | -             | -          | -
    levomethadyl   | oral        | solution    | MG        | -              | -        | -        | 8        | 8             | 8        | -        | -        | -        | -        | -             | -          | -
    nalbuphine     | parenteral  | any         | MG        | -              | 1        | 1        | 1        | -             | -        | -        | 1        | -        | -        | -             | -          | 1
    fentanyl       | transdermal | any         | MCG/HR    | 2.4            | 2.4      | 2.4      | 2.4      | 2.4           | 2.4      | 2.4      | 2.4      | 2.4      | 2.4      | 2.4           | 3          | 2.4
    fentanyl       | buccal      | any         | MG        | 125            | -        | -        | -        | -             | -        | -        | -        | -        | -        | 130           | -          | -
    fentanyl       | sublingual  | any         | MG        | 125            | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | -          | 130
    fentanyl       | buccal      | tablet      | MG        | -              | 130      | 130      | 130      | 130           | 130      | -        | 130      | 130      | -        | -             | -          | 130
    fentanyl       | sublingual  | tablet      | MG        | -              | 130      | 130      | 130      | 130           | 130      | -        | 130      | 130      | -        | 130           | -          | -
    fentanyl       | buccal      | lozenge     | MG        | -              | 130      | 130      | 130      | 130           | 130      | -        | 130      | 130      | -        | -             | -          | 130
    fentanyl       | buccal      | film        | MG        | -              | 180      | 180      | 180      | 180           | 180      | -        | 180      | 180      | -        | 180           | -          | -
    fentanyl       | buccal      | spray       | MG/SPRAY  | -              | 180      | 180      | 180      | 180           | 180      | -        | 180      | 180      | -        | 180           | -          | -
    fentanyl       | sublingual  | spray       | MG/SPRAY  | -              | 180      | 180      | 180      | 180           | 180      | -        | 180      | 180      | -        | 180           | -          | -
    fentanyl       | nasal       | spray       | MG/SPRAY  | -              | 160      | 160      | 160      | 160           | 160      | -        | 160      | 160      | -        | -             | -          | -
    fentanyl       | nasal       | any         | MG/SPRAY  | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | 160           | -          | 160
    fentanyl       | parenteral  | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | 200        | 150
    buprenorphine  | transdermal | any         | MCG/HR    | -              | 6        | 6        | 1.8      | 1.8           | -        | -        | 1.8      | -        | -        | 2.2           | 2          | 2.4
    buprenorphine  | sublingual  | tablet      | MG        | -              | 10       | 10       | 10       | 30            | -        | -        | 10       | -        | -        | 38.8          | 40         | -
    buprenorphine  | sublingual  | film        | MG        | -              | 10       | 10       | 10       | 30            | -        | -        | 10       | -        | -        | 38.8          | 40         | -
    buprenorphine  | sublingual  | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | -          | 60
    buprenorphine  | buccal      | film        | MG        | -              | -        | -        | -        | 30            | -        | -        | -        | -        | -        | 39            | -          | -
    buprenorphine  | any         | any         | any       | -              | -        | -        | -        | -             | none     | -        | -        | none     | none     | -             | -          | -
    buprenorphine  | any         | implant     | any       | -              | -        | -        | -        | none          | -        | -        | -        | -        | -        | -             | -          | -
    methadone      | oral        | any         | MG        | 3              | 3        | 3        | 3        | 3             | 3        | 4        | 3        | 3        | 4.7      | 4.7           | -          | 3
    sufentanil     | parenteral  | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | 2000       | -
    alfentanil     | parenteral  | any         | MG        | -              | -        | -        | -        | -             | -        | -        | -        | -        | -        | -             | -          | 30
"""
PRODUCT = ["ingredient", "route", "form", "dose_unit"]


@pytest.mark.parametrize("drawn", rows_of(COMPARISON), ids=lambda drawn: " ".join(drawn[name] for name in PRODUCT))
def test_every_set_has_the_factor_that_its_source_prints(drawn):
    product = [drawn.pop(name) for name in PRODUCT]
    assert {factor_set: factor(factor_set, *product) for factor_set in drawn} == drawn


UK_AND_SWISS = """
    factor_set          | ingredient     | route      | factor
    --
    uk_openprescribing  | alfentanil     | nasal      | 30
    uk_openprescribing  | buprenorphine  | parenteral | 100
    uk_openprescribing  | codeine        | rectal     | 0.1
    uk_openprescribing  | dextromoramide | oral       | 2
    uk_openprescribing  | diamorphine    | inhaled    | 1
    uk_openprescribing  | diamorphine    | oral       | 1
    uk_openprescribing  | diamorphine    | parenteral | 3.3
    uk_openprescribing  | diamorphine    | rectal     | 1
    uk_openprescribing  | dihydrocodeine | parenteral | 0.1
    uk_openprescribing  | dipipanone     | oral       | 0.5
    uk_openprescribing  | meptazinol     | oral       | 0.03
    uk_openprescribing  | meptazinol     | parenteral | 0.03
    uk_openprescribing  | methadone      | inhaled    | 3
    uk_openprescribing  | methadone      | parenteral | 3
    uk_openprescribing  | morphine       | rectal     | 1
    uk_openprescribing  | oxycodone      | rectal     | 1.5
    uk_openprescribing  | papaveretum    | parenteral | 0.67
    uk_openprescribing  | pentazocine    | parenteral | 0.37
    uk_openprescribing  | pentazocine    | rectal     | 0.37
    swiss_parenteral    | hydromorphone  | parenteral | 24
    swiss_parenteral    | morphine       | parenteral | 3
    swiss_parenteral    | tramadol       | parenteral | 0.2
    uptodate_parenteral | fentanyl       | parenteral | 300
    uptodate_parenteral | hydromorphone  | parenteral | 20
    uptodate_parenteral | morphine       | parenteral | 3
    uptodate_parenteral | oxymorphone    | parenteral | 30
"""


@pytest.mark.parametrize("drawn", rows_of(UK_AND_SWISS), ids=lambda drawn: " ".join(drawn.values()))
def test_salts_of_an_ingredient_have_one_factor_and_parenteral_sets_what_they_print(drawn):
    assert factor(drawn["factor_set"], drawn["ingredient"], drawn["route"]) == drawn["factor"]


def test_no_set_has_a_row_that_is_not_drawn_here():
    compared = rows_of(COMPARISON)
    sets = [name for name in compared[0] if name not in PRODUCT]
    drawn = {(name, *(row[part] for part in PRODUCT)) for row in compared for name in sets if row[name] != "-"}
    drawn |= {(row["factor_set"], row["ingredient"], row["route"], "any", "MG") for row in rows_of(UK_AND_SWISS)}
    written = {place[:-1] for place in BY_PLACE if place[0] != "cms_2018_tiered"}
    assert drawn <= written
    twins = {"MG": "MG/SPRAY", "MG/SPRAY": "MG"}
    assert all((*place[:4], twins.get(place[4])) in drawn for place in written - drawn)


def test_a_spray_has_one_factor_whether_its_dose_is_told_in_mg_or_in_sprays_of_so_many_mg():
    for place, row in BY_PLACE.items():
        if place[4] == "MG/SPRAY":
            assert BY_PLACE[(*place[:4], "MG", "0")]["factor"] == row["factor"]


METHADONE = """
    above_mg_per_day | cdc_2016 | cms_2018_tiered
    --
    0                | 4        | 4
    20               | 8        | 8
    40               | 10       | 10
    60               | 12       | 12
"""


def test_methadone_has_a_factor_for_each_band_of_the_daily_dose_in_two_sets_and_no_other_opioid_has_bands():
    drawn = [tuple(row.values()) for row in rows_of(METHADONE)]
    assert drawn == [
        (above, *[factor(name, "methadone", above=above) for name in ("cdc_2016", "cms_2018_tiered")])
        for above in ("0", "20", "40", "60")
    ]
    banded = [row for row in FACTORS if row["above_mg_per_day"] != "0"]
    assert {(row["factor_set"], row["ingredient"]) for row in banded} == {
        ("cdc_2016", "methadone"),
        ("cms_2018_tiered", "methadone"),
    }


def test_the_bands_of_an_opioid_start_at_no_dose():
    bands = defaultdict(list)
    for row in FACTORS:
        bands[tuple(row[name] for name in KEY[:-1])].append(int(row["above_mg_per_day"]))
    assert all(bounds[0] == 0 and bounds == sorted(set(bounds)) for bounds in bands.values())


def test_the_tiered_cms_set_is_the_flat_one_but_for_methadone():
    without = {
        name: {
            tuple(row[part] for part in KEY[1:]): row["factor"]
            for row in FACTORS
            if row["factor_set"] == name and row["ingredient"] != "methadone"
        }
        for name in ("cms_2018", "cms_2018_tiered")
    }
    assert without["cms_2018"] == without["cms_2018_tiered"] != {}


STEPS = """
    opioid                    | ingredient    | route       | form   | dose_unit | from_set      | to_set        | from_factor | to_factor
    --
    tapentadol falls in 2014  | tapentadol    | oral        | any    | MG        | cdc_2013      | cdc_2014      | 1           | 0.4
    tapentadol by publisher   | tapentadol    | oral        | any    | MG        | cdc_2022      | nih_heal_2025 | 0.4         | 0.3
    sublingual rises in 2016  | buprenorphine | sublingual  | tablet | MG        | cdc_2014      | cdc_2016_file | 10          | 30
    sublingual ends in 2018   | buprenorphine | sublingual  | tablet | MG        | cdc_2016_file | cdc_2018      | 30          | not converted
    patch falls in 2014       | buprenorphine | transdermal | any    | MCG/HR    | cdc_2013      | cdc_2014      | 6           | 1.8
    hydromorphone in 2022     | hydromorphone | oral        | any    | MG        | cdc_2016      | cdc_2022      | 4           | 5
    tramadol in 2022          | tramadol      | oral        | any    | MG        | cdc_2018      | cdc_2022      | 0.1         | 0.2
    methadone in 2022         | methadone     | oral        | any    | MG        | cdc_2018      | cdc_2022      | 3           | 4.7
    injections end in 2016    | morphine      | parenteral  | any    | MG        | cdc_2014      | cdc_2016_file | 1           | -
    tincture of opium in 2014 | opium         | oral        | any    | MG        | cdc_2013      | cdc_2014      | 1           | -
"""


@pytest.mark.parametrize("drawn", rows_of(STEPS), ids=lambda drawn: drawn["opioid"])
def test_the_pages_show_where_vintages_differ(drawn):
    sets = reference_pages.factors_by_set()
    product = Product(*(drawn[name] for name in PRODUCT))
    found = reference_pages.differences(sets[drawn["from_set"]], sets[drawn["to_set"]])
    assert (product, drawn["from_factor"], drawn["to_factor"]) in found


def test_a_factor_for_any_form_is_held_against_the_forms_that_the_other_set_names():
    any_form = {Product("levorphanol", "oral", "any", "MG"): "11"}
    tablets = {Product("levorphanol", "oral", "tablet", "MG"): "11"}
    assert reference_pages.differences(any_form, tablets) == []
    dearer = {Product("levorphanol", "oral", "tablet", "MG"): "12"}
    assert reference_pages.differences(any_form, dearer) == [
        (Product("levorphanol", "oral", "tablet", "MG"), "11", "12")
    ]


def test_what_only_one_set_converts_is_a_difference():
    morphine, nothing = {Product("morphine", "oral", "any", "MG"): "1"}, {}
    assert reference_pages.differences(morphine, nothing) == [(Product("morphine", "oral", "any", "MG"), "1", "-")]
    assert reference_pages.differences(nothing, morphine) == [(Product("morphine", "oral", "any", "MG"), "-", "1")]


def test_bands_stand_on_one_line():
    methadone = Product("methadone", "oral", "any", "MG")
    shown = reference_pages.factors_by_set()["cdc_2016"][methadone]
    assert shown == "4 up to 20 mg a day, 8 up to 40 mg a day, 10 up to 60 mg a day, 12 above"


def test_ingredients_routes_and_forms_are_those_that_drug_texts_are_read_into():
    ingredients = set(reference("opioid_name")["ingredient"])
    assert {row["ingredient"] for row in FACTORS} <= ingredients
    assert set(reference("patch_wear")["ingredient"]) <= ingredients
    assert {row["route"] for row in FACTORS} <= {*products.ROUTES, "any"} & {*reference("route")["route"], "any"}
    assert {row["form"] for row in FACTORS} <= {*products.FORMS, "any"}


def test_the_contract_knows_the_routes_and_forms_of_products():
    known = contracts.all_contracts()
    allowed, read = (
        {column.name: set(column.values or ()) for column in known[table].columns}
        for table in ("reference.mme_factor", "trajectory.drug_product")
    )
    assert allowed["route"] == read["route"] | {"any"}
    assert allowed["form"] == read["form"] | {"any"}


def test_every_set_is_described_and_every_described_set_has_factors():
    assert {row["factor_set"] for row in FACTORS} == {row["factor_set"] for row in SETS}


def test_a_factor_is_dated_and_cited_as_its_set_is():
    described = {row["factor_set"]: row for row in SETS}
    for row in FACTORS:
        assert row["effective_date"] == described[row["factor_set"]]["effective_date"]
        assert row["citation"].startswith(described[row["factor_set"]]["citation"])


def test_parenteral_sets_hold_parenteral_rows_only():
    parenteral = {row["factor_set"] for row in SETS if row["kind"] == "parenteral"}
    assert {row["route"] for row in FACTORS if row["factor_set"] in parenteral} == {"parenteral"}


def test_no_factor_is_for_a_route_that_the_set_does_not_name():
    assert [row for row in FACTORS if row["route"] in ("any", "epidural", "intrathecal") and row["factor"]] == []


def test_patches_have_one_factor_per_mcg_per_hour_worn_and_a_wear():
    worn = [row for row in FACTORS if row["dose_unit"] == "MCG/HR"]
    assert {row["route"] for row in worn} == {"transdermal"}
    wear = {
        row["ingredient"]: (row["wear_days"], row["shortest_wear_days"]) for row in reference("patch_wear").to_dicts()
    }
    assert wear == {"fentanyl": ("3", "2"), "buprenorphine": ("7", "7")}
    assert {row["ingredient"] for row in worn} == set(wear)


def test_every_factor_is_an_exact_decimal_of_nine_places():
    connection = duckdb.connect()
    warehouse.build_reference(connection, contracts.all_contracts()["reference.mme_factor"])
    rows = connection.execute(f"select {', '.join(KEY)}, factor from reference.mme_factor").fetchall()
    assert len(rows) == len(FACTORS)
    for *key, stored in rows:
        printed = BY_PLACE[tuple(map(str, key))]["factor"]
        assert stored == (None if printed is None else Decimal(printed))


@pytest.mark.parametrize("table", ["mme_factor", "factor_set", "patch_wear", "dose_definition", "long_term_definition"])
def test_rows_are_in_the_order_of_their_key_without_repeats_and_cited(table):
    contract = contracts.all_contracts()[f"reference.{table}"]
    rows = reference(table).to_dicts()
    keys = [tuple(int(row[name]) if name == "above_mg_per_day" else row[name] for name in contract.key) for row in rows]
    assert keys == sorted(set(keys))
    assert all(row["citation"] and row["citation"].strip() == row["citation"] for row in rows)


@pytest.mark.parametrize("table", ["mme_factor", "factor_set", "patch_wear", "dose_definition", "long_term_definition"])
def test_the_expectations_of_the_contract_hold_and_notice_when_they_do_not(table):
    connection = duckdb.connect()
    contract = contracts.all_contracts()[f"reference.{table}"]
    warehouse.build_reference(connection, contract)
    queries = [rule.unexpected_rows_query.replace("{batch}", contract.table) for rule in contract.expectations]
    assert [connection.execute(query).fetchall() for query in queries] == [[] for _ in queries]
    breaking = {
        "mme_factor": [
            "delete from reference.mme_factor where factor_set = 'cdc_2016' and factor = 4 and ingredient = 'methadone'",
            "update reference.mme_factor set route = 'any' where factor_set = 'cdc_2022' and ingredient = 'morphine'",
        ],
        "long_term_definition": [
            "update reference.long_term_definition set min_fills = null where definition = 'consort'",
            "update reference.long_term_definition set min_covered_days = 366",
        ],
        "patch_wear": ["update reference.patch_wear set shortest_wear_days = 8"],
    }.get(table, [])
    assert len(breaking) == len(queries)
    for statement, query in zip(breaking, queries, strict=True):
        connection.execute(statement)
        assert connection.execute(query).fetchall()


def test_the_committed_pages_are_what_the_tables_render():
    rendered = reference_pages.pages()
    folders = {name.split("/")[0] for name in rendered}
    committed = {
        str(file.relative_to(reference_pages.DOCS)): file.read_text(encoding="utf-8")
        for folder in folders
        for file in (reference_pages.DOCS / folder).iterdir()
    }
    assert sorted(committed) == sorted(rendered), "run make docs"
    stale = [name for name in rendered if committed[name] != rendered[name]]
    assert stale == [], "run make docs"


def test_writing_the_pages_takes_away_those_of_sets_that_are_gone(tmp_path):
    (tmp_path / "factor_sets").mkdir()
    (tmp_path / "factor_sets" / "cdc_1999.md").write_text("gone")
    reference_pages.write(tmp_path)
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.md")}
    assert written == set(reference_pages.pages())


def test_every_link_of_a_page_leads_to_a_page():
    rendered = reference_pages.pages()
    for name, text in rendered.items():
        folder = name.split("/")[0]
        assert all(f"{folder}/{target}" in rendered for target in re.findall(r"\]\((\w+\.md)\)", text))
