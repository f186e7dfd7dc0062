"""The simulated extract: each mapping drawn, and faulty deliveries that end in quarantine."""

import duckdb
import pytest

from pipelines import contracts, extracts, sources, sql_files, warehouse
from pipelines.contracts import Contract

MAPPINGS = {sql.table.split(".")[1]: sql for sql in sql_files.mappings("simulated")}


def test_a_patient_keeps_what_was_drawn_and_another_sex_is_unknown(check_sql):
    check_sql(
        "clean_simulated.patient",
        given={
            "raw_simulated.patient": """
                patient_id | sex    | birth_year | observation_start_date | observation_end_date | death_date | source_file | source_row
                -----------+--------+------------+------------------------+----------------------+------------+-------------+-----------
                P1         | female | 1960       | 2020-01-01             | 2022-12-31           |            | patient.csv | 1
                P2         | Male   | 1961       | 2020-01-01             | 2021-12-31           | 2021-12-31 | patient.csv | 2
                P3         | x      |            | 2020-01-01             | 2021-12-31           |            | patient.csv | 3
                P4         |        |            | 2020-01-01             | 2021-12-31           |            | patient.csv | 4
            """,
        },
        then="""
            patient_id   | sex     | birth_year | observation_start_date | observation_end_date | death_date | source_table | source_file | source_row | excluded_reason
            -------------+---------+------------+------------------------+----------------------+------------+--------------+-------------+------------+----------------
            simulated:P1 | female  | 1960       | 2020-01-01             | 2022-12-31           |            | patient      | patient.csv | 1          |
            simulated:P2 | male    | 1961       | 2020-01-01             | 2021-12-31           | 2021-12-31 | patient      | patient.csv | 2          |
            simulated:P3 | unknown |            | 2020-01-01             | 2021-12-31           |            | patient      | patient.csv | 3          |
            simulated:P4 | unknown |            | 2020-01-01             | 2021-12-31           |            | patient      | patient.csv | 4          |
        """,
    )


def test_a_fill_is_a_dispensing_and_stays_as_delivered(check_sql):
    check_sql(
        "clean_simulated.prescription",
        given={
            "raw_simulated.prescription": """
                prescription_id | patient_id | fill_date  | drug_text            | strength | strength_unit | route | quantity | days_supply | source_file | source_row
                ----------------+------------+------------+----------------------+----------+---------------+-------+----------+-------------+-------------+-----------
                R1              | P1         | 2021-05-01 | OXYCODONE ER 20 MG   | 20       | MG            | oral  | 56       | 28          | rx.csv      | 1
                R2              | P1         | 2021-05-02 | fentanyl 25 MCG/HR   |          |               |       |          |             | rx.csv      | 2
            """,
        },
        then="""
            prescription_id | patient_id   | record_kind | start_date | end_date | drug_text          | strength | strength_unit | route_text | quantity | days_supply | source_table | source_row | excluded_reason
            ----------------+--------------+-------------+------------+----------+--------------------+----------+---------------+------------+----------+-------------+--------------+------------+----------------
            simulated:R1    | simulated:P1 | dispensing  | 2021-05-01 |          | OXYCODONE ER 20 MG | 20       | MG            | oral       | 56       | 28          | prescription | 1          |
            simulated:R2    | simulated:P1 | dispensing  | 2021-05-02 |          | fentanyl 25 MCG/HR |          |               |            |          |             | prescription | 2          |
        """,
    )


