"""Days and dose of a record: what is known, what is not, and why."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import product

import duckdb
import polars as pl
import pytest

from pipelines import warehouse
from tests.conftest import PARAMETERS, draw, select, sql_file

AMOUNT, TABLE = "trajectory.record_amount", "trajectory.record_dose"

PRODUCTS = """
    drug_text    | ingredient    | strength | strength_unit | route       | form     | release  | reason
    -------------+---------------+----------+---------------+-------------+----------+----------+-------------------
    oxycodone 5  | oxycodone     | 5        | MG            | oral        | tablet   |          |
    oxycodone ER | oxycodone     | 10       | MG            | oral        | tablet   | extended |
    oxycodone    | oxycodone     |          |               |             |          |          | no_strength
    morphine mix | morphine      | 2        | MG/ML         | oral        | solution |          |
    morphine mcg | morphine      | 500      | MCG           | oral        | tablet   |          |
    morphine iv  | morphine      | 10       | MG/ML         | parenteral  |          |          |
    patch 25     | fentanyl      | 25       | MCG/HR        | transdermal | patch    | extended |
    patch 37.5   | fentanyl      | 37.5     | MCG/HR        | transdermal | patch    | extended |
    patch rxnorm | fentanyl      | 0.0375   | MG/HR         | transdermal | patch    | extended |
    patch in mg  | fentanyl      | 4.2      | MG            | transdermal | patch    | extended |
    ionsys       | fentanyl      | 0.04     | MG/ACTUAT     | transdermal | patch    | extended |
    bup patch    | buprenorphine | 10       | MCG/HR        | transdermal | patch    | extended |
    bup          | buprenorphine |          |               |             |          |          | no_strength
    meperidine   | meperidine    | 50       | MG            | oral        | tablet   |          |
    two numbers  | oxycodone     |          |               | oral        | tablet   |          | several_strengths
    no unit      | hydrocodone   | 5        |               | oral        | tablet   |          | no_strength_unit
    two opioids  |               |          |               |             |          |          | several_opioids
    no route     | oxycodone     | 5        | MG            |             |          |          | no_route
    epidural     | morphine      | 1        | MG/ML         | epidural    |          |          |
"""


@pytest.fixture
def check(check_sql):
    """Compare doses of drawn prescriptions, administrations and coverage of the products above."""

    def check(then, prescription="", administration="", coverage="", settings=None):
        given = {"trajectory.drug_product": PRODUCTS, "clean.source_coverage": coverage}
        given |= {"clean.prescription": prescription, "clean.administration": administration}
        check_sql(AMOUNT, TABLE, given=given, then=then, settings=settings)

    return check


# Dispensings


def test_a_dispensing_is_spread_evenly_from_its_first_to_its_last_day(check):
    check(
        prescription="""
            prescription_id | record_kind | patient_index | drug_text    | start_date | quantity | days_supply
            ----------------+-------------+---------------+--------------+------------+----------+------------
            a               | dispensing  | 7             | oxycodone ER | 2024-02-28 | 60       | 30
            b               | dispensing  | 8             | oxycodone 5  | 2024-02-28 | 2        | 1
        """,
        then="""
            record_id | record_kind | patient_index | ingredient | route | release  | start_date | end_date   | dose_micro_mme | days_supply | is_in_timeline | reason | factor_set
            ----------+-------------+---------------+------------+-------+----------+------------+------------+----------------+-------------+----------------+--------+-----------
            a         | dispensing  | 7             | oxycodone  | oral  | extended | 2024-02-28 | 2024-03-28 | 30000000       | 30          | true           |        | cdc_2022
            b         | dispensing  | 8             | oxycodone  | oral  |          | 2024-02-28 | 2024-02-28 | 15000000       | 1           | true           |        | cdc_2022
        """,
    )


def test_strength_counts_in_whatever_unit_it_comes(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text    | strength | strength_unit | route_text | start_date | quantity | days_supply
            ----------------+-------------+--------------+----------+---------------+------------+------------+----------+------------
            ml              | dispensing  | morphine mix |          |               |            | 2024-01-01 | 450      | 30
            mcg             | dispensing  | morphine mcg |          |               |            | 2024-01-01 | 60       | 30
            g               | dispensing  | oxycodone    | 0.005    | g             | po         | 2024-01-01 | 60       | 30
            spaced          | dispensing  | morphine mix | 2        | MG / mL       |            | 2024-01-01 | 450      | 30
        """,
        then="""
            record_id | dose_micro_mme | reason
            ----------+----------------+-------
            ml        | 30000000       |
            mcg       | 1000000        |
            g         | 15000000       |
            spaced    | 30000000       |
        """,
    )


def test_a_third_of_a_milligram_per_millilitre_loses_nothing():
    third = 10 / 15
    connection = select(
        AMOUNT,
        TABLE,
        given={
            "trajectory.drug_product": """
                drug_text | ingredient  | strength | route | form     | reason
                ----------+-------------+----------+-------+----------+-----------------
                no unit   | hydrocodone | 5        | oral  | solution | no_strength_unit
            """,
            "clean.prescription": f"""
                prescription_id | record_kind | drug_text | strength | strength_unit | route_text | start_date | quantity | days_supply
                ----------------+-------------+-----------+----------+---------------+------------+------------+----------+------------
                a               | dispensing  | no unit   | {third!r} | mg/mL        | po         | 2024-01-01 | 450      | 30
            """,
        },
    )
    assert connection.sql(f"select dose_micro_mme, reason from {TABLE}").fetchall() == [(10_000_000, None)]


