"""Whether the dates of one patient were shifted by one constant: constant shifts change nothing, others show."""

from datetime import date, timedelta
from random import Random

import pytest

from tests.conftest import CONTRACTS, select

TABLE = "quality.date_shift"
DAY = date(2020, 1, 6)
DATED = {
    "prescription": ("prescription_id", "start_date"),
    "pain_score": ("pain_score_id", "scored_at"),
    "procedure": ("procedure_id", "procedure_date"),
}


def events(table, patients=40, moved=lambda patient: 0, days=(0, 45)):
    """Events of patients on days of their own, moved by some days."""
    name, dated = DATED[table]
    lines = [f"{name} | patient_index | source | {dated}", "-"]
    for patient in range(patients):
        for day in days:
            at = DAY + timedelta(days=day + patient * 3 + moved(patient))
            lines.append(f"{table}{patient}-{day} | {patient} | north | {at}")
    return "\n".join(lines)


def people(patients=40, moved=lambda patient: 0, **columns):
    lines = ["patient_id | patient_index | source | observation_start_date | observation_end_date | death_date", "-"]
    for patient in range(patients):
        start = DAY + timedelta(days=patient * 3 + moved(patient))
        end = start + timedelta(days=45)
        lines.append(f"n{patient} | {patient} | north | {start} | {end} | {end}")
    return "\n".join(lines)


def given(patient=None, **tables):
    return {"clean.patient": patient or people()} | {f"clean.{table}": drawing for table, drawing in tables.items()}


def verdicts(rows):
    lines = ["test | table_name | other_table | at_risk_count | broken_count | verdict", "-"]
    return "\n".join([*lines, *rows])


WHOLE = [
    "calendar    | ''           | ''           | 1   | 0 | holds",
    "observation | pain_score   | ''           | 80  | 0 | holds",
    "observation | prescription | ''           | 80  | 0 | holds",
    "death       | pain_score   | ''           | 80  | 0 | holds",
    "death       | prescription | ''           | 80  | 0 | holds",
    "span        | pain_score   | prescription | 40  | 0 | holds",
    "same_day    | pain_score   | prescription | 80  | 0 | holds",
]


@pytest.mark.parametrize(
    "shift", [lambda patient: 0, lambda patient: 400 * patient - 3000, lambda patient: 7 * patient]
)
def test_one_constant_per_patient_breaks_nothing(shift, check_sql):
    tables = given(
        people(moved=shift),
        prescription=events("prescription", moved=shift),
        pain_score=events("pain_score", moved=shift),
    )
    check_sql(TABLE, given=tables, then=verdicts(WHOLE), settings={"shifted_sources": ["north"]})


def test_a_table_that_is_a_year_and_more_apart_is_of_another_shift(check_sql):
    tables = given(prescription=events("prescription"), pain_score=events("pain_score", moved=lambda patient: 600))
    expected = [
        "calendar    | ''           | ''           | 1   | 0   | holds",
        "observation | pain_score   | ''           | 80  | 80 | broken",
        "observation | prescription | ''           | 80  | 0   | holds",
        "death       | pain_score   | ''           | 80  | 80 | broken",
        "death       | prescription | ''           | 80  | 0   | holds",
        "span        | pain_score   | prescription | 40  | 40  | broken",
        "same_day    | pain_score   | prescription | 0   | 0   | not_shown",
    ]
    check_sql(TABLE, given=tables, then=verdicts(expected), settings={"shifted_sources": ["north"]})


def without_observation(patients=40):
    return "\n".join(" | ".join(line.split(" | ")[:3]) for line in people(patients).splitlines())


@pytest.mark.parametrize("days", [-28, -11, -7, -1, 1, 11, 28])
def test_a_table_that_is_apart_by_days_is_found_by_the_days_that_meet(days, check_sql):
    """Nothing is out of bounds: only days that should meet tell."""
    tables = given(
        without_observation(),
        prescription=events("prescription"),
        pain_score=events("pain_score", moved=lambda patient: days),
    )
    expected = [
        "calendar | ''         | ''           | 1   | 0   | holds",
        "span     | pain_score | prescription | 40  | 0   | holds",
        "same_day | pain_score | prescription | 80  | 80 | broken",
    ]
    check_sql(TABLE, given=tables, then=verdicts(expected), settings={"shifted_sources": ["north"]})


