"""The mapping of Synthea's CSV export: each rule drawn, and a small extract made by hand in the documented layout."""

import pytest

from pipelines import contracts, sql_files, warehouse
from tests import source_extract

KNOWN = contracts.all_contracts()
MAPPINGS = {sql.table.split(".")[1]: sql for sql in sql_files.mappings("synthea")}

# Nobody in it exists. The headers are those of the exporter's class CSVConstants; costs and payers are left empty.
EXTRACT = {
    "patients": """
        Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,PREFIX,FIRST,MIDDLE,LAST,SUFFIX,MAIDEN,MARITAL,RACE,ETHNICITY,GENDER,BIRTHPLACE,ADDRESS,CITY,STATE,COUNTY,FIPS,ZIP,LAT,LON,HEALTHCARE_EXPENSES,HEALTHCARE_COVERAGE,INCOME
        aaaa-1,1960-03-04,,999-12-3456,S99912345,X1234567X,Mrs.,Made1,Up2,Person3,,,M,white,nonhispanic,F,Nowhere,1 No Street,Notown,Nostate,No County,,00000,0,0,0,0,0
        aaaa-2,1971-05-06,2021-08-01,999-65-4321,,,Mr.,Made4,,Person5,,,,black,hispanic,M,Nowhere,2 No Street,Notown,Nostate,No County,,00000,0,0,0,0,0
        aaaa-3,1980-01-01,,999-11-1111,,,,Made6,,Person7,,,,white,nonhispanic,,Nowhere,3 No Street,Notown,Nostate,No County,,00000,0,0,0,0,0
    """,
    "encounters": """
        Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS,CODE,DESCRIPTION,BASE_ENCOUNTER_COST,TOTAL_CLAIM_COST,PAYER_COVERAGE,REASONCODE,REASONDESCRIPTION
        visit-1,2020-01-02T08:00:00Z,2020-01-02T08:30:00Z,aaaa-1,,,,wellness,162673000,General examination,,,,,
        visit-2,2021-03-04T08:00:00Z,2021-03-06T08:30:00Z,aaaa-1,,,,inpatient,185347001,Encounter for problem,,,,,
        visit-3,2021-07-01T08:00:00Z,,aaaa-2,,,,emergency,50849002,Emergency room admission,,,,,
    """,
    "medications": """
        START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,PAYER_COVERAGE,DISPENSES,TOTALCOST,REASONCODE,REASONDESCRIPTION
        2020-01-02T08:00:00Z,2020-06-30T08:00:00Z,aaaa-1,,visit-1,1049625,acetaminophen 325 MG / oxycodone hydrochloride 10 MG Oral Tablet [Percocet],,,6,,,
        2021-03-04T08:00:00Z,,aaaa-1,,visit-2,310431,gabapentin 300 MG Oral Capsule,,,1,,,
        2021-07-01T08:00:00Z,,aaaa-2,,visit-3,835603,tramadol hydrochloride 50 MG Oral Tablet,,,1,,,
        2021-07-01T08:00:00Z,,aaaa-2,,visit-3,314076,lisinopril 10 MG Oral Tablet,,,1,,,
        the first of May,,aaaa-2,,visit-3,835603,tramadol hydrochloride 50 MG Oral Tablet,,,1,,,
        2021-07-01T08:00:00Z,,aaaa-9,,visit-3,835603,tramadol hydrochloride 50 MG Oral Tablet,,,1,,,
    """,
    "observations": """
        DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE
        2020-01-02T08:05:00Z,aaaa-1,visit-1,vital-signs,72514-3,Pain severity - 0-10 verbal numeric rating [Score] - Reported,4.0,{score},numeric
        2020-01-02T08:05:00Z,aaaa-1,visit-1,vital-signs,29463-7,Body Weight,70.0,kg,numeric
        2020-01-02T08:05:00Z,aaaa-1,visit-1,survey,72102-7,Pain score [KOOS],88.0,{score},numeric
        2021-07-01T08:05:00Z,aaaa-2,visit-3,vital-signs,72514-3,Pain severity - 0-10 verbal numeric rating [Score] - Reported,9.0,{score},numeric
        2021-07-01T08:05:00Z,aaaa-3,,,QALY,QALY,9.0,a,numeric
    """,
    "conditions": """
        START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION
        2020-01-02,,aaaa-1,visit-1,http://snomed.info/sct,278860009,Chronic low back pain
    """,
    "procedures": """
        START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION,BASE_COST,REASONCODE,REASONDESCRIPTION
        2021-03-04T09:00:00Z,2021-03-04T10:00:00Z,aaaa-1,visit-2,http://snomed.info/sct,52734007,Total replacement of hip,,,
        2020-01-02T08:05:00Z,2020-01-02T08:10:00Z,aaaa-1,visit-1,http://snomed.info/sct,710824005,Assessment of health and social care needs,,,
    """,
}


def deliver(folder, **other):
    for name, text in (EXTRACT | other).items():
        lines = [line.strip() for line in text.strip().splitlines()]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthea")
    deliver(folder)
    return source_extract.filled("synthea", folder)


