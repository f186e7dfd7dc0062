"""Each rule of the MIMIC-IV mapping, drawn: delivered rows in, mapped rows out."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import contracts, sql_files, warehouse

MAPPINGS = {sql.table.split(".")[1]: sql for sql in sql_files.mappings("mimic_iv")}
KNOWN = contracts.all_contracts()


@pytest.fixture
def check():
    """Map drawn rows of raw_mimic_iv tables and compare the mapping's columns that the answer draws.

    An empty cell is NULL, as is a column that is not drawn; blanks count within double quotes. Rows are
    numbered from 1 in the file ``drawn.csv``. Reference tables are the shipped ones.
    """

    def check(table: str, delivered: dict[str, str], then: str) -> None:
        connection = _mapped(table, {name: _drawn(drawing) for name, drawing in delivered.items()})
        names, expected = _drawn(then)
        columns = ", ".join(names)
        # The answer takes the types of what was mapped.
        connection.execute(f"create table expected as select {columns} from mapped limit 0")
        _insert(connection, "expected", names, expected)
        actual = connection.execute(f"select {columns} from mapped order by all").fetchall()
        assert actual == connection.execute("from expected order by all").fetchall()

    return check


def _mapped(table, delivered):
    connection = duckdb.connect()
    for name in MAPPINGS[table].reads:
        if name.startswith("reference."):
            warehouse.build_reference(connection, KNOWN[name])
        else:
            warehouse.create(connection, KNOWN[name])
    for name, (columns, rows) in delivered.items():
        numbered = [[*row, "drawn.csv", number] for number, row in enumerate(rows, start=1)]
        _insert(connection, f"raw_mimic_iv.{name}", [*columns, "source_file", "source_row"], numbered)
    warehouse.create_macros(connection, MAPPINGS[table].macros)
    connection.execute(f"create table mapped as {MAPPINGS[table].text}")
    return connection


def _insert(connection, table, columns, rows):
    if rows:
        marks = ", ".join("?" for _ in columns)
        connection.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", rows)


def _drawn(drawing):
    header, _, *lines = drawing.strip().splitlines()
    return _cells(header), [[_value(cell) for cell in _cells(line)] for line in lines]


def _cells(line):
    return [cell.strip() for cell in line.split("|")]


def _value(cell):
    return cell[1:-1] if cell.startswith('"') else cell or None


@pytest.mark.parametrize("table", MAPPINGS)
def test_an_empty_extract_maps_to_no_rows(table):
    connection = _mapped(table, {})
    assert connection.execute("from mapped").fetchall() == []


# Patients


def test_year_of_birth_is_the_anchor_year_less_the_age(check):
    check(
        "patient",
        {
            "patients": """
                subject_id | gender | anchor_age | anchor_year | dod
                -----------+--------+------------+-------------+-----------
                1          | F      | 21         | 2125        |
                2          | M      | 91         | 2137        | 2137-09-02
                3          |        |            | 2137        |
            """
        },
        """
            patient_id | sex     | birth_year | death_date | excluded_reason
            -----------+---------+------------+------------+----------------
            mimic_iv:1 | female  | 2104       |            |
            mimic_iv:2 | male    | 2046       | 2137-09-02 |
            mimic_iv:3 | unknown |            |            |
        """,
    )


def test_a_patient_is_observed_from_the_first_admission_to_the_last_discharge(check):
    check(
        "patient",
        {
            "patients": """
                subject_id
                ----------
                1
                2
            """,
            "admissions": """
                hadm_id | subject_id | admittime           | dischtime
                --------+------------+---------------------+--------------------
                11      | 1          | 2150-05-01 23:59:00 | 2150-05-03 00:10:00
                12      | 1          | 2149-01-01 08:00:00 | 2149-01-02 08:00:00
            """,
        },
        """
            patient_id | observation_start_date | observation_end_date
            -----------+------------------------+---------------------
            mimic_iv:1 | 2149-01-01             | 2150-05-03
            mimic_iv:2 |                        |
        """,
    )


def test_a_stay_lasts_from_the_day_of_admission_to_the_day_of_discharge(check):
    check(
        "encounter",
        {
            "admissions": """
                hadm_id | subject_id | admittime           | dischtime
                --------+------------+---------------------+--------------------
                11      | 1          | 2150-05-01 23:59:00 | 2150-05-03 00:10:00
                12      | 1          | 2149-01-01 08:00:00 | 2149-01-01 20:00:00
            """,
        },
        """
            encounter_id | patient_id | setting   | start_date | end_date   | source_table | source_row | excluded_reason
            -------------+------------+-----------+------------+------------+--------------+------------+----------------
            mimic_iv:11  | mimic_iv:1 | inpatient | 2150-05-01 | 2150-05-03 | admissions   | 1          |
            mimic_iv:12  | mimic_iv:1 | inpatient | 2149-01-01 | 2149-01-01 | admissions   | 2          |
        """,
    )


# Diagnoses and procedures


def test_a_diagnosis_counts_from_the_discharge(check):
    check(
        "diagnosis",
        {
            "diagnoses_icd": """
                subject_id | hadm_id | seq_num | icd_code | icd_version
                -----------+---------+---------+----------+------------
                1          | 11      | 1       | g89.4    | 10
                1          | 11      | 2       | 0090     | 9
                1          | 12      | 1       | G894     | 10
                1          | 11      | 3       | G894     | 11
            """,
            "admissions": """
                hadm_id | subject_id | admittime           | dischtime
                --------+------------+---------------------+--------------------
                11      | 1          | 2150-05-01 23:59:00 | 2150-05-03 00:10:00
            """,
        },
        """
            diagnosis_id          | diagnosis_date | code_system | code | excluded_reason
            ----------------------+----------------+-------------+------+----------------------
            mimic_iv:11:1:10:g89.4 | 2150-05-03    | ICD10CM     | G894 |
            mimic_iv:11:2:9:0090  | 2150-05-03     | ICD9CM      | 0090 |
            mimic_iv:12:1:10:G894 |                | ICD10CM     | G894 | stay_not_delivered
            mimic_iv:11:3:11:G894 | 2150-05-03     |             | G894 | code_system_not_known
        """,
    )


def test_a_procedure_keeps_its_own_day(check):
    check(
        "procedure",
        {
            "procedures_icd": """
                subject_id | hadm_id | seq_num | chartdate  | icd_code | icd_version
                -----------+---------+---------+------------+----------+------------
                1          | 11      | 1       | 2146-12-15 | 3961     | 9
                1          | 11      | 2       | 2146-12-16 | 0sg0071  | 10
                1          | 11      | 3       |            | 3961     | 9
            """
        },
        """
            patient_id | procedure_date | code_system | code    | excluded_reason
            -----------+----------------+-------------+---------+------------------
            mimic_iv:1 | 2146-12-15     | ICD9PCS     | 3961    |
            mimic_iv:1 | 2146-12-16     | ICD10PCS    | 0SG0071 |
            mimic_iv:1 |                | ICD9PCS     | 3961    | day_not_delivered
        """,
    )


# Pain


def test_a_pain_score_stays_as_charted_words_and_number(check):
    check(
        "pain_score",
        {
            "chartevents": """
                subject_id | charttime           | itemid | value             | valuenum
                -----------+---------------------+--------+-------------------+---------
                1          | 2180-07-23 14:15:00 | 223791 | Mild to Moderate. | 4
                1          | 2180-07-23 15:15:00 | 224409 | "None "           | 0
                1          | 2180-07-23 15:16:00 | 220045 | 88                | 88
            """
        },
        """
            scored_at           | recall          | instrument | setting | score_text        | score | excluded_reason
            --------------------+-----------------+------------+---------+-------------------+-------+-----------------
            2180-07-23 14:15:00 | now             | NRS        | icu     | Mild to Moderate. | 4     |
            2180-07-23 15:15:00 | after_treatment | NRS        | icu     | "None "           | 0     |
            2180-07-23 15:16:00 |                 |            | icu     | 88                | 88    | not_a_pain_score
        """,
    )


# Orders


def test_an_opioid_is_a_whole_word_and_never_a_part_of_one(check):
    check(
        "prescription",
        {
            "prescriptions": """
                drug                               | starttime
                -----------------------------------+--------------------
                OxyCODONE (Immediate Release)      | 2150-01-01 10:00:00
                "OxycoDONE (Immediate Release) "   | 2150-01-01 10:00:00
                OxyCODONE--Acetaminophen (5mg-325mg) | 2150-01-01 10:00:00
                MS Contin                          | 2150-01-01 10:00:00
                Guaifenesin-CODEINE Phosphate      | 2150-01-01 10:00:00
                Belladonna & Opium (16.2/30mg)     | 2150-01-01 10:00:00
                Ipratropium Bromide Neb            | 2150-01-01 10:00:00
                Tiotropium Bromide                 | 2150-01-01 10:00:00
                Naloxone                           | 2150-01-01 10:00:00
                Methylnaltrexone                   | 2150-01-01 10:00:00
                Naltrexone                         | 2150-01-01 10:00:00
                Apomorphine                        | 2150-01-01 10:00:00
            """
        },
        """
            source_row | excluded_reason
            -----------+----------------
            1          |
            2          |
            3          |
            4          |
            5          |
            6          |
            7          | not_an_opioid
            8          | not_an_opioid
            9          | not_an_opioid
            10         | not_an_opioid
            11         | not_an_opioid
            12         | not_an_opioid
        """,
    )


def test_a_national_drug_code_of_0_is_none(check):
    check(
        "prescription",
        {
            "prescriptions": """
                subject_id | pharmacy_id | drug     | ndc
                -----------+-------------+----------+------------
                1          | 21          | morphine | 00054023525
                1          | 22          | morphine | 0
                1          | 23          | morphine |
            """
        },
        """
            prescription_id           | ndc
            --------------------------+------------
            mimic_iv:drawn.csv:1      | 00054023525
            mimic_iv:drawn.csv:2      |
            mimic_iv:drawn.csv:3      |
        """,
    )


def test_the_strength_of_the_product_joins_the_drug_text(check):
    check(
        "prescription",
        {
            "prescriptions": """
                drug                    | prod_strength    | dose_val_rx | dose_unit_rx
                ------------------------+------------------+-------------+-------------
                Oxycodone-Acetaminophen | 5mg/325mg Tablet | 1-2         | TAB
                "TraMADOL (Ultram) "    |                  | 50          | mg
            """
        },
        """
            record_kind | drug_text                                | dose_low | dose_high | dose_unit
            ------------+------------------------------------------+----------+-----------+----------
            order       | Oxycodone-Acetaminophen 5mg/325mg Tablet | 1        | 2         | TAB
            order       | TraMADOL (Ultram)                        | 50       | 50        | mg
        """,
    )


def test_a_range_has_two_ends_and_a_number_is_both(check):
    check(
        "prescription",
        {
            "prescriptions": """
                drug     | starttime           | dose_val_rx | dose_unit_rx
                ---------+---------------------+-------------+-------------
                Morphine | 2150-01-01 10:00:00 | 5-10        | mg
                Morphine | 2150-01-01 10:00:00 | 0.125       | mg
                Morphine | 2150-01-01 10:00:00 | 1,000       | mcg
                Morphine | 2150-01-01 10:00:00 | 10-5        | mg
                Morphine | 2150-01-01 10:00:00 | ___         | mg
                Morphine | 2150-01-01 10:00:00 | 5-          | mg
                Morphine | 2150-01-01 10:00:00 |             | mg
                Morphine | 2150-01-01 10:00:00 | 5           |
            """
        },
        """
            source_row | dose_low | dose_high | dose_unknown_reason | excluded_reason
            -----------+----------+-----------+---------------------+----------------
            1          | 5        | 10        |                     |
            2          | 0.125    | 0.125     |                     |
            3          | 1000     | 1000      |                     |
            4          |          |           | dose_not_readable   |
            5          |          |           | dose_not_readable   |
            6          |          |           | dose_not_readable   |
            7          |          |           | dose_not_ordered    |
            8          |          |           | unit_not_ordered    |
        """,
    )


def test_the_container_of_a_drip_or_a_pump_is_no_dose(check):
    check(
        "prescription",
        {
            "prescriptions": """
                drug             | prod_strength             | dose_val_rx | dose_unit_rx | route
                -----------------+---------------------------+-------------+--------------+--------
                Fentanyl Citrate | 2.5mg / 50 mL Premix Bag  | 2.5         | mg           | IV DRIP
                HYDROmorphone    | 20 mg / 100 mL Premix Bag | 20          | mg           | IVPCA
                HYDROmorphone    | 250 mL CADD Med Cassette  | 2500        | mcg          | ED
                Fentanyl Citrate | 2.5mg / 50 mL Premix Bag  | 25-100      | mcg          | IV
                Fentanyl Patch   | 25mcg/hr  Patch           | 25          | mcg/h        | TD
            """
        },
        """
            route_text | dose_low | dose_high | dose_unknown_reason           | excluded_reason
            -----------+----------+-----------+-------------------------------+----------------
            IV DRIP    |          |           | ordered_as_infusion           |
            IVPCA      |          |           | ordered_as_patient_controlled |
            ED         |          |           | ordered_as_infusion           |
            IV         | 25       | 100       |                               |
            TD         | 25       | 25        |                               |
        """,
    )


def test_an_order_that_stops_before_it_starts_keeps_its_row_without_dose_and_end(check):
    check(
        "prescription",
        {
            "prescriptions": """
                drug      | starttime           | stoptime            | dose_val_rx | dose_unit_rx
                ----------+---------------------+---------------------+-------------+-------------
                Methadone | 2143-03-12 16:00:00 | 2143-03-12 15:00:00 | 5           | mg
                Methadone | 2143-03-12 16:00:00 | 2143-03-12 16:00:00 | 5           | mg
            """
        },
        """
            start_date | end_date   | dose_low | dose_unknown_reason  | excluded_reason
            -----------+------------+----------+----------------------+----------------
            2143-03-12 |            |          | stopped_before_start |
            2143-03-12 | 2143-03-12 | 5        |                      |
        """,
    )


def test_a_stop_at_midnight_ends_the_day_before(check):
    check(
        "prescription",
        {
            "prescriptions": """
                drug      | starttime           | stoptime
                ----------+---------------------+--------------------
                Methadone | 2150-01-01 10:00:00 | 2150-01-03 00:00:00
                Methadone | 2150-01-01 10:00:00 | 2150-01-03 01:00:00
                Methadone | 2150-01-01 00:00:00 | 2150-01-01 00:00:00
                Methadone | 2150-01-01 00:00:00 |
            """
        },
        """
            source_row | start_date | end_date
            -----------+------------+-----------
            1          | 2150-01-01 | 2150-01-02
            2          | 2150-01-01 | 2150-01-03
            3          | 2150-01-01 | 2150-01-01
            4          | 2150-01-01 |
        """,
    )


def test_the_frequency_gives_doses_per_day_and_as_needed(check):
    check(
        "prescription",
        {
            "prescriptions": """
                pharmacy_id | drug      | starttime           | doses_per_24_hrs
                ------------+-----------+---------------------+-----------------
                1           | Methadone | 2150-01-01 10:00:00 |
                2           | Methadone | 2150-01-01 10:00:00 | 3
                3           | Methadone | 2150-01-01 10:00:00 | 0
                4           | Methadone | 2150-01-01 10:00:00 | 1
                5           | Methadone | 2150-01-01 10:00:00 |
                6           | Methadone | 2150-01-01 10:00:00 | 4
                7           | Methadone | 2150-01-01 10:00:00 | 0
            """,
            "pharmacy": """
                pharmacy_id | frequency
                ------------+----------
                1           | Q4H:PRN
                2           | Q 8H
                3           | Q48H
                4           | ONCE MR1
                5           | ASDIR
                6           | EVERY FULL MOON
            """,
        },
        """
            source_row | doses_per_day | is_as_needed
            -----------+---------------+-------------
            1          | 6             | true
            2          | 3             | false
            3          | 0.5           | false
            4          | 2             | true
            5          |               | false
            6          | 4             |
            7          |               |
        """,
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.none() | st.text(alphabet="0123456789-., _e+", max_size=8), min_size=1, max_size=50))
def test_an_ordered_dose_is_an_ordered_pair_or_says_why_not(doses):
    columns = ["drug", "starttime", "dose_val_rx", "dose_unit_rx"]
    rows = [["Morphine", "2150-01-01 10:00:00", dose, "mg"] for dose in doses]
    connection = _mapped("prescription", {"prescriptions": (columns, rows)})
    mapped = connection.execute(
        "select dose_low, dose_high, dose_unknown_reason from mapped order by source_row"
    ).fetchall()
    assert len(mapped) == len(doses)
    for low, high, reason in mapped:
        assert (low is None) == (high is None) == (reason is not None)
        assert low is None or low <= high


# Administrations: the eMAR


def _emar(rows):
    """Entries of one patient's eMAR, drawn without the columns that are the same for all."""
    names, drawn = _drawn(rows)
    fixed = {"subject_id": "1", "charttime": "2150-01-01 10:00:00", "medication": "Morphine Sulfate"}
    missing = [name for name in fixed if name not in names]
    return [*names, *missing], [[*row, *(fixed[name] for name in missing)] for row in drawn]