def test_a_fill_is_an_adjuvant_unless_it_holds_an_opioid_or_none(check_sql):
    check_sql(
        "clean_simulated.adjuvant",
        given={
            "raw_simulated.prescription": """
                prescription_id | patient_id | fill_date  | drug_text                | strength | strength_unit | route | quantity | days_supply | source_file | source_row
                ----------------+------------+------------+--------------------------+----------+---------------+-------+----------+-------------+-------------+-----------
                R1              | P1         | 2021-05-01 | GABAPENTIN 300 MG CAP    | 300      | MG            | oral  | 84       | 28          | rx.csv      | 1
                R2              | P1         | 2021-05-02 | SUBOXONE 8-2 MG FILM     |          |               |       |          |             | rx.csv      | 2
                R3              | P1         | 2021-05-03 | LISINOPRIL 10 MG TABLET  |          |               |       |          |             | rx.csv      | 3
            """,
        },
        then="""
            adjuvant_id  | patient_id   | record_kind | start_date | end_date | drug_text               | strength | strength_unit | route_text | quantity | days_supply | source_table | source_row | excluded_reason
            -------------+--------------+-------------+------------+----------+-------------------------+----------+---------------+------------+----------+-------------+--------------+------------+----------------
            simulated:R1 | simulated:P1 | dispensing  | 2021-05-01 |          | GABAPENTIN 300 MG CAP   | 300      | MG            | oral       | 84       | 28          | prescription | 1          |
            simulated:R2 | simulated:P1 | dispensing  | 2021-05-02 |          | SUBOXONE 8-2 MG FILM    |          |               |            |          |             | prescription | 2          | opioid_product
            simulated:R3 | simulated:P1 | dispensing  | 2021-05-03 |          | LISINOPRIL 10 MG TABLET |          |               |            |          |             | prescription | 3          | not_an_adjuvant
        """,
    )


def test_fills_of_other_drugs_come_in_a_file_of_their_own_numbered_for_itself(check_sql):
    check_sql(
        "clean_simulated.adjuvant",
        given={
            "raw_simulated.prescription": """
                prescription_id | patient_id | fill_date  | drug_text           | quantity | days_supply | source_file | source_row
                ----------------+------------+------------+---------------------+----------+-------------+-------------+-----------
                1               | P1         | 2021-05-01 | TRAMADOL 50 MG TAB  | 84       | 28          | rx.csv      | 1
            """,
            "raw_simulated.adjuvant": """
                adjuvant_id | patient_id | fill_date  | drug_text                              | quantity | days_supply | source_file | source_row
                ------------+------------+------------+----------------------------------------+----------+-------------+-------------+-----------
                1           | P1         | 2021-05-01 | gabapentin 300 MG Oral Capsule         | 84       | 28          | adj.csv     | 1
                2           | P1         | 2021-05-02 | naltrexone hydrochloride 3 MG Capsule  | 28       | 28          | adj.csv     | 2
                3           | P1         | 2021-05-03 | lisinopril 10 MG Oral Tablet           | 28       |             | adj.csv     | 3
            """,
        },
        then="""
            adjuvant_id          | patient_id   | record_kind | start_date | drug_text                             | quantity | days_supply | source_table | source_row | excluded_reason
            ---------------------+--------------+-------------+------------+---------------------------------------+----------+-------------+--------------+------------+----------------
            simulated:1          | simulated:P1 | dispensing  | 2021-05-01 | TRAMADOL 50 MG TAB                    | 84       | 28          | prescription | 1          | opioid_product
            simulated:adjuvant:1 | simulated:P1 | dispensing  | 2021-05-01 | gabapentin 300 MG Oral Capsule        | 84       | 28          | adjuvant     | 1          |
            simulated:adjuvant:2 | simulated:P1 | dispensing  | 2021-05-02 | naltrexone hydrochloride 3 MG Capsule | 28       | 28          | adjuvant     | 2          |
            simulated:adjuvant:3 | simulated:P1 | dispensing  | 2021-05-03 | lisinopril 10 MG Oral Tablet          | 28       |             | adjuvant     | 3          | not_an_adjuvant
        """,
    )


def test_a_visit_keeps_its_days_and_its_kind(check_sql):
    check_sql(
        "clean_simulated.encounter",
        given={
            "raw_simulated.encounter": """
                encounter_id | patient_id | start_date | end_date   | encounter_kind | source_file   | source_row
                -------------+------------+------------+------------+----------------+---------------+-----------
                E1           | P1         | 2021-05-01 | 2021-05-01 | outpatient     | encounter.csv | 1
                E2           | P1         | 2021-05-02 |            | Inpatient      | encounter.csv | 2
                E3           | P1         | 2021-05-03 | 2021-05-03 |                | encounter.csv | 3
            """,
        },
        then="""
            encounter_id | patient_id   | start_date | end_date   | setting    | source_table | source_row | excluded_reason
            -------------+--------------+------------+------------+------------+--------------+------------+----------------
            simulated:E1 | simulated:P1 | 2021-05-01 | 2021-05-01 | outpatient | encounter    | 1          |
            simulated:E2 | simulated:P1 | 2021-05-02 |            | inpatient  | encounter    | 2          |
            simulated:E3 | simulated:P1 | 2021-05-03 | 2021-05-03 | unknown    | encounter    | 3          |
        """,
    )


