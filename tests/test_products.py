"""Drug texts: which opioid, how strong, by which route; and what must never be read out of them."""

import csv
from functools import cache

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import contracts, paths, products

RXNORM = paths.ROOT.parent / "shared" / "methods" / "rxnorm_opioid_scd.csv"
needs_rxnorm = pytest.mark.skipif(not RXNORM.exists(), reason="the RxNorm names are not beside the project")

NAMES = pl.read_csv(paths.SQL / "1_reference" / "opioid_name.csv", infer_schema=False)
INGREDIENTS = sorted(set(NAMES["ingredient"]) & set(NAMES["word"]))


def read(*texts: str) -> list[dict]:
    """What the reader says of texts, in the order of the texts."""
    rows = products.read(pl.DataFrame({"drug_text": texts}, schema={"drug_text": pl.String}))
    said = {row["drug_text"]: row for row in rows.iter_rows(named=True)}
    return [said[text] for text in texts]


# RxNorm names


@cache
def rxnorm() -> dict[str, dict]:
    """Ingredient, strength and unit of each name; a product with two salts of one opioid has two rows that add up."""
    names: dict[str, dict] = {}
    if RXNORM.exists():
        with RXNORM.open(newline="") as file:
            for row in csv.DictReader(file):
                name = names.setdefault(row["rxnorm_name"], {"ingredient": row["ingredient"].lower(), "strength": 0.0})
                name["strength"] = round(name["strength"] + float(row["strength_value"]), 9)
                name["strength_unit"] = row["strength_unit"]
                name["rows"] = name.get("rows", 0) + 1
    return names


@cache
def rxnorm_read() -> dict[str, dict]:
    return {row["drug_text"]: row for row in read(*rxnorm())}


def is_exact(name: str) -> bool:
    said, known = rxnorm_read()[name], rxnorm()[name]
    return all(said[column] == known[column] for column in ("ingredient", "strength", "strength_unit"))


@needs_rxnorm
@pytest.mark.parametrize("name", list(rxnorm()))
def test_an_rxnorm_name_is_read_exactly(name):
    assert is_exact(name), (rxnorm_read()[name], rxnorm()[name])
    assert rxnorm_read()[name]["reason"] is None


@needs_rxnorm
def test_every_one_of_the_912_rxnorm_rows_is_read_exactly(record_property):
    exact = sum(known["rows"] for name, known in rxnorm().items() if is_exact(name))
    total = sum(known["rows"] for known in rxnorm().values())
    record_property("share_read_exactly", exact / total)
    assert (exact, total) == (912, 912)


@pytest.mark.parametrize(
    ("name", "route", "form", "release"),
    [
        ("morphine sulfate 15 MG Oral Tablet", "oral", "tablet", None),
        ("12 HR morphine sulfate 15 MG Extended Release Oral Tablet [MS Contin]", "oral", "tablet", "extended"),
        ("methadone hydrochloride 40 MG Tablet for Oral Suspension", "oral", "tablet", None),
        ("codeine phosphate 2 MG/ML Oral Solution", "oral", "solution", None),
        ("12 HR codeine polistirex 4 MG/ML Extended Release Suspension", "oral", "suspension", "extended"),
        ("72 HR fentanyl 0.025 MG/HR Transdermal System", "transdermal", "patch", "extended"),
        ("fentanyl 0.2 MG Oral Lozenge", "buccal", "lozenge", None),
        ("fentanyl 0.2 MG Buccal Tablet", "buccal", "tablet", None),
        ("buprenorphine 2 MG Sublingual Tablet", "sublingual", "tablet", None),
        ("fentanyl 0.1 MG/ACTUAT Metered Dose Nasal Spray", "nasal", "spray", None),
        ("morphine sulfate 5 MG Rectal Suppository", "rectal", "suppository", None),
        ("1 ML morphine sulfate 10 MG/ML Prefilled Syringe", "parenteral", "injection", None),
        ("morphine sulfate 10 MG/ML Injectable Solution", "parenteral", "injection", None),
        ("buprenorphine 74.2 MG Drug Implant", "parenteral", "implant", None),
    ],
)
def test_the_dose_form_of_an_rxnorm_name_tells_route_and_release(name, route, form, release):
    [said] = read(name)
    assert (said["route"], said["form"], said["release"]) == (route, form, release)