def _amounts(emar, detail):
    connection = _mapped("administration", {"emar": _emar(emar), "emar_detail": _drawn(detail)})
    return connection.execute(
        "select administration_id, amount, amount_unit, amount_unknown_reason from mapped order by source_row"
    ).fetchall()


def test_the_doses_of_the_products_scanned_add_up():
    assert _amounts(
        """
            emar_id | event_txt
            --------+-------------
            1-1     | Administered
            1-2     | Administered
            1-3     | Administered
        """,
        """
            emar_id | parent_field_ordinal | dose_given | dose_given_unit
            --------+----------------------+------------+----------------
            1-1     |                      |            |
            1-1     | 1.1                  | 5          | mg
            1-1     | 1.2                  | 2.5        | MG
            1-1     | 1.10                 | 0.1        | mg
            1-2     | 1.1                  | 0          | mg
            1-3     | 1.1                  | 1,250.5    | mcg
        """,
    ) == [
        ("mimic_iv:1-1", 7.6, "MG", None),
        ("mimic_iv:1-2", 0.0, "mg", None),
        ("mimic_iv:1-3", 1250.5, "mcg", None),
    ]


def test_a_dose_that_cannot_be_read_leaves_the_whole_amount_unknown():
    amounts = _amounts(
        """
            emar_id | event_txt
            --------+-------------
            1-1     | Administered
            1-2     | Administered
            1-3     | Administered
            1-4     | Administered
            1-5     | Administered
            1-6     | Administered Bolus from IV Drip
        """,
        """
            emar_id | parent_field_ordinal | dose_given | dose_given_unit
            --------+----------------------+------------+---------------------------
            1-1     | 1.1                  | ___        |
            1-1     | 1.2                  | 5          | mg
            1-2     | 1.1                  |            | mg
            1-2     | 1.2                  | 5          | mg
            1-3     | 1.1                  | 5          | mg
            1-3     | 1.2                  | 5          | mcg
            1-4     | 1.1                  | 5          |
            1-6     | 1.1                  | 50         | % of current infusion rate
        """,
    )
    assert [(name, amount, reason) for name, amount, _, reason in amounts] == [
        ("mimic_iv:1-1", None, "dose_not_readable"),
        ("mimic_iv:1-2", None, "dose_not_charted"),
        ("mimic_iv:1-3", None, "units_differ"),
        ("mimic_iv:1-4", None, "unit_not_charted"),
        ("mimic_iv:1-5", None, "dose_not_charted"),
        ("mimic_iv:1-6", None, "unit_not_an_amount"),
    ]