def test_a_mention_that_is_negated_is_kept_as_one(check_sql):
    check_sql(
        "clean_simulated.note_mention",
        given={
            "raw_simulated.note_mention": """
                note_mention_id | patient_id | mention_date | concept                     | is_negated | source_file | source_row
                ----------------+------------+--------------+-----------------------------+------------+-------------+-----------
                N1              | P1         | 2021-05-01   | opioid_induced_hyperalgesia | false      | n.csv       | 1
                N2              | P1         | 2021-05-02   | opioid_induced_hyperalgesia | true       | n.csv       | 2
            """,
        },
        then="""
            note_mention_id | patient_id   | mention_date | concept                     | is_negated | source_table | source_row | excluded_reason
            ----------------+--------------+--------------+-----------------------------+------------+--------------+------------+----------------
            simulated:N1    | simulated:P1 | 2021-05-01   | opioid_induced_hyperalgesia | false      | note_mention | 1          |
            simulated:N2    | simulated:P1 | 2021-05-02   | opioid_induced_hyperalgesia | true       | note_mention | 2          |
        """,
    )


def test_a_fill_of_anything_but_an_opioid_is_kept_and_excluded(check_sql):
    check_sql(
        "clean_simulated.prescription",
        given={
            "raw_simulated.prescription": """
                prescription_id | drug_text
                ----------------+--------------------------------------
                two_names       | Percocet (oxycodone-acetaminophen) TAB
                brand           | MS-Contin 15 MG
                antagonist      | naloxone 4 MG/ACTUAT Nasal Spray
                trap            | Ipratropium Bromide Inhaler
                other           | gabapentin 300 MG Oral Capsule
                shouted         | TRAMADOL 50 MG TAB
            """,
        },
        then="""
            prescription_id      | excluded_reason
            ---------------------+----------------
            simulated:two_names  |
            simulated:brand      |
            simulated:antagonist | not_an_opioid
            simulated:trap       | not_an_opioid
            simulated:other      | not_an_opioid
            simulated:shouted    |
        """,
    )


def test_a_score_stays_as_delivered(check_sql):
    check_sql(
        "clean_simulated.pain_score",
        given={
            "raw_simulated.pain_score": """
                pain_score_id | patient_id | scored_at           | instrument | setting    | score           | visit_kind | source_file | source_row
                --------------+------------+---------------------+------------+------------+-----------------+------------+-------------+-----------
                number        | P1         | 2021-05-01 09:30:00 | nrs        | Inpatient  | 4.5             | scheduled  | pain.csv    | 1
                words         | P1         | 2021-05-01 09:30:00 | NRS        | outpatient | unable to score | scheduled  | pain.csv    | 2
                empty         | P1         | 2021-05-01 09:30:00 | NRS        | outpatient |                 | scheduled  | pain.csv    | 3
                other_scale   | P1         | 2021-05-01 09:30:00 | VAS_100    | outpatient | 40              | scheduled  | pain.csv    | 4
                function      | P1         | 2021-05-01 09:30:00 | PEG        | outpatient | 6.3             | scheduled  | pain.csv    | 5
            """,
        },
        then="""
            pain_score_id         | patient_id   | scored_at           | instrument | recall  | setting    | score_text      | score | source_table | source_row | excluded_reason
            ----------------------+--------------+---------------------+------------+---------+------------+-----------------+-------+--------------+------------+----------------
            simulated:number      | simulated:P1 | 2021-05-01 09:30:00 | NRS        | now     | inpatient  | 4.5             |       | pain_score   | 1          |
            simulated:words       | simulated:P1 | 2021-05-01 09:30:00 | NRS        | now     | outpatient | unable to score |       | pain_score   | 2          |
            simulated:empty       | simulated:P1 | 2021-05-01 09:30:00 | NRS        | now     | outpatient |                 |       | pain_score   | 3          |
            simulated:other_scale | simulated:P1 | 2021-05-01 09:30:00 | VAS_100    | now     | outpatient | 40              |       | pain_score   | 4          |
            simulated:function    | simulated:P1 | 2021-05-01 09:30:00 | PEG        | average | outpatient | 6.3             |       | pain_score   | 5          |
        """,
    )