def test_the_delivered_strength_wins_over_the_text_and_the_text_fills_the_gap(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text    | strength | strength_unit | start_date | quantity | days_supply
            ----------------+-------------+--------------+----------+---------------+------------+----------+------------
            delivered       | dispensing  | two numbers  | 10       | mg            | 2024-01-01 | 60       | 30
            agreeing        | dispensing  | oxycodone 5  | 5        | mg            | 2024-01-01 | 60       | 30
            text            | dispensing  | oxycodone 5  |          |               | 2024-01-01 | 60       | 30
            no_unit         | dispensing  | oxycodone 5  | 500      |               | 2024-01-01 | 60       | 30
            zero            | dispensing  | oxycodone 5  | 0        | mg            | 2024-01-01 | 60       | 30
        """,
        then="""
            record_id | dose_micro_mme
            ----------+---------------
            delivered | 30000000
            agreeing  | 15000000
            text      | 15000000
            no_unit   | 15000000
            zero      | 15000000
        """,
    )


def test_a_strength_that_contradicts_the_text_is_believed_in_neither_beyond_one_percent(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text    | strength | strength_unit | start_date | quantity | days_supply
            ----------------+-------------+--------------+----------+---------------+------------+----------+------------
            other           | dispensing  | oxycodone 5  | 10       | mg            | 2024-01-01 | 60       | 30
            per_ml          | dispensing  | morphine mix | 10       | mg            | 2024-01-01 | 60       | 30
            rounded         | dispensing  | morphine mix | 2.02     | mg/ml         | 2024-01-01 | 30       | 30
            rounded_down    | dispensing  | morphine mix | 1.98     | mg/ml         | 2024-01-01 | 30       | 30
            too_far         | dispensing  | morphine mix | 2.021    | mg/ml         | 2024-01-01 | 30       | 30
            patch           | dispensing  | patch 25     | 50       | mcg/hr        | 2024-01-01 | 10       | 30
        """,
        then="""
            record_id | dose_micro_mme | reason
            ----------+----------------+--------------------------
            other     |                | strength_contradicts_text
            per_ml    |                | strength_contradicts_text
            rounded   | 2020000        |
            rounded_down | 1980000     |
            too_far   |                | strength_contradicts_text
            patch     |                | strength_contradicts_text
        """,
    )


def test_the_delivered_route_wins_and_one_nobody_has_mapped_is_unknown(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | route_text     | start_date | quantity | days_supply
            ----------------+-------------+-------------+----------------+------------+----------+------------
            mapped          | dispensing  | no route    | PO             | 2024-01-01 | 60       | 30
            wins            | dispensing  | oxycodone 5 | iv             | 2024-01-01 | 60       | 30
            unmapped        | dispensing  | oxycodone 5 | by carrier owl | 2024-01-01 | 60       | 30
            nowhere         | dispensing  | no route    |                | 2024-01-01 | 60       | 30
        """,
        then="""
            record_id | route      | dose_micro_mme | reason
            ----------+------------+----------------+--------------------
            mapped    | oral       | 15000000       |
            wins      | parenteral |                | no_factor_for_route
            unmapped  |            |                | unknown_route
            nowhere   |            |                | no_route
        """,
    )


def test_what_a_dispensing_lacks_is_a_reason_and_never_a_guess(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | strength | strength_unit | route_text | start_date | quantity | days_supply
            ----------------+-------------+-------------+----------+---------------+------------+------------+----------+------------
            no_quantity     | dispensing  | oxycodone 5 |          |               | po         | 2024-01-01 |          | 30
            zero_quantity   | dispensing  | oxycodone 5 |          |               | po         | 2024-01-01 | 0        | 30
            no_strength     | dispensing  | oxycodone   |          |               | po         | 2024-01-01 | 60       | 30
            several         | dispensing  | two numbers |          |               | po         | 2024-01-01 | 60       | 30
            no_unit         | dispensing  | no unit     | 5        |               | po         | 2024-01-01 | 60       | 30
            strange_unit    | dispensing  | oxycodone 5 | 5        | grain         | po         | 2024-01-01 | 60       | 30
            two_opioids     | dispensing  | two opioids | 5        | mg            | po         | 2024-01-01 | 60       | 30
            not_read        | dispensing  | never read  | 5        | mg            | po         | 2024-01-01 | 60       | 30
            absurd          | dispensing  | oxycodone 5 |          |               | po         | 2024-01-01 | 1e300    | 30
            endless         | dispensing  | oxycodone 5 |          |               | po         | 2024-01-01 | inf      | 30
            endless_patches | dispensing  | patch 25    |          |               | td         | 2024-01-01 | inf      | 30
            billion         | dispensing  | oxycodone 5 |          |               | po         | 2024-01-01 | 133333334 | 30
            just_below      | dispensing  | oxycodone 5 |          |               | po         | 2024-01-01 | 133333333 | 30
            not_a_number    | dispensing  | oxycodone 5 |          |               | po         | 2024-01-01 | nan      | 30
        """,
        then="""
            record_id     | end_date   | dose_micro_mme | is_in_timeline | reason
            --------------+------------+----------------+----------------+------------------
            no_quantity   | 2024-01-30 |                | true           | no_quantity
            zero_quantity | 2024-01-30 |                | true           | zero_quantity
            no_strength   | 2024-01-30 |                | true           | no_strength
            several       | 2024-01-30 |                | true           | several_strengths
            no_unit       | 2024-01-30 |                | true           | no_strength_unit
            strange_unit  | 2024-01-30 |                | true           | unknown_unit
            two_opioids   | 2024-01-30 |                | true           | several_opioids
            not_read      | 2024-01-30 |                | true           | text_not_read
            absurd        | 2024-01-30 |                | true           | dose_out_of_range
            endless       | 2024-01-30 |                | true           | dose_out_of_range
            endless_patches | 2024-01-30 |              | true           | dose_out_of_range
            billion       | 2024-01-30 |                | true           | dose_out_of_range
            just_below    | 2024-01-30 | 33333333250000 | true           |
            not_a_number  | 2024-01-30 |                | true           | dose_out_of_range
        """,
    )


def test_without_a_days_supply_only_the_first_day_is_known_to_be_covered_and_its_dose_is_not(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | start_date | quantity | days_supply
            ----------------+-------------+-------------+------------+----------+------------
            missing         | dispensing  | oxycodone 5 | 2024-01-01 | 60       |
            zero            | dispensing  | oxycodone 5 | 2024-01-01 | 60       | 0
            patches         | dispensing  | patch 25    | 2024-01-01 | 10       |
            ten_years       | dispensing  | oxycodone 5 | 2024-01-01 | 3660     | 3660
            longer          | dispensing  | oxycodone 5 | 2024-01-01 | 3661     | 3661
            longest         | dispensing  | oxycodone 5 | 2024-01-01 | 60       | 2147483647
        """,
        then="""
            record_id | start_date | end_date   | days_supply | dose_micro_mme | is_in_timeline | reason
            ----------+------------+------------+-------------+----------------+----------------+-------------------------
            missing   | 2024-01-01 | 2024-01-01 |             |                | true           | no_days_supply
            zero      | 2024-01-01 | 2024-01-01 |             |                | true           | days_supply_not_positive
            patches   | 2024-01-01 | 2024-01-01 |             |                | true           | no_days_supply
            ten_years | 2024-01-01 | 2034-01-07 | 3660        | 7500000        | true           |
            longer    | 2024-01-01 | 2024-01-01 |             |                | true           | days_supply_out_of_range
            longest   | 2024-01-01 | 2024-01-01 |             |                | true           | days_supply_out_of_range
        """,
    )


# Factors


def test_what_the_set_cannot_convert_is_unknown_and_still_covers_its_days(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | route_text | start_date | quantity | days_supply
            ----------------+-------------+-------------+------------+------------+----------+------------
            left_out        | dispensing  | bup patch   |            | 2024-01-01 | 4        | 28
            left_out_bare   | dispensing  | bup         |            | 2024-01-01 | 4        | 28
            not_in_set      | dispensing  | meperidine  |            | 2024-01-01 | 60       | 30
            epidural        | dispensing  | epidural    |            | 2024-01-01 | 60       | 30
            rectal          | dispensing  | oxycodone 5 | pr         | 2024-01-01 | 60       | 30
        """,
        then="""
            record_id     | end_date   | dose_micro_mme | is_in_timeline | reason
            --------------+------------+----------------+----------------+-------------------------
            left_out      | 2024-01-28 |                | true           | not_converted
            left_out_bare | 2024-01-28 |                | true           | oud_medication_not_counted
            not_in_set    | 2024-01-30 |                | true           | no_factor_for_ingredient
            epidural      | 2024-01-30 |                | true           | neuraxial_not_counted
            rectal        | 2024-01-30 |                | true           | no_factor_for_route
        """,
    )