# The extract made by hand


def test_patients_are_observed_from_their_first_to_their_last_visit(filled):
    assert filled.sql(
        "select patient_id, sex, birth_year, observation_start_date::varchar, observation_end_date::varchar, "
        "death_date::varchar from clean.patient order by 1"
    ).fetchall() == [
        ("synthea:aaaa-1", "female", 1960, "2020-01-02", "2021-03-06", None),
        ("synthea:aaaa-2", "male", 1971, "2021-07-01", "2021-07-01", "2021-08-01"),
        ("synthea:aaaa-3", "unknown", 1980, None, None, None),
    ]


def test_names_numbers_and_addresses_are_delivered_and_never_loaded(filled):
    loaded = {name for (name,) in filled.sql("select column_name from (describe raw_synthea.patients)").fetchall()}
    assert loaded == {"id", "birthdate", "deathdate", "gender", "source_file", "source_row"}
    tables = filled.sql("select schema_name, table_name from duckdb_tables()").fetchall()
    for schema, table in tables:
        text = filled.sql(f"select to_json(list(t))::varchar from {schema}.{table} as t").fetchall()[0][0] or ""
        assert not any(secret in text for secret in ("999-12-3456", "S99912345", "Person3", "1 No Street")), table


def test_an_opioid_is_in_force_from_start_to_stop_and_its_dose_is_unknown_because_no_quantity_is_delivered(filled):
    assert filled.sql(
        "select record_kind, drug_text, start_date::varchar, end_date::varchar, quantity, days_supply, "
        "dose_unknown_reason from clean.prescription order by start_date"
    ).fetchall() == [
        (
            "order",
            "acetaminophen 325 MG / oxycodone hydrochloride 10 MG Oral Tablet [Percocet]",
            "2020-01-02",
            "2020-06-30",
            None,
            None,
            "no_quantity",
        ),
        (
            "order",
            "tramadol hydrochloride 50 MG Oral Tablet",
            "2021-07-01",
            None,
            None,
            None,
            "no_quantity",
        ),
    ]
    assert filled.sql("select drug_text from clean.adjuvant").fetchall() == [("gabapentin 300 MG Oral Capsule",)]


def test_a_pain_score_of_0_to_100_is_on_a_scale_of_its_own(filled):
    assert filled.sql(
        "select instrument, recall, setting, score_text, scored_at::varchar from clean.pain_score order by source_row"
    ).fetchall() == [
        ("NRS", "now", "outpatient", "4.0", "2020-01-02 08:05:00"),
        ("KOOS_PAIN", "unknown", "outpatient", "88.0", "2020-01-02 08:05:00"),
        ("NRS", "now", "emergency", "9.0", "2021-07-01 08:05:00"),
    ]
    warehouse.build_reference(filled, KNOWN["reference.pain_scale"])
    scale = "select direction, nrs_use, largest_score from reference.pain_scale where instrument = 'KOOS_PAIN'"
    assert filled.sql(scale).fetchall() == [("lower_is_worse", "never", 100)]


def test_codes(filled):
    assert filled.sql("select code_system, code from clean.diagnosis").fetchall() == [("SNOMED", "278860009")]
    assert filled.sql("select code_system, code from clean.procedure order by code").fetchall() == [
        ("SNOMED", "52734007"),
        ("SNOMED", "710824005"),
    ]


def test_a_visit_without_an_end_has_not_ended(filled):
    assert filled.sql(
        "select encounter_id, setting, start_date::varchar, end_date::varchar from clean.encounter order by 1"
    ).fetchall() == [
        ("synthea:visit-1", "outpatient", "2020-01-02", "2020-01-02"),
        ("synthea:visit-2", "inpatient", "2021-03-04", "2021-03-06"),
        ("synthea:visit-3", "emergency", "2021-07-01", None),
    ]


@pytest.mark.parametrize("table", MAPPINGS)
def test_every_delivered_row_is_in_exactly_one_place(filled, table):
    [driving] = [name.split(".")[1] for name in MAPPINGS[table].driving_tables]
    delivered = len(EXTRACT[driving].strip().splitlines()) - 1
    places = [
        f"clean.{table}",
        f"clean_synthea.{table} where excluded_reason is not null",
        f"clean.quarantine where table_name = '{table}'",
    ]
    assert sum(filled.sql(f"select count(*) from {place}").fetchall()[0][0] for place in places) == delivered


def test_a_time_that_cannot_be_read_and_an_unknown_patient_end_in_quarantine(filled):
    assert filled.sql(
        "select source_row, rule, column_name from clean.quarantine where table_name = 'prescription' order by 1"
    ).fetchall() == [(5, "required", "start_date"), (6, "unknown_patient", "patient_id")]


