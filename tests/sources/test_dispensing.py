"""The dispensing layout: what a transmission counts as, drawn; and delivered files down to the clean tables."""

import duckdb
import pytest

from pipelines import contracts, extracts, sql_files
from tests import source_extract

MAPPINGS = {sql.table.split(".")[1]: sql for sql in sql_files.mappings("dispensing")}


@pytest.fixture
def check(check_sql):
    """Rows of one patient and one opioid unless drawn otherwise, delivered in the order they are drawn in."""

    def check(fills: str, then: str) -> None:
        header, ruler, *rows = [line for line in fills.strip().splitlines() if line.strip()]
        same = {"patient_id": "P1", "fill_date": "2021-05-01", "drug_text": "OXYCODONE HCL 5 MG TABLET"}
        missing = [name for name in same if f" {name} " not in f" {header} |"]
        drawn = [" | ".join([header, *missing, "source_file", "source_row"]), ruler]
        drawn += [
            " | ".join([row, *(same[name] for name in missing), "d.csv", str(number)])
            for number, row in enumerate(rows, 1)
        ]
        check_sql("clean_dispensing.prescription", given={"raw_dispensing.dispensing": "\n".join(drawn)}, then=then)

    return check


def test_a_fill_is_a_dispensing_and_its_unit_is_spelled_out(check):
    check(
        """
        fill_date  | quantity | quantity_unit | days_supply | ndc           | strength | strength_unit | route
        -----------+----------+---------------+-------------+---------------+----------+---------------+------
        2021-05-01 | 60       | 01            | 30          | 00406-0512-01 | 5        | MG            | oral
        2021-05-02 | 473      | mL            | 10          |               |          |               |
        2021-05-03 | 1        | box           | 10          |               |          |               |
        2021-05-04 |          |               |             |               |          |               |
        """,
        """
        prescription_id    | patient_id    | record_kind | start_date | drug_text                 | ndc           | strength | strength_unit | route_text | quantity | quantity_unit | days_supply | source_table | excluded_reason
        -------------------+---------------+-------------+------------+---------------------------+---------------+----------+---------------+------------+----------+---------------+-------------+--------------+----------------
        dispensing:d.csv:1 | dispensing:P1 | dispensing  | 2021-05-01 | OXYCODONE HCL 5 MG TABLET | 00406-0512-01 | 5        | MG            | oral       | 60       | EA            | 30          | dispensing   |
        dispensing:d.csv:2 | dispensing:P1 | dispensing  | 2021-05-02 | OXYCODONE HCL 5 MG TABLET |               |          |               |            | 473      | ML            | 10          | dispensing   |
        dispensing:d.csv:3 | dispensing:P1 | dispensing  | 2021-05-03 | OXYCODONE HCL 5 MG TABLET |               |          |               |            | 1        | box           | 10          | dispensing   |
        dispensing:d.csv:4 | dispensing:P1 | dispensing  | 2021-05-04 | OXYCODONE HCL 5 MG TABLET |               |          |               |            |          |               |             | dispensing   |
        """,
    )


def test_a_code_stands_for_a_drug_without_a_text_and_what_has_neither_is_excluded(check):
    check(
        """
        fill_date  | drug_text                | ndc
        -----------+--------------------------+--------------
        2021-05-01 |                          | 00406-0512-01
        2021-05-02 | LISINOPRIL 10 MG TABLET  | 00406-0512-01
        2021-05-03 |                          |
        """,
        """
        drug_text               | ndc           | excluded_reason
        ------------------------+---------------+----------------
        00406-0512-01           | 00406-0512-01 |
        LISINOPRIL 10 MG TABLET | 00406-0512-01 | not_an_opioid
                                |               | drug_not_named
        """,
    )