@pytest.mark.parametrize(
    ("name", "ingredient", "strength", "strength_unit"),
    [
        ("buprenorphine 2 MG / naloxone 0.5 MG Sublingual Film", "buprenorphine", 2, "MG"),
        ("acetaminophen 24 MG/ML / codeine phosphate 2.4 MG/ML Oral Suspension", "codeine", 2.4, "MG/ML"),
        ("codeine phosphate 20 MG / ibuprofen 300 MG Extended Release Oral Tablet", "codeine", 20, "MG"),
        ("codeine phosphate 60 MG/ML Injectable Solution", "codeine", 60, "MG/ML"),
        (
            "acetaminophen 320.5 MG / caffeine 30 MG / dihydrocodeine bitartrate 16 MG Oral Capsule [Trezix]",
            "dihydrocodeine",
            16,
            "MG",
        ),
        ("dihydrocodeine bitartrate 120 MG Extended Release Oral Tablet", "dihydrocodeine", 120, "MG"),
        ("2 ML fentanyl 0.05 MG/ML Cartridge", "fentanyl", 0.05, "MG/ML"),
        ("2 ML fentanyl 0.05 MG/ML Injection", "fentanyl", 0.05, "MG/ML"),
        ("fentanyl 0.1 MG/ACTUAT Metered Dose Nasal Spray", "fentanyl", 0.1, "MG/ACTUAT"),
        ("fentanyl 0.1 MG/ACTUAT Mucosal Spray", "fentanyl", 0.1, "MG/ACTUAT"),
        ("fentanyl 0.2 MG Oral Lozenge [Actiq]", "fentanyl", 0.2, "MG"),
        ("fentanyl 1.2 MG Buccal Film", "fentanyl", 1.2, "MG"),
        ("{2 (fentanyl 0.6 MG/ACTUAT Mucosal Spray) } Pack", "fentanyl", 0.6, "MG/ACTUAT"),
        ("acetaminophen 21.7 MG/ML / hydrocodone bitartrate 0.5 MG/ML Oral Solution", "hydrocodone", 0.5, "MG/ML"),
        ("acetaminophen 750 MG / hydrocodone bitartrate 7.5 MG Oral Tablet", "hydrocodone", 7.5, "MG"),
        ("1 ML hydromorphone hydrochloride 1 MG/ML Injection", "hydromorphone", 1, "MG/ML"),
        ("1 ML hydromorphone hydrochloride 4 MG/ML Cartridge", "hydromorphone", 4, "MG/ML"),
        ("1 ML meperidine hydrochloride 25 MG/ML Injection", "meperidine", 25, "MG/ML"),
        ("meperidine hydrochloride 10 MG/ML Injectable Solution", "meperidine", 10, "MG/ML"),
        ("meperidine hydrochloride 50 MG / promethazine hydrochloride 25 MG Oral Capsule", "meperidine", 50, "MG"),
        ("morphine sulfate 10 MG Rectal Suppository", "morphine", 10, "MG"),
        ("morphine sulfate 100 MG Extended Release Oral Tablet", "morphine", 100, "MG"),
        ("morphine sulfate 15 MG Oral Capsule", "morphine", 15, "MG"),
        ("acetaminophen 500 MG / oxycodone hydrochloride 5 MG Oral Capsule", "oxycodone", 5, "MG"),
        ("acetaminophen 65 MG/ML / oxycodone hydrochloride 1 MG/ML Oral Solution", "oxycodone", 1, "MG/ML"),
        (
            "aspirin 325 MG / oxycodone hydrochloride 4.5 MG / oxycodone terephthalate 0.38 MG Oral Tablet",
            "oxycodone",
            4.88,
            "MG",
        ),
        ("oxymorphone hydrochloride 5 MG Oral Tablet", "oxymorphone", 5, "MG"),
        ("1 ML pentazocine 30 MG/ML Injection", "pentazocine", 30, "MG/ML"),
        ("pentazocine 50 MG Oral Capsule", "pentazocine", 50, "MG"),
        ("aspirin 389 MG / caffeine 32.4 MG / propoxyphene hydrochloride 32 MG Oral Capsule", "propoxyphene", 32, "MG"),
        ("tapentadol 100 MG Oral Tablet", "tapentadol", 100, "MG"),
        ("tramadol hydrochloride 50 MG Disintegrating Oral Tablet", "tramadol", 50, "MG"),
        ("tramadol hydrochloride 50 MG Oral Capsule", "tramadol", 50, "MG"),
        ("tramadol hydrochloride 50 MG Oral Tablet", "tramadol", 50, "MG"),
    ],
)
def test_the_strength_of_an_rxnorm_name_is_the_opioids(name, ingredient, strength, strength_unit):
    [said] = read(name)
    assert (said["ingredient"], said["strength"], said["strength_unit"]) == (ingredient, strength, strength_unit)
    assert said["reason"] is None


def test_two_salts_of_one_opioid_add_up():
    [said] = read("aspirin 325 MG / oxycodone hydrochloride 4.5 MG / oxycodone terephthalate 0.38 MG Oral Tablet")
    assert (said["ingredient"], said["strength"], said["is_combination"]) == ("oxycodone", 4.88, True)


def test_the_strength_in_the_name_of_a_pack_is_not_the_strength_of_a_spray():
    [said] = read("{2 (fentanyl 0.6 MG/ACTUAT Mucosal Spray [Subsys]) } Pack [Subsys 1200 MCG]")
    assert (said["strength"], said["strength_unit"]) == (0.6, "MG/ACTUAT")


# Generic names with a form, as the files of the CDC have them; strength and unit stand in columns of their own

CDC = RXNORM.with_name("cdc_product_dictionary.csv")