def test_only_the_factors_of_the_named_set_count_and_the_row_that_says_most_wins(check_sql):
    prescription = """
        prescription_id | record_kind | drug_text   | start_date | quantity | days_supply
        ----------------+-------------+-------------+------------+----------+------------
        a               | dispensing  | oxycodone 5 | 2024-01-01 | 30       | 30
    """
    factors = """
        factor_set | ingredient | route | form     | dose_unit | factor
        -----------+------------+-------+----------+-----------+-------
        mine       | oxycodone  | any   | any      | any       |
        mine       | oxycodone  | oral  | any      | MG        | 2
        mine       | oxycodone  | oral  | tablet   | MG        | 3
        mine       | oxycodone  | oral  | solution | MG        | 4
        theirs     | oxycodone  | oral  | tablet   | MG        | 100
    """
    sets = [("mine", "15000000", ""), ("theirs", "500000000", ""), ("none", "", "no_factor_for_ingredient")]
    for factor_set, dose, reason in sets:
        check_sql(
            AMOUNT,
            TABLE,
            given={
                "clean.prescription": prescription,
                "trajectory.drug_product": PRODUCTS,
                "reference.mme_factor": factors,
            },
            settings={"factor_set": factor_set},
            then=f"""
                record_id | dose_micro_mme | reason   | factor_set
                ----------+----------------+----------+-----------
                a         | {dose}         | {reason} | {factor_set}
            """,
        )


@pytest.mark.parametrize(
    ("ingredient", "mg", "mme"),
    [
        ("codeine", 30, 4.5),
        ("hydrocodone", 10, 10),
        ("hydromorphone", 4, 20),
        ("methadone", 10, 47),
        ("morphine", 15, 15),
        ("oxycodone", 10, 15),
        ("oxymorphone", 10, 30),
        ("tapentadol", 50, 20),
        ("tramadol", 50, 10),
    ],
)
def test_the_factors_are_those_of_the_cdc_guideline_of_2022(check_sql, ingredient, mg, mme):
    check_sql(
        AMOUNT,
        TABLE,
        given={
            "clean.prescription": """
                prescription_id | record_kind | drug_text | start_date | quantity | days_supply
                ----------------+-------------+-----------+------------+----------+------------
                a               | dispensing  | tablet    | 2024-01-01 | 30       | 30
            """,
            "trajectory.drug_product": f"""
                drug_text | ingredient   | strength | strength_unit | route | form
                ----------+--------------+----------+---------------+-------+-------
                tablet    | {ingredient} | {mg}     | MG            | oral  | tablet
            """,
        },
        then=f"""
            dose_micro_mme
            --------------
            {round(mme * 1_000_000)}
        """,
    )


# Patches


def test_a_patch_of_37_5_mcg_an_hour_is_exactly_90_mme_in_either_spelling(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text    | strength | strength_unit | start_date | quantity | days_supply
            ----------------+-------------+--------------+----------+---------------+------------+----------+------------
            mcg             | dispensing  | patch 37.5   |          |               | 2024-01-01 | 10       | 30
            mg              | dispensing  | patch rxnorm |          |               | 2024-01-01 | 10       | 30
            delivered       | dispensing  | patch rxnorm | 37.5     | mcg/h         | 2024-01-01 | 10       | 30
        """,
        then="""
            record_id | dose_micro_mme
            ----------+---------------
            mcg       | 90000000
            mg        | 90000000
            delivered | 90000000
        """,
    )


def test_patches_last_three_days_each_and_no_longer_than_the_supply(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text | start_date | quantity | days_supply
            ----------------+-------------+-----------+------------+----------+------------
            three_days_each | dispensing  | patch 25  | 2024-01-01 | 10       | 30
            too_few         | dispensing  | patch 25  | 2024-01-01 | 5        | 30
            one             | dispensing  | patch 25  | 2024-01-01 | 1        | 30
            two_days_each   | dispensing  | patch 25  | 2024-01-01 | 15       | 30
            two_at_once     | dispensing  | patch 25  | 2024-01-01 | 20       | 30
            just_over       | dispensing  | patch 25  | 2024-01-01 | 16       | 30
            part_of_one     | dispensing  | patch 25  | 2024-01-01 | 0.2      | 30
        """,
        then="""
            record_id       | end_date   | days_supply | dose_micro_mme
            ----------------+------------+-------------+---------------
            three_days_each | 2024-01-30 | 30          | 60000000
            too_few         | 2024-01-15 | 15          | 60000000
            one             | 2024-01-03 | 3           | 60000000
            two_days_each   | 2024-01-30 | 30          | 60000000
            two_at_once     | 2024-01-30 | 30          | 120000000
            just_over       | 2024-01-30 | 30          | 96000000
            part_of_one     | 2024-01-01 | 1           | 60000000
        """,
    )