def test_entries_that_give_nothing_are_left_out_each_with_its_reason(check):
    check(
        "administration",
        {
            "emar": """
                subject_id | emar_id | charttime           | medication       | event_txt
                -----------+---------+---------------------+------------------+-----------------------
                1          | 1-1     | 2150-01-01 10:00:00 | Morphine Sulfate | Not Given
                1          | 1-2     | 2150-01-01 10:00:00 | Morphine Sulfate | Hold Dose
                1          | 1-3     | 2150-01-01 10:00:00 | Morphine Sulfate | Stopped - Unscheduled
                1          | 1-4     | 2150-01-01 10:00:00 | Morphine Sulfate | Not Assessed
                1          | 1-5     | 2150-01-01 10:00:00 | Morphine Sulfate | Delayed Administered
                1          | 1-6     | 2150-01-01 10:00:00 | Naloxone         | Administered
                1          | 1-7     | 2150-01-01 10:00:00 |                  | Administered
            """
        },
        """
            administration_id | excluded_reason
            ------------------+----------------
            mimic_iv:1-1      | not_given
            mimic_iv:1-2      | held
            mimic_iv:1-3      | stopped
            mimic_iv:1-4      | not_assessed
            mimic_iv:1-5      |
            mimic_iv:1-6      | not_an_opioid
            mimic_iv:1-7      | drug_not_named
        """,
    )