@pytest.mark.parametrize(
    ("text", "ingredient", "route", "form", "release"),
    [
        ("Acetaminophen/Hydrocodone Bitartrate Tablet", "hydrocodone", "oral", "tablet", None),
        ("APAP/Butalbital/Caff/Codeine Phos Capsule", "codeine", "oral", "capsule", None),
        ("Morphine Sulfate Capsule, Extended Release", "morphine", "oral", "capsule", "extended"),
        ("Morphine Sulfate Capsule, Extended Release, 24", "morphine", "oral", "capsule", "extended"),
        ("Acetaminophen/Codeine Phosphate Elixir", "codeine", "oral", "solution", None),
        ("Buprenorphine Extended Release Subcutaneous", "buprenorphine", "parenteral", "injection", "extended"),
        ("Buprenorphine Film", "buprenorphine", "buccal", "film", None),
        ("Fentanyl Citrate Film", "fentanyl", "buccal", "film", None),
        ("Buprenorphine/Naloxone Film", "buprenorphine", None, "film", None),
        ("Buprenorphine Hydrochloride Implant", "buprenorphine", "parenteral", "implant", None),
        ("Codeine Sulfate Injectable", "codeine", "parenteral", "injection", None),
        ("Hydromorphone Hydrochloride Liquid", "hydromorphone", "oral", "solution", None),
        ("Fentanyl Citrate Lozenge/Troche", "fentanyl", "buccal", "lozenge", None),
        ("Fentanyl Patch, Extended Release", "fentanyl", "transdermal", "patch", "extended"),
        ("Hydromorphone Hydrochloride Powder for Solution", "hydromorphone", None, "powder", None),
        ("Acetaminophen/Hydrocodone Bitartrate Solution", "hydrocodone", "oral", "solution", None),
        ("Acetaminophen/Codeine Phosphate Solution", "codeine", "oral", "solution", None),
        ("Butorphanol Tartrate Solution", "butorphanol", "parenteral", "injection", None),
        ("Morphine Sulfate Solution", "morphine", None, "solution", None),
        ("Morphine Sulfate/Sodium Chloride Solution", "morphine", None, "solution", None),
        ("Nalbuphine Hydrochloride/Sodium Chloride Solution", "nalbuphine", None, "solution", None),
        ("Bupivacaine HCl/Hydromorphone HCl/Na Cl Solution", "hydromorphone", None, "solution", None),
        ("Levorphanol Tartrate Solution", "levorphanol", None, "solution", None),
        ("Butorphanol Tartrate Spray", "butorphanol", "nasal", "spray", None),
        ("Fentanyl Spray", "fentanyl", None, "spray", None),
        ("Belladonna/Opium Suppository", "opium", "rectal", "suppository", None),
        ("Acetaminophen/Codeine Phosphate Suspension", "codeine", "oral", "suspension", None),
        ("Tramadol Hydrochloride Suspension", "tramadol", "oral", "suspension", None),
        ("Morphine Sulfate Liposome Suspension, Extended Release", "morphine", None, "suspension", "extended"),
        ("Butorphanol Tartrate Syringe", "butorphanol", "parenteral", "injection", None),
        ("Morphine Sulfate Syringe", "morphine", None, None, None),
        ("Meperidine Hydrochloride Syrup", "meperidine", "oral", "solution", None),
        ("Methadone Hydrochloride Tablet for Solution", "methadone", "oral", "tablet", None),
        ("Methadone Hydrochloride Tablet for Suspension", "methadone", "oral", "tablet", None),
        ("Tramadol Hydrochloride Tablet, Disintegrating", "tramadol", "oral", "tablet", None),
        ("Oxycodone Hydrochloride Tablet, Extended Release", "oxycodone", "oral", "tablet", "extended"),
        ("Buprenorphine HCl/Naloxone HCl Tablet", "buprenorphine", "sublingual", "tablet", None),
        ("Fentanyl Citrate Tablet", "fentanyl", None, "tablet", None),
        ("Opium Tincture", "opium", "oral", "solution", None),
    ],
)
def test_a_generic_name_and_its_form_tell_the_route_where_all_labels_share_one(text, ingredient, route, form, release):
    [said] = read(text)
    assert (said["ingredient"], said["route"], said["form"], said["release"]) == (ingredient, route, form, release)
    assert said["reason"] == "no_strength"


@pytest.mark.skipif(not CDC.exists(), reason="the CDC's names are not beside the project")
def test_of_the_1677_rows_of_the_cdc_all_opioids_are_read_and_the_route_of_1337(record_property):
    rows = pl.read_csv(CDC, infer_schema=False).with_columns(
        drug_text=pl.format("{} {}", "generic_name", "master_form")
    )
    said = rows.join(products.read(rows), on="drug_text")
    unread = said.filter(pl.col("ingredient").is_null())
    routed = said.filter(pl.col("route").is_not_null(), pl.col("form").is_not_null())
    record_property("share_with_ingredient_route_and_form", len(routed) / len(said))
    assert unread["generic_name"].to_list() == ["Acetaminophen/Butabarbital Sodium"]  # no opioid, the CDC's slip
    assert (len(routed), len(said)) == (1337, 1677)
    # Those without a route are sold for several in this form, or are mixed by pharmacies, or have no label here.
    assert set(said.filter(pl.col("route").is_null())["master_form"]) == {
        "Film",
        "Powder for Solution",
        "Solution",
        "Spray",
        "Suspension, Extended Release",
        "Syringe",
        "Tablet",
    }