def test_a_patch_that_says_its_content_instead_of_its_rate_has_no_dose(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | start_date | quantity | days_supply
            ----------------+-------------+-------------+------------+----------+------------
            content         | dispensing  | patch in mg | 2024-01-01 | 10       | 30
            pressed         | dispensing  | ionsys      | 2024-01-01 | 10       | 30
        """,
        then="""
            record_id | dose_micro_mme | reason
            ----------+----------------+------------------
            content   |                | unit_does_not_fit
            pressed   |                | unit_does_not_fit
        """,
    )


# Administrations


def test_a_dose_by_mouth_counts_on_the_day_it_was_given(check):
    check(
        administration="""
            administration_id | patient_index | drug_text    | route_text | started_at          | amount | amount_unit
            ------------------+---------------+--------------+------------+---------------------+--------+------------
            mg                | 3             | oxycodone    | PO/NG      | 2150-03-01 23:59:59 | 10     | mg
            mcg               | 3             | oxycodone    | po         | 2150-03-01 00:00:00 | 500    | mcg
            tablets           | 3             | oxycodone 5  | po         | 2150-03-01 08:00:00 | 2      | TAB
            ml                | 3             | morphine mix | po         | 2150-03-01 08:00:00 | 5      | mL
            nothing           | 3             | oxycodone    | po         | 2150-03-01 08:00:00 | 0      | mg
        """,
        then="""
            record_id | record_kind    | patient_index | start_date | end_date   | days_supply | dose_micro_mme | is_in_timeline | reason
            ----------+----------------+---------------+------------+------------+-------------+----------------+----------------+-------
            mg        | administration | 3             | 2150-03-01 | 2150-03-01 |             | 15000000       | true           |
            mcg       | administration | 3             | 2150-03-01 | 2150-03-01 |             | 750000         | true           |
            tablets   | administration | 3             | 2150-03-01 | 2150-03-01 |             | 15000000       | true           |
            ml        | administration | 3             | 2150-03-01 | 2150-03-01 |             | 10000000       | true           |
            nothing   | administration | 3             | 2150-03-01 | 2150-03-01 |             | 0              | true           |
        """,
    )


def test_an_amount_over_several_days_is_spread_over_the_days_it_touches(check):
    check(
        administration="""
            administration_id | drug_text | route_text | started_at          | ended_at            | amount | amount_unit
            ------------------+-----------+------------+---------------------+---------------------+--------+------------
            over_midnight     | oxycodone | po         | 2024-01-01 22:00:00 | 2024-01-02 02:00:00 | 20     | mg
            till_midnight     | oxycodone | po         | 2024-01-01 22:00:00 | 2024-01-02 00:00:00 | 20     | mg
            one_minute        | oxycodone | po         | 2024-01-01 22:00:00 | 2024-01-01 22:01:00 | 20     | mg
            no_time           | oxycodone | po         | 2024-01-02 00:00:00 | 2024-01-02 00:00:00 | 20     | mg
            backwards         | oxycodone | po         | 2024-01-02 08:00:00 | 2024-01-01 08:00:00 | 20     | mg
        """,
        then="""
            record_id     | start_date | end_date   | dose_micro_mme
            --------------+------------+------------+---------------
            over_midnight | 2024-01-01 | 2024-01-02 | 15000000
            till_midnight | 2024-01-01 | 2024-01-01 | 30000000
            one_minute    | 2024-01-01 | 2024-01-01 | 30000000
            no_time       | 2024-01-02 | 2024-01-02 | 30000000
            backwards     | 2024-01-02 | 2024-01-02 | 30000000
        """,
    )


def test_a_patch_that_was_put_on_is_worn_for_three_days(check):
    check(
        administration="""
            administration_id | drug_text | route_text | started_at          | amount | amount_unit
            ------------------+-----------+------------+---------------------+--------+------------
            rate              | patch 25  | TD         | 2024-01-01 09:00:00 | 25     | mcg/hr
            patch             | patch 25  | TD         | 2024-01-01 09:00:00 | 1      | PTCH
            two               | patch 25  | TD         | 2024-01-01 09:00:00 | 2      | PTCH
        """,
        then="""
            record_id | start_date | end_date   | dose_micro_mme
            ----------+------------+------------+---------------
            rate      | 2024-01-01 | 2024-01-03 | 60000000
            patch     | 2024-01-01 | 2024-01-03 | 60000000
            two       | 2024-01-01 | 2024-01-03 | 120000000
        """,
    )


def test_what_an_administration_lacks_is_a_reason_on_its_days(check):
    check(
        administration="""
            administration_id | drug_text    | route_text | started_at          | ended_at            | amount | amount_unit
            ------------------+--------------+------------+---------------------+---------------------+--------+------------
            no_amount         | oxycodone 5  | po         | 2024-01-01 09:00:00 |                     |        | mg
            no_unit           | oxycodone 5  | po         | 2024-01-01 09:00:00 |                     | 5      |
            strange_unit      | oxycodone 5  | po         | 2024-01-01 09:00:00 |                     | 5      | DROP
            share_of_rate     | oxycodone 5  | po         | 2024-01-01 09:00:00 |                     | 50     | % of current infusion rate
            tablets_of_what   | oxycodone    | po         | 2024-01-01 09:00:00 |                     | 2      | TAB
            ml_of_a_tablet    | oxycodone 5  | po         | 2024-01-01 09:00:00 |                     | 2      | mL
            piece_of_a_mix    | morphine mix | po         | 2024-01-01 09:00:00 |                     | 2      | TAB
            rate_by_mouth     | oxycodone 5  | po         | 2024-01-01 09:00:00 |                     | 5      | mg/hr
            into_a_vein       | morphine iv  | IV         | 2024-01-01 09:00:00 | 2024-01-03 09:00:00 | 5      | mg
            epidural          | morphine iv  | ED         | 2024-01-01 09:00:00 |                     | 5      | mg
        """,
        then="""
            record_id       | start_date | end_date   | dose_micro_mme | is_in_timeline | reason
            ----------------+------------+------------+----------------+----------------+--------------------
            no_amount       | 2024-01-01 | 2024-01-01 |                | true           | no_amount
            no_unit         | 2024-01-01 | 2024-01-01 |                | true           | no_amount_unit
            strange_unit    | 2024-01-01 | 2024-01-01 |                | true           | unknown_unit
            share_of_rate   | 2024-01-01 | 2024-01-01 |                | true           | unknown_unit
            tablets_of_what | 2024-01-01 | 2024-01-01 |                | true           | no_strength
            ml_of_a_tablet  | 2024-01-01 | 2024-01-01 |                | true           | unit_does_not_fit
            piece_of_a_mix  | 2024-01-01 | 2024-01-01 |                | true           | unit_does_not_fit
            rate_by_mouth   | 2024-01-01 | 2024-01-01 |                | true           | unit_does_not_fit
            into_a_vein     | 2024-01-01 | 2024-01-03 |                | true           | no_factor_for_route
            epidural        | 2024-01-01 | 2024-01-01 |                | true           | neuraxial_not_counted
        """,
    )


def test_an_amount_that_its_source_left_unknown_keeps_the_reason_of_the_source(check):
    check(
        administration="""
            administration_id | drug_text   | route_text | started_at          | amount | amount_unit | amount_unknown_reason
            ------------------+-------------+------------+---------------------+--------+-------------+----------------------
            masked            | oxycodone 5 | po         | 2024-01-01 09:00:00 |        | mg          | dose_not_readable
            no_unit_either    | oxycodone 5 | po         | 2024-01-01 09:00:00 |        |             | unit_not_charted
            into_a_vein       | morphine iv | iv         | 2024-01-01 09:00:00 |        | mg          | dose_not_readable
        """,
        then="""
            record_id      | dose_micro_mme | is_in_timeline | reason
            ---------------+----------------+----------------+--------------------
            masked         |                | true           | dose_not_readable
            no_unit_either |                | true           | unit_not_charted
            into_a_vein    |                | true           | no_factor_for_route
        """,
    )


# Orders


ORDERS = """
    prescription_id | record_kind | source  | drug_text   | start_date | end_date   | quantity | days_supply
    ----------------+-------------+---------+-------------+------------+------------+----------+------------
    ward            | order       | ward    | oxycodone 5 | 2024-01-01 | 2024-01-05 |          |
    backwards       | order       | ward    | oxycodone 5 | 2024-01-03 | 2024-01-01 |          |
    ward_supply     | order       | ward    | oxycodone 5 | 2024-01-01 |            | 60       | 30
    clinic          | order       | clinic  | oxycodone 5 | 2024-01-01 | 2024-01-05 |          |
    clinic_open     | order       | clinic  | oxycodone 5 | 2024-01-01 |            | 60       |
    clinic_supply   | order       | clinic  | oxycodone 5 | 2024-01-01 |            | 60       | 30
    clinic_unread   | order       | clinic  | two numbers | 2024-01-01 |            | 60       | 30
    retail          | order       | retail  | oxycodone 5 | 2024-01-01 |            | 60       | 30
    filled          | dispensing  | retail  | oxycodone 5 | 2024-01-02 |            | 60       | 30
"""


def test_an_order_is_exposure_only_where_nothing_better_is_delivered_and_its_days_are_known(check):
    check(
        prescription=ORDERS,
        coverage="""
            source | table_name     | is_delivered | row_count
            -------+----------------+--------------+----------
            ward   | administration | true         | 1
            clinic | administration | true         | 0
            retail | administration | false        | 0
            clinic | pain_score     | true         | 9
        """,
        then="""
            record_id     | record_kind | end_date   | dose_micro_mme | is_in_timeline | reason
            --------------+-------------+------------+----------------+----------------+--------------------------
            ward          | order       | 2024-01-05 |                | false          | order_not_exposure
            backwards     | order       | 2024-01-03 |                | false          | order_not_exposure
            ward_supply   | order       | 2024-01-30 | 15000000       | false          | order_not_exposure
            clinic        | order       | 2024-01-05 |                | true           | no_quantity
            clinic_open   | order       | 2024-01-01 |                | false          | order_without_days_supply
            clinic_supply | order       | 2024-01-30 | 15000000       | true           |
            clinic_unread | order       | 2024-01-30 |                | true           | several_strengths
            retail        | order       | 2024-01-30 | 15000000       | false          | order_not_exposure
            filled        | dispensing  | 2024-01-31 | 15000000       | true           |
        """,
    )


def test_an_order_of_the_hospital_gives_way_to_doses_given_and_one_outside_to_dispensings(check):
    check(
        prescription="""
            prescription_id  | record_kind | care_setting | source | drug_text   | start_date | quantity | days_supply
            -----------------+-------------+--------------+--------+-------------+------------+----------+------------
            given_inpatient  | order       | inpatient    | given  | oxycodone 5 | 2024-01-01 | 60       | 30
            given_outpatient | order       | outpatient   | given  | oxycodone 5 | 2024-01-01 | 60       | 30
            given_unknown    | order       |              | given  | oxycodone 5 | 2024-01-01 | 60       | 30
            sold_inpatient   | order       | inpatient    | sold   | oxycodone 5 | 2024-01-01 | 60       | 30
            sold_outpatient  | order       | outpatient   | sold   | oxycodone 5 | 2024-01-01 | 60       | 30
            sold_unknown     | order       |              | sold   | oxycodone 5 | 2024-01-01 | 60       | 30
            sold             | dispensing  |              | sold   | oxycodone 5 | 2024-01-01 | 60       | 30
            both_inpatient   | order       | inpatient    | both   | oxycodone 5 | 2024-01-01 | 60       | 30
            both_outpatient  | order       | outpatient   | both   | oxycodone 5 | 2024-01-01 | 60       | 30
            both_unknown     | order       |              | both   | oxycodone 5 | 2024-01-01 | 60       | 30
            both             | dispensing  |              | both   | oxycodone 5 | 2024-01-01 | 60       | 30
            none_inpatient   | order       | inpatient    | none   | oxycodone 5 | 2024-01-01 | 60       | 30
            none_outpatient  | order       | outpatient   | none   | oxycodone 5 | 2024-01-01 | 60       | 30
            none_unknown     | order       |              | none   | oxycodone 5 | 2024-01-01 | 60       | 30
        """,
        coverage="""
            source | table_name     | is_delivered | row_count
            -------+----------------+--------------+----------
            given  | administration | true         | 1
            both   | administration | true         | 1
            sold   | administration | true         | 0
        """,
        then="""
            record_id        | is_in_timeline | reason
            -----------------+----------------+-------------------
            given_inpatient  | false          | order_not_exposure
            given_outpatient | true           |
            given_unknown    | false          | order_not_exposure
            sold_inpatient   | true           |
            sold_outpatient  | false          | order_not_exposure
            sold_unknown     | false          | order_not_exposure
            sold             | true           |
            both_inpatient   | false          | order_not_exposure
            both_outpatient  | false          | order_not_exposure
            both_unknown     | false          | order_not_exposure
            both             | true           |
            none_inpatient   | true           |
            none_outpatient  | true           |
            none_unknown     | true           |
        """,
    )


# Orders: single dose x doses a day


def test_an_ordered_dose_counts_by_its_higher_end_with_both_ends_beside_it(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text    | start_date | end_date   | dose_low | dose_high | dose_unit | doses_per_day | is_as_needed
            ----------------+-------------+--------------+------------+------------+----------+-----------+-----------+---------------+-------------
            fixed           | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 | 10       | 10        | mg        | 4             | false
            range           | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 | 5        | 10        | mg        | 4             | false
            in_tablets      | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 | 1        | 2         | TAB       | 4             | false
            in_ml           | order       | morphine mix | 2024-01-01 | 2024-01-05 | 5        | 5         | mL        | 2             | false
            as_needed       | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 | 5        | 10        | mg        | 4             | true
            one_number      | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 |          | 10        | mg        | 4             | false
            no_frequency    | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 | 10       | 10        | mg        |               | false
            no_unit         | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 | 10       | 10        |           | 4             | false
            odd_unit        | order       | oxycodone 5  | 2024-01-01 | 2024-01-05 | 10       | 10        | dose      | 4             | false
            patch           | order       | patch 25     | 2024-01-01 | 2024-01-06 | 1        | 1         | PTCH      | 0.3333333333  | false
            backwards       | order       | oxycodone 5  | 2024-01-05 | 2024-01-01 | 10       | 10        | mg        | 4             | false
        """,
        then="""
            record_id    | end_date   | low_dose_micro_mme | dose_micro_mme | high_dose_micro_mme | reason
            -------------+------------+--------------------+----------------+---------------------+------------------
            fixed        | 2024-01-05 | 60000000           | 60000000       | 60000000            |
            range        | 2024-01-05 | 30000000           | 60000000       | 60000000            |
            in_tablets   | 2024-01-05 | 30000000           | 60000000       | 60000000            |
            in_ml        | 2024-01-05 | 20000000           | 20000000       | 20000000            |
            as_needed    | 2024-01-05 | 0                  | 60000000       | 60000000            |
            one_number   | 2024-01-05 | 60000000           | 60000000       | 60000000            |
            no_frequency | 2024-01-05 |                    |                |                     | no_dose_frequency
            no_unit      | 2024-01-05 |                    |                |                     | no_amount_unit
            odd_unit     | 2024-01-05 |                    |                |                     | unknown_unit
            patch        | 2024-01-06 | 60000000           | 60000000       | 60000000            |
            backwards    | 2024-01-05 |                    |                |                     | end_before_start
        """,
    )


