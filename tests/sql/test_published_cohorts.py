"""Who is in each published cohort, and what of them its paper counts."""

from hashlib import md5

import pytest

from tests.sql.drawing import drawn

PATIENT = drawn("patient_index\n-\n1", patient_id="a", source="north", observation_start_date="D-900")


def followed(last: str) -> str:
    return drawn(f"last_date\n-\n{last}", patient_index=1)


def months(drawing: str, **same: object) -> str:
    """Months of patient 1 from D on."""
    usual = {"patient_index": 1, "is_long_term": True, "is_quarter_known": True, "is_quarter_stable": True} | {
        "is_year_stable": False,
        "quarter_mme": 60,
        "year_mme": 60,
        "covered_days": 30,
        "lower_bound_days": 0,
        "mean_mme": 60,
    }
    head = [name.strip() for name in drawing.strip().splitlines()[0].split("|")]
    return drawn(drawing, **{name: value for name, value in (usual | same).items() if name not in head})


def scores(*found: tuple[str, float], patient: int = 1) -> str:
    rows = "\n".join(f"{patient} | {on} | {nrs}" for on, nrs in found)
    return drawn(f"patient_index | score_date | pain_nrs\n-\n{rows}", setting="outpatient", is_masked=False)


# Morasco


@pytest.fixture
def morasco(check_sql):
    def check(then: str, event: str = "D+100", last: str = "D+729", rise: float = 90, pain: str = "", **month: object):
        given = {
            "clean.patient": PATIENT,
            "trajectory.therapy_month": months("month_number | start_date\n-\n3 | D+0", **month),
            "trajectory.follow_up": followed(last),
            "trajectory.opioid_event": drawn(
                f"event_date\n-\n{event}",
                patient_index=1,
                event="escalation",
                definition="morasco_2020",
                before_mme=60,
                after_mme=rise,
            ),
            "trajectory.pain_day": pain,
        }
        check_sql("episode.morasco_patient", given=given, then=drawn(then))

    return check


@pytest.mark.parametrize(("event", "counted"), [("D+0", "D+0"), ("D+729", "D+729"), ("D+730", ""), ("D-1", "")])
def test_morasco_counts_a_rise_within_two_years_of_a_stable_dose(morasco, event, counted):
    morasco(f"patient_index | escalation_date | failed_requirement\n-\n1 | {counted} |", event=event)


@pytest.mark.parametrize(("last", "reason"), [("D+729", ""), ("D+728", "follow_up_too_short")])
def test_morasco_asks_for_two_years_of_follow_up(morasco, last, reason):
    morasco(f"patient_index | failed_requirement\n-\n1 | {reason}", last=last)


@pytest.mark.parametrize("flag", ["is_long_term", "is_quarter_stable"])
def test_morasco_enters_stable_long_term_therapy_only(morasco, flag):
    morasco("failed_requirement\n-\nno_stable_dose", **{flag: False})


def test_the_rise_is_a_share_of_the_dose_before(morasco):
    morasco("rise_share\n-\n0.5", rise=90)


@pytest.mark.parametrize(
    ("before", "after", "is_improved"), [(10, 7, "true"), (10, 7.1, "false"), (0, 0, ""), (10, None, "")]
)
def test_pain_is_improved_when_it_fell_by_three_tenths(morasco, before, after, is_improved):
    found = [("D+10", before), ("D+99", before)] + ([("D+100", after), ("D+190", after)] if after is not None else [])
    found += [("D+9", 5), ("D+191", 5)]  # outside both windows
    morasco(f"patient_index | is_improved\n-\n1 | {is_improved}", pain=scores(*found))


# Henry