@pytest.mark.parametrize(
    ("text", "route", "form"),
    [
        # The label's strength tells apart what the form does not.
        ("MORPHINE 25 MG/ML SYRINGE", "parenteral", "injection"),
        ("MORPHINE 10 MG/5 ML SOLUTION", None, "solution"),
        ("HYDROMORPHONE 10 MG/ML SOLUTION", "parenteral", "injection"),
        ("METHADONE 5 MG/5 ML SOLUTION", "oral", "solution"),
        ("METHADONE 10 MG/ML SOLUTION", None, "solution"),
        ("FENTANYL 300 MCG SPRAY", "nasal", "spray"),
        ("FENTANYL 600 MCG/SPRAY SPRAY", "buccal", "spray"),
        ("FENTANYL 400 MCG SPRAY", None, "spray"),
        ("BUPRENORPHINE-NALOXONE 8-2 MG FILM", "sublingual", "film"),
        ("BUPRENORPHINE-NALOXONE 4.2-0.7 MG FILM", "buccal", "film"),
        # A word and a brand go before the labels.
        ("BUPRENORPHINE-NALOXONE 8-2 MG BUCCAL FILM", "buccal", "film"),
        ("BUPRENORPHINE 8 MG PO TAB", "oral", "tablet"),
        ("FENTORA 200 MCG TABLET", "buccal", "tablet"),
        ("ABSTRAL 200 MCG TABLET", "sublingual", "tablet"),
        ("SUBOXONE FILM", "sublingual", "film"),
        ("ABSTRAL FENTORA TABLET", None, "tablet"),
        ("DILAUDID SOLUTION", None, "solution"),
    ],
)
def test_the_route_is_told_by_a_word_then_a_brand_then_the_labels(text, route, form):
    [said] = read(text)
    assert (said["route"], said["form"]) == (route, form)


def test_a_brand_is_not_taken_for_a_product_of_one_ingredient():
    """The only films of buprenorphine alone are buccal; those with naloxone are not."""
    names = pl.DataFrame({"word": ["zorgol", "buprenorphine"], "ingredient": "buprenorphine"})
    names = names.with_columns(release=pl.lit(None, pl.String), route=pl.lit(None, pl.String))
    texts = pl.DataFrame({"drug_text": ["buprenorphine film", "zorgol film"]})
    assert products.read(texts, names).select("route").rows() == [("buccal",), (None,)]


# Hospital strings