def test_an_entry_without_an_event_is_kept_with_an_unknown_amount():
    amounts = _amounts(
        """
            emar_id | event_txt
            --------+-----------
            1-1     |
            1-2     | "Delayed "
            1-3     | Levitated
        """,
        """
            emar_id | parent_field_ordinal | dose_given | dose_given_unit
            --------+----------------------+------------+----------------
            1-1     | 1.1                  | 5          | mg
        """,
    )
    assert [(amount, reason) for _, amount, _, reason in amounts] == [(None, "event_not_recorded")] * 3


def test_one_entry_a_day_stands_for_an_infusion_that_runs(check):
    check(
        "administration",
        {
            "emar": """
                subject_id | emar_id | poe_id | charttime           | medication    | event_txt
                -----------+---------+--------+---------------------+---------------+--------------
                1          | 1-1     | 1-9    | 2150-01-01 08:00:00 | HYDROmorphone | Not Assessed
                1          | 1-2     | 1-9    | 2150-01-01 12:00:00 | HYDROmorphone | Assessed
                1          | 1-3     | 1-9    | 2150-01-01 10:00:00 | HYDROmorphone | Started
                1          | 1-4     | 1-9    | 2150-01-01 23:59:00 | HYDROmorphone | Confirmed
                1          | 1-5     | 1-9    | 2150-01-02 00:00:00 | HYDROmorphone | Assessed
                1          | 1-6     | 1-9    | 2150-01-02 04:00:00 | HYDROmorphone | Stopped
                1          | 1-7     | 1-8    | 2150-01-01 12:00:00 | HYDROmorphone | Assessed
            """,
            "emar_detail": """
                emar_id | administration_type
                --------+--------------------
                1-3     | PCA
            """,
        },
        """
            administration_id | route_text | amount | amount_unknown_reason       | excluded_reason
            ------------------+------------+--------+-----------------------------+----------------
            mimic_iv:1-1      |            |        | dose_not_charted            | not_assessed
            mimic_iv:1-2      |            |        | infusion_amount_not_charted | assessed
            mimic_iv:1-3      | pca        |        | infusion_amount_not_charted |
            mimic_iv:1-4      |            |        | infusion_amount_not_charted | confirmed
            mimic_iv:1-5      |            |        | infusion_amount_not_charted |
            mimic_iv:1-6      |            |        | dose_not_charted            | stopped
            mimic_iv:1-7      |            |        | infusion_amount_not_charted |
        """,
    )


