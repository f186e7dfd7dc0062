"""The FHIR R4 bulk export: each mapping drawn, and a small export, written by hand, from its files to the clean tables."""

import gzip
import json

import duckdb
import pytest

from pipelines import sql_files
from tests import source_extract

MAPPINGS = {sql.table.split(".")[1]: sql for sql in sql_files.mappings("fhir")}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def concept(display: str | None = None, text: str | None = None, system: str = RXNORM, code: str = "1") -> str:
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return json.dumps({"coding": [coding]} | ({"text": text} if text else {}))


OXYCODONE = concept("oxycodone hydrochloride 5 MG Oral Tablet")
PAIN = concept(system="http://loinc.org", code="72514-3")


# What is prescribed and dispensed


def test_a_drug_is_named_in_the_resource_within_it_or_beside_it_and_by_the_words_that_tell_a_strength(check_sql):
    brand = json.dumps(
        {"coding": [{"system": RXNORM, "display": "oxycodone"}], "text": "Roxicodone (oxycodone) 5 mg tablet"}
    )
    contained = json.dumps([{"resourceType": "Medication", "id": "m1", "code": json.loads(OXYCODONE)}])
    check_sql(
        "clean_fhir.prescription",
        given={
            "raw_fhir.medication": f"""
                id | code
                ---+-----
                m1 | {concept(text="MORPHINE 15 MG TAB")}
                m2 | {concept(system="http://hl7.org/fhir/sid/ndc", code="00406-0512-01", text="MORPHINE 30 MG TAB")}
            """,
            "raw_fhir.medication_dispense": f"""
                id        | handed_over_at | medication_concept | medication_reference | contained   | subject
                ----------+----------------+--------------------+----------------------+-------------+----------
                rxnorm    | 2021-05-01     | {OXYCODONE}        |                      |             | Patient/1
                text      | 2021-05-01     | {brand}            |                      |             | Patient/1
                contained | 2021-05-01     |                    | #m1                  | {contained} | Patient/1
                beside    | 2021-05-01     |                    | Medication/m1        |             | Patient/1
                url       | 2021-05-01     |                    | https://x.org/fhir/Medication/m2/_history/3 | | Patient/1
                code_only | 2021-05-01     | {concept()}        |                      |             | Patient/1
                nothing   | 2021-05-01     |                    | Medication/m9        |             | Patient/1
                other     | 2021-05-01     | {concept("lisinopril 10 MG Oral Tablet")} | |            | Patient/1
            """,
        },
        then="""
            prescription_id                   | drug_text                                | ndc           | excluded_reason
            ----------------------------------+------------------------------------------+---------------+----------------
            fhir:MedicationDispense/rxnorm    | oxycodone hydrochloride 5 MG Oral Tablet |               |
            fhir:MedicationDispense/text      | Roxicodone (oxycodone) 5 mg tablet       |               |
            fhir:MedicationDispense/contained | oxycodone hydrochloride 5 MG Oral Tablet |               |
            fhir:MedicationDispense/beside    | MORPHINE 15 MG TAB                       |               |
            fhir:MedicationDispense/url       | MORPHINE 30 MG TAB                       | 00406-0512-01 |
            fhir:MedicationDispense/code_only |                                          |               | drug_not_named
            fhir:MedicationDispense/nothing   |                                          |               | drug_not_named
            fhir:MedicationDispense/other     | lisinopril 10 MG Oral Tablet             |               | not_an_opioid
        """,
    )


@pytest.mark.parametrize("table", ["medication_dispense", "medication_administration"])
def test_a_drug_without_words_is_what_the_table_of_codes_says_and_else_not_named(check_sql, table):
    def coded(code: str) -> str:
        return concept(system="http://hl7.org/fhir/sid/ndc", code=code)

    day, mapping = {
        "medication_dispense": ("handed_over_at", "prescription"),
        "medication_administration": ("effective_at", "administration"),
    }[table]
    check_sql(
        f"clean_fhir.{mapping}",
        given={
            "reference.ndc_text": """
                ndc           | drug_text
                --------------+------------------------
                00406-0512-01 | MORPHINE 30 MG TAB
                00002-0351-02 | LISINOPRIL 10 MG TABLET
            """,
            f"raw_fhir.{table}": f"""
                id | {day}      | medication_concept
                ---+------------+-------------------
                1  | 2021-05-01 | {coded("00406-0512-01")}
                2  | 2021-05-02 | {coded(" 00002-0351-02 ")}
                3  | 2021-05-03 | {coded("00093-1234-01")}
                4  | 2021-05-04 | {concept("oxycodone 5 MG Oral Tablet", code="00406-0512-01")}
                5  | 2021-05-05 | {concept(code="00406-0512-01")}
            """,
        },
        then="""
            drug_text                  | excluded_reason
            ---------------------------+----------------
            MORPHINE 30 MG TAB         |
            LISINOPRIL 10 MG TABLET    | not_an_opioid
                                       | drug_not_named
            oxycodone 5 MG Oral Tablet |
                                       | drug_not_named
        """,
    )


