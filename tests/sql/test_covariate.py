"""What a patient brings to an episode."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.covariate"
FEEDS = ("has_diagnoses", "has_procedures", "has_encounters", "has_adjuvants", "has_notes")


@pytest.fixture
def check(check_sql):
    def check(then: str, missing: str = "", prior: object = 100, look_back: object = 400, **tables: str) -> None:
        feeds = dict.fromkeys(FEEDS, True) | ({missing: False} if missing else {})
        usual = {
            "episode.episode": drawn(
                "episode_id\n-\na",
                patient_index=1,
                index_date="D+0",
                prior_therapy_days=prior,
                look_back_days=look_back,
            ),
            "episode.delivered_feed": drawn("episode_id\n-\na", **feeds),
        }
        check_sql(
            TABLE,
            given=usual | {name.replace("__", "."): drawing for name, drawing in tables.items()},
            then=drawn(then),
        )

    return check


def concepts(*rows: str, patient: int = 1) -> str:
    return drawn("coded_date | concept\n-\n" + "\n".join(rows), patient_index=patient)


CONDITIONS = {
    "has_low_back_pain": "low_back_pain",
    "has_osteoarthritis": "osteoarthritis",
    "has_rheumatoid_arthritis": "rheumatoid_arthritis",
    "has_fibromyalgia": "fibromyalgia",
    "has_neuropathy": "neuropathy",
    "has_migraine": "migraine",
    "has_chronic_pain": "chronic_pain",
    "has_overlapping_pain_condition": "overlapping_pain_condition",
    "has_widespread_pain": "region_widespread",
    "has_skin_hypersensitivity": "skin_hypersensitivity",
    "has_depression": "depression",
    "has_anxiety": "anxiety",
    "has_ptsd": "ptsd",
    "has_insomnia": "insomnia",
    "has_sleep_apnoea": "sleep_apnoea",
    "has_opioid_use_disorder": "opioid_use_disorder",
    "has_opioid_adverse_effect": "opioid_adverse_effect",
    "has_medication_overuse_headache": "medication_overuse_headache",
    "has_bowel_disorder": "narcotic_bowel_proxy",
    "has_had_bariatric_surgery": "bariatric_surgery_status",
}


@pytest.mark.parametrize("column", CONDITIONS)
def test_a_condition_is_one_coded_in_the_look_back(check, column):
    header = " | ".join(CONDITIONS)
    check(
        f"{header}\n-\n{' | '.join(str(name == column).lower() for name in CONDITIONS)}",
        trajectory__concept_day=concepts(f"D-10 | {CONDITIONS[column]}"),
    )


@pytest.mark.parametrize(("day", "has"), [("D-366", "false"), ("D-365", "true"), ("D-1", "true"), ("D+0", "false")])
def test_the_look_back_ends_before_the_index_date(check, day, has):
    check(f"has_depression\n-\n{has}", trajectory__concept_day=concepts(f"{day} | depression"))


def test_another_patients_code_is_none(check):
    check("has_depression\n-\nfalse", trajectory__concept_day=concepts("D-1 | depression", patient=2))


def test_regions_are_counted_once_and_the_whole_body_is_none(check):
    rows = ("D-9 | region_neck", "D-1 | region_neck", "D-5 | region_chest", "D-5 | region_widespread")
    check("region_count | has_widespread_pain\n-\n2 | true", trajectory__concept_day=concepts(*rows))
    check("region_count\n-\n0")


def test_a_bariatric_operation_is_had_as_is_the_state_after_it(check):
    check("has_had_bariatric_surgery\n-\ntrue", trajectory__concept_day=concepts("D-9 | bariatric_surgery"))


def test_without_diagnoses_no_condition_is_known(check):
    check(
        "has_depression | has_had_bariatric_surgery | region_count | has_benzodiazepine\n-\n| | | false",
        missing="has_diagnoses",
    )


CLASSES = {
    "has_benzodiazepine": "benzodiazepine",
    "has_sleep_drug": "sleep_drug",
    "has_gabapentinoid": "gabapentinoid",
    "has_antidepressant": "snri",
    "has_muscle_relaxant": "muscle_relaxant",
    "has_cyp3a4_inducer": "cyp3a4_inducer",
    "has_cyp3a4_inhibitor": "cyp3a4_inhibitor",
}


def drugs(*rows: str) -> str:
    return drawn("exposure_class | start_date | end_date\n-\n" + "\n".join(rows), patient_index=1, ingredient="any")


@pytest.mark.parametrize("column", CLASSES)
def test_a_drug_is_one_in_supply_on_the_day_before(check, column):
    header = " | ".join(CLASSES)
    check(
        f"{header}\n-\n{' | '.join(str(name == column).lower() for name in CLASSES)}",
        trajectory__exposure_period=drugs(f"{CLASSES[column]} | D-30 | D-1"),
    )


@pytest.mark.parametrize("drug", ["ssri", "tca", "other_antidepressant"])
def test_antidepressants_are_of_four_classes(check, drug):
    check("has_antidepressant\n-\ntrue", trajectory__exposure_period=drugs(f"{drug} | D-30 | D+5"))


@pytest.mark.parametrize("span", ["D-30 | D-2", "D+0 | D+20"])
def test_a_drug_that_has_ended_or_begins_on_the_index_date_is_none(check, span):
    check("has_benzodiazepine\n-\nfalse", trajectory__exposure_period=drugs(f"benzodiazepine | {span}"))


def test_without_other_drugs_none_is_known(check):
    """Without an opioid that needs the enzyme there is no such inhibitor, delivered or not."""
    check(
        "has_benzodiazepine | has_antidepressant | has_cyp2d6_inhibitor_of_prodrug | has_depression\n-\n| | false | false",
        missing="has_adjuvants",
    )
    opioid = "ingredient | start_date | end_date | is_in_timeline\n-\nhydrocodone | D-10 | D-1 | true"
    check(
        "episode_id | has_cyp2d6_inhibitor_of_prodrug\n-\na |",
        missing="has_adjuvants",
        trajectory__record_dose=drawn(opioid, patient_index=1),
    )


@pytest.mark.parametrize(
    ("opioid", "has"),
    [
        ("hydrocodone | D-10 | D-1 | true", "true"),
        ("hydrocodone | D-10 | D-2 | true", "false"),
        ("hydrocodone | D+0 | D+9 | true", "false"),
        ("hydrocodone | D-10 | D-1 | false", "false"),
        ("oxycodone | D-10 | D-1 | true", "false"),
    ],
)
def test_an_inhibitor_of_cyp2d6_matters_with_an_opioid_that_needs_the_enzyme(check, opioid, has):
    check(
        f"has_cyp2d6_inhibitor_of_prodrug\n-\n{has}",
        trajectory__exposure_period=drugs("cyp2d6_inhibitor | D-30 | D+30"),
        trajectory__record_dose=drawn(
            f"ingredient | start_date | end_date | is_in_timeline\n-\n{opioid}", patient_index=1
        ),
    )


def peg(*rows: str) -> str:
    return drawn("scored_at | instrument | scale_score\n-\n" + "\n".join(rows), patient_index=1)


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [
        ("D-91", "", ""),
        ("D-90", 6, ""),
        ("D-1", 6, ""),
        ("D+0", "", ""),
        ("D+35", "", ""),
        ("D+36", "", 6),
        ("D+90", "", 6),
        ("D+91", "", ""),
    ],
)
def test_function_is_the_mean_peg_of_b0_and_of_r(check, day, before, after):
    check(f"proximal_peg | response_peg\n-\n{before} | {after}", trajectory__pain_reading=peg(f"{day} | PEG | 6"))


def test_a_peg_is_the_delivered_one_or_the_mean_of_three_items_of_one_day(check):
    items = ("D-5 | PEG_PAIN | 3", "D-5 | PEG_ENJOYMENT | 6", "D-5 | PEG_ACTIVITY | 9")
    check("proximal_peg\n-\n6", trajectory__pain_reading=peg(*items))
    check("proximal_peg\n-\n4", trajectory__pain_reading=peg(*items, "D-5 | PEG | 4"))
    check("proximal_peg\n-\n5", trajectory__pain_reading=peg(*items, "D-4 | PEG | 4"))
    check(
        "episode_id | proximal_peg\n-\na |",
        trajectory__pain_reading=peg(*items[:2], "D-4 | PEG_ACTIVITY | 9", "D-4 | NRS | 9"),
    )


def visits(*days: str) -> str:
    return drawn("start_date\n-\n" + "\n".join(days), patient_index=1)


@pytest.mark.parametrize(
    ("days", "is_rarely_seen"),
    [
        (["D-365", "D-1"], "false"),
        (["D-183", "D-182"], "false"),
        (["D-365", "D-183"], "true"),
        (["D-182", "D-1"], "true"),
        (["D-366", "D-1"], "true"),
        (["D-200", "D+0"], "true"),
        ([], "true"),
    ],
)
def test_a_patient_is_seen_in_both_halves_of_the_look_back(check, days, is_rarely_seen):
    check(
        f"is_rarely_seen | is_therapy_from_start | is_left_truncated\n-\n{is_rarely_seen} | false | {is_rarely_seen}",
        clean__encounter=visits(*days),
    )


@pytest.mark.parametrize(
    ("prior", "is_from_start"), [(369, "false"), (370, "true"), (400, "true"), (500, "true"), ("", "true")]
)
def test_therapy_from_the_first_30_days_on_may_have_begun_before_them(check, prior, is_from_start):
    check(
        f"is_therapy_from_start | is_left_truncated\n-\n{is_from_start} | {is_from_start}",
        prior=prior,
        clean__encounter=visits("D-300", "D-10"),
    )


def test_without_encounters_left_truncation_is_known_only_where_therapy_tells_it(check):
    then = "is_rarely_seen | is_therapy_from_start | is_left_truncated\n-\n"
    check(then + "| false |", missing="has_encounters")
    check(then + "| true | true", missing="has_encounters", prior=400)