def test_a_quantity_that_was_dispensed_wins_over_what_was_ordered_and_keeps_its_bounds(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | start_date | quantity | days_supply | dose_low | dose_high | dose_unit | doses_per_day | is_as_needed
            ----------------+-------------+-------------+------------+----------+-------------+----------+-----------+-----------+---------------+-------------
            a               | dispensing  | oxycodone 5 | 2024-01-01 | 60       | 30          | 1        | 2         | tab       | 4             | false
            b               | dispensing  | oxycodone 5 | 2024-01-01 | 60       | 30          | 1        | 2         | tab       | 4             | true
        """,
        then="""
            record_id | low_dose_micro_mme | dose_micro_mme | high_dose_micro_mme
            ----------+--------------------+----------------+--------------------
            a         | 30000000           | 15000000       | 60000000
            b         | 0                  | 15000000       | 60000000
        """,
    )


def test_a_dose_that_its_source_could_not_read_keeps_the_reason_of_the_source(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | start_date | end_date   | dose_unknown_reason | doses_per_day
            ----------------+-------------+-------------+------------+------------+---------------------+--------------
            a               | order       | oxycodone 5 | 2024-01-01 | 2024-01-05 | ordered_as_infusion | 1
        """,
        then="""
            record_id | dose_micro_mme | reason
            ----------+----------------+--------------------
            a         |                | ordered_as_infusion
        """,
    )