@pytest.mark.parametrize(
    ("reference", "patient"),
    [
        ("Patient/p-1.a", "p-1.a"),
        ("https://x.org/fhir/Patient/p1", "p1"),
        ("Patient/p1/_history/2", "p1"),
        ("urn:uuid:0a1b-2c", "0a1b-2c"),
        ("p1", "p1"),
        ("Patient?identifier=urn:mrn|p1", ""),
        ("#p1", ""),
    ],
)
def test_a_reference_leads_to_the_id_it_ends_in_and_a_search_to_none(check_sql, reference, patient):
    check_sql(
        "clean_fhir.diagnosis",
        given={
            "raw_fhir.condition": f"""
                id | subject
                ---+------------
                1  | {reference.replace("|", "%7C")}
            """
        },
        then=f"""
            patient_id
            ----------
            fhir:{patient}
        """,
    )


def test_a_dispense_counts_from_the_day_it_was_handed_over_and_its_supply_in_days(check_sql):
    check_sql(
        "clean_fhir.prescription",
        given={
            "raw_fhir.medication_dispense": f"""
                id       | prepared_at          | handed_over_at            | quantity | quantity_unit | quantity_code | supply_duration | supply_unit | supply_code | medication_concept
                ---------+----------------------+---------------------------+----------+---------------+---------------+-----------------+-------------+-------------+-------------------
                evening  | 2021-05-01           | 2021-05-02T23:30:00-05:00 | 60       | tablet        | TAB           | 30              | Day         | d           | {OXYCODONE}
                weeks    | 2021-05-01T08:00:00Z |                           | 60       |               | mL            | 2               |             | wk          | {OXYCODONE}
                unitless | 2021-05-01           |                           |          |               |               | 14              |             |             | {OXYCODONE}
                months   | 2021-05-01           |                           |          |               |               | 1               | month       | mo          | {OXYCODONE}
                no_day   | 2021-05              |                           |          |               |               |                 |             |             | {OXYCODONE}
            """
        },
        then="""
            prescription_id                  | record_kind | start_date | end_date | quantity | quantity_unit | days_supply | source_table        | excluded_reason
            ---------------------------------+-------------+------------+----------+----------+---------------+-------------+---------------------+----------------
            fhir:MedicationDispense/evening  | dispensing  | 2021-05-02 |          | 60       | tablet        | 30          | medication_dispense |
            fhir:MedicationDispense/weeks    | dispensing  | 2021-05-01 |          | 60       | mL            | 14          | medication_dispense |
            fhir:MedicationDispense/unitless | dispensing  | 2021-05-01 |          |          |               | 14          | medication_dispense |
            fhir:MedicationDispense/months   | dispensing  | 2021-05-01 |          |          |               |             | medication_dispense |
            fhir:MedicationDispense/no_day   | dispensing  |            |          |          |               |             | medication_dispense | day_not_known
        """,
    )


def dosage(dose: object = 1, unit: str = "tablet", **more: object) -> str:
    amount = {"doseRange": dose} if isinstance(dose, dict) else {"doseQuantity": {"value": dose, "unit": unit}}
    return json.dumps([{"doseAndRate": [amount], **more}])


def times(frequency: object, period: object, unit: str, **more: object) -> dict:
    return {"repeat": {"frequency": frequency, "period": period, "periodUnit": unit, **more}}


def test_an_order_has_the_dose_and_the_frequency_of_its_one_instruction(check_sql):
    bounds = {"boundsPeriod": {"start": "2021-05-03", "end": "2021-05-09T10:00:00+02:00"}}
    ranged = {"low": {"value": 1, "unit": "tablet"}, "high": {"value": 2, "unit": "tablet"}}
    rows = {
        "twice": dosage(timing=times(2, 1, "d"), route={"coding": [{"display": "Oral route"}]}),
        "ranged": dosage(ranged, timing=times(1, 6, "h", frequencyMax=2), asNeededBoolean=True),
        "bounded": dosage(5, "mg", timing=times(1, 1, "wk", **bounds)),
        "shorthand": dosage(timing={"code": {"coding": [{"code": "BID"}]}}),
        "needed_for": dosage(timing=times(1, 1, "mo"), asNeededCodeableConcept={"text": "pain"}),
        "several": json.dumps(json.loads(dosage()) * 2),
        "no_dose": json.dumps([{"text": "as directed"}]),
        "no_unit": json.dumps([{"doseAndRate": [{"doseQuantity": {"value": 5}}]}]),
        "upside": dosage({"low": {"value": 3}, "high": {"value": 2, "unit": "mg"}}),
        "odd": dosage("many", timing=times("often", 0, "d")),
    }
    drawn = "\n".join(f"{id_} | 2021-05-01T08:00:00Z | {OXYCODONE} | {text}" for id_, text in rows.items())
    check_sql(
        "clean_fhir.prescription",
        given={
            "raw_fhir.medication_request": f"id | authored_at | medication_concept | dosage_instruction\n-\n{drawn}"
        },
        then="""
            prescription_id                   | record_kind | start_date | end_date   | dose_low | dose_high | dose_unit | doses_per_day      | is_as_needed | route_text | dose_unknown_reason
            ----------------------------------+-------------+------------+------------+----------+-----------+-----------+--------------------+--------------+------------+----------------------------
            fhir:MedicationRequest/twice      | order       | 2021-05-01 |            | 1        | 1         | tablet    | 2                  | false        | Oral route |
            fhir:MedicationRequest/ranged     | order       | 2021-05-01 |            | 1        | 2         | tablet    | 8                  | true         |            |
            fhir:MedicationRequest/bounded    | order       | 2021-05-03 | 2021-05-09 | 5        | 5         | mg        | 0.14285714285714285 | false       |            |
            fhir:MedicationRequest/shorthand  | order       | 2021-05-01 |            | 1        | 1         | tablet    | 2                  | false        |            |
            fhir:MedicationRequest/needed_for | order       | 2021-05-01 |            | 1        | 1         | tablet    |                    | true         |            |
            fhir:MedicationRequest/several    | order       | 2021-05-01 |            |          |           |           |                    | false        |            | several_dosage_instructions
            fhir:MedicationRequest/no_dose    | order       | 2021-05-01 |            |          |           |           |                    | false        |            | dose_not_ordered
            fhir:MedicationRequest/no_unit    | order       | 2021-05-01 |            |          |           |           |                    | false        |            | unit_not_ordered
            fhir:MedicationRequest/upside     | order       | 2021-05-01 |            |          |           | mg        |                    | false        |            | dose_not_readable
            fhir:MedicationRequest/odd        | order       | 2021-05-01 |            |          |           | tablet    |                    | false        |            | dose_not_ordered
        """,
    )


