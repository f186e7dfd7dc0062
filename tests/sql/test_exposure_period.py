"""Which class an adjuvant is, and the spans of days on it."""

import duckdb
import pytest

from pipelines import contracts, warehouse
from tests.sql.drawing import drawn

DOSE = "trajectory.adjuvant_dose"  # it tells classes and what a day holds
TABLE = "trajectory.exposure_period"


def dispensed(drawing: str, **same: object) -> str:
    """Thirty days of a drug, dispensed on D+0 to patient 1."""
    usual = {"patient_index": 1, "record_kind": "dispensing", "start_date": "D+0", "days_supply": 30, "quantity": 30}
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    return drawn(drawing, **{name: value for name, value in (usual | same).items() if name not in header})


@pytest.fixture
def check_classes(check_sql):
    """Expect classes and ingredients of one record."""

    def check(adjuvant: str, *expected: str, **settings: float):
        check_sql(
            DOSE,
            TABLE,
            given={"clean.adjuvant": adjuvant},
            settings=settings,
            then="exposure_class | ingredient\n-\n" + "\n".join(expected),
        )

    return check


@pytest.mark.parametrize(
    ("text", "exposure"),
    [
        ("GABAPENTIN 300 MG CAPSULE", "gabapentinoid | gabapentin"),
        ("Lyrica 75 MG Oral Capsule", "gabapentinoid | pregabalin"),
        ("duloxetine 30 MG Delayed Release Oral Capsule", "snri | duloxetine\ncyp2d6_inhibitor | duloxetine"),
        ("FLUoxetine 20 mg Cap", "ssri | fluoxetine\ncyp2d6_inhibitor | fluoxetine"),
        ("Zoloft 50 MG", "ssri | sertraline"),
        ("bupropion 150 MG", "other_antidepressant | bupropion\ncyp2d6_inhibitor | bupropion"),
        ("trazodone 50 MG", "other_antidepressant | trazodone"),
        ("nefazodone 100 MG", "other_antidepressant | nefazodone\ncyp3a4_inhibitor | nefazodone"),
        ("zolpidem 10 MG", "sleep_drug | zolpidem"),
        ("diltiazem 120 MG", "cyp3a4_inhibitor | diltiazem"),
        ("ketoconazole 200 MG Oral Tablet", "cyp3a4_inhibitor | ketoconazole"),
        ("ketoconazole 2 % Shampoo", "local_anti_infective | ketoconazole"),
        ("Erythromycin Ophth Oint", "local_anti_infective | erythromycin"),
        ("terbinafine 250 MG Oral Tablet", "cyp2d6_inhibitor | terbinafine"),
        ("terbinafine 1 % Cream", "local_anti_infective | terbinafine"),
        ("rifampin 300 MG", "cyp3a4_inducer | rifampin"),
        ("AMITRIPTYLINE HCL 25 MG TAB", "tca | amitriptyline"),
        ("CloniDINE 0.1 mg Tab", "alpha2_agonist | clonidine"),
        ("Lofexidine 0.18 MG Oral Tablet", "alpha2_agonist | lofexidine"),
        ("tizanidine 4 MG Oral Tablet", "alpha2_agonist | tizanidine"),
        ("memantine 10 MG Oral Tablet", "nmda_antagonist | memantine"),
        ("ketamine 50 MG/ML Injectable Solution", "nmda_antagonist | ketamine"),
        ("Ketamine (For Intubation)", "procedural_anaesthetic | ketamine"),
        ("dextromethorphan / quinidine 20-10 MG", "nmda_antagonist | dextromethorphan\ncyp2d6_inhibitor | quinidine"),
        ("Guaifenesin-Dextromethorphan", "antitussive | dextromethorphan"),
        ("methylnaltrexone 12 MG Injection", "peripherally_acting_antagonist | methylnaltrexone"),
        ("naloxegol 25 MG", "peripherally_acting_antagonist | naloxegol"),
        ("nalmefene 18 MG Oral Tablet", "opioid_antagonist | nalmefene"),
        ("naloxone 4 MG/ACTUAT Nasal Spray", "rescue_naloxone | naloxone"),
        ("NARCAN 4 MG", "rescue_naloxone | naloxone"),
        ("naloxone 0.4 MG Prefilled Syringe", "rescue_naloxone | naloxone"),
        ("Naloxone", "rescue_naloxone | naloxone"),
        ("Naloxone 0.4mg/mL Vial", "rescue_naloxone | naloxone"),
        ("NALOXONE HCL 0.4 MG/ML INJ", "rescue_naloxone | naloxone"),
        ("naloxone hydrochloride 1 MG/ML Injectable Solution", "rescue_naloxone | naloxone"),
        ("naloxone 0.4 MG/ML Cartridge", "rescue_naloxone | naloxone"),
        ("0.4 ML naloxone hydrochloride 5 MG/ML Auto-Injector", "rescue_naloxone | naloxone"),
        ("naloxone ampule", "rescue_naloxone | naloxone"),
        ("naloxone 5 MG Oral Tablet", "peripherally_acting_antagonist | naloxone"),
        ("NALOXONE 3 MG TAB", "peripherally_acting_antagonist | naloxone"),
        ("naloxone compounded capsule", "peripherally_acting_antagonist | naloxone"),
        ("Hydrocortisone Cream 2.5%", "local_corticosteroid | hydrocortisone"),
        ("prednisone 20 MG", "corticosteroid | prednisone"),
        ("diclofenac 1 % Gel", "local_nsaid | diclofenac"),
        ("St. John's Wort 300 MG", "cyp3a4_inducer | st john s wort"),
    ],
)
def test_a_text_has_the_class_of_its_ingredient_and_form(check_classes, text, exposure):
    check_classes(dispensed(f"drug_text\n-\n{text}"), exposure)