# Numbers that cannot be


def test_what_a_number_cannot_be_is_a_reason_and_never_its_absolute_value(check):
    check(
        prescription="""
            prescription_id   | record_kind | drug_text   | route_text | strength | strength_unit | start_date | end_date   | quantity      | days_supply
            ------------------+-------------+-------------+------------+----------+---------------+------------+------------+---------------+------------
            reversal          | dispensing  | oxycodone 5 |            |          |               | 2024-01-01 |            | -60           | 30
            negative_days     | dispensing  | oxycodone 5 |            |          |               | 2024-01-01 |            | 60            | -30
            negative_strength | dispensing  | oxycodone 5 |            | -5       | mg            | 2024-01-01 |            | 60            | 30
            patch_in_mg       | dispensing  | patch 25    |            | 25       | mg            | 2024-01-01 |            | 10            | 30
            tablet_per_hour   | dispensing  | oxycodone   | po         | 5        | mcg/hr        | 2024-01-01 |            | 60            | 30
            billion           | dispensing  | oxycodone   | po         | 100000   | mg            | 2024-01-01 |            | 1000000       | 1
            beyond_numbers    | dispensing  | oxycodone   | po         | 1e300    | mg            | 2024-01-01 |            | 1e300         | 1
            days_from_end     | dispensing  | oxycodone 5 |            |          |               | 2024-01-01 | 2024-01-30 | 60            |
        """,
        then="""
            record_id         | end_date   | dose_micro_mme | reason
            ------------------+------------+----------------+--------------------------
            reversal          | 2024-01-30 |                | negative_quantity
            negative_days     | 2024-01-01 |                | days_supply_not_positive
            negative_strength | 2024-01-30 |                | negative_strength
            patch_in_mg       | 2024-01-30 |                | strength_contradicts_text
            tablet_per_hour   | 2024-01-30 |                | unit_does_not_fit
            billion           | 2024-01-01 |                | dose_out_of_range
            beyond_numbers    | 2024-01-01 |                | dose_out_of_range
            days_from_end     | 2024-01-30 | 15000000       |
        """,
    )


def test_a_strength_per_ml_fits_no_tablet_and_one_per_piece_no_liquid(check_sql):
    check_sql(
        AMOUNT,
        TABLE,
        given={
            "clean.prescription": """
                prescription_id | record_kind | drug_text | start_date | quantity | days_supply
                ----------------+-------------+-----------+------------+----------+------------
                tablet          | dispensing  | tablet    | 2024-01-01 | 30       | 30
                lozenge         | dispensing  | lozenge   | 2024-01-01 | 30       | 30
                solution        | dispensing  | solution  | 2024-01-01 | 300      | 30
                right           | dispensing  | right     | 2024-01-01 | 300      | 30
            """,
            "trajectory.drug_product": """
                drug_text | ingredient | strength | strength_unit | route  | form
                ----------+------------+----------+---------------+--------+---------
                tablet    | oxycodone  | 10       | MG/ML         | oral   | tablet
                lozenge   | fentanyl   | 100      | MCG/ML        | buccal | lozenge
                solution  | morphine   | 10       | MG            | oral   | solution
                right     | morphine   | 2        | MG/ML         | oral   | solution
            """,
        },
        settings={"factor_set": "cdc_2018"},
        then="""
            record_id | dose_micro_mme | reason
            ----------+----------------+------------------
            tablet    |                | unit_does_not_fit
            lozenge   |                | unit_does_not_fit
            solution  |                | unit_does_not_fit
            right     | 20000000       |
        """,
    )