@pytest.mark.parametrize(
    ("text", "ingredient", "strength", "strength_unit"),
    [
        ("OXYCODONE-ACETAMINOPHEN 5-325 MG TAB", "oxycodone", 5, "MG"),
        ("CODEINE-GUAIFENESIN 10-100 MG/5 ML", "codeine", 2, "MG/ML"),
        ("PROMETHAZINE VC-CODEINE 6.25 MG-5 MG-10 MG/5 ML SYRP", "codeine", 2, "MG/ML"),
        ("BUTALBITAL-ACETAMINOP-CAF-COD 50-325-40-30 MG PO CAPS", "codeine", 30, "MG"),
        ("ACETAMINOPHEN-CODEINE 120 MG-12 MG /5 ML (5 ML) PO SOLN", "codeine", 2.4, "MG/ML"),
        ("ACETAMINOPHEN-CODEINE 300 MG-30 MG /12.5 ML PO SOLN", "codeine", 2.4, "MG/ML"),
        ("oxycodone HCl 5 mg-acetaminophen 325 mg tablet", "oxycodone", 5, "MG"),
        ("Acetaminophen w/Codeine 300mg/30 mg Tablet", "codeine", 30, "MG"),
        ("Belladonna & Opium (16.2/30mg) 1 Suppository", "opium", 30, "MG"),
        ("HYDROcodone-Acetaminophen (5mg-325mg) 5mg / 325mg Tablet", "hydrocodone", 5, "MG"),
        ("Oxycodone-Acetaminophen (5mg-325mg) 5mL Cup", "oxycodone", 5, "MG"),
        ("OxyCODONE (Immediate Release)  5mg Tablet", "oxycodone", 5, "MG"),
        ("HYDROmorphone-HP 50mg/5mL Amp", "hydromorphone", 10, "MG/ML"),
        ("HYDROmorphone (Dilaudid) 0.5 mg/0.5 mL Syringe", "hydromorphone", 1, "MG/ML"),
        ("HYDROmorphone 20 mg / 100 mL 0.9% Sodium Chloride (*Standard*)", "hydromorphone", 0.2, "MG/ML"),
        ("HYDROmorphone 10 mcg/mL + Bupivacaine 0.1% 1 mg/mL ED", "hydromorphone", 10, "MCG/ML"),
        ("Morphine Sulfate (Oral Solution) 2 mg/mL 10mg/5mL UDCUP", "morphine", 2, "MG/ML"),
        ("FENTANYL CITRATE 100 MCG/2 ML (50 MCG/ML) IV SYRG", "fentanyl", 50, "MCG/ML"),
        ("FENTANYL CITRATE-0.9%NACL 10 MCG/ML-0.9 % IV PCA", "fentanyl", 10, "MCG/ML"),
        ("FENTANYL (PF)-BUPIVACAINE 2 MCG/ML-0.125 % EPIDURAL", "fentanyl", 2, "MCG/ML"),
        ("MORPHINE IN 0.9 % SODIUM CHLORIDE 1 MG/ML", "morphine", 1, "MG/ML"),
        ("30 MG MORPHINE SULFATE ER TABLET", "morphine", 30, "MG"),
        ("10 MG OXYCODONE / 325 MG ACETAMINOPHEN TABLET", "oxycodone", 10, "MG"),
        ("Morphine 0.1 g tablet", "morphine", 100, "MG"),
        ("SUBSYS 200 MCG/SPRAY SL SPRY", "fentanyl", 200, "MCG/SPRAY"),
        ("OXYCODONE-ASPIRIN 4.8355-325 MG PO TABS", "oxycodone", 4.8355, "MG"),
        ("MS-CONTIN 30MG TAB", "morphine", 30, "MG"),
        ("CHERATUSSIN DAC 30-10-100 MG/5 ML", "codeine", 2, "MG/ML"),
        ("ACETAMINOPHEN-CODEINE 120-12 MG/5 ML PO SOLN", "codeine", 2.4, "MG/ML"),
        ("CODEINE SULFATE 15 MG PO TABS", "codeine", 15, "MG"),
        ("FENTANYL 37.5 MCG/HOUR TD PT72", "fentanyl", 37.5, "MCG/HR"),
        ("HYDROCODONE-ACETAMINOPHEN 5-325 MG PO TABS", "hydrocodone", 5, "MG"),
        ("HYDROMORPHONE 0.5 MG/0.5 ML INJ SYRG", "hydromorphone", 1, "MG/ML"),
        ("HYDROMORPHONE 4 MG PO TABS", "hydromorphone", 4, "MG"),
        ("MORPHINE 10 MG/5 ML PO SOLN", "morphine", 2, "MG/ML"),
        ("morphine 5 mg/tablet", "morphine", 5, "MG"),
    ],
)
def test_the_strength_of_a_hospital_string_is_the_opioids(text, ingredient, strength, strength_unit):
    [said] = read(text)
    assert (said["ingredient"], said["strength"], said["strength_unit"]) == (ingredient, strength, strength_unit)


@pytest.mark.parametrize(
    "text",
    [
        "fentanyl 25 MCG/HR Transdermal Patch",
        "Fentanyl Patch 25 mcg/hr Q72H",
        "Fentanyl Patch 25mcg/h",
        "FENTANYL 25 MCG/HOUR TD PT72",
        "fentanyl 25 micrograms per hour patch",
        "fentanyl 25 µg/hr patch",
    ],
)
def test_a_patch_is_so_many_micrograms_an_hour_however_it_is_spelled(text):
    [said] = read(text)
    assert (said["ingredient"], said["strength"], said["strength_unit"], said["route"], said["form"]) == (
        "fentanyl",
        25,
        "MCG/HR",
        "transdermal",
        "patch",
    )


def test_a_concentration_keeps_its_thirds():
    [said] = read("HYDROCODONE-ACETAMINOPHEN 10-325 MG/15 ML PO SOLN")
    assert said["strength"] == 10 / 15


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("TYLENOL-CODEINE #4 300-60 MG PO TABS", 60),
        ("DARVOCET A500 100-500 MG PO TABS", 100),
        ("FENTANYL 1,200 MCG BUCCAL LOZENGE", 1200),
        ("MORPHINE 12,5 mg tab", 12.5),
        ("morphine 0,025 mg tab", 0.025),
        ("MORPHINE .5 MG TAB", 0.5),
        ("LORCET 10/650 10-650 MG PO TABS", 10),
    ],
)
def test_a_number_is_a_strength_only_where_it_stands_as_one(text, strength):
    assert read(text)[0]["strength"] == strength


PARTS = {"acetaminophen": 325, "butalbital": 50, "caffeine": 40, "codeine": 30, "guaifenesin": 100}