def test_a_drug_without_a_text_is_what_the_table_of_codes_says(check_sql):
    given = {
        "reference.ndc_text": """
            ndc           | drug_text
            --------------+------------------------
            00406-0512-01 | MORPHINE 30 MG TAB
            00002-0351-02 | LISINOPRIL 10 MG TABLET
            00093-1234-01 | GABAPENTIN 300 MG CAP
        """,
        "raw_dispensing.dispensing": """
            patient_id | fill_date  | drug_text             | ndc           | source_file | source_row
            -----------+------------+-----------------------+---------------+-------------+-----------
            P1         | 2021-05-01 |                       | 00406-0512-01 | d.csv       | 1
            P1         | 2021-05-02 |                       | 00002-0351-02 | d.csv       | 2
            P1         | 2021-05-03 |                       | 00093-1234-01 | d.csv       | 3
            P1         | 2021-05-04 |                       | 99999-9999-99 | d.csv       | 4
            P1         | 2021-05-05 | OXYCODONE 5 MG TABLET | 00002-0351-02 | d.csv       | 5
        """,
    }
    check_sql(
        "clean_dispensing.prescription",
        given=given,
        then="""
            drug_text               | ndc           | excluded_reason
            ------------------------+---------------+----------------
            MORPHINE 30 MG TAB      | 00406-0512-01 |
            LISINOPRIL 10 MG TABLET | 00002-0351-02 | not_an_opioid
            GABAPENTIN 300 MG CAP   | 00093-1234-01 | not_an_opioid
            99999-9999-99           | 99999-9999-99 |
            OXYCODONE 5 MG TABLET   | 00002-0351-02 |
        """,
    )
    check_sql(
        "clean_dispensing.adjuvant",
        given=given,
        then="""
            drug_text               | excluded_reason
            ------------------------+----------------
            MORPHINE 30 MG TAB      | opioid_product
            LISINOPRIL 10 MG TABLET | not_an_adjuvant
            GABAPENTIN 300 MG CAP   |
                                    | drug_not_named
            OXYCODONE 5 MG TABLET   | opioid_product
        """,
    )


@pytest.mark.parametrize("species", ["02", "2", "Veterinary", " animal"])
def test_what_is_for_an_animal_is_excluded(check, species):
    check(
        f"""
        quantity | species
        ---------+----------
        60       | {species}
        61       | 01
        62       |
        63       | 1
        64       | dog
        65       | V
        """,
        """
        quantity | excluded_reason
        ---------+----------------
        60       | veterinary_fill
        61       |
        62       |
        63       |
        64       | species_not_known
        65       | species_not_known
        """,
    )


def test_codes_are_read_without_their_leading_zero(check):
    check(
        """
        quantity | quantity_unit | record_status | prescription_number
        ---------+---------------+---------------+--------------------
        60       | 2             | 0             | 1
        60       | 2             | 2             | 1
        30       | 1             | 0             | 2
        90       | 3             | 1             | 2
        """,
        """
        quantity | quantity_unit | excluded_reason
        ---------+---------------+----------------
        60       | ML            | reversed_later
        60       | ML            | reversal
        30       | EA            | revised_later
        90       | GM            |
        """,
    )