def test_an_end_that_is_absurdly_far_is_no_days_supply(check):
    check(
        prescription="""
            prescription_id | record_kind | drug_text   | start_date | end_date   | quantity | days_supply
            ----------------+-------------+-------------+------------+------------+----------+------------
            at_limit        | dispensing  | oxycodone 5 | 2024-01-01 | 2034-01-07 | 3660     |
            beyond          | dispensing  | oxycodone 5 | 2024-01-01 | 2034-01-08 | 3660     |
        """,
        then="""
            record_id | dose_micro_mme | reason
            ----------+----------------+-------------------------
            at_limit  | 7500000        |
            beyond    |                | days_supply_out_of_range
        """,
    )


# Policies


def test_a_missing_days_supply_is_imputed_only_where_the_study_says_so(check):
    prescription = """
        prescription_id | record_kind | drug_text   | start_date | quantity | days_supply
        ----------------+-------------+-------------+------------+----------+------------
        missing         | dispensing  | oxycodone 5 | 2024-01-01 | 60       |
        zero            | dispensing  | oxycodone 5 | 2024-01-01 | 60       | 0
    """
    check(
        prescription=prescription,
        settings={"missing_days_supply": "imputed", "imputed_supply_days": 30},
        then="""
            record_id | end_date   | dose_micro_mme | reason
            ----------+------------+----------------+-------------------------
            missing   | 2024-01-30 | 15000000       |
            zero      | 2024-01-01 |                | days_supply_not_positive
        """,
    )


SPECIAL = """
    prescription_id | record_kind | drug_text          | is_oud_treatment | start_date | quantity | days_supply
    ----------------+-------------+--------------------+------------------+------------+----------+------------
    patch           | dispensing  | bup patch          |                  | 2024-01-01 | 4        | 28
    film            | dispensing  | bup film           |                  | 2024-01-01 | 60       | 30
    belbuca         | dispensing  | belbuca film       |                  | 2024-01-01 | 60       | 30
    clinic          | dispensing  | methadone          | true             | 2024-01-01 | 30       | 30
    pain            | dispensing  | methadone          |                  | 2024-01-01 | 30       | 30
    cough           | dispensing  | codeine guaifenesin |                 | 2024-01-01 | 300      | 30
    vein            | dispensing  | morphine iv        |                  | 2024-01-01 | 30       | 30
    spine           | dispensing  | epidural           |                  | 2024-01-01 | 30       | 30
"""
SPECIAL_PRODUCTS = """
    drug_text           | ingredient    | strength | strength_unit | route       | form
    --------------------+---------------+----------+---------------+-------------+---------
    bup patch           | buprenorphine | 10       | MCG/HR        | transdermal | patch
    bup film            | buprenorphine | 8        | MG            | sublingual  | film
    belbuca film        | buprenorphine | 0.15     | MG            | buccal      | film
    methadone           | methadone     | 10       | MG            | oral        | tablet
    codeine guaifenesin | codeine       | 2        | MG/ML         | oral        | solution
    morphine iv         | morphine      | 10       | MG/ML         | parenteral  |
    epidural            | morphine      | 1        | MG/ML         | epidural    |
"""
COUNTED = {
    "patch": "22000000 | true | ",
    "film": "620800000 | true | ",
    "belbuca": "11700000 | true | ",
    "clinic": "47000000 | true | ",
    "pain": "47000000 | true | ",
    "cough": "3000000 | true | ",
    "vein": " | true | no_factor_for_route",
    "spine": " | true | neuraxial_not_counted",
}


BUPRENORPHINE = ("patch", "film", "belbuca")


@pytest.mark.parametrize(
    ("policy", "changed"),
    [
        ({"oud_medication": "with"}, {}),
        (
            {},
            {"film": " | true | oud_medication_not_counted", "clinic": " | true | oud_medication_not_counted"},
        ),
        (
            {"oud_medication": "without"},
            {
                "film": "620800000 | false | oud_medication_excluded",
                "clinic": "47000000 | false | oud_medication_excluded",
            },
        ),
        (
            {"oud_medication": "with", "buprenorphine": "without"},
            {name: COUNTED[name].replace("true | ", "false | buprenorphine_excluded") for name in BUPRENORPHINE},
        ),
        (
            {"oud_medication": "with", "buprenorphine": "lower_bound"},
            dict.fromkeys(BUPRENORPHINE, " | true | buprenorphine_not_counted"),
        ),
        ({"oud_medication": "with", "antitussive": "without"}, {"cough": "3000000 | false | antitussive_excluded"}),
        ({"oud_medication": "with", "antitussive": "lower_bound"}, {"cough": " | true | antitussive_not_counted"}),
        ({"oud_medication": "with", "parenteral": "without"}, {"vein": " | false | parenteral_excluded"}),
        ({"oud_medication": "with", "neuraxial": "without"}, {"spine": " | false | neuraxial_excluded"}),
        ({"oud_medication": "with", "parenteral_factor_set": "uptodate_parenteral"}, {"vein": "30000000 | true | "}),
        (
            {"oud_medication": "with", "parenteral_factor_set": "anzca_2021", "parenteral": "lower_bound"},
            {"vein": " | true | parenteral_not_counted"},
        ),
    ],
)
def test_each_policy_moves_its_own_products_and_no_other(check_sql, policy, changed):
    given = {"trajectory.drug_product": SPECIAL_PRODUCTS, "clean.prescription": SPECIAL}
    rows = "\n".join(f"{record} | {told}" for record, told in (COUNTED | changed).items())
    check_sql(
        AMOUNT,
        TABLE,
        given=given,
        settings={"factor_set": "nih_heal_2025"} | policy,
        then=f"record_id | dose_micro_mme | is_in_timeline | reason\n-\n{rows}".replace("| \n", "|\n"),
    )


def test_a_row_names_the_set_its_factor_is_from(check_sql):
    check_sql(
        AMOUNT,
        TABLE,
        given={"trajectory.drug_product": SPECIAL_PRODUCTS, "clean.prescription": SPECIAL},
        settings={"factor_set": "cdc_2022", "parenteral_factor_set": "uptodate_parenteral"},
        then="""
            record_id | factor_set          | factor
            ----------+---------------------+-------
            patch     | cdc_2022            |
            film      | cdc_2022            |
            belbuca   | cdc_2022            |
            clinic    | cdc_2022            | 4.7
            pain      | cdc_2022            | 4.7
            cough     | cdc_2022            | 0.15
            vein      | uptodate_parenteral | 3
            spine     | cdc_2022            |
        """,
    )