@settings(deadline=None)
@given(st.permutations(list(PARTS)), st.integers(1, 4), st.sampled_from(["-", "/", " / ", "--"]))
def test_the_strength_follows_the_place_of_the_name_in_any_order(order, others, separator):
    parts = [part for part in order if part == "codeine"] + [part for part in order if part != "codeine"][:others]
    parts.sort(key=order.index)
    text = f"{separator.join(parts).upper()} {'-'.join(str(PARTS[part]) for part in parts)} MG TAB"
    [said] = read(text)
    assert (said["ingredient"], said["strength"], said["is_combination"]) == ("codeine", 30, True)


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("FENTANYL 50 MCG/ML EPIDURAL PCEA", "epidural"),
        ("HYDROMORPHONE EPIDURAL INJECTION", "epidural"),
        ("morphine intrathecal injection", "intrathecal"),
        ("FENTANYL 50 MCG/ML IV PCA", "parenteral"),
        ("HYDROmorphone (Dilaudid) 2mg Tablet", "oral"),
        ("Morphine Sulfate 2mg Syringe", None),
    ],
)
def test_the_route_is_the_texts_and_a_neuraxial_one_is_never_parenteral(text, route):
    assert read(text)[0]["route"] == route


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("OxyCODONE SR (OxyconTIN) 10mg Tablet", "extended"),
        ("OXYCONTIN 10 MG TAB", "extended"),
        ("Morphine Sulfate IR 15mg Tab", "immediate"),
        ("OxyCODONE (Immediate Release) 5mg Tablet", "immediate"),
        ("oxycodone 5 mg tablet", None),
        ("OxyconTIN (Immediate Release) 10mg Tablet", None),
        ("OVERNIGHT MORPHINE 5 MG TAB", None),
    ],
)
def test_release_is_what_the_text_or_the_brand_tells_and_unknown_where_they_differ(text, release):
    assert read(text)[0]["release"] == release


@pytest.mark.parametrize(
    ("text", "is_combination"),
    [
        ("OXYCODONE-ACETAMINOPHEN 5-325 MG TAB", True),
        ("Percocet 5-325 mg tablet", True),
        ("Guaifenesin-CODEINE Phosphate 10mL UD Cup", True),
        ("buprenorphine 8 MG / naloxone 2 MG Sublingual Film", True),
        ("oxycodone 5 mg tablet", False),
        ("MORPHINE IN 0.9 % SODIUM CHLORIDE 1 MG/ML", False),
        ("HYDROmorphone Infusion – Comfort Care Guidelines", False),  # noqa: RUF001
    ],
)
def test_a_combination_names_or_numbers_a_second_ingredient(text, is_combination):
    assert read(text)[0]["is_combination"] is is_combination


# What stays unknown, and why


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("acetaminophen 325 mg tablet", "no_opioid_name"),
        ("Codeine / morphine 15 mg tablet", "several_opioids"),
        ("Hydromorphone Contin Codeine 3 mg", "several_opioids"),
        ("Morphine 1 mL Vial", "no_strength"),
        ("MORPHINE SULFATE 100 % POWDER", "no_strength"),
        ("oxycodone 1234567890123 mg tablet", "no_strength"),
        ("oxycodone 5 mg/0 mL solution", "no_strength"),
        ("oxycodone 0 mg tablet", "no_strength"),
        ("MORPHINE 5,10 MG TABLET", "no_strength"),
        ("ACETAMINOPHEN-CODEINE #5 TABLET", "no_strength"),
        ("ACETAMINOPHEN-CODEINE TABLET #30", "no_strength"),
        ("ACETAMINOPHEN-CODEINE #3 #4 TABLET", "no_strength"),
        ("ACETAMINOPHEN-CODEINE #3 ELIXIR", "no_strength"),
        ("CODEINE #3 TABLET", "no_strength"),
        ("MORPHINE #3 TABLET", "no_strength"),
        ("HYDROcodone-Acetaminophen 5/500 Tablet", "no_strength_unit"),
        ("PROMETHAZINE VC-CODEINE 6.25-5-10", "no_strength_unit"),
        ("CHERATUSSIN DAC 30-10-100", "no_strength_unit"),
        ("CHERATUSSIN DAC 10-100-30", "ambiguous_strength"),
        ("CODEINE-GUAIFENESIN 10-100 ORAL", "no_strength_unit"),
        ("CHERATUSSIN AC 100-10 MG/5 ML", "ambiguous_strength"),
        ("OXYCODONE 5-10 MG TABLET", "ambiguous_strength"),
        ("OXYCODONE-ACETAMINOPHEN 5 MG TABLET", "ambiguous_strength"),
        ("MORPHINE 15 MG 30 MG TABLET", "several_strengths"),
        ("MORPHINE 10 MG 10 MG/ML ORAL", "several_strengths"),
        ("fentanyl 50 mcg/h patch 8.4 mg", "several_strengths"),
        ("Morphine Sulfate 2mg Syringe", "no_route"),
        ("morphine 15 mg oral tablet", None),
    ],
)
def test_what_a_text_leaves_unknown_has_a_reason(text, reason):
    [said] = read(text)
    assert said["reason"] == reason
    if reason in ("no_strength", "ambiguous_strength", "several_strengths"):
        assert said["strength"] is None
    if reason in ("no_opioid_name", "several_opioids"):
        assert said["ingredient"] is None