def test_an_order_is_for_where_its_category_says_else_for_the_encounter_it_was_written_in(check_sql):
    def kinds(*codes: str) -> str:
        return json.dumps([{"coding": [{"code": code}]} for code in codes])

    check_sql(
        "clean_fhir.prescription",
        given={
            "raw_fhir.encounter": """
                id   | class_code
                -----+-----------
                ward | IMP
                home | HH
                er   | EMER
            """,
            "raw_fhir.medication_request": f"""
                id         | encounter      | medication_concept | category
                -----------+----------------+--------------------+---------
                inpatient  | Encounter/home | {OXYCODONE}        | {kinds("inpatient")}
                outpatient | Encounter/ward | {OXYCODONE}        | {kinds("outpatient")}
                community  |                | {OXYCODONE}        | {kinds("odd", "community")}
                discharge  | Encounter/ward | {OXYCODONE}        | {kinds("discharge", "discharge")}
                two        | Encounter/ward | {OXYCODONE}        | {kinds("inpatient", "discharge")}
                odd        | Encounter/ward | {OXYCODONE}        | {kinds("odd")}
                ward       | Encounter/ward | {OXYCODONE}        |
                home       | Encounter/home | {OXYCODONE}        |
                emergency  | Encounter/er   | {OXYCODONE}        |
                elsewhere  | Encounter/none | {OXYCODONE}        |
            """,
            "raw_fhir.medication_dispense": f"""
                id   | handed_over_at | medication_concept
                -----+----------------+-------------------
                ward | 2021-05-01     | {OXYCODONE}
            """,
        },
        then="""
            prescription_id                   | care_setting
            ----------------------------------+-------------
            fhir:MedicationRequest/inpatient  | inpatient
            fhir:MedicationRequest/outpatient | outpatient
            fhir:MedicationRequest/community  | outpatient
            fhir:MedicationRequest/discharge  | outpatient
            fhir:MedicationRequest/two        |
            fhir:MedicationRequest/odd        | inpatient
            fhir:MedicationRequest/ward       | inpatient
            fhir:MedicationRequest/home       | outpatient
            fhir:MedicationRequest/emergency  |
            fhir:MedicationRequest/elsewhere  |
            fhir:MedicationDispense/ward      |
        """,
    )


def test_what_is_no_order_or_was_not_handed_over_is_excluded_with_the_reason(check_sql):
    check_sql(
        "clean_fhir.prescription",
        given={
            "raw_fhir.medication_request": f"""
                id        | status           | intent   | do_not_perform | authored_at | medication_concept
                ----------+------------------+----------+----------------+-------------+-------------------
                active    | active           | order    | false          | 2021-05-01  | {OXYCODONE}
                plain     |                  |          |                | 2021-05-01  | {OXYCODONE}
                error     | entered-in-error | order    |                | 2021-05-01  | {OXYCODONE}
                cancelled | cancelled        | order    |                | 2021-05-01  | {OXYCODONE}
                planned   | active           | plan     |                | 2021-05-01  | {OXYCODONE}
                forbidden | active           | order    | true           | 2021-05-01  | {OXYCODONE}
            """,
            "raw_fhir.medication_dispense": f"""
                id        | status    | handed_over_at | medication_concept
                ----------+-----------+----------------+-------------------
                done      | completed | 2021-05-01     | {OXYCODONE}
                declined  | declined  | 2021-05-01     | {OXYCODONE}
            """,
        },
        then="""
            prescription_id                  | excluded_reason
            ---------------------------------+-----------------
            fhir:MedicationRequest/active    |
            fhir:MedicationRequest/plain     |
            fhir:MedicationRequest/error     | entered_in_error
            fhir:MedicationRequest/cancelled | order_cancelled
            fhir:MedicationRequest/planned   | not_an_order
            fhir:MedicationRequest/forbidden | drug_forbidden
            fhir:MedicationDispense/done     |
            fhir:MedicationDispense/declined | not_handed_over
        """,
    )