@pytest.mark.parametrize(
    ("mg", "mme"),
    [(0.5, 2), (1, 4), (20, 80), (20.5, 164), (21, 168), (40, 320), (40.5, 405), (60, 600), (60.5, 726), (100, 1200)],
)
def test_the_factor_of_methadone_is_that_of_its_band_and_no_dose_falls_between_bands(check_sql, mg, mme):
    check_sql(
        AMOUNT,
        TABLE,
        given={
            "clean.prescription": """
                prescription_id | record_kind | drug_text | start_date | quantity | days_supply
                ----------------+-------------+-----------+------------+----------+------------
                a               | dispensing  | tablet    | 2024-01-01 | 30       | 30
            """,
            "trajectory.drug_product": f"""
                drug_text | ingredient | strength | strength_unit | route | form
                ----------+------------+----------+---------------+-------+-------
                tablet    | methadone  | {mg}     | MG            | oral  | tablet
            """,
        },
        settings={"factor_set": "cms_2018_tiered"},
        then=f"""
            dose_micro_mme          | tiered_micro_mg
            ------------------------+----------------
            {round(mme * 1_000_000)} | {round(mg * 1_000_000)}
        """,
    )


# Codes


def test_the_product_of_a_code_stands_in_where_the_text_does_not_say_all(check_sql):
    check_sql(
        AMOUNT,
        TABLE,
        given={
            "clean.prescription": """
                prescription_id | record_kind | drug_text   | ndc | start_date | quantity | days_supply
                ----------------+-------------+-------------+-----+------------+----------+------------
                text_says_all   | dispensing  | oxycodone 5 | 1   | 2024-01-01 | 60       | 30
                text_says_less  | dispensing  | oxycodone   | 1   | 2024-01-01 | 60       | 30
                text_unread     | dispensing  | no idea     | 1   | 2024-01-01 | 60       | 30
                code_unread     | dispensing  | oxycodone   | 2   | 2024-01-01 | 60       | 30
                nothing_read    | dispensing  | no idea     | 2   | 2024-01-01 | 60       | 30
            """,
            "trajectory.drug_code": """
                ndc | ndc11       | drug_text   | reason
                ----+-------------+-------------+-----------------
                1   | 00000000001 | morphine 15 |
                2   | 00000000002 |             | ndc_not_in_table
            """,
            "trajectory.drug_product": """
                drug_text   | ingredient | strength | strength_unit | route | reason
                ------------+------------+----------+---------------+-------+---------------
                oxycodone 5 | oxycodone  | 5        | MG            | oral  |
                oxycodone   | oxycodone  |          |               | oral  | no_strength
                no idea     |            |          |               |       | no_opioid_name
                morphine 15 | morphine   | 15       | MG            | oral  |
            """,
        },
        then="""
            record_id      | ingredient | dose_micro_mme | reason
            ---------------+------------+----------------+------------
            text_says_all  | oxycodone  | 15000000       |
            text_says_less | morphine   | 30000000       |
            text_unread    | morphine   | 30000000       |
            code_unread    | oxycodone  |                | no_strength
            nothing_read   |            |                | ndc_not_in_table
        """,
    )


# Nothing lost, nothing rounded twice


def test_every_prescription_and_administration_has_exactly_one_row():
    connection = select(
        AMOUNT,
        TABLE,
        given={
            "trajectory.drug_product": PRODUCTS,
            "clean.prescription": ORDERS,
            "clean.administration": """
                administration_id | source | drug_text  | started_at
                ------------------+--------+------------+--------------------
                1                 | ward   | never read | 2024-01-01 09:00:00
                2                 | ward   | patch 25   | 2024-01-01 09:00:00
            """,
            "clean.source_coverage": """
                source | table_name     | is_delivered | row_count
                -------+----------------+--------------+----------
                ward   | administration | true         | 2
            """,
        },
    )
    rows = connection.sql(f"select count(*), count(distinct record_id) from {TABLE}").fetchall()
    assert rows == [(11, 11)]


def half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


def test_the_dose_is_the_exact_fraction_rounded_half_up_to_a_millionth():
    strengths = ["0.5", "2.4", "2.5", "4.8355", "5", "7.5", "10", "12.5", "30", "37.5", "0.333", "20", "0.1", "15"]
    quantities = ["1", "3", "7", "10.5", "28", "30", "56", "90", "120", "473", "1000"]
    days = [1, 2, 3, 6, 7, 9, 11, 13, 28, 30, 31, 64, 90, 128, 365]
    factors = {"codeine": "0.15", "methadone": "4.7", "morphine": "1", "oxycodone": "1.5", "tramadol": "0.2"}
    grid = list(product(factors, strengths, quantities, days))
    expected = [
        half_up(Fraction(factors[name]) * Fraction(mg) * Fraction(count) * 1_000_000 / supply)
        for name, mg, count, supply in grid
    ]
    # Ties are in the grid: 30 mg of codeine over 64 days is 70,312.5 millionths.
    assert half_up(Fraction("0.15") * 30 * 1_000_000 / 64) == 70_313 in expected

    connection = duckdb.connect()
    for table in sql_file(AMOUNT).reads | sql_file(TABLE).reads:
        draw(connection, table)
    connection.execute(
        "insert into reference.mme_factor by name "
        "select unnest(?) as ingredient, unnest(?)::decimal(18, 9) as factor, 0 as above_mg_per_day, "
        "'cdc_2022' as factor_set, 'oral' as route, 'any' as form, 'MG' as dose_unit",
        [list(factors), list(factors.values())],
    )
    frame = pl.DataFrame(
        grid, schema=["drug_text", "strength", "quantity", "days_supply"], orient="row"
    ).with_row_index()
    connection.register("grid", frame)
    connection.execute(
        """
        insert into clean.prescription by name
        select
            index::varchar as prescription_id, 'dispensing' as record_kind, drug_text, 'mg' as strength_unit,
            strength::double as strength, quantity::double as quantity, days_supply, date '2024-01-01' as start_date
        from grid
        """
    )
    connection.execute(
        "insert into trajectory.drug_product by name "
        "select distinct drug_text, drug_text as ingredient, 'oral' as route from grid"
    )
    for table in (AMOUNT, TABLE):
        draw(connection, table)
        warehouse.insert(connection, sql_file(table), table, PARAMETERS)
    rows = connection.sql(f"select dose_micro_mme, end_date from {TABLE} order by record_id::integer").fetchall()
    assert [dose for dose, _ in rows] == expected
    assert [end for _, end in rows] == [date(2024, 1, 1) + timedelta(supply - 1) for *_, supply in grid]