@pytest.mark.parametrize("days", [-29, 29])
def test_a_table_that_is_further_apart_meets_on_no_day_and_shows_nothing(days, check_sql):
    tables = given(
        without_observation(),
        prescription=events("prescription", days=(0,)),
        procedure=events("procedure", days=(0,), moved=lambda patient: days),
    )
    expected = [
        "calendar | ''           | ''        | 1  | 0  | holds",
        "span     | prescription | procedure | 40 | 0  | holds",
        "same_day | prescription | procedure | 0  | 0  | not_shown",
    ]
    check_sql(TABLE, given=tables, then=verdicts(expected), settings={"shifted_sources": ["north"]})


def test_a_shift_of_each_row_by_itself_shows_nothing_and_is_warned_of():
    random, drawn = Random(7), {}
    for table in ("prescription", "pain_score"):
        name, dated = DATED[table]
        lines = [f"{name} | patient_index | source | {dated}", "-"]
        for patient in range(200):
            for visit in range(12):
                at = DAY + timedelta(days=30 * visit + random.randint(-60, 60))
                lines.append(f"{table}{patient}-{visit} | {patient} | north | {at}")
        drawn[table] = "\n".join(lines)
    connection = select(TABLE, given=given(without_observation(200), **drawn), settings={"shifted_sources": ["north"]})
    found = dict(connection.sql(f"select test, verdict from {TABLE} where test in ('span', 'same_day')").fetchall())
    assert found == {"span": "holds", "same_day": "not_shown"}
    assert warned(connection) == ["It cannot be shown"]


def warned(connection):
    """The first words of the warnings that the contract gives."""
    return [
        " ".join(expectation.why.split()[:4])
        for expectation in CONTRACTS[TABLE].expectations
        if connection.sql(expectation.unexpected_rows_query.replace("{batch}", TABLE)).fetchall()
    ]


def test_days_in_a_row_of_a_stay_do_not_hide_the_day_on_which_tables_meet():
    week = tuple(range(5))
    tables = given(prescription=events("prescription", days=week), pain_score=events("pain_score", days=week))
    connection = select(TABLE, given=tables, settings={"shifted_sources": ["north"]})
    assert connection.sql(f"select verdict from {TABLE} where test = 'same_day'").fetchall() == [("holds",)]
    assert warned(connection) == []
    moved = given(
        prescription=events("prescription", days=week),
        pain_score=events("pain_score", days=week, moved=lambda patient: 11),
    )
    connection = select(TABLE, given=moved, settings={"shifted_sources": ["north"]})
    assert connection.sql(f"select verdict from {TABLE} where test = 'same_day'").fetchall() == [("broken",)]


def fills(gaps, patients=30, days_supply=30, kind="dispensing"):
    """Fills of one drug, the gaps being those of the patients in turn."""
    lines = ["prescription_id | patient_index | source | record_kind | drug_text | start_date | days_supply", "-"]
    for patient in range(patients):
        second = DAY + timedelta(days=gaps[patient % len(gaps)])
        lines += [
            f"{patient}-{at} | {patient} | north | {kind} | drug | {at} | {days_supply}" for at in sorted({DAY, second})
        ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("gaps", "counts"),
    [
        ([30], (30, 0, "holds")),
        ([27], (30, 0, "holds")),
        ([33], (30, 0, "holds")),
        ([26], (0, 0, "not_shown")),
        ([34], (0, 0, "not_shown")),
        ([30, 30, 13], (20, 10, "not_shown")),
        ([41], (30, 30, "not_shown")),
        ([47], (30, 30, "not_shown")),
        ([48], (0, 0, "not_shown")),
        ([0], None),
    ],
)
def test_next_fills_stand_out_when_the_supply_ends_or_show_nothing(gaps, counts):
    connection = select(
        TABLE, given=given(without_observation(), prescription=fills(gaps)), settings={"shifted_sources": ["north"]}
    )
    query = f"select at_risk_count, broken_count, verdict from {TABLE} where test = 'refill'"
    assert connection.sql(query).fetchall() == ([counts] if counts else [])
    assert warned(connection)[-1:] == ([] if counts and counts[2] == "holds" else ["It cannot be shown"])


