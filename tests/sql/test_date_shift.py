"""Whether the dates of one patient were shifted by one constant: constant shifts change nothing, others show."""

from datetime import date, timedelta

import pytest

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
    ]
    check_sql(TABLE, given=tables, then=verdicts(expected), settings={"shifted_sources": ["north"]})


@pytest.mark.parametrize("weeks", [-4, -1, 1, 4])
def test_a_table_that_is_apart_by_weeks_is_found_by_the_days_that_meet(weeks, check_sql):
    """Weekdays are the same and nothing is out of bounds: only days that should meet tell."""
    bare = people().replace("observation_start_date", "birth_year").splitlines()
    bare = [" | ".join(line.split(" | ")[:3]) for line in bare]
    tables = given(
        "\n".join(bare),
        prescription=events("prescription"),
        pain_score=events("pain_score", moved=lambda patient: 7 * weeks),
    )
    expected = [
        "calendar | ''         | ''           | 1   | 0   | holds",
        "span     | pain_score | prescription | 40  | 0   | holds",
        "same_day | pain_score | prescription | 80  | 80 | broken",
    ]
    check_sql(TABLE, given=tables, then=verdicts(expected), settings={"shifted_sources": ["north"]})


def test_a_shift_by_other_amounts_in_each_patient_and_table_leaves_no_day_that_meets(check_sql):
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