def test_the_route_charted_comes_before_the_route_ordered():
    emar = """
        emar_id | poe_id | pharmacy_id | event_txt
        --------+--------+-------------+--------------------------------
        1-1     | 1-9    | 90          | Administered
        1-2     | 1-9    | 90          | Administered
        1-3     | 1-9    |             | Administered
        1-4     | 1-7    |             | Administered
        1-5     | 1-8    |             | Administered
        1-6     | 1-8    |             | Administered Bolus from IV Drip
    """
    detail = """
        emar_id | administration_type             | route
        --------+---------------------------------+------
        1-1     | Standard Maintenance Medication | NG
        1-2     | Standard Maintenance Medication |
        1-5     | Standard Maintenance Medication |
        1-6     | Bolus Dose from IV Drip         |
    """
    orders = """
        pharmacy_id | poe_id | drug     | route
        ------------+--------+----------+------
        90          | 1-9    | Morphine | PO/NG
        70          | 1-7    | Morphine | PO
        71          | 1-7    | Morphine | IV
    """
    connection = _mapped(
        "administration",
        {"emar": _emar(emar), "emar_detail": _drawn(detail), "prescriptions": _drawn(orders)},
    )
    routes = connection.execute("select route_text from mapped order by source_row").fetchall()
    assert [route for [route] in routes] == ["NG", "PO/NG", "PO/NG", None, None, "bolus dose from iv drip"]