def test_a_code_loses_its_dots_and_is_upper_case(check_sql):
    check_sql(
        "clean_simulated.diagnosis",
        given={
            "raw_simulated.diagnosis": """
                diagnosis_id | patient_id | diagnosis_date | code_system | code   | source_file | source_row
                -------------+------------+----------------+-------------+--------+-------------+-----------
                1            | P1         | 2021-05-01     | ICD10CM     | m54.5a | some.csv    | 9
            """,
        },
        then="""
            diagnosis_id | patient_id   | diagnosis_date | code_system | code  | source_table | source_row | excluded_reason
            -------------+--------------+----------------+-------------+-------+--------------+------------+----------------
            simulated:1  | simulated:P1 | 2021-05-01     | ICD10CM     | M545A | diagnosis    | 9          |
        """,
    )


def test_every_procedure_is_kept_since_rules_ask_for_therapies_too(check_sql):
    check_sql(
        "clean_simulated.procedure",
        given={
            "raw_simulated.procedure": """
                procedure_id | patient_id | procedure_date | code_system | code     | source_file | source_row
                -------------+------------+----------------+-------------+----------+-------------+-----------
                knee         | P1         | 2021-05-01     | CPT4        | 27447    | some.csv    | 1
                hip          | P1         | 2021-05-02     | ICD10PCS    | 0src0j9. | some.csv    | 2
                injection    | P1         | 2021-05-03     | CPT4        | 62323    | some.csv    | 3
                therapy      | P1         | 2021-05-04     | CPT4        | 97110    | some.csv    | 4
            """,
        },
        then="""
            procedure_id        | patient_id   | procedure_date | code_system | code    | source_table | source_row | excluded_reason
            --------------------+--------------+----------------+-------------+---------+--------------+------------+----------------
            simulated:knee      | simulated:P1 | 2021-05-01     | CPT4        | 27447   | procedure    | 1          |
            simulated:hip       | simulated:P1 | 2021-05-02     | ICD10PCS    | 0SRC0J9 | procedure    | 2          |
            simulated:injection | simulated:P1 | 2021-05-03     | CPT4        | 62323   | procedure    | 3          |
            simulated:therapy   | simulated:P1 | 2021-05-04     | CPT4        | 97110   | procedure    | 4          |
        """,
    )


# Delivered files