@pytest.mark.parametrize(
    ("text", "route", "exposure"),
    [
        ("Naloxone", "IV", "rescue_naloxone | naloxone"),
        ("Naloxone", "PO", "peripherally_acting_antagonist | naloxone"),
        ("Naloxone", "", "rescue_naloxone | naloxone"),
        ("Dexamethasone", "TP", "local_corticosteroid | dexamethasone"),
        ("Dexamethasone", "IV", "corticosteroid | dexamethasone"),
        ("Naltrexone", "IM", "full_dose_naltrexone | naltrexone"),
    ],
)
def test_the_delivered_route_counts_as_a_word_of_the_text(check_classes, text, route, exposure):
    check_classes(dispensed(f"drug_text | route_text\n-\n{text} | {route}"), exposure)


@pytest.mark.parametrize(
    ("supply", "exposure_class"),
    [
        # text | strength | unit | quantity | days
        ("NALTREXONE HCL 50 MG TABLET | | | 30 | 30", "full_dose_naltrexone"),
        ("naltrexone 4.5 MG Oral Capsule | | | 30 | 30", "low_dose_naltrexone"),
        ("naltrexone compounded | 5 | MG | 30 | 30", "low_dose_naltrexone"),
        ("naltrexone compounded | 5.001 | MG | 30 | 30", "full_dose_naltrexone"),
        ("naltrexone compounded | 1 | mg | 150 | 30", "low_dose_naltrexone"),
        ("naltrexone compounded | 1 | mg | 151 | 30", "full_dose_naltrexone"),
        # not known
        ("naltrexone compounded | | | 30 | 30", "naltrexone"),
        ("naltrexone 1 MG/ML Suspension | | | 30 | 30", "naltrexone"),
        ("naltrexone 50 MG Tablet | | | | 30", "naltrexone"),
        ("naltrexone 50 MG Tablet | | | 0 | 30", "naltrexone"),
        ("naltrexone 50 MG Tablet | | | 30 |", "naltrexone"),
        ("naltrexone compounded | 50 | mcg | 30 | 30", "naltrexone"),
        ("Vivitrol 380 MG | | | 1 | 28", "full_dose_naltrexone"),
    ],
)
def test_naltrexone_up_to_5_mg_a_day_is_low_dose(check_classes, supply, exposure_class):
    record = dispensed(f"drug_text | strength | strength_unit | quantity | days_supply\n-\n{supply}")
    check_classes(record, f"{exposure_class} | naltrexone")


@pytest.mark.parametrize(
    ("dose", "exposure_class"),
    [
        ("4.5 | mg | 1", "low_dose_naltrexone"),
        ("4.5 | mg | 2", "full_dose_naltrexone"),
        ("1 | TAB | 1", "full_dose_naltrexone"),
        ("0.1 | TAB | 1", "low_dose_naltrexone"),
        ("1 | mL | 1", "naltrexone"),
        ("4.5 | mg |", "naltrexone"),
    ],
)
def test_an_order_of_naltrexone_has_the_dose_it_says(check_classes, dose, exposure_class):
    header = "dose_high | dose_unit | doses_per_day"
    same = {"record_kind": "order", "drug_text": "Naltrexone 50mg Tablet", "days_supply": "", "quantity": ""}
    check_classes(dispensed(f"{header}\n-\n{dose}", **same), f"{exposure_class} | naltrexone")


@pytest.mark.parametrize("text", ["Contrave 8-90 MG", "bupropion 90 MG / naltrexone 8 MG Extended Release Oral Tablet"])
def test_naltrexone_with_bupropion_is_neither_low_nor_full_dose(check_sql, text):
    check_sql(
        DOSE,
        TABLE,
        given={"clean.adjuvant": dispensed(f"drug_text | quantity\n-\n{text} | 120")},
        settings={},
        then="exposure_class | ingredient\n-\nnaltrexone_bupropion | naltrexone"
        + ("\nother_antidepressant | bupropion\ncyp2d6_inhibitor | bupropion" if "bupropion" in text else ""),
    )