@pytest.mark.parametrize(
    ("after", "is_known", "is_escalated", "reason"),
    [
        (90, True, "true", ""),
        (89.999, True, "false", ""),
        (200, False, "", "supply_not_covered"),
    ],
)
def test_henry_compares_a_quarter_with_the_one_a_year_later(check_sql, after, is_known, is_escalated, reason):
    drawing = f"""
        month_number | start_date | quarter_mme | is_quarter_known
        -
        3            | D+0        | 60          | true
        4            | D+30       | 500         | true
        15           | D+360      | {after}     | {str(is_known).lower()}
    """
    then = f"patient_index | is_escalated | failed_requirement\n-\n1 | {is_escalated} | {reason}"
    given = {"clean.patient": PATIENT, "trajectory.therapy_month": months(drawing)}
    check_sql("episode.henry_patient", given=given, then=then)


def test_henry_asks_for_the_month_a_year_later(check_sql):
    given = {
        "clean.patient": PATIENT,
        "trajectory.therapy_month": months("month_number | start_date\n-\n3 | D+0\n14 | D+330"),
    }
    check_sql("episode.henry_patient", given=given, then="failed_requirement\n-\nfollow_up_too_short")


# Tapers


@pytest.fixture
def taper(check_sql):
    def check(doses: list[float], then: str, rotation: str = "", year_mme: float = 60, unknown: int | None = None):
        rows = "\n".join(
            f"{12 + place} | D+{30 * place} | D+{30 * place + 29} | {dose} | {'true' if place == 0 else 'false'} "
            f"| {int(place == unknown)} | {year_mme}"
            for place, dose in enumerate(doses)
        )
        head = "month_number | start_date | end_date | mean_mme | is_year_stable | lower_bound_days | year_mme"
        given = {
            "clean.patient": PATIENT,
            "trajectory.therapy_month": months(f"{head}\n-\n{rows}"),
            "trajectory.opioid_switch": rotation
            and drawn(f"switch_date\n-\n{rotation}", patient_index=1, event="rotation"),
        }
        check_sql("episode.taper_patient", given=given, then=drawn(then))

    return check


KEPT = [60.0] * 7


@pytest.mark.parametrize(("low", "is_tapered"), [(51, "true"), (51.001, "false")])
@pytest.mark.parametrize("at", [0, 3, 5])
def test_a_taper_is_a_fall_by_15_percent_in_any_two_months_of_seven(taper, low, is_tapered, at):
    doses = list(KEPT)
    doses[at] = doses[at + 1] = low
    taper(doses, f"is_tapered | failed_requirement | patient_index\n-\n{is_tapered} | | 1")


def test_months_without_supply_are_months_of_no_dose(check_sql):
    rows = "\n".join(
        f"{12 + place} | D+{30 * place} | {'' if place > 4 else 60} | {0 if place > 4 else 30} | {str(place == 0).lower()}"
        for place in range(7)
    )
    given = {
        "clean.patient": PATIENT,
        "trajectory.therapy_month": months(
            f"month_number | start_date | mean_mme | covered_days | is_year_stable\n-\n{rows}"
        ),
    }
    check_sql("episode.taper_patient", given=given, then="fall_share | is_tapered\n-\n1 | true")


@pytest.mark.parametrize(("year_mme", "reason"), [(50, ""), (49.9, "no_stable_year")])
def test_a_taper_is_looked_for_at_50_mme_and_more(taper, year_mme, reason):
    taper(KEPT, f"patient_index | failed_requirement\n-\n1 | {reason}", year_mme=year_mme)


def test_seven_months_of_follow_up_are_needed(taper):
    taper(KEPT[:6], "failed_requirement\n-\nfollow_up_too_short")


def test_months_of_unknown_dose_are_not_read(taper):
    doses = [60.0, 60, 60, 10, 60, 60, 60]
    taper(doses, "is_tapered | fall_share\n-\nfalse | 0", unknown=3)


@pytest.mark.parametrize(("day", "is_tapered"), [("D-30", "false"), ("D-31", "true"), ("D+209", "false")])
def test_a_fall_that_a_rotation_explains_is_no_taper(taper, day, is_tapered):
    taper([60, 60, 30, 30, 30, 30, 30], f"is_tapered\n-\n{is_tapered}", rotation=day)