@pytest.mark.parametrize(
    "text", ["PROMETHAZINE VC-CODEINE 6.25-5-10", "CHERATUSSIN DAC 30-10-100", "CODEINE-GUAIFENESIN 10-100 ORAL"]
)
def test_a_number_without_a_unit_is_read_by_its_place_and_says_that_the_unit_is_missing(text):
    [said] = read(text)
    assert (said["strength"], said["strength_unit"], said["reason"]) == (10, None, "no_strength_unit")


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("ACETAMINOPHEN-CODEINE #3 TABLET", 30),
        ("ACETAMINOPHEN-CODEINE #4 TABLET", 60),
        ("TYLENOL-CODEINE NO.3 TABLET", 30),
        ("Tylenol w/Codeine No. 4 capsule", 60),
        ("TYLENOL-CODEINE #3 300-15 MG TABLET", 15),
    ],
)
def test_codeine_that_goes_by_a_number_has_its_strength_unless_the_text_tells_another(text, strength):
    [said] = read(text)
    assert (said["ingredient"], said["strength"], said["strength_unit"]) == ("codeine", strength, "MG")


@pytest.mark.parametrize(
    "text",
    [
        "apomorphine 10 mg/ml",
        "Ipratropium Bromide Neb 2.5mL Vial",
        "Tiotropium Bromide 18mcg Capsule",
        "ethylmorphine 5 mg",
        "levomethadone 5 mg",
        "loperamide 2 mg",
        "diphenoxylate-atropine 2.5-0.025 mg",
        "naloxone 0.4 mg/ml",
        "naltrexone 50 mg tablet",
        "nalmefene 1 mg",
        "methylnaltrexone 12 mg",
        "dextromethorphan 15 mg",
        "COD LIVER OIL 1000 MG CAP",
        "CAPITAL B COMPLEX 5 MG",
        "hydro 35 moisturizer",
        "tylenol 325 mg tablet",
    ],
)
def test_what_only_looks_like_an_opioid_is_none(text):
    [said] = read(text)
    assert (said["ingredient"], said["reason"]) == (None, "no_opioid_name")


@pytest.mark.parametrize(
    ("text", "ingredient"),
    [
        ("dihydrocodeine 30 mg", "dihydrocodeine"),
        ("diamorphine 5 mg", "diamorphine"),
        ("nicomorphine 5 mg", "nicomorphine"),
        ("hydromorphone 2 mg", "hydromorphone"),
        ("oxymorphone 5 mg", "oxymorphone"),
        ("Pethidine 50 mg", "meperidine"),
        ("dextropropoxyphene 65 mg", "propoxyphene"),
        ("TraMADol 50mg Tablet", "tramadol"),
    ],
)
def test_an_ingredient_is_found_by_its_whole_name(text, ingredient):
    assert read(text)[0]["ingredient"] == ingredient


@settings(deadline=None)
@given(st.sampled_from(INGREDIENTS), st.sampled_from("abcz"), st.booleans())
def test_a_name_glued_to_a_letter_is_no_name(ingredient, letter, is_before):
    word = letter + ingredient if is_before else ingredient + letter
    [said] = read(f"{word} 5 mg tablet")
    assert said["reason"] == "no_opioid_name"


def test_every_name_of_the_table_is_found_and_means_its_ingredient():
    said = read(*(f"{word.title()} 5 MG" for word in NAMES["word"]))
    assert [row["ingredient"] for row in said] == NAMES["ingredient"].to_list()


def test_names_of_another_table_are_used_where_one_is_given():
    names = pl.DataFrame(
        {
            "word": ["zorgol", "big pain"],
            "ingredient": ["zorgine", "bigine"],
            "release": [None, "extended"],
            "route": [None, "nasal"],
        }
    )
    texts = pl.DataFrame({"drug_text": ["Zorgol 5 mg", "Big Pain 7 mg tab", "morphine 5 mg"]})
    rows = products.read(texts, names).select("ingredient", "strength", "release", "route").rows()
    assert rows == [("bigine", 7.0, "extended", "nasal"), ("zorgine", 5.0, None, None), (None, None, None, None)]


@pytest.mark.parametrize(
    ("text", "ingredient", "release"),
    [
        ("OxyContin 20 mg", "oxycodone", "extended"),
        ("Ultram 50mg", "tramadol", None),
        ("XTAMPZA ER 9 MG", "oxycodone", "extended"),
        ("Percocet 5-325 mg", "oxycodone", None),
        ("NORCO 10/325 MG", "hydrocodone", None),
        ("MS Contin 15 mg", "morphine", "extended"),
        ("Methadose 40 mg", "methadone", None),
    ],
)
def test_a_brand_whose_products_are_all_swallowed_is_oral(text, ingredient, release):
    [said] = read(text)
    assert (said["ingredient"], said["route"], said["release"], said["reason"]) == (ingredient, "oral", release, None)


def test_what_the_text_says_of_the_route_comes_before_the_brand():
    assert [said["route"] for said in read("OxyContin 20 mg rectal", "Ultram 50 mg/ml injection")] == [
        "rectal",
        "parenteral",
    ]


@pytest.mark.parametrize("text", ["Dilaudid 2 mg", "Demerol 50 mg", "Opana 10 mg", "Talwin 30 mg/ml", "Stadol 2 mg"])
def test_a_brand_with_a_product_that_is_not_swallowed_has_no_route_of_its_own(text):
    [said] = read(text)
    assert (NAMES.filter(word=text.split()[0].lower())["route"].to_list(), said["route"]) == ([None], None)