# Administrations: intensive care, and what both records hold


def test_intensive_care_gives_the_amount_between_two_times_whatever_the_rate(check):
    check(
        "administration",
        {
            "inputevents": """
                orderid | itemid | starttime           | endtime             | amount | amountuom | rate
                --------+--------+---------------------+---------------------+--------+-----------+------
                1       | 7      | 2150-01-01 11:15:00 | 2150-01-01 11:16:00 | 1.25   | mg        | 75000
                2       | 8      | 2150-01-01 12:00:00 | 2150-01-01 12:01:00 | 50     | mcg       |
                3       | 8      | 2150-01-01 12:00:00 | 2150-01-01 12:01:00 |        | mcg       |
                4       | 8      | 2150-01-01 12:00:00 | 2150-01-01 12:01:00 | 50     |           |
            """,
            "d_items": """
                itemid | label
                -------+-----------------------
                7      | Fentanyl (Concentrate)
                8      | Fentanyl
            """,
        },
        """
            administration_id | started_at          | ended_at            | amount | amount_unknown_reason
            ------------------+---------------------+---------------------+--------+----------------------
            mimic_iv:1:7      | 2150-01-01 11:15:00 | 2150-01-01 11:16:00 | 1.25   |
            mimic_iv:2:8      | 2150-01-01 12:00:00 | 2150-01-01 12:01:00 | 50     |
            mimic_iv:3:8      | 2150-01-01 12:00:00 | 2150-01-01 12:01:00 |        | dose_not_charted
            mimic_iv:4:8      | 2150-01-01 12:00:00 | 2150-01-01 12:01:00 |        | unit_not_charted
        """,
    )


def test_a_rewritten_row_of_intensive_care_was_never_given(check):
    check(
        "administration",
        {
            "inputevents": """
                orderid | itemid | amount | amountuom | statusdescription
                --------+--------+--------+-----------+------------------
                1       | 8      | 50     | mcg       | FinishedRunning
                2       | 8      | 50     | mcg       | Rewritten
                3       | 8      | 50     | mcg       | Stopped
                4       | 8      | 50     | mcg       |
                5       | 9      | 50     | mcg       | Rewritten
            """,
            "d_items": """
                itemid | label
                -------+---------
                8      | Fentanyl
                9      | Heparin
            """,
        },
        """
            source_row | excluded_reason
            -----------+----------------
            1          |
            2          | rewritten
            3          |
            4          |
            5          | not_an_opioid
        """,
    )