def test_the_limit_of_low_dose_is_that_of_the_settings(check_classes):
    record = dispensed("drug_text\n-\nnaltrexone 4.5 MG Oral Capsule")
    check_classes(record, "full_dose_naltrexone | naltrexone", low_dose_naltrexone_mg=3)


def test_what_changes_metabolism_is_in_the_table_of_interactions_and_a_prodrug_is_an_opioid():
    connection = duckdb.connect()
    for name in ("adjuvant_name", "opioid_name", "drug_interaction"):
        warehouse.build_reference(connection, contracts.all_contracts()[f"reference.{name}"])
    effects = "from reference.drug_interaction where effect"
    assert not connection.sql(
        f"""
        select ingredient, drug_class from reference.adjuvant_name where starts_with(drug_class, 'cyp')
        except select ingredient, effect {effects} <> 'cyp2d6_prodrug'
        """
    ).fetchall()
    assert not connection.sql(
        f"select ingredient {effects} <> 'cyp2d6_prodrug' except select ingredient from reference.adjuvant_name"
    ).fetchall()
    prodrugs = connection.sql(f"select ingredient {effects} = 'cyp2d6_prodrug' order by 1").fetchall()
    assert prodrugs == [("codeine",), ("hydrocodone",), ("tramadol",)]
    assert not connection.sql(
        f"select ingredient {effects} = 'cyp2d6_prodrug' except select ingredient from reference.opioid_name"
    ).fetchall()


# Spans


@pytest.mark.parametrize(
    ("second", "spans"),
    [
        ("D+30 | 30", ["D+0 | D+59 | true"]),
        ("D+20 | 30", ["D+0 | D+49 | true"]),
        ("D+5  | 5", ["D+0 | D+29 | true"]),
        ("D+31 | 30", ["D+0 | D+29 | true", "D+31 | D+60 | true"]),
        # an unknown end leaves the end of the span unknown
        ("D+30 |", ["D+0 | D+30 | false"]),
        ("D+5 |", ["D+0 | D+29 | false"]),
        ("D+31 | 0", ["D+0 | D+29 | true", "D+31 | D+31 | false"]),
    ],
)
def test_supplies_that_overlap_or_follow_one_another_are_one_span(check_sql, second, spans):
    check_sql(
        DOSE,
        TABLE,
        given={
            "clean.adjuvant": dispensed(
                f"start_date | days_supply\n-\nD+0 | 30\n{second}", drug_text="gabapentin 300 MG Oral Capsule"
            )
        },
        then=drawn(
            "start_date | end_date | is_end_known\n-\n" + "\n".join(spans),
            patient_index=1,
            exposure_class="gabapentinoid",
            ingredient="gabapentin",
        ),
    )


def test_an_order_lasts_to_its_last_day(check_sql):
    record = dispensed("end_date\n-\nD+3", drug_text="Gabapentin", record_kind="order", days_supply="", quantity="")
    check_sql(
        DOSE,
        TABLE,
        given={"clean.adjuvant": record},
        then=drawn("start_date | end_date | is_end_known\n-\nD+0 | D+3 | true"),
    )


def test_other_ingredients_and_patients_have_spans_of_their_own(check_sql):
    rows = """
        patient_index | drug_text             | start_date
        --------------+-----------------------+-----------
        1             | gabapentin 300 MG Cap | D+0
        1             | pregabalin 75 MG Cap  | D+10
        2             | gabapentin 300 MG Cap | D+20
        """
    check_sql(
        DOSE,
        TABLE,
        given={"clean.adjuvant": dispensed(rows)},
        then=drawn(
            """
            patient_index | ingredient | start_date | end_date
            --------------+------------+------------+---------
            1             | gabapentin | D+0        | D+29
            1             | pregabalin | D+10       | D+39
            2             | gabapentin | D+20       | D+49
            """
        ),
    )


def test_buprenorphine_and_methadone_in_the_timeline_are_exposures_and_other_opioids_are_not(check_sql):
    check_sql(
        DOSE,
        TABLE,
        given={
            "trajectory.record_dose": drawn(
                """
                ingredient    | is_in_timeline | record_kind    | days_supply | start_date | end_date
                --------------+----------------+----------------+-------------+------------+---------
                buprenorphine | true           | dispensing     | 28          | D+0        | D+27
                buprenorphine | true           | dispensing     | 28          | D+28       | D+55
                methadone     | true           | dispensing     |             | D+0        | D+0
                methadone     | true           | administration |             | D+9        | D+9
                methadone     | false          | order          | 9           | D+20       | D+28
                oxycodone     | true           | dispensing     | 28          | D+0        | D+27
                """,
                patient_index=1,
            )
        },
        then=drawn(
            """
            exposure_class | ingredient    | start_date | end_date | is_end_known
            ---------------+---------------+------------+----------+-------------
            buprenorphine  | buprenorphine | D+0        | D+55     | true
            methadone      | methadone     | D+0        | D+0      | false
            methadone      | methadone     | D+9        | D+9      | true
            """
        ),
    )