def test_an_adjuvant_is_no_opioid_product_and_counts_under_the_same_states(check_sql):
    gabapentin = concept("gabapentin 300 MG Oral Capsule")
    check_sql(
        "clean_fhir.adjuvant",
        given={
            "raw_fhir.medication_request": f"""
                id      | status | authored_at | medication_concept
                --------+--------+-------------+-------------------
                wanted  | active | 2021-05-01  | {gabapentin}
                draft   | draft  | 2021-05-01  | {gabapentin}
                opioid  | active | 2021-05-01  | {concept("buprenorphine 8 MG / naloxone 2 MG Sublingual Film")}
                other   | active | 2021-05-01  | {concept("lisinopril 10 MG Oral Tablet")}
            """,
        },
        then="""
            adjuvant_id                   | record_kind | start_date | drug_text                                            | excluded_reason
            ------------------------------+-------------+------------+------------------------------------------------------+----------------
            fhir:MedicationRequest/wanted | order       | 2021-05-01 | gabapentin 300 MG Oral Capsule                       |
            fhir:MedicationRequest/draft  | order       | 2021-05-01 | gabapentin 300 MG Oral Capsule                       | order_is_draft
            fhir:MedicationRequest/opioid | order       | 2021-05-01 | buprenorphine 8 MG / naloxone 2 MG Sublingual Film   | opioid_product
            fhir:MedicationRequest/other  | order       | 2021-05-01 | lisinopril 10 MG Oral Tablet                         | not_an_adjuvant
        """,
    )


# What is given


def test_what_was_given_has_an_amount_or_says_why_it_is_unknown(check_sql):
    rows = """
        id       | status           | effective_at              | started_at           | ended_at             | dose | dose_unit | dose_code | rate_quantity
        ---------+------------------+---------------------------+----------------------+----------------------+------+-----------+-----------+--------------
        given    | completed        | 2021-05-01T23:30:00-05:00 |                      |                      | 5    | mg        | mg        |
        code     | completed        | 2021-05-01                |                      |                      | 5    |           | mg        |
        period   | completed        |                           | 2021-05-01T08:00:00Z | 2021-05-01T09:30:00Z | 5    | mg        |           |
        infusion | completed        |                           | 2021-05-01T08:00:00Z | 2021-05-01T09:30:00Z |      |           |           | {"value":5}
        no_dose  | completed        | 2021-05-01                |                      |                      |      |           |           |
        no_unit  | completed        | 2021-05-01                |                      |                      | 5    |           |           |
        stopped  | stopped          | 2021-05-01                |                      |                      | 5    | mg        |           |
        running  | in-progress      | 2021-05-01                |                      |                      | 5    | mg        |           |
        unsure   | unknown          | 2021-05-01                |                      |                      | 5    | mg        |           |
        not_done | not-done         | 2021-05-01                |                      |                      | 5    | mg        |           |
        error    | entered-in-error | 2021-05-01                |                      |                      | 5    | mg        |           |
        no_day   | completed        | 2021                      |                      |                      | 5    | mg        |           |
    """
    header, ruler, *lines = rows.strip().splitlines()
    lines = [f"{line} | {OXYCODONE}" for line in lines]
    check_sql(
        "clean_fhir.administration",
        given={
            "raw_fhir.medication_administration": "\n".join([f"{header} | medication_concept", ruler, *lines]),
        },
        then="""
            administration_id | started_at          | ended_at            | amount | amount_unit | amount_unknown_reason       | excluded_reason
            ------------------+---------------------+---------------------+--------+-------------+-----------------------------+-----------------
            fhir:given        | 2021-05-01 23:30:00 |                     | 5      | mg          |                             |
            fhir:code         | 2021-05-01 00:00:00 |                     | 5      | mg          |                             |
            fhir:period       | 2021-05-01 08:00:00 | 2021-05-01 09:30:00 | 5      | mg          |                             |
            fhir:infusion     | 2021-05-01 08:00:00 | 2021-05-01 09:30:00 |        |             | infusion_amount_not_charted |
            fhir:no_dose      | 2021-05-01 00:00:00 |                     |        |             | dose_not_charted            |
            fhir:no_unit      | 2021-05-01 00:00:00 |                     |        |             | unit_not_charted            |
            fhir:stopped      | 2021-05-01 00:00:00 |                     |        | mg          | administration_stopped      |
            fhir:running      | 2021-05-01 00:00:00 |                     |        | mg          | administration_in_progress  |
            fhir:unsure       | 2021-05-01 00:00:00 |                     |        | mg          | status_unknown              |
            fhir:not_done     | 2021-05-01 00:00:00 |                     | 5      | mg          |                             | not_given
            fhir:error        | 2021-05-01 00:00:00 |                     | 5      | mg          |                             | entered_in_error
            fhir:no_day       |                     |                     | 5      | mg          |                             | day_not_known
        """,
    )


# Pain