def test_fewer_than_thirty_refills_and_orders_show_nothing():
    for drawing, found in ((fills([30], patients=29), [("not_shown",)]), (fills([30], kind="order"), [])):
        connection = select(
            TABLE, given=given(without_observation(), prescription=drawing), settings={"shifted_sources": ["north"]}
        )
        assert connection.sql(f"select verdict from {TABLE} where test = 'refill'").fetchall() == found


def test_refills_that_hold_do_not_speak_for_a_table_that_meets_no_other():
    tables = given(without_observation(), prescription=fills([30]), procedure=events("procedure", days=(200,)))
    connection = select(TABLE, given=tables, settings={"shifted_sources": ["north"]})
    assert warned(connection) == ["It cannot be shown"]


def test_a_shift_by_other_amounts_in_each_patient_and_table_shows_nothing(check_sql):
    tables = given(
        prescription=events("prescription"), procedure=events("procedure", moved=lambda patient: 8 + patient % 3)
    )
    expected = [
        "calendar    | ''           | ''           | 1   | 0  | holds",
        "observation | prescription | ''           | 80  | 0  | holds",
        "observation | procedure    | ''           | 80  | 40 | broken",
        "death       | prescription | ''           | 80  | 0  | holds",
        "death       | procedure    | ''           | 80  | 0  | holds",
        "span        | prescription | procedure    | 40  | 0  | holds",
        "same_day    | prescription | procedure    | 28  | 28 | not_shown",
    ]
    check_sql(TABLE, given=tables, then=verdicts(expected), settings={"shifted_sources": ["north"]})


@pytest.mark.parametrize(
    ("patients", "verdict"),
    [(29, "not_shown"), (30, "holds")],
)
def test_fewer_than_thirty_show_nothing(patients, verdict, check_sql):
    tables = given(
        people(patients),
        prescription=events("prescription", patients, days=(0,)),
        pain_score=events("pain_score", patients, days=(0,)),
    )
    others = [
        row.replace("80", str(patients)).replace("40 ", f"{patients} ").replace("holds", verdict) for row in WHOLE[1:]
    ]
    check_sql(TABLE, given=tables, then=verdicts([WHOLE[0], *others]), settings={"shifted_sources": ["north"]})


@pytest.mark.parametrize(("slips", "verdict"), [(4, "holds"), (5, "broken")])
def test_a_slip_in_twenty_is_no_shift(slips, verdict, check_sql):
    tables = given(prescription=events("prescription", moved=lambda patient: 0))
    lines = tables["clean.prescription"].splitlines()
    lines[2 : 2 + slips] = [" | ".join([*line.split(" | ")[:3], "1990-01-01"]) for line in lines[2 : 2 + slips]]
    lines = [line.replace("1990-01-01", f"1990-01-{number:02d}") for number, line in enumerate(lines)]
    expected = [
        "calendar    | ''           | '' | 1   | 0       | holds",
        f"observation | prescription | '' | 80  | {slips} | {verdict}",
        "death       | prescription | '' | 80  | 0       | holds",
    ]
    tables["clean.prescription"] = "\n".join(lines)
    check_sql(TABLE, given=tables, then=verdicts(expected), settings={"shifted_sources": []})


@pytest.mark.parametrize(
    ("year", "said", "is_shifted", "verdict"),
    [
        (2099, [], False, "holds"),
        (2100, [], True, "broken"),
        (2100, ["north"], True, "holds"),
        (2020, ["north"], True, "holds"),
    ],
)
def test_dates_of_a_century_to_come_are_shifted_whatever_the_study_says(year, said, is_shifted, verdict, check_sql):
    then = f"test | is_shifted | verdict\n-\ncalendar | {is_shifted} | {verdict}"
    one = f"prescription_id | patient_index | source | start_date\n-\na | 0 | north | {year}-01-01"
    check_sql(TABLE, given={"clean.prescription": one}, then=then, settings={"shifted_sources": said})