def test_the_label_of_an_item_says_whether_it_is_an_opioid(check):
    check(
        "administration",
        {
            "inputevents": """
                subject_id | orderid | itemid | amount | amountuom | ordercategoryname
                -----------+---------+--------+--------+-----------+------------------
                1          | 2       | 7      | 50     | mcg       | 01-Drips
                1          | 2       | 8      | 500    | ml        | 01-Drips
                1          | 3       | 9      | 1      | mg        | 05-Med Bolus
            """,
            "d_items": """
                itemid | label
                -------+-----------------------
                7      | Fentanyl (Concentrate)
                8      | NaCl 0.9%
            """,
        },
        """
            patient_id | drug_text              | route_text   | amount_unit | excluded_reason
            -----------+------------------------+--------------+-------------+----------------
            mimic_iv:1 | Fentanyl (Concentrate) | 01-Drips     | mcg         |
            mimic_iv:1 | NaCl 0.9%              | 01-Drips     | ml          | not_an_opioid
            mimic_iv:1 |                        | 05-Med Bolus | mg          | not_an_opioid
        """,
    )


def _recorded_twice(emar, detail=None, prescriptions=None, statusdescription=""):
    """Which of one patient's eMAR entries count as recorded in intensive care.

    The stay is on 1 January 2150 from 06:00 to 18:00, with morphine pushed at 10:00 and a fentanyl drip from
    12:00 to 14:00. A second push of morphine at 18:20 stands just outside of it.
    """
    drawn = {
        "icustays": """
            stay_id | intime              | outtime
            --------+---------------------+--------------------
            5       | 2150-01-01 06:00:00 | 2150-01-01 18:00:00
        """,
        "d_items": """
            itemid | label
            -------+-----------------------
            7      | Fentanyl (Concentrate)
            8      | Morphine Sulfate
        """,
        "inputevents": f"""
            subject_id | stay_id | orderid | itemid | starttime           | endtime             | rate | statusdescription
            -----------+---------+---------+--------+---------------------+---------------------+------+------------------
            1          | 5       | 1       | 8      | 2150-01-01 10:00:00 | 2150-01-01 10:01:00 |      | {statusdescription}
            1          | 5       | 2       | 7      | 2150-01-01 12:00:00 | 2150-01-01 14:00:00 | 50   |
            1          | 5       | 3       | 8      | 2150-01-01 18:20:00 | 2150-01-01 18:21:00 |      |
        """,
    }
    drawn |= {"emar_detail": detail} if detail else {}
    drawn |= {"prescriptions": prescriptions} if prescriptions else {}
    delivered = {name: _drawn(drawing) for name, drawing in drawn.items()} | {"emar": _emar(emar)}
    connection = _mapped("administration", delivered)
    rows = connection.execute(
        "select source_table, excluded_reason = 'recorded_in_inputevents' from mapped order by source_row"
    ).fetchall()
    assert not any(is_twice for table, is_twice in rows if table == "inputevents")
    return [bool(is_twice) for table, is_twice in rows if table == "emar"]


def test_a_dose_within_half_an_hour_of_a_push_is_the_same_dose():
    assert _recorded_twice(
        """
            emar_id | event_txt    | charttime
            --------+--------------+--------------------
            1-1     | Administered | 2150-01-01 09:29:00
            1-2     | Administered | 2150-01-01 09:30:00
            1-3     | Administered | 2150-01-01 10:30:00
            1-4     | Administered | 2150-01-01 10:31:00
        """
    ) == [False, True, True, False]


@pytest.mark.parametrize(("statusdescription", "is_twice"), [("FinishedRunning", True), ("Rewritten", False)])
def test_a_dose_is_not_recorded_twice_where_the_second_record_was_rewritten(statusdescription, is_twice):
    entry = "emar_id | event_txt | charttime\n-\n1-1 | Administered | 2150-01-01 10:00:00"
    assert _recorded_twice(entry, statusdescription=statusdescription) == [is_twice]


def test_another_patient_drug_or_place_is_another_dose():
    assert _recorded_twice(
        """
            emar_id | event_txt    | charttime           | subject_id | medication
            --------+--------------+---------------------+------------+------------------------
            1-1     | Administered | 2150-01-01 10:00:00 | 1          | Morphine Infusion
            2-1     | Administered | 2150-01-01 10:00:00 | 2          | Morphine Sulfate
            1-2     | Administered | 2150-01-01 10:00:00 | 1          | HYDROmorphone (Dilaudid)
            1-3     | Administered | 2150-01-01 18:01:00 | 1          | Morphine Sulfate
        """
    ) == [True, False, False, False]


def test_a_dose_by_mouth_is_never_the_one_in_the_vein():
    assert _recorded_twice(
        """
            emar_id | event_txt    | poe_id
            --------+--------------+-------
            1-1     | Administered | 1-8
            1-2     | Administered | 1-9
            1-3     | Administered |
        """,
        prescriptions="""
            subject_id | pharmacy_id | poe_id | drug     | route
            -----------+-------------+--------+----------+------
            1          | 80          | 1-8    | Morphine | IV
            1          | 90          | 1-9    | Morphine | PO/NG
        """,
    ) == [True, False, True]