def test_a_score_is_a_number_or_a_text_as_delivered(check_sql):
    check_sql(
        "clean_fhir.pain_score",
        given={
            "raw_fhir.observation": f"""
                id       | value_number | value_comparator | value_integer | value_text | value_concept             | absent_reason                            | effective_at              | code
                ---------+--------------+------------------+---------------+------------+---------------------------+------------------------------------------+---------------------------+-----
                quantity | 8.5          |                  |               |            |                           |                                          | 2021-05-01T23:30:00-05:00 | {PAIN}
                integer  |              |                  | 7             |            |                           |                                          | 2021-05-01                | {PAIN}
                bound    | 7            | >                |               |            |                           |                                          | 2021-05-01                | {PAIN}
                thirteen |              |                  |               | 13         |                           |                                          | 2021-05-01                | {PAIN}
                uta      |              |                  |               | uta        |                           |                                          | 2021-05-01                | {PAIN}
                asleep   |              |                  |               |            | {{"text":"asleep"}}       |                                          | 2021-05-01                | {PAIN}
                fraction |              |                  |               |            | {{"coding":[{{"display":"0/10"}}]}} |                                | 2021-05-01                | {PAIN}
                absent   |              |                  |               |            |                           | {{"coding":[{{"code":"asked-declined"}}]}} | 2021-05-01                | {PAIN}
                nothing  |              |                  |               |            |                           |                                          | 2021-05-01                | {PAIN}
            """
        },
        then="""
            pain_score_id | scored_at           | instrument | recall | setting | score | score_text     | excluded_reason
            --------------+---------------------+------------+--------+---------+-------+----------------+----------------
            fhir:quantity | 2021-05-01 23:30:00 | NRS        | now    | unknown | 8.5   |                |
            fhir:integer  | 2021-05-01 00:00:00 | NRS        | now    | unknown | 7     |                |
            fhir:bound    | 2021-05-01 00:00:00 | NRS        | now    | unknown |       | >7.0           |
            fhir:thirteen | 2021-05-01 00:00:00 | NRS        | now    | unknown |       | 13             |
            fhir:uta      | 2021-05-01 00:00:00 | NRS        | now    | unknown |       | uta            |
            fhir:asleep   | 2021-05-01 00:00:00 | NRS        | now    | unknown |       | asleep         |
            fhir:fraction | 2021-05-01 00:00:00 | NRS        | now    | unknown |       | 0/10           |
            fhir:absent   | 2021-05-01 00:00:00 | NRS        | now    | unknown |       | asked-declined |
            fhir:nothing  | 2021-05-01 00:00:00 | NRS        | now    | unknown |       |                |
        """,
    )


def test_what_is_no_pain_score_or_no_result_is_excluded_and_a_setting_comes_from_the_encounter(check_sql):
    weight = concept(system="http://loinc.org", code="29463-7")
    elsewhere = concept(system="http://example.org", code="72514-3")
    check_sql(
        "clean_fhir.pain_score",
        given={
            "raw_fhir.encounter": """
                id | class_code
                ---+-----------
                e1 | AMB
                e2 | IMP
                e3 | EMER
                e4 | odd
            """,
            "raw_fhir.observation": f"""
                id         | status           | code        | encounter    | effective_at         | effective_instant    | issued_at
                -----------+------------------+-------------+--------------+----------------------+----------------------+---------------------
                outpatient | final            | {PAIN}      | Encounter/e1 | 2021-05-01           |                      |
                inpatient  | amended          | {PAIN}      | Encounter/e2 |                      | 2021-05-02T08:00:00Z |
                emergency  |                  | {PAIN}      | Encounter/e3 |                      |                      | 2021-05-03T08:00:00.5Z
                odd        | final            | {PAIN}      | Encounter/e4 | 2021-05-01           |                      |
                error      | entered-in-error | {PAIN}      |              | 2021-05-01           |                      |
                pending    | registered       | {PAIN}      |              | 2021-05-01           |                      |
                no_day     | final            | {PAIN}      |              | 2021-05              |                      |
                weight     | final            | {weight}    |              | 2021-05-01           |                      |
                elsewhere  | final            | {elsewhere} |              | 2021-05-01           |                      |
            """,
        },
        then="""
            pain_score_id   | scored_at             | setting    | excluded_reason
            ----------------+-----------------------+------------+-----------------
            fhir:outpatient | 2021-05-01 00:00:00   | outpatient |
            fhir:inpatient  | 2021-05-02 08:00:00   | inpatient  |
            fhir:emergency  | 2021-05-03 08:00:00.5 | emergency  |
            fhir:odd        | 2021-05-01 00:00:00   | unknown    |
            fhir:error      | 2021-05-01 00:00:00   | unknown    | entered_in_error
            fhir:pending    | 2021-05-01 00:00:00   | unknown    | no_result_yet
            fhir:no_day     |                       | unknown    | day_not_known
            fhir:weight     | 2021-05-01 00:00:00   | unknown    | not_a_pain_score
            fhir:elsewhere  | 2021-05-01 00:00:00   | unknown    | not_a_pain_score
        """,
    )