@needs_rxnorm
def test_a_name_is_oral_only_where_every_rxnorm_product_of_the_brand_is_read_as_oral():
    oral = NAMES.filter(route="oral")["word"].to_list()
    assert len(oral) == 59
    for word in oral:
        products_of_brand = [name for name in rxnorm() if f"[{word}" in name.lower()]
        assert products_of_brand, word
        # Without the brand, so that the dose form alone is read.
        said = read(*(name.split(" [")[0] for name in products_of_brand))
        assert {row["route"] for row in said} == {"oral"}, word


# One row per distinct text


def test_each_distinct_text_has_one_row_whatever_the_order_and_number_of_texts():
    texts = ["morphine 5 mg", "Morphine 5 mg", "morphine 5 mg", "x", None]
    rows = products.read(pl.DataFrame({"drug_text": texts}))
    assert rows["drug_text"].to_list() == ["Morphine 5 mg", "morphine 5 mg", "x"]
    assert rows.equals(products.read(pl.DataFrame({"drug_text": texts[::-1]})))


def test_a_text_is_kept_as_delivered_so_that_it_joins_back():
    text = "  OxycoDONE (Immediate Release)   5mg Tablet "
    assert read(text)[0]["drug_text"] == text


@pytest.mark.parametrize("texts", [[], ["morphine 5 mg"]])
def test_the_frame_has_the_columns_and_types_of_the_contract(texts):
    contract = contracts.read(paths.DATA_CONTRACTS / "3_trajectory" / "drug_product.yaml")
    rows = products.read(pl.DataFrame({"drug_text": texts}, schema={"drug_text": pl.String}))
    types = {"VARCHAR": pl.String, "DOUBLE": pl.Float64, "BOOLEAN": pl.Boolean}
    assert dict(rows.schema) == {name: types[type_] for name, type_ in contract.types.items()}


@needs_rxnorm
def test_what_is_read_fits_the_values_of_the_contract():
    contract = contracts.read(paths.DATA_CONTRACTS / "3_trajectory" / "drug_product.yaml")
    rows = products.read(pl.DataFrame({"drug_text": list(rxnorm())}))
    for column in contract.columns:
        if column.values:
            assert set(rows[column.name].drop_nulls()) <= set(column.values)


FRAGMENTS = [
    "morphine",
    "oxycodone-apap",
    "5",
    "325",
    "0.5",
    ",",
    ".",
    "mg",
    "mcg/hr",
    "/",
    "-",
    "/5 ml",
    "%",
    " ",
    "(",
    ")",
    "[",
    "]",
    "#",
    "ms contin",
    "tab",
    "1,200",
    "0 ml",
    "w/",
    "µg",
    "é",
]


@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_reader_and_a_strength_is_always_a_positive_number(text):
    [said] = read(text)
    assert said["strength"] is None or 0 < said["strength"] < 1e13
    is_unknown = None in (said["ingredient"], said["strength"], said["strength_unit"], said["route"])
    assert is_unknown == (said["reason"] is not None)


ENDLESS = ["5", "1-", "1/", "1,", "1.", "(", "(a", "[", "ms ", " ", "a-", "w/", "#3 ", "no. ", "liposo", "\n"]


@pytest.mark.parametrize("unit", [*ENDLESS, "5 mg/5 ml-", "5,10-"])
@pytest.mark.parametrize("start", ["", "morphine "])
def test_a_text_of_10000_characters_is_unknown(unit, start):
    [said] = read((start + unit * 10_000)[:10_000])
    assert said["strength"] is None
    assert said["reason"] in ("no_opioid_name", "no_strength", "ambiguous_strength", "no_strength_unit")


# What takes steps by the square of the length takes hours here.
@pytest.mark.parametrize("unit", ["morphine-", "a-", "#3 "])
def test_a_text_of_a_million_characters_is_read_in_steps_by_its_length(unit):
    [said] = read(("morphine " + unit * 1_000_000)[:1_000_000])
    assert (said["ingredient"], said["reason"]) == ("morphine", "no_strength")


SEARCHED = [
    "MS-Contin 15",
    "Codeine",
    "dihydrocodeine",
    "BUTALBITAL-ACETAMINOP-CAF-COD",
    "caf. cod",
    "cod",
    "Ipratropium",
    "Bupivacaine 0.1%|HYDROmorphone (Dilaudid)",
    "oxycodone5mg",
    "morphiné",
    "msContin",
    "percocet",
]


def test_the_reader_finds_an_opioid_in_the_same_texts_as_the_search_that_mappings_make():
    names = NAMES.to_arrow()
    texts = pl.DataFrame({"drug_text": SEARCHED}).to_arrow()
    found = duckdb.execute(
        """
        select drug_text from texts where exists (
            select 1 from names
            where contains(' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ', ' ' || word || ' ')
        )
        """
    ).fetchall()
    assert {text for (text,) in found} == {
        row["drug_text"] for row in read(*SEARCHED) if row["reason"] != "no_opioid_name"
    }
    assert texts.num_rows > len(found) > 0 and names.num_rows > 100