@pytest.mark.parametrize(("low", "is_fast"), [(34.2, "true"), (34.3, "false")])
def test_a_taper_is_fast_when_a_month_falls_by_more_than_a_tenth_a_week(taper, low, is_fast):
    # A tenth a week is 60 x 30 / 70 = 25.71 MME a month.
    taper([60, 60, low, low, low, low, low], f"is_fast\n-\n{is_fast}")


# Surgery


@pytest.fixture
def surgery(check_sql):
    def check(fills: list[str], then: str, last: str = "D+180", observed: str = "D-365", delivered: bool = True):
        rows = "\n".join(f"{on} | {on}" for on in fills)
        given = {
            "clean.patient": drawn(f"observation_start_date\n-\n{observed}", patient_index=1, source="north"),
            "clean.source_coverage": drawn("source | table_name\n-\nnorth | procedure", is_delivered=delivered),
            "trajectory.acute_event": drawn("event_date\n-\nD+0", patient_index=1, kind="surgery"),
            "trajectory.record_dose": drawn(f"start_date | end_date\n-\n{rows}", patient_index=1, is_in_timeline=True),
            "trajectory.follow_up": followed(last),
        }
        check_sql("episode.surgery_patient", given=given, then=drawn(f"patient_index | {then}"))

    return check


@pytest.mark.parametrize(
    ("later", "is_persistent"),
    [("D+89", "false"), ("D+90", "true"), ("D+180", "true"), ("D+181", "false")],
)
def test_use_is_persistent_by_a_fill_in_days_90_to_180(surgery, later, is_persistent):
    surgery(["D+3", later], f"is_persistent | failed_requirement\n-\n1 | {is_persistent} |")


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [("D-366", ""), ("D-365", "not_naive"), ("D-31", "not_naive"), ("D-30", "")],
)
def test_who_had_supply_in_the_year_before_is_not_naive(surgery, earlier, reason):
    surgery(["D+3", earlier], f"failed_requirement\n-\n1 | {reason}")


@pytest.mark.parametrize(
    ("fill", "reason"),
    [("D-30", ""), ("D+14", ""), ("D+15", "no_fill_around_operation")],
)
def test_a_fill_belongs_to_the_operation_from_30_days_before_to_14_after(surgery, fill, reason):
    surgery([fill], f"failed_requirement\n-\n1 | {reason}")


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"delivered": False}, "procedures_not_delivered"),
        ({"observed": "D-364"}, "short_look_back"),
        ({"last": "D+179"}, "follow_up_too_short"),
    ],
)
def test_a_patient_outside_the_cohort_says_why(surgery, case, reason):
    surgery(["D+3"], f"failed_requirement\n-\n1 | {reason}", **case)


# Hayes


def hayes(check_sql, then: str, pain: str, escalated: str, last: str = "D+180", after: float = 60, **settings: object):
    """Patient 1 escalates where drawn; 2 and 3 are maintainers at 60 MME before and what is drawn after."""
    given = {
        "clean.patient": drawn("patient_index | patient_id\n-\n1 | a\n2 | b\n3 | c", source="north"),
        "trajectory.follow_up": drawn("patient_index\n-\n1\n2\n3", last_date=last),
        "trajectory.therapy_run": drawn(
            "patient_index\n-\n1\n2\n3", start_date="D-400", end_date="D+400", long_term_date="D-1"
        ),
        "trajectory.opioid_event": escalated
        and drawn(
            f"patient_index | event_date\n-\n{escalated}", event="escalation", definition="hayes_2020", before_mme=60
        ),
        "episode.stable_index": drawn(
            "patient_index\n-\n2\n3", index_kind="sham_maintainer", index_date="D+0", failed_requirement=""
        ),
        "trajectory.dose_period": drawn(
            "patient_index | start_date | end_date | dose_mme\n-\n"
            + "\n".join(f"{n} | D-182 | D-1 | 60\n{n} | D+0 | D+181 | {after}" for n in (2, 3)),
            is_lower_bound=False,
        ),
        "trajectory.pain_day": pain,
    }
    check_sql("episode.hayes_patient", given=given, then=drawn(then), settings=settings)