# Each line is one transmission of the same fill, in the order of delivery, with what becomes of it.
HISTORIES = {
    "sent once": "new -> ",
    "sent three times": "new -> , new -> duplicate_transmission, new -> duplicate_transmission",
    "taken back": "new -> reversed_later, void -> reversal",
    "taken back and sent anew": "new -> reversed_later, void -> reversal, new -> ",
    "sent twice and taken back": "new -> reversed_later, new -> duplicate_transmission, void -> reversal",
    "taken back twice": "new -> reversed_later, void -> reversal, void -> reversal_of_no_fill",
    "taken back before it was sent": "void -> reversal_of_no_fill, new -> ",
    "returned to stock": "new -> reversed_later, return -> reversal",
    "revised": "new -> revised_later, revise -> ",
    "revised twice": "new -> revised_later, revise -> revised_later, revise -> ",
    "revised and taken back": "new -> revised_later, revise -> reversed_later, void -> reversal",
    "of unknown standing": "new -> , maybe -> record_status_not_known",
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_of_a_fill_sent_again_taken_back_or_revised_what_stands_last_counts(check, history):
    steps = [step.split(" -> ") for step in history.split(", ")]
    statuses = [step[0].strip() for step in steps]
    # An empty status and the code of ASAP mean the same as the word.
    drawn = [f"RX1 | 0 | 60 | 30 | {status}" for status in statuses]
    coded = [f"RX1 | 0 | 60 | 30 | {dict(new='', void='02', revise='01').get(status, status)}" for status in statuses]
    expected = "\n".join(f"dispensing:d.csv:{number} | {step[1].strip()}" for number, step in enumerate(steps, 1))
    for rows in (drawn, coded):
        if "maybe" in statuses and rows is coded:
            continue
        check(
            "prescription_number | refill_number | quantity | days_supply | record_status\n-\n" + "\n".join(rows),
            f"prescription_id | excluded_reason\n-\n{expected}",
        )


def test_a_negative_quantity_takes_back_the_fill_of_its_size(check):
    check(
        """
        quantity | days_supply
        ---------+------------
        60       | 30
        -60      | -30
        30       | 15
        -90      | -30
        """,
        """
        quantity | excluded_reason
        ---------+--------------------
        60       | reversed_later
        -60      | reversal
        30       |
        -90      | reversal_of_no_fill
        """,
    )


# One column differs between the first row and the second: they are two fills, and a void of one leaves the other.
DIFFERING = {
    "patient_id": ("P1", "P2"),
    "fill_date": ("2021-05-01", "2021-05-02"),
    "drug_text": ("OXYCODONE HCL 5 MG TABLET", "OXYCODONE HCL 10 MG TABLET"),
    "quantity": ("60", "61"),
    "pharmacy_id": ("A", "B"),
    "prescription_number": ("1", "2"),
    "refill_number": ("0", "1"),
    "partial_fill": ("01", "02"),
}


@pytest.mark.parametrize("column", DIFFERING)
def test_fills_that_differ_are_no_copies_and_are_taken_back_one_by_one(check, column):
    first, second = DIFFERING[column]
    check(
        f"{column} | record_status\n-\n{first} |\n{second} |\n{second} | void",
        """
        prescription_id    | excluded_reason
        -------------------+----------------
        dispensing:d.csv:1 |
        dispensing:d.csv:2 | reversed_later
        dispensing:d.csv:3 | reversal
        """,
    )


OXYCODONE = "OXYCODONE HCL 5 MG TABLET"
VOIDS = {
    "the drug spelled otherwise": "A | RX1 | 60 | 0 | 01 | Oxycodone 5mg tab | ",
    "the drug left out": "A | RX1 | 60 | 0 | 01 | | ",
    "the code without hyphens": f"A | RX1 | 60 | 0 | 01 | {OXYCODONE} | 00406055201",
    "no quantity": f"A | RX1 |  | 0 | 01 | {OXYCODONE} | 00406-0552-01",
    "a quantity of zero": f"A | RX1 | 0 | 0 | 01 | {OXYCODONE} | 00406-0552-01",
    "no refill and no part": f"A | RX1 | 60 |  |  | {OXYCODONE} | 00406-0552-01",
    "nothing but its number": "A | RX1 |  |  |  |  | ",
}


@pytest.mark.parametrize("void", VOIDS.values(), ids=VOIDS)
def test_a_void_names_its_fill_by_the_number_of_the_prescription(check, void):
    fill = f"A | RX1 | 60 | 0 | 01 | {OXYCODONE} | 00406-0552-01"
    columns = "pharmacy_id | prescription_number | quantity | refill_number | partial_fill | drug_text | ndc"
    names_no_drug = void.rstrip(" |").endswith(("| 01", "| RX1"))
    check(
        f"{columns} | record_status\n-\n{fill} |\n{void} | void\n{fill} |",
        f"""
        prescription_id    | excluded_reason
        -------------------+----------------
        dispensing:d.csv:1 | reversed_later
        dispensing:d.csv:2 | {"drug_not_named" if names_no_drug else "reversal"}
        dispensing:d.csv:3 |
        """,
    )


def test_of_two_fills_of_a_prescription_on_a_day_a_void_without_a_quantity_takes_back_the_last(check):
    check(
        "prescription_number | quantity | record_status\n-\nRX1 | 60 |\nRX1 | 30 |\nRX1 | | void",
        """
        prescription_id    | excluded_reason
        -------------------+----------------
        dispensing:d.csv:1 |
        dispensing:d.csv:2 | reversed_later
        dispensing:d.csv:3 | reversal
        """,
    )


def test_without_a_number_a_code_is_the_same_with_and_without_hyphens(check):
    check(
        "ndc | quantity | record_status\n-\n00406-0552-01 | 60 |\n00406055201 | 60 |\n00406055201 | 60 | void",
        """
        prescription_id    | excluded_reason
        -------------------+-----------------------
        dispensing:d.csv:1 | reversed_later
        dispensing:d.csv:2 | duplicate_transmission
        dispensing:d.csv:3 | reversal
        """,
    )


def test_one_number_for_two_drugs_is_two_fills(check):
    check(
        """
        prescription_number | drug_text                 | quantity
        --------------------+---------------------------+---------
        RX1                 | OXYCODONE HCL 5 MG TABLET | 60
        RX1                 | OXYCODONE HCL 9 MG TABLET | 60
        RX1                 | OXYCODONE HCL 5 MG TABLET | 60
        """,
        """
        prescription_id    | excluded_reason
        -------------------+-----------------------
        dispensing:d.csv:1 |
        dispensing:d.csv:2 |
        dispensing:d.csv:3 | duplicate_transmission
        """,
    )


def test_fills_of_another_days_supply_are_no_copies(check):
    check(
        "quantity | days_supply\n-\n60 | 30\n60 | 15\n",
        """
        days_supply | excluded_reason
        ------------+----------------
        30          |
        15          |
        """,
    )


def test_without_a_number_of_the_prescription_a_revision_takes_no_place(check):
    check(
        "quantity | record_status\n-\n60 | new\n30 | revise",
        """
        quantity | excluded_reason
        ---------+----------------
        60       |
        30       |
        """,
    )


def test_an_adjuvant_is_told_apart_and_judged_alike(check_sql):
    check_sql(
        "clean_dispensing.adjuvant",
        given={
            "raw_dispensing.dispensing": """
                patient_id | fill_date  | drug_text             | quantity | species | source_file | source_row
                -----------+------------+-----------------------+----------+---------+-------------+-----------
                P1         | 2021-05-01 | GABAPENTIN 300 MG CAP | 90       |         | d.csv       | 1
                P1         | 2021-05-01 | GABAPENTIN 300 MG CAP | 90       |         | d.csv       | 2
                P1         | 2021-05-01 | GABAPENTIN 100 MG CAP | 90       | 02      | d.csv       | 3
                P1         | 2021-05-01 | OXYCODONE 5 MG TABLET | 60       |         | d.csv       | 4
                P1         | 2021-05-01 | LISINOPRIL 10 MG TAB  | 30       |         | d.csv       | 5
            """
        },
        then="""
            adjuvant_id        | excluded_reason
            -------------------+-----------------------
            dispensing:d.csv:1 |
            dispensing:d.csv:2 | duplicate_transmission
            dispensing:d.csv:3 | veterinary_fill
            dispensing:d.csv:4 | opioid_product
            dispensing:d.csv:5 | not_an_adjuvant
        """,
    )


def test_a_patient_without_a_period_is_observed_from_the_first_to_the_last_record(check_sql):
    check_sql(
        "clean_dispensing.patient",
        given={
            "raw_dispensing.patient": """
                patient_id | sex    | birth_year | observation_start_date | observation_end_date | death_date | source_file | source_row
                -----------+--------+------------+------------------------+----------------------+------------+-------------+-----------
                P1         | F      | 1960       | 2020-01-01             | 2022-12-31           | 2022-12-31 | p.csv       | 1
                P2         | Male   |            |                        |                      |            | p.csv       | 2
                P3         | x      |            |                        |                      |            | p.csv       | 3
            """,
            "raw_dispensing.dispensing": """
                patient_id | fill_date
                -----------+-----------
                P1         | 2021-05-01
                P2         | 2021-05-01
            """,
            "raw_dispensing.pain": """
                patient_id | scored_at
                -----------+--------------------
                P2         | 2021-06-01 23:00:00
            """,
        },
        then="""
            patient_id    | sex     | birth_year | observation_start_date | observation_end_date | death_date | excluded_reason
            --------------+---------+------------+------------------------+----------------------+------------+----------------
            dispensing:P1 | female  | 1960       | 2020-01-01             | 2022-12-31           | 2022-12-31 |
            dispensing:P2 | male    |            | 2021-05-01             | 2021-06-01           |            |
            dispensing:P3 | unknown |            |                        |                      |            |
        """,
    )


def test_a_score_stays_text_and_what_is_not_told_is_unknown(check_sql):
    check_sql(
        "clean_dispensing.pain_score",
        given={
            "raw_dispensing.pain": """
                patient_id | scored_at           | instrument | recall  | setting    | score  | source_file | source_row
                -----------+---------------------+------------+---------+------------+--------+-------------+-----------
                P1         | 2021-05-01 09:30:00 | nrs        | Average | Outpatient | 7      | s.csv       | 1
                P1         | 2021-05-02 09:30:00 | VAS_100    |         |            | asleep | s.csv       | 2
            """
        },
        then="""
            pain_score_id      | patient_id    | scored_at           | instrument | recall  | setting    | score_text | score | source_table | excluded_reason
            -------------------+---------------+---------------------+------------+---------+------------+------------+-------+--------------+----------------
            dispensing:s.csv:1 | dispensing:P1 | 2021-05-01 09:30:00 | NRS        | average | outpatient | 7          |       | pain         |
            dispensing:s.csv:2 | dispensing:P1 | 2021-05-02 09:30:00 | VAS_100    | unknown | unknown    | asleep     |       | pain         |
        """,
    )


# Delivered files


def deliver(folder, **files: str) -> duckdb.DuckDBPyConnection:
    """Loaded, mapped and filled into the clean tables."""
    for name, text in files.items():
        (folder / f"{name}.csv").write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
    return source_extract.filled("dispensing", folder)


def test_the_smallest_delivery_has_a_drug_a_day_a_quantity_and_days_supply(tmp_path):
    connection = deliver(
        tmp_path,
        patient="patient_id\nP1",
        dispensing="patient_id,fill_date,drug_text,quantity,days_supply\nP1,2021-05-01,OXYCODONE 5 MG TABLET,60,30",
        pain="patient_id,scored_at,instrument,score\nP1,2021-05-01,NRS,7\nP9,2021-05-01,NRS,7\nP1,2021-05-32,NRS,7",
    )
    assert connection.sql("select quantity, days_supply from clean.prescription").fetchall() == [(60.0, 30)]
    assert connection.sql("select score_text from clean.pain_score").fetchall() == [("7",)]
    assert connection.sql("select rule from clean.quarantine").fetchall() == [("unknown_patient",)]
    assert connection.sql("select rule, column_name from raw.quarantine").fetchall() == [("type", "scored_at")]


FILLS = """patient_id,fill_date,drug_text,quantity,days_supply,pharmacy_id,prescription_number,birth_year,sex
    P1,2021-05-01,OXYCODONE 5 MG TABLET,60,30,A,1,1960,F
    P1,2021-06-01,OXYCODONE 5 MG TABLET,60,30,A,2,{year},{sex}
    P2,2021-05-01,OXYCODONE 5 MG TABLET,60,30,A,{number},1970,M
    P2,2021-05-01,OXYCODONE 10 MG TABLET,60,30,B,4,1970,M
    P2,2021-05-01,OXYCODONE 15 MG TABLET,60,30,C,5,1970,m
    P2,2021-05-01,OXYCODONE 20 MG TABLET,60,30,{pharmacy},6,,
"""
PLAIN = {"year": "1960", "sex": "F", "number": "3", "pharmacy": "C"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"year": "1961"}, "two people merged"),
        ({"sex": "M"}, "two people merged"),
        ({"number": "1"}, "one person split"),
        ({"pharmacy": "D"}, "more than three pharmacies"),
    ],
)
def test_people_who_look_merged_or_split_are_a_warning_with_a_count(tmp_path, change, said):
    (tmp_path / "dispensing.csv").write_text(FILLS.format(**PLAIN | change).replace("    ", ""))
    [contract] = [c for c in contracts.raw_contracts("dispensing") if c.name == "dispensing"]
    with duckdb.connect() as connection:
        extracts.load(connection, contract, "dispensing", tmp_path)
        found = {}
        for expectation in contract.expectations:
            assert expectation.severity == "warning"
            query = expectation.model_extra["unexpected_rows_query"].replace("{batch}", contract.table)
            if rows := connection.execute(query).fetchall():
                found[expectation.why] = len(rows)
    assert list(found.values()) == ([1] if said else [])
    assert all(said in why for why in found)