def test_a_score_may_be_a_part_of_an_observation(check_sql):
    def part(code: str, value: float) -> dict:
        return {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueQuantity": {"value": value}}

    vitals = json.dumps([part("8867-4", 80), part("72514-3", 6)])
    check_sql(
        "clean_fhir.pain_score",
        given={
            "raw_fhir.observation": f"""
                id   | effective_at | value_number | code                                                | component 
                -----+--------------+--------------+-----------------------------------------------------+-----------
                part | 2021-05-01   |              | {concept(system="http://loinc.org", code="85353-1")} | {vitals} 
                own  | 2021-05-01   | 3            | {PAIN}                                              | {vitals} 
                none | 2021-05-01   | 3            |                                                     | {{}}     
            """,
        },
        then="""
            pain_score_id | score | excluded_reason
            --------------+-------+-----------------
            fhir:part     | 6     |
            fhir:own      | 3     |
            fhir:none     |       | not_a_pain_score
        """,
    )


def test_of_several_scores_in_an_observation_one_counts_and_the_others_are_counted(check_sql):
    def part(code: str, value: float | None) -> dict:
        told = {"dataAbsentReason": {"text": "refused"}} if value is None else {"valueQuantity": {"value": value}}
        return {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **told}

    now, average, enjoyment, discouraged = "72514-3", "75893-8", "91145-3", "56840-2"
    vitals = concept(system="http://loinc.org", code="85353-1")
    two_codes = json.dumps({"coding": [{"system": "http://loinc.org", "code": code} for code in (discouraged, now)]})
    rows = [
        ("one", vitals, [part(now, 6)], ""),
        ("twice_coded", two_codes, [], "3"),
        ("peg", vitals, [part(enjoyment, 5), part(average, 4)], ""),
        ("now_later", vitals, [part(average, 4), part(now, 6)], ""),
        ("own", PAIN, [part(now, 6), part(average, 4)], "3"),
        ("own_empty", PAIN, [part(average, 4), part(now, 6)], ""),
        ("refused", vitals, [part(now, None), part(average, 4)], ""),
        ("all_refused", vitals, [part(average, None), part(now, None)], ""),
        ("weight", vitals, [part("29463-7", 70)], ""),
    ]
    drawn = "\n".join(
        f"{name} | 2021-05-01 | {value} | {code} | {json.dumps(parts)}" for name, code, parts, value in rows
    )
    check_sql(
        "clean_fhir.pain_score",
        given={"raw_fhir.observation": f"id | effective_at | value_number | code | component\n-\n{drawn}"},
        then="""
            pain_score_id    | instrument     | recall  | score | score_text | other_score_count | excluded_reason
            -----------------+----------------+---------+-------+------------+-------------------+----------------
            fhir:one         | NRS            | now     | 6     |            | 0                 |
            fhir:twice_coded | NRS            | now     | 3     |            | 0                 |
            fhir:peg         | PEG_PAIN       | average | 4     |            | 1                 |
            fhir:now_later   | NRS            | now     | 6     |            | 1                 |
            fhir:own         | NRS            | now     | 3     |            | 2                 |
            fhir:own_empty   | NRS            | now     | 6     |            | 1                 |
            fhir:refused     | PEG_PAIN       | average | 4     |            | 0                 |
            fhir:all_refused | NRS            | now     |       | refused    | 0                 |
            fhir:weight      |                |         |       |            |                   | not_a_pain_score
        """,
    )


# Diagnoses, procedures, people


def test_a_diagnosis_counts_by_its_preferred_code_from_the_day_it_was_recorded(check_sql):
    def codes(*pairs: tuple[str, str]) -> str:
        return json.dumps({"coding": [{"system": system, "code": code} for system, code in pairs]})

    icd, snomed = ("http://hl7.org/fhir/sid/icd-10-cm", "c50.9 "), ("http://snomed.info/sct", "254837009")
    icd9 = ("http://terminology.hl7.org/CodeSystem/ICD-9CM-diagnosiscodes", "174.9")
    refuted = json.dumps({"coding": [{"code": "refuted"}]})
    check_sql(
        "clean_fhir.diagnosis",
        given={
            "raw_fhir.condition": f"""
                id      | recorded_at | onset_at   | onset_start | verification_status | code                             
                --------+-------------+------------+-------------+---------------------+----------------------------------
                both    | 2021-05-02  | 2015-01-01 |             |                     | {codes(snomed, icd)}            
                snomed  |             | 2015-01-01 |             |                     | {codes(snomed)}                 
                period  |             |            | 2015-02-01  |                     | {codes(icd)}                    
                refuted | 2021-05-02  |            |             | {refuted}           | {codes(icd)}                    
                year    |             | 2015       |             |                     | {codes(icd)}                    
                other   | 2021-05-02  |            |             |                     | {codes(("http://x.org", "C50"))}
                icd9    | 2021-05-02  |            |             |                     | {codes(icd9)}
                text    | 2021-05-02  |            |             |                     | {{"text":"breast cancer"}}      
                billing | 2021-05-02  |            |             |                     | {codes(("http://www.ama-assn.org/go/cpt", "1"))}
            """
        },
        then="""
            diagnosis_id | diagnosis_date | code_system | code      | excluded_reason
            -------------+----------------+-------------+-----------+----------------------
            fhir:both    | 2021-05-02     | ICD10CM     | C509      |
            fhir:snomed  | 2015-01-01     | SNOMED      | 254837009 |
            fhir:period  | 2015-02-01     | ICD10CM     | C509      |
            fhir:refuted | 2021-05-02     | ICD10CM     | C509      | diagnosis_refuted
            fhir:year    |                | ICD10CM     | C509      | day_not_known
            fhir:icd9    | 2021-05-02     | ICD9CM      | 1749      |
            fhir:other   | 2021-05-02     |             |           | code_system_not_known
            fhir:text    | 2021-05-02     |             |           | code_system_not_known
            fhir:billing | 2021-05-02     |             |           | code_system_not_known
        """,
    )


def test_a_procedure_counts_once_done_and_icd_9_means_its_third_volume(check_sql):
    def coded(system: str, code: str = "27447") -> str:
        return concept(system=system, code=code)

    check_sql(
        "clean_fhir.procedure",
        given={
            "raw_fhir.procedure": f"""
                id      | status    | performed_at              | started_at | code                                                    
                --------+-----------+---------------------------+------------+---------------------------------------------------------
                cpt     | completed | 2021-05-01T23:00:00-05:00 |            | {coded("http://www.ama-assn.org/go/cpt")}              
                icd9    | completed |                           | 2021-05-02 | {coded("http://hl7.org/fhir/sid/icd-9-cm", "81.54")}   
                pcs     | completed | 2021-05-01                |            | {coded("http://www.cms.gov/Medicare/Coding/ICD10", "0SRC0J9")}
                us_core | completed | 2021-05-01                |            | {coded("http://www.icd10data.com/icd10pcs", "0SRC0J9")}
                planned | not-done  | 2021-05-01                |            | {coded("http://www.ama-assn.org/go/cpt")}              
                no_day  | completed |                           |            | {coded("http://www.ama-assn.org/go/cpt")}              
                other   | completed | 2021-05-01                |            | {coded("http://hl7.org/fhir/sid/icd-10-cm")}           
            """
        },
        then="""
            procedure_id | procedure_date | code_system | code    | excluded_reason
            -------------+----------------+-------------+---------+----------------------
            fhir:cpt     | 2021-05-01     | CPT4        | 27447   |
            fhir:icd9    | 2021-05-02     | ICD9PCS     | 8154    |
            fhir:pcs     | 2021-05-01     | ICD10PCS    | 0SRC0J9 |
            fhir:us_core | 2021-05-01     | ICD10PCS    | 0SRC0J9 |
            fhir:planned | 2021-05-01     | CPT4        | 27447   | not_done
            fhir:no_day  |                | CPT4        | 27447   | day_not_known
            fhir:other   | 2021-05-01     |             |         | code_system_not_known
        """,
    )


def test_an_encounter_is_what_its_class_says_and_one_that_did_not_happen_is_excluded(check_sql):
    check_sql(
        "clean_fhir.encounter",
        given={
            "raw_fhir.encounter": """
                id       | status           | subject    | class_code | start_at                  | end_at
                ---------+------------------+------------+------------+---------------------------+---------------------
                visit    | finished         | Patient/p1 | AMB        | 2021-05-01T23:30:00-05:00 | 2021-05-01T23:50:00-05:00
                stay     | in-progress      | Patient/p1 | IMP        | 2021-05-01                |
                observed | finished         | Patient/p1 | OBSENC     | 2021-05-01                | 2021-05-02
                urgent   |                  | Patient/p1 | EMER       | 2021-05-01                | 2021-05-02
                field    | finished         | Patient/p1 | FLD        | 2021-05-01                | 2021-05-01
                no_class | finished         | Patient/p1 |            | 2021-05-01                | 2021-05-01
                odd      | finished         | Patient/p1 | XYZ        | 2021-05-01                | 2021-05-01
                month    | finished         | Patient/p1 | AMB        | 2021-05                   | 2021-05
                later    | planned          | Patient/p1 | AMB        | 2021-05-01                |
                off      | cancelled        | Patient/p1 | AMB        | 2021-05-01                |
                error    | entered-in-error | Patient/p1 | AMB        | 2021-05-01                |
            """
        },
        then="""
            encounter_id  | patient_id | setting    | start_date | end_date   | excluded_reason
            --------------+------------+------------+------------+------------+--------------------
            fhir:visit    | fhir:p1    | outpatient | 2021-05-01 | 2021-05-01 |
            fhir:stay     | fhir:p1    | inpatient  | 2021-05-01 |            |
            fhir:observed | fhir:p1    | inpatient  | 2021-05-01 | 2021-05-02 |
            fhir:urgent   | fhir:p1    | emergency  | 2021-05-01 | 2021-05-02 |
            fhir:field    | fhir:p1    | other      | 2021-05-01 | 2021-05-01 |
            fhir:no_class | fhir:p1    | unknown    | 2021-05-01 | 2021-05-01 |
            fhir:odd      | fhir:p1    | unknown    | 2021-05-01 | 2021-05-01 |
            fhir:month    | fhir:p1    | outpatient |            |            | day_not_known
            fhir:later    | fhir:p1    | outpatient | 2021-05-01 |            | encounter_planned
            fhir:off      | fhir:p1    | outpatient | 2021-05-01 |            | encounter_cancelled
            fhir:error    | fhir:p1    | outpatient | 2021-05-01 |            | entered_in_error
        """,
    )


def test_a_patient_is_observed_from_the_first_to_the_last_dated_resource(check_sql):
    check_sql(
        "clean_fhir.patient",
        given={
            "raw_fhir.patient": """
                id | gender | birth_date | deceased_at
                ---+--------+------------+--------------------------
                1  | Female | 1960       | 2022-03-01T10:00:00+01:00
                2  | other  | 1961-05-04 | 2022
                3  |        |            |
            """,
            "raw_fhir.encounter": """
                subject   | start_at   | end_at
                ----------+------------+-----------
                Patient/1 | 2020-01-05 | 2020-01-07
            """,
            "raw_fhir.observation": """
                subject   | effective_at
                ----------+--------------------------
                Patient/1 | 2021-12-31T23:00:00-05:00
                Patient/2 | 2021-05-01
                Patient/2 | 2021
            """,
        },
        then="""
            patient_id | sex     | birth_year | observation_start_date | observation_end_date | death_date
            -----------+---------+------------+------------------------+----------------------+-----------
            fhir:1     | female  | 1960       | 2020-01-05             | 2021-12-31           | 2022-03-01
            fhir:2     | unknown | 1961       | 2021-05-01             | 2021-05-01           |
            fhir:3     | unknown |            |                        |                      |
        """,
    )


# A whole export


def resource(kind: str, id_: str, **fields: object) -> dict:
    return {"resourceType": kind, "id": id_, **fields}


def export() -> dict[str, list[dict | str]]:
    """Two patients, one opioid each way, and lines that do not belong."""
    patient = {"subject": {"reference": "Patient/p1", "display": "CANARY"}}
    oxycodone = {"medicationCodeableConcept": json.loads(OXYCODONE)}
    pain = {"code": json.loads(PAIN), **patient, "status": "final"}
    return {
        "Patient.ndjson": [
            resource("Patient", "p1", gender="female", birthDate="1960", name=[{"family": "CANARY"}]),
            resource("Patient", "p2"),
        ],
        "MedicationRequest.000.ndjson.gz": [
            resource(
                "MedicationRequest",
                "r1",
                status="active",
                intent="order",
                authoredOn="2021-05-01",
                **oxycodone,
                **patient,
            ),
        ],
        "MedicationDispense.ndjson": [
            resource(
                "MedicationDispense",
                "d1",
                status="completed",
                whenHandedOver="2021-05-01T10:00:00Z",
                quantity={"value": 60, "unit": "tablet"},
                daysSupply={"value": 30, "unit": "d"},
                **oxycodone,
                **patient,
            ),
        ],
        "Medication.ndjson": [resource("Medication", "m1", code=json.loads(OXYCODONE))],
        "Observation.000.ndjson": [
            resource("Observation", "o1", effectiveDateTime="2021-05-01T10:00:00Z", valueQuantity={"value": 7}, **pain),
            resource("Observation", "o2", effectiveDateTime="2021-05-02T10:00:00Z", valueString="uta", **pain),
            resource("Observation", "o1", effectiveDateTime="2021-05-03T10:00:00Z", valueInteger=3, **pain),
            resource("Patient", "p3"),
            "half a resource {",
        ],
        "Observation.001.ndjson": [
            resource("Observation", "o3", effectiveDateTime="2021-05-04", valueInteger=3, **pain)
            | {"subject": {"reference": "Patient/p9"}},
        ],
    }


def write(folder) -> None:
    for name, resources in export().items():
        lines = [line if isinstance(line, str) else json.dumps(line) for line in resources]
        content = "\n".join(lines).encode() + b"\n"
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> duckdb.DuckDBPyConnection:
    """The export above, loaded, mapped and filled into the clean tables."""
    folder = tmp_path_factory.mktemp("export")
    write(folder)
    return source_extract.filled("fhir", folder)


def test_each_kind_of_resource_is_found_by_its_own_files(filled):
    found = filled.sql("select table_name, source_file from raw.delivery order by all").fetchall()
    assert found == [
        ("medication", "Medication.ndjson"),
        ("medication_dispense", "MedicationDispense.ndjson"),
        ("medication_request", "MedicationRequest.000.ndjson.gz"),
        ("observation", "Observation.000.ndjson"),
        ("observation", "Observation.001.ndjson"),
        ("patient", "Patient.ndjson"),
    ]


def test_strays_and_what_is_no_resource_are_in_quarantine(filled):
    found = filled.sql("select source_row, rule, column_name from raw.quarantine order by all").fetchall()
    assert found == [(3, "duplicate_key", "id"), (4, "value", "resource_type"), (5, "not_json", None)]
    assert filled.sql("select source_table, rule from clean.quarantine").fetchall() == [
        ("observation", "unknown_patient")
    ]


def test_every_resource_reaches_a_clean_table(filled):
    assert filled.sql(
        "select prescription_id, quantity, days_supply from clean.prescription order by 1"
    ).fetchall() == [
        ("fhir:MedicationDispense/d1", 60.0, 30),
        ("fhir:MedicationRequest/r1", None, None),
    ]
    assert filled.sql("select pain_score_id, score, score_text from clean.pain_score order by 1").fetchall() == [
        ("fhir:o1", 7.0, None),
        ("fhir:o2", None, "uta"),
    ]


def test_names_and_displays_of_patients_are_never_loaded(filled):
    for table in [
        table
        for (table,) in filled.sql("select table_name from duckdb_tables() where schema_name = 'raw_fhir'").fetchall()
    ]:
        assert "CANARY" not in str(filled.sql(f"from raw_fhir.{table}").fetchall()), table