def pain_of(**levels: tuple[float, float, float]) -> str:
    """Scores of each patient (p1=...) before, in days 0 to 90, and in days 91 to 180."""
    rows = [
        f"{name[1:]} | {on} | {nrs}"
        for name, values in levels.items()
        for on, nrs in zip(("D-90", "D+90", "D+91"), values, strict=True)
    ]
    return drawn("patient_index | score_date | pain_nrs\n-\n" + "\n".join(rows), setting="outpatient", is_masked=False)


def test_an_escalator_is_paired_with_one_maintainer_of_the_same_cell_of_pain(check_sql):
    then = """
        patient_index | group_name | before_nrs | first_nrs | later_nrs | failed_requirement
        -
        1             | escalator  | 4.5        | 5         | 6         |
        2             | maintainer | 4.9        | 4         | 3         |
        3             | maintainer | 5          | 4         | 3         | not_matched
    """
    hayes(check_sql, then, pain_of(p1=(4.5, 5, 6), p2=(4.9, 4, 3), p3=(5, 4, 3)), "1 | D+0")


def test_a_maintainer_is_in_one_pair_at_most(check_sql):
    # Which of two escalators it is paired with follows the md5 of their names alone.
    then = """
        patient_index | group_name | failed_requirement
        -
        1             | escalator  | {a}
        2             | escalator  | {b}
        3             | maintainer |
    """
    first = min("ab", key=lambda name: md5(name.encode()).hexdigest())
    reason = {name: "" if name == first else "not_matched" for name in "ab"}
    same = (4.6, 5, 5)
    hayes(check_sql, then.format(**reason), pain_of(p1=same, p2=same, p3=same), "1 | D+0\n2 | D+0")


@pytest.mark.parametrize(("after", "group"), [(72, "maintainer"), (72.001, ""), (48, "maintainer"), (47.999, "")])
def test_a_maintainers_half_years_are_within_a_fifth(check_sql, after, group):
    pain = pain_of(p2=(5, 5, 5), p3=(5, 5, 5))
    rows = "\n".join(f"{n} | {group}" for n in (2, 3))
    hayes(check_sql, f"patient_index | group_name\n-\n1 |\n{rows}", pain, "", after=after)


def test_pain_before_stands_90_days_before_and_the_index_date_is_after(check_sql):
    pain = drawn(
        "score_date | pain_nrs\n-\nD-91 | 9\nD-90 | 4\nD-1 | 5\nD+0 | 6\nD+90 | 8\nD+91 | 2\nD+180 | 4\nD+181 | 9",
        patient_index=1,
        setting="outpatient",
        is_masked=False,
    )
    then = "patient_index | before_nrs | first_nrs | later_nrs\n-\n1 | 4.5 | 7 | 3\n2 | | |\n3 | | |"
    hayes(check_sql, then, pain, "1 | D+0")


@pytest.mark.parametrize(
    ("last", "pain", "reason"),
    [
        ("D+179", pain_of(p1=(5, 5, 5)), "follow_up_too_short"),
        ("D+180", pain_of(p2=(5, 5, 5)), "too_few_scores"),
    ],
)
def test_an_escalator_without_follow_up_or_scores_says_so(check_sql, last, pain, reason):
    case = "failed_requirement | patient_index | group_name"
    other = reason if reason == "follow_up_too_short" else None
    rows = f"{reason} | 1 | escalator\n{other or 'not_matched'} | 2 | maintainer\n{other or 'too_few_scores'} | 3 | maintainer"
    hayes(check_sql, f"{case}\n-\n{rows}", pain, "1 | D+0", last=last)