DELIVERED = {
    "patient": """
        patient_id,sex,birth_year,observation_start_date,observation_end_date,death_date
        P1,female,1960,2020-01-01,2022-12-31,
    """,
    "prescription": """
        prescription_id,patient_id,fill_date,drug_text,strength,strength_unit,route,quantity,days_supply
        R1,P1,2021-05-01,OXYCODONE 5 MG TAB,5,MG,oral,60,30
        R2,P1,2021-05-01,OXYCODONE 5 MG TAB,5,MG,oral,-60,30
        R3,P1,2021-02-30,OXYCODONE 5 MG TAB,5,MG,oral,60,30
        R4,P1,2021-05-01,OXYCODONE 5 MG TAB,5,MG,oral,60,-30
        R5,P9,2021-05-01,OXYCODONE 5 MG TAB,5,MG,oral,60,30
        R1,P1,2021-06-01,OXYCODONE 5 MG TAB,5,MG,oral,60,30
        R6,P1,2021-05-01,gabapentin 300 MG CAP,300,MG,oral,60,30
    """,
    "pain_score": """
        pain_score_id,patient_id,scored_at,instrument,setting,score,visit_kind
        S1,P1,2021-05-01T09:30:00,NRS,outpatient,7,scheduled
        S2,P1,2021-05-01T09:30:00,NRS,outpatient,13,scheduled
        S3,P1,2021-05-01T09:30:00,NRS,outpatient,-1,scheduled
        S4,P1,2021-05-01T09:30:00,NRS,outpatient,unable to score,scheduled
        S5,P1,2021-05-01T09:30:00,NRS,somewhere,5,scheduled
    """,
    "diagnosis": "diagnosis_id,patient_id,diagnosis_date,code_system,code\nD1,P1,2021-05-01,ICD10CM,M54.5\nD2,P1,2021-05-01,READ,N142\n",
    "procedure": "procedure_id,patient_id,procedure_date,code_system,code\nO1,P1,2021-05-01,CPT4,27447\n",
    "encounter": """
        encounter_id,patient_id,start_date,end_date,encounter_kind
        E1,P1,2021-05-01,2021-05-01,outpatient
        E2,P1,2021-05-02,2021-05-04,spa
    """,
    "adjuvant": """
        adjuvant_id,patient_id,drug_text,fill_date,quantity,days_supply
        A1,P1,gabapentin 300 MG Oral Capsule,2021-05-01,84,28
    """,
    "note_mention": """
        note_mention_id,patient_id,mention_date,concept,is_negated
        N1,P1,2021-05-01,opioid_induced_hyperalgesia,true
        N2,P1,2021-05-01,opioid_induced_hyperalgesia,perhaps
        N3,P1,2021-05-01,weather,false
    """,
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> duckdb.DuckDBPyConnection:
    """The files above, loaded, mapped and filled into the clean tables."""
    folder = tmp_path_factory.mktemp("extract")
    for name, text in DELIVERED.items():
        lines = [line.strip() for line in text.strip().splitlines()]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    connection = duckdb.connect()
    known = contracts.all_contracts()
    for contract in contracts.raw_contracts("simulated"):
        extracts.load(connection, contract, "simulated", folder)
    for table in {table for sql in MAPPINGS.values() for table in sql.reads if table.startswith("reference.")}:
        warehouse.build_reference(connection, known[table])
    for name in ("patient", *(name for name in MAPPINGS if name != "patient")):
        clean: Contract = known[f"clean.{name}"]
        sources.map_rows(connection, MAPPINGS[name], clean)
        sources.fill(connection, clean, ["simulated"])
    return connection


def test_a_faulty_row_ends_in_quarantine_with_its_rule_and_place(filled):
    ingest = filled.sql(
        "select table_name, source_row, rule, column_name from raw.quarantine order by table_name, source_row"
    ).fetchall()
    assert ingest == [
        ("note_mention", 2, "type", "is_negated"),
        ("prescription", 2, "range", "quantity"),
        ("prescription", 3, "type", "fill_date"),
        ("prescription", 4, "range", "days_supply"),
        ("prescription", 6, "duplicate_key", "prescription_id"),
    ]
    clean = filled.sql(
        "select table_name, source_row, rule, column_name from clean.quarantine order by table_name, source_row"
    ).fetchall()
    assert clean == [
        ("diagnosis", 2, "value", "code_system"),
        ("encounter", 2, "value", "setting"),
        ("note_mention", 3, "value", "concept"),
        ("pain_score", 5, "value", "setting"),
        ("prescription", 5, "unknown_patient", "patient_id"),
    ]


def test_the_other_rows_reach_the_clean_tables(filled):
    assert filled.sql("select prescription_id, quantity from clean.prescription").fetchall() == [("simulated:R1", 60.0)]
    scores = filled.sql("select pain_score_id, score_text from clean.pain_score order by all").fetchall()
    assert scores == [
        ("simulated:S1", "7"),
        ("simulated:S2", "13"),
        ("simulated:S3", "-1"),
        ("simulated:S4", "unable to score"),
    ]
    assert filled.sql("select code from clean.diagnosis union all select code from clean.procedure").fetchall() == [
        ("M545",),
        ("27447",),
    ]
    assert filled.sql("select adjuvant_id from clean.adjuvant").fetchall() == [
        ("simulated:R6",),
        ("simulated:adjuvant:A1",),
    ]
    assert filled.sql("select setting from clean.encounter").fetchall() == [("outpatient",)]
    assert filled.sql("select note_mention_id, is_negated from clean.note_mention").fetchall() == [
        ("simulated:N1", True)
    ]


def test_every_delivered_row_is_in_exactly_one_place(filled):
    for name, mapping in MAPPINGS.items():
        driving = [table.split(".")[1] for table in mapping.driving_tables]
        [[delivered, rejected]] = filled.execute(
            "select sum(delivered_rows), sum(quarantined_rows) from raw.delivery where list_contains(?, table_name)",
            [driving],
        ).fetchall()
        [[clean]] = filled.execute(f"select count(*) from clean.{name}").fetchall()
        [[excluded]] = filled.execute(
            f"select count(*) from {mapping.table} where excluded_reason is not null"
        ).fetchall()
        [[refused]] = filled.execute("select count(*) from clean.quarantine where table_name = ?", [name]).fetchall()
        assert delivered == rejected + clean + excluded + refused > 0