def test_an_infusion_is_the_same_as_an_infusion_and_a_push_as_a_push():
    assert _recorded_twice(
        """
            emar_id | event_txt                       | charttime           | medication
            --------+---------------------------------+---------------------+-----------------
            1-1     | Confirmed                       | 2150-01-01 11:29:00 | Fentanyl Citrate
            1-2     | Started                         | 2150-01-01 11:30:00 | Fentanyl Citrate
            1-3     | Confirmed                       | 2150-01-01 14:30:00 | Fentanyl Citrate
            1-4     | Confirmed                       | 2150-01-01 14:31:00 | Fentanyl Citrate
            1-5     | Administered Bolus from IV Drip | 2150-01-01 13:00:00 | Fentanyl Citrate
            1-6     | Started                         | 2150-01-01 10:00:00 | Morphine Sulfate
        """
    ) == [False, True, True, False, False, False]


def test_a_pump_of_the_patients_own_or_an_epidural_is_never_in_intensive_care():
    assert _recorded_twice(
        """
            emar_id | event_txt | charttime           | medication
            --------+-----------+---------------------+-----------------
            1-1     | Started   | 2150-01-01 12:00:00 | Fentanyl Citrate
            1-2     | Started   | 2150-01-01 12:00:00 | Fentanyl Citrate
            1-3     | Started   | 2150-01-01 12:00:00 | Fentanyl Citrate
        """,
        """
            emar_id | administration_type
            --------+--------------------
            1-1     | IV Infusion
            1-2     | PCA
            1-3     | Epidural
        """,
    ) == [True, False, False]


def test_an_entry_without_an_event_is_matched_by_what_it_charts():
    assert _recorded_twice(
        """
            emar_id | event_txt | charttime           | medication
            --------+-----------+---------------------+-----------------
            1-1     |           | 2150-01-01 10:00:00 | Morphine Sulfate
            1-2     |           | 2150-01-01 13:00:00 | Fentanyl Citrate
            1-3     |           | 2150-01-01 13:00:00 | Fentanyl Citrate
        """,
        """
            emar_id | parent_field_ordinal | dose_given | dose_given_unit
            --------+----------------------+------------+----------------
            1-1     | 1.1                  | 2          | mg
            1-2     | 1.1                  |            |
            1-3     | 1.1                  | 50         | mcg
        """,
    ) == [True, True, False]


# Adjuvants


def test_an_order_is_an_adjuvant_by_the_whole_words_of_its_text(check):
    check(
        "adjuvant",
        {
            "prescriptions": """
                subject_id | drug                            | prod_strength
                -----------+---------------------------------+--------------
                1          | Gabapentin                      | 300mg Capsule
                1          | Naloxone                        | 0.4mg/mL Vial
                1          | Methylnaltrexone                |
                1          | Lisinopril                      |
                1          | Buprenorphine-Naloxone (8mg-2mg) |
                1          | Oxycodone-Acetaminophen         |
                1          | Morphine-Naltrexone (Embeda)    |
                1          | Methadone                       |
            """
        },
        """
        source_row | drug_text                        | excluded_reason
        -----------+----------------------------------+----------------
        1          | Gabapentin 300mg Capsule         |
        2          | Naloxone 0.4mg/mL Vial           |
        3          | Methylnaltrexone                 |
        4          | Lisinopril                       | not_an_adjuvant
        5          | Buprenorphine-Naloxone (8mg-2mg) | opioid_product
        6          | Oxycodone-Acetaminophen          | opioid_product
        7          | Morphine-Naltrexone (Embeda)     | opioid_product
        8          | Methadone                        | opioid_product
        """,
    )


def test_an_adjuvant_order_has_its_days_and_dose(check):
    check(
        "adjuvant",
        {
            "prescriptions": """
                subject_id | pharmacy_id | drug       | starttime           | stoptime            | dose_val_rx | dose_unit_rx | route
                -----------+-------------+------------+---------------------+---------------------+-------------+--------------+------
                1          | 5           | Gabapentin | 2150-01-01 08:00:00 | 2150-01-04 00:00:00 | 300-600     | mg           | PO
                1          | 6           | Gabapentin | 2150-01-01 08:00:00 | 2150-01-01 07:00:00 | x           | mg           | PO
            """,
            "pharmacy": "pharmacy_id | frequency\n-\n5 | Q8H",
        },
        """
        source_row | record_kind | start_date | end_date   | dose_low | dose_high | dose_unit | doses_per_day | route_text | excluded_reason
        -----------+-------------+------------+------------+----------+-----------+-----------+---------------+------------+----------------
        1          | order       | 2150-01-01 | 2150-01-03 | 300      | 600       | mg        | 3             | PO         |
        2          | order       | 2150-01-01 |            |          |           | mg        |               | PO         |
        """,
    )