def test_older_versions_date_procedures_otherwise_name_no_system_and_may_lack_conditions(tmp_path):
    deliver(
        tmp_path,
        procedures="""
            DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,REASONCODE,REASONDESCRIPTION
            2021-03-04,aaaa-1,visit-2,52734007,Total replacement of hip (procedure),,,
        """,
    )
    (tmp_path / "conditions.csv").unlink()
    found = source_extract.filled("synthea", tmp_path)
    procedure = "select procedure_date::varchar, code_system, code from clean.procedure"
    assert found.sql(procedure).fetchall() == [("2021-03-04", "SNOMED", "52734007")]
    assert found.sql("select count(*) from clean.diagnosis").fetchall() == [(0,)]


# Rules, drawn


@pytest.mark.parametrize(
    ("encounterclass", "setting"),
    [
        ("ambulatory", "outpatient"),
        ("wellness", "outpatient"),
        ("urgentcare", "outpatient"),
        ("virtual", "outpatient"),
        ("Emergency", "emergency"),
        ("inpatient", "inpatient"),
        ("snf", "inpatient"),
        ("something", "unknown"),
    ],
)
def test_the_kind_of_visit_tells_the_setting(check_sql, encounterclass, setting):
    check_sql(
        "clean_synthea.pain_score",
        given={
            "raw_synthea.encounters": f"id | encounterclass\n-\nv | {encounterclass}",
            "raw_synthea.observations": "code | encounter | source_file | source_row\n-\n72514-3 | v | o.csv | 1",
        },
        then=f"pain_score_id | setting | instrument\n-\nsynthea:o.csv:1 | {setting} | NRS",
    )


@pytest.mark.parametrize(
    ("encounterclass", "setting"),
    [
        ("ambulatory", "outpatient"),
        ("urgentcare", "outpatient"),
        ("Emergency", "emergency"),
        ("inpatient", "inpatient"),
        ("snf", "long_term_care"),
        ("hospice", "hospice"),
        ("something", "unknown"),
    ],
)
def test_a_visit_is_what_its_class_says(check_sql, encounterclass, setting):
    check_sql(
        "clean_synthea.encounter",
        given={"raw_synthea.encounters": f"id | start_text | encounterclass\n-\nv | 2021-05-01 | {encounterclass}"},
        then=f"encounter_id | start_date | setting\n-\nsynthea:v | 2021-05-01 | {setting}",
    )


@pytest.mark.parametrize(
    ("code", "instrument", "reason"),
    [
        ("72514-3", "NRS", ""),
        ("75893-8", "PEG_PAIN", ""),
        ("72097-9", "HOOS_PAIN", ""),
        ("38208-5", "", "not_on_a_pain_scale"),
        ("DALY", "", "not_on_a_pain_scale"),
    ],
)
def test_the_loinc_code_tells_the_scale(check_sql, code, instrument, reason):
    check_sql(
        "clean_synthea.pain_score",
        given={"raw_synthea.observations": f"code | source_file | source_row\n-\n{code} | o.csv | 1"},
        then=f"pain_score_id | instrument | excluded_reason\n-\nsynthea:o.csv:1 | {instrument} | {reason}",
    )


@pytest.mark.parametrize(
    ("system", "code_system", "reason"),
    [
        ("", "SNOMED", ""),
        ("http://snomed.info/sct", "SNOMED", ""),
        ("SNOMED-CT", "SNOMED", ""),
        ("http://hl7.org/fhir/sid/icd-10-cm", "ICD10CM", ""),
        ("ICD10-CM", "ICD10CM", ""),
        ("http://loinc.org", "", "code_system_not_known"),
    ],
)
def test_a_diagnosis_is_in_the_system_that_its_row_names(check_sql, system, code_system, reason):
    check_sql(
        "clean_synthea.diagnosis",
        given={
            "raw_synthea.conditions": f"""
                system   | code  | start_text           | source_file | source_row
                ---------+-------+----------------------+-------------+-----------
                {system} | c50.9 | 2020-01-02T08:05:00Z | c.csv       | 1
            """
        },
        then=f"""
            diagnosis_id    | diagnosis_date | code_system   | code | excluded_reason
            ----------------+----------------+---------------+------+----------------
            synthea:c.csv:1 | 2020-01-02     | {code_system} | C509 | {reason}
        """,
    )


def test_an_opioid_is_found_by_whole_words_and_is_no_adjuvant(check_sql):
    medications = """
        description                                   | source_file | source_row
        ----------------------------------------------+-------------+-----------
        tramadol hydrochloride 50 MG Oral Tablet      | m.csv       | 1
        Ipratropium Bromide Inhaler                   | m.csv       | 2
        naloxone 4 MG/ACTUAT Nasal Spray              | m.csv       | 3
    """
    check_sql(
        "clean_synthea.prescription",
        given={"raw_synthea.medications": medications},
        then="""
            prescription_id | excluded_reason
            ----------------+----------------
            synthea:m.csv:1 |
            synthea:m.csv:2 | not_an_opioid
            synthea:m.csv:3 | not_an_opioid
        """,
    )
    check_sql(
        "clean_synthea.adjuvant",
        given={"raw_synthea.medications": medications},
        then="""
            adjuvant_id     | excluded_reason
            ----------------+----------------
            synthea:m.csv:1 | opioid_product
            synthea:m.csv:2 | not_an_adjuvant
            synthea:m.csv:3 |
        """,
    )
