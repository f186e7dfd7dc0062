"""Every number a study can tune: name, unit, default and where the default comes from.

SQL files use them as ``$name``. A study overrides them under ``settings:``; the methods part of every report prints
the ones in force beside their defaults.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

WINDOWS = "Design choice: proximal and distal baseline, settling, early, response and confirmation windows"
HAYES = "Hayes 2020, Pain 161:979 (more than 20 % between means of consecutive periods)"
FARRAR = "Farrar 2001, Pain 94:149 gives about 2 points or 30 % for improvement; no worsening threshold is validated"
LORENZ = "Lorenz 2009, J Am Board Fam Med 22:291 (nurse-recorded scores); 1.8 is a design default for them"
FENTON = "Fenton 2019, JAMA Netw Open, PMC6902834; 25 % for a taper that can inform is a design choice"
MORASCO = "Morasco 2020, Pain 161:1332 (at least 15 % over a stable baseline)"
HENRY = "Henry 2015, Pain Med (at least 30 MME a day more over one year)"
AGNOLI = "Agnoli 2021, JAMA 326:411 and Fenton 2019, JAMA Netw Open, PMC6902834 (any of six 60-day windows)"
ABRUPT = "PMC11044711 (faster than 30 % per month went with overdose in the month after, slower did not)"
FDA_TOLERANT = "US FDA, prescribing information of transmucosal fentanyl, opioid tolerant: for a week or longer"
TOLJAN = "Toljan 2018, Med Sci 6:82, PMC6313374 (low dose: 1 to 5 mg a day)"
HAYES_PAIN = "Hayes 2020, Pain 161:979 (pain in 90 days before, days 0 to 90 and 91 to 180)"
FAST_TAPER = "Fenton 2019 and Agnoli 2021 (faster than 10 % a week)"
PERSISTENT = "Definitions of new persistent use, Anesthesiology 2020;132:1528 (fills in days 90 to 180)"
GUICHARD = "Guichard 2022, Clin J Pain 38 (published cases responded after 8 days on average, 1 to 28)"
WASSERMAN = "Wasserman, buprenorphine in suspected hyperalgesia (better at a week, back at baseline by 6 months)"
RIEB = "Rieb 2016, Pain, PMC5113230 (withdrawal pain lasts about two weeks, so 28 days are left out)"
CDC_2022 = "Dowell 2022, MMWR Recomm Rep 71(3): cancer, palliative care and sickle cell disease are outside its scope"
OHDSI_VISITS = "OHDSI ETL-LambdaBuilder, VISIT_OCCURRENCE (inpatient records at most a day apart are one visit)"
OIG = "HHS OIG, data brief OEI-02-17-00560 (average daily dose over a year)"
DESIGN = "Design choice; no value in the literature"


def _setting(default: Any, unit: str, citation: str, meaning: str, **limits: Any) -> Any:
    return Field(default, description=meaning, json_schema_extra={"unit": unit, "citation": citation}, **limits)


class Settings(BaseModel):
    """Windows and thresholds of a study, in days relative to the index date unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Dose
    max_supply_days: int = _setting(3660, "day", DESIGN, "Longest days supply that is believed", ge=1)
    imputed_supply_days: int = _setting(30, "day", DESIGN, "Days supply where it is missing and imputed", ge=1)
    open_supply_days: int = _setting(180, "day", DESIGN, "Days that supply of unknown length may last", ge=1)
    strength_tolerance_share: float = _setting(
        0.01, "share", DESIGN, "Most that a delivered strength may differ from the text's, or from any label's", ge=0
    )
    carry_forward_cap_days: int = _setting(15, "day", DESIGN, "Most days that a supply is put off", ge=0)
    gap_tolerance_days: int = _setting(0, "day", DESIGN, "Longest gap in supply that is on therapy (Dasgupta 2)", ge=0)
    max_units_per_day: float = _setting(
        30, "unit/day", DESIGN, "Tablets, patches or sprays a day beyond which a row is flagged", gt=0
    )
    max_volume_ml_per_day: float = _setting(120, "mL/day", DESIGN, "Volume a day beyond which a row is flagged", gt=0)
    dose_ceiling_mme: float = _setting(1000, "MME/day", DESIGN, "Daily dose beyond which a record is flagged", gt=0)

    specification_window_days: int = _setting(
        365,
        "day",
        "HHS OIG OEI-02-17-00560 averages over a year",
        "Last days of supply of a specification",
        ge=92,
    )

    # Identifiers in extracts. The limits keep a study from switching the screen off without a reason.
    identifier_value_count: int = _setting(
        10_000, "value", DESIGN, "Most distinct values of a delivered column that are looked at", ge=1000
    )
    identifier_min_values: int = _setting(
        10, "value", DESIGN, "Fewest distinct values of a column that look like names or addresses", ge=1, le=100
    )
    identifier_min_share: float = _setting(
        0.2, "share", DESIGN, "Smallest share of a column's distinct values that do, so that it is one", gt=0, le=0.5
    )
    free_text_words: int = _setting(
        8,
        "word",
        DESIGN,
        "Median words of the values of a column of mostly distinct values that is free text",
        ge=3,
        le=20,
    )
    oldest_age_years: int = _setting(
        89, "year", "45 CFR 164.514(b)(2)(i)(C)", "Highest age that is not grouped with those above it", ge=18, le=89
    )

    date_shift_patient_count: int = _setting(
        20_000, "patient", DESIGN, "Patients whose intervals show whether dates were shifted by one constant", ge=1
    )
    date_shift_min_count: int = _setting(30, "count", DESIGN, "Fewest patients, days or rows that show it", ge=1)
    date_shift_max_share: float = _setting(
        0.05, "share", DESIGN, "Share of broken intervals above which they are no slips", ge=0, le=1
    )
    date_shift_grace_days: int = _setting(30, "day", DESIGN, "Days after death on which records still come in", ge=0)
    shifted_from_year: int = _setting(
        2100, "year", "MIMIC-IV shifts to 2110-2201", "Dates all from this year on are of a shifted calendar", ge=2050
    )

    # Cohort
    adult_age_years: int = _setting(18, "year", DESIGN, "Smallest age at the index date", ge=0)
    look_back_days: int = _setting(365, "day", WINDOWS, "Observation needed before the index date", ge=1)
    bridge_gap_days: int = _setting(30, "day", DESIGN, "Longest gap in supply within one therapy run", ge=0)
    long_stay_days: int = _setting(
        7, "day", DESIGN, "A longer stay in hospital, or one in long-term care without supply, excludes", ge=1
    )
    oud_medication_days: int = _setting(
        30, "day", DESIGN, "Days up to the index date in which medication for opioid use disorder excludes", ge=0
    )

    # Escalation
    dose_before_days: int = _setting(90, "day", DESIGN, "Days before the index date that give the old dose", ge=1)
    dose_after_days: int = _setting(60, "day", DESIGN, "Days from the index date that give the new dose", ge=1)
    escalation_min_ratio: float = _setting(1.2, "ratio", HAYES, "Smallest ratio of new to old mean dose", gt=1)
    escalation_min_mme: float = _setting(5.0, "MME/day", DESIGN, "Smallest rise of the mean dose", ge=0)
    min_coverage: float = _setting(0.8, "share", DESIGN, "Share of days in supply, in both windows", ge=0, le=1)
    rotation_days: int = _setting(30, "day", DESIGN, "Days around a change of opioid that tell what was in supply")
    acute_course_days: int = _setting(14, "day", DESIGN, "Longest short-acting course that is no escalation")
    merge_days: int = _setting(90, "day", DESIGN, "A later step within these days belongs to the same episode")
    link_days: int = _setting(180, "day", DESIGN, "An episode within these days of the last one is linked to it")
    washout_days: int = _setting(
        180, "day", DESIGN, "Days at no more than 110 % of the dose before the last episode that unlink the next", ge=1
    )
    reversal_days: int = _setting(28, "day", DESIGN, "An increase taken back within these days is marked reversed")

    # Index dates without a rise of the dose, and maintainers as comparison
    maintained_share: float = _setting(0.2, "share", HAYES, "Most that a stable dose differs from the one before", gt=0)
    maintainer_date_share: float = _setting(
        0.15, "share", DESIGN, "Share of the days of maintained doses that are drawn as sham dates", gt=0, le=1
    )
    pain_led_rise_nrs: float = _setting(2.0, "NRS point", FARRAR, "Rise from B1 to R2 that begins an episode", gt=0)
    match_caliper_nrs: float = _setting(
        1.0, "NRS point", DESIGN, "Most that either baseline of a matched maintainer differs", gt=0
    )
    match_count: int = _setting(4, "maintainer", DESIGN, "Most maintainers that one episode is matched with", ge=1)
    rtm_min_maintainers: int = _setting(
        200, "episode", DESIGN, "Sham dates from which the cohort gives its own slope of regression", ge=2
    )

    # Opioid events, beside the escalation that an episode starts with
    month_days: int = _setting(30, "day", DESIGN, "Days of a month, of every window that is counted in months", ge=1)
    stable_share: float = _setting(0.1, "share", DESIGN, "A stable baseline's months differ from its mean by no more")
    hayes_window_days: int = _setting(182, "day", HAYES, "Length of each of two consecutive half years", ge=1)
    hayes_min_ratio: float = _setting(1.2, "ratio", HAYES, "Their mean doses differ by more than this ratio", gt=1)
    morasco_min_ratio: float = _setting(1.15, "ratio", MORASCO, "Smallest ratio to the stable baseline", gt=1)
    henry_days: int = _setting(365, "day", HENRY, "Days over which the dose rises; its last quarter is the new dose")
    henry_min_rise_mme: float = _setting(30.0, "MME/day", HENRY, "Smallest rise over these days", gt=0)
    taper_min_fall: float = _setting(0.15, "share", AGNOLI, "Smallest fall of the mean dose in a taper", gt=0, lt=1)
    taper_window_count: int = _setting(6, "window", AGNOLI, "Windows, a month apart, one of which is enough")
    taper_baseline_months: int = _setting(12, "month", FENTON, "Months of stable dose before a taper", ge=1)
    taper_baseline_min_mme: float = _setting(50.0, "MME/day", FENTON, "Smallest mean dose of these months", ge=0)
    abrupt_min_fall: float = _setting(0.3, "share", ABRUPT, "A larger fall from month to month is abrupt", gt=0, lt=1)
    quarter_months: int = _setting(
        3, "month", DESIGN, "Months of stable or known dose before a cohort is entered", ge=1
    )
    taper_fast_week_share: float = _setting(
        0.1, "share", FAST_TAPER, "A taper that falls by more of its baseline in a week is fast", gt=0, lt=1
    )
    discontinuation_days: int = _setting(90, "day", DESIGN, "Days without supply that make a discontinuation", ge=1)
    discontinuation_shorter_days: int = _setting(60, "day", DESIGN, "The same, first sensitivity definition", ge=1)
    discontinuation_shortest_days: int = _setting(30, "day", DESIGN, "The same, second sensitivity definition", ge=1)
    tolerant_days: int = _setting(7, "day", FDA_TOLERANT, "Consecutive days of enough opioid that make tolerant", ge=1)
    low_dose_naltrexone_mg: float = _setting(5.0, "mg/day", TOLJAN, "Largest daily dose of low-dose naltrexone", gt=0)

    # Published definitions, rerun
    published_pain_days: int = _setting(90, "day", HAYES_PAIN, "Days of pain before, after and after that", ge=1)
    published_pair_nrs: float = _setting(0.5, "NRS point", DESIGN, "Width of the cells of pain that pairs share", gt=0)
    published_improvement_share: float = _setting(
        0.3, "share", FARRAR, "Smallest fall of pain that is a clinically meaningful improvement", gt=0, le=1
    )
    morasco_days: int = _setting(730, "day", MORASCO, "Days in which a stable dose may rise", ge=1)
    perioperative_before_days: int = _setting(30, "day", DESIGN, "Fills this long before an operation belong to it")
    perioperative_after_days: int = _setting(14, "day", DESIGN, "Fills this long after an operation belong to it")
    persistent_from_day: int = _setting(90, "day", PERSISTENT, "First day on which a fill after surgery is persistent")
    persistent_to_day: int = _setting(180, "day", PERSISTENT, "Last day on which a fill after surgery is persistent")

    switch_days: int = _setting(60, "day", DESIGN, "Most days between a taper and what is begun in its place", ge=0)
    lag_min_pairs: int = _setting(6, "pair", DESIGN, "Pairs of months that a patient's own regression needs", ge=3)
    quadrant_min_nrs: float = _setting(
        1.0, "NRS point", FARRAR, "Change after a step of the dose that is none: half the smallest important", ge=0
    )
    class_quarter_count: int = _setting(4, "quarter", DESIGN, "Quarters of therapy that classes are made of", ge=2)
    class_max_count: int = _setting(5, "class", DESIGN, "Most classes of dose and pain that are tried", ge=1)
    class_min_share: float = _setting(0.05, "share", DESIGN, "Smallest share of patients in any class", gt=0, lt=1)
    prior_shares: list[float] = _setting(
        [0.01, 0.02, 0.05, 0.10, 0.20, 0.33],
        "share",
        "Lee 2011, Pain Physician 14:145 (true prevalence unknown); the range is a design choice",
        "Shares with hyperalgesia that may be assumed beforehand",
        min_length=1,
    )

    # Pain windows
    distal_from_day: int = _setting(-365, "day", WINDOWS, "First day of the distal baseline B1")
    distal_to_day: int = _setting(-91, "day", WINDOWS, "Last day of the distal baseline B1")
    proximal_from_day: int = _setting(-90, "day", WINDOWS, "First day of the proximal baseline B0")
    proximal_to_day: int = _setting(-1, "day", WINDOWS, "Last day of the proximal baseline B0")
    early_from_day: int = _setting(14, "day", WINDOWS, "First day of the early window E")
    early_to_day: int = _setting(35, "day", WINDOWS, "Last day of the early window E")
    response_from_day: int = _setting(36, "day", WINDOWS, "First day of the response window R")
    response_to_day: int = _setting(90, "day", WINDOWS, "Last day of R, and the last a feature may use")
    late_from_day: int = _setting(91, "day", WINDOWS, "First day of the late response window R2")
    late_to_day: int = _setting(180, "day", WINDOWS, "Last day of the late response window R2")
    confirmation_from_day: int = _setting(91, "day", WINDOWS, "First day of the confirmation window C")
    confirmation_to_day: int = _setting(455, "day", WINDOWS, "Last day of the confirmation window C")
    max_unknown_share: float = _setting(
        0.1, "share", DESIGN, "Share of the days of B1 and of R on which a dose may be unknown", ge=0, le=1
    )
    max_range_width_nrs: float = _setting(
        2.0, "NRS point", DESIGN, "Widest range, such as 4-6, that is read as its midpoint", ge=0, le=5
    )
    surgery_before_days: int = _setting(7, "day", DESIGN, "Scores this long before an operation are masked")
    surgery_after_days: int = _setting(90, "day", DESIGN, "Scores this long after an operation are masked")
    stay_merge_days: int = _setting(1, "day", OHDSI_VISITS, "A stay that follows within these days is the same", ge=0)
    min_scored_weeks: int = _setting(2, "week", DESIGN, "Scored weeks a window needs (grade C)", ge=1)
    grade_b_weeks: int = _setting(3, "week", DESIGN, "Scored weeks in every window for grade B", ge=1)
    grade_a_weeks: int = _setting(5, "week", DESIGN, "Scored weeks in every window for grade A", ge=1)
    within_person_sd_nrs: float = _setting(1.8, "NRS point", LORENZ, "SD of weekly scores within a person", gt=0)
    rtm_slope: float = _setting(
        0.47, "NRS per NRS", DESIGN, "Share of B0 - B1 that is expected to remain in R - B1 (simulated worlds)"
    )

    # Rules
    weak_rise_nrs: float = _setting(1.0, "NRS point", FARRAR, "Adjusted rise that counts as weak", gt=0)
    strong_rise_nrs: float = _setting(2.0, "NRS point", FARRAR, "Adjusted rise that counts as strong", gt=0)
    strong_rise_share: float = _setting(0.3, "share", FARRAR, "Or this share of the baseline", gt=0)
    weak_se: float = _setting(0.84, "SE", DESIGN, "Standard errors a weak change must exceed (80 %, one-sided)")
    strong_se: float = _setting(1.645, "SE", DESIGN, "Standard errors a strong change must exceed (95 %, one-sided)")
    proximal_fall_limit_nrs: float = _setting(-0.3, "NRS point", DESIGN, "R - B0 below this is no paradox")
    paradox_min_dose_ratio: float = _setting(1.3, "ratio", DESIGN, "Smallest dose ratio R to B1 of a paradox", gt=1)
    no_benefit_min_dose_ratio: float = _setting(
        1.5, "ratio", DESIGN, "Smallest dose ratio R to B1 of an escalation without benefit", gt=1
    )
    no_benefit_min_nrs: float = _setting(5.0, "NRS point", DESIGN, "Pain in R that is still high", ge=0, le=10)
    relief_nrs: float = _setting(-1.0, "NRS point", FARRAR, "E - B0 at or below this is early relief", lt=0)
    waning_nrs: float = _setting(1.0, "NRS point", FARRAR, "R2 - E at or above this is relief that waned", gt=0)
    slope_min_nrs: float = _setting(
        0.5, "NRS point", DESIGN, "Rise, or fall, of pain for a doubling of the dose that counts", gt=0
    )
    slope_lag_days: int = _setting(14, "day", DESIGN, "Days that the dose lies before pain, which drives it too", ge=1)
    slope_dose_days: int = _setting(14, "day", DESIGN, "Days over which that dose is averaged", ge=1)
    slope_ridge_weeks: float = _setting(
        1.0, "week", DESIGN, "Scored weeks, a doubling or a year off the mean, that weigh as much as the ridge", gt=0
    )
    slope_min_scored_weeks: int = _setting(6, "week", DESIGN, "Scored weeks that a slope needs", ge=3)
    slope_min_dose_sd: float = _setting(0.1, "doubling", DESIGN, "SD of the doublings that a slope must exceed", ge=0)
    slope_min_steps: int = _setting(2, "step", DESIGN, "Separate rises or falls of the dose that a slope needs", ge=1)
    slope_block_days: int = _setting(28, "day", DESIGN, "Days of a block of the bootstrap", ge=7)
    slope_draw_count: int = _setting(200, "draw", DESIGN, "Draws of the bootstrap", ge=50)
    spread_from_day: int = _setting(-30, "day", DESIGN, "First day on which a region of pain is new")
    spread_to_day: int = _setting(180, "day", DESIGN, "Last day on which one is looked for")
    spread_min_regions: int = _setting(2, "region", DESIGN, "New regions of the body that are spread", ge=1)
    spread_min_coded_days: int = _setting(
        2, "day", DESIGN, "Days with a diagnosis that look-back and spread window need each", ge=1
    )
    creeping_min_months: int = _setting(3, "month", DESIGN, "Months of stable dose before tolerance shows", ge=1)
    creeping_rise_nrs: float = _setting(0.15, "NRS point", DESIGN, "Rise of pain in each of them", gt=0)
    creeping_relief_nrs: float = _setting(-0.8, "NRS point", DESIGN, "E - B0 at or below this is relief after it", lt=0)
    creeping_waning_nrs: float = _setting(0.8, "NRS point", DESIGN, "R2 - E at or above this is waning again", gt=0)
    creeping_min_scored_weeks: int = _setting(6, "week", DESIGN, "Scored weeks that the slope of pain needs", ge=3)
    undertreated_max_mme: float = _setting(
        50.0, "MME/day", DESIGN, "Dose in R below which relief speaks for undertreatment; not a target", gt=0
    )
    intense_min_mme: float = _setting(100.0, "MME/day", DESIGN, "Dose in R of an intense exposure; not a target", gt=0)
    intense_min_days: int = _setting(180, "day", DESIGN, "Days of therapy before the index date that make it one", ge=0)
    leaning_rise_nrs: float = _setting(0.5, "NRS point", DESIGN, "Adjusted rise with which pain leans upwards", gt=0)
    taper_min_cut: float = _setting(0.25, "share", FENTON, "Smallest cut against R that makes a taper", gt=0, lt=1)
    taper_mean_days: int = _setting(60, "day", FENTON, "Days over which the dose after a cut is averaged", ge=1)
    withdrawal_days: int = _setting(28, "day", RIEB, "Days after the last cut that are never read")
    dechallenge_to_days: int = _setting(180, "day", RIEB, "Last day after the last cut that is read")
    kept_min_cut: float = _setting(
        0.15, "share", FENTON, "Smallest cut against R while pain is read after a taper", gt=0, lt=1
    )
    co_intervention_days: int = _setting(60, "day", DESIGN, "Days around a taper that count as around it", ge=0)
    new_treatment_days: int = _setting(90, "day", DESIGN, "Days without a treatment after which it is new", ge=1)
    worsening_nrs: float = _setting(1.0, "NRS point", FARRAR, "Worsening after a taper that counts", gt=0)
    improvement_nrs: float = _setting(-1.0, "NRS point", FARRAR, "Weak improvement after a taper", lt=0)
    strong_improvement_nrs: float = _setting(-2.0, "NRS point", FARRAR, "Strong improvement after a taper", lt=0)

    # Rules that look at events and at what was done after
    new_acute_days: int = _setting(
        90, "day", DESIGN, "Days without such a code before an injury, infection, flare or cancer that is new", ge=1
    )
    new_drug_days: int = _setting(180, "day", DESIGN, "Days without a class of drugs before a start of it", ge=1)
    acute_from_day: int = _setting(-30, "day", DESIGN, "First day on which an acute cause counts")
    acute_to_day: int = _setting(30, "day", DESIGN, "Last day on which an acute cause counts, but for procedures")
    metabolism_from_day: int = _setting(-30, "day", DESIGN, "First day of a change of what reaches the body")
    metabolism_to_day: int = _setting(60, "day", DESIGN, "Last day of a change of what reaches the body")
    withdrawal_rise_nrs: float = _setting(1.5, "NRS point", DESIGN, "Rise of pain that withdrawal brings", gt=0)
    withdrawal_resolved_nrs: float = _setting(
        0.5, "NRS point", DESIGN, "Pain no more than this above the one before has resolved", ge=0
    )
    early_supply_days: int = _setting(10, "day", DESIGN, "First days of a supply", ge=1)
    late_supply_days: int = _setting(7, "day", DESIGN, "Last days of a supply", ge=1)
    min_supply_cycles: int = _setting(2, "cycle", DESIGN, "Supplies scored early and late that can be compared", ge=1)
    supply_gap_days: int = _setting(3, "day", DESIGN, "Shortest gap in supply that withdrawal may follow", ge=1)
    gap_rise_days: int = _setting(7, "day", DESIGN, "Days from a gap on in which withdrawal shows", ge=1)
    cut_rise_days: int = _setting(14, "day", RIEB, "Days from an abrupt cut on in which withdrawal shows", ge=1)
    withdrawal_drug_days: int = _setting(
        14, "day", DESIGN, "Days between a cut or gap and the start of a drug against withdrawal", ge=0
    )
    treated_from_day: int = _setting(30, "day", GUICHARD, "Day after a change of opioid from which pain is read", ge=1)
    treated_to_day: int = _setting(90, "day", WASSERMAN, "Last day on which that response is not yet a kept one", ge=1)
    treated_late_day: int = _setting(180, "day", WASSERMAN, "Last day on which a response is read as kept", ge=1)
    switched_from_day: int = _setting(
        60, "day", DESIGN, "Day after other treatment began from which pain is read", ge=1
    )
    recognition_min_days: int = _setting(
        270, "day", DESIGN, "Follow-up from which it tells something that no clinician noted hyperalgesia", ge=1
    )

    # Quality page
    level_shift_months: int = _setting(6, "month", DESIGN, "Months on either side that a month is compared with", ge=2)
    level_shift_mads: float = _setting(5.0, "MAD", DESIGN, "Median absolute deviations beyond which a level shifted")
    level_shift_min_share: float = _setting(
        0.25, "share", DESIGN, "And the share of the level by which it differs at least", ge=0
    )
    level_shift_min_points: float = _setting(0.05, "share", DESIGN, "By which a level that is a share differs", ge=0)
    level_shift_min_rows: int = _setting(30, "row", DESIGN, "Fewest rows of a month that is judged", ge=1)
    unit_flip_ratio: float = _setting(8.0, "ratio", DESIGN, "Smallest jump of a median: units slip by 10 or 1000", gt=1)
    unit_flip_min_rows: int = _setting(5, "row", DESIGN, "Fewest rows of a quarter whose median is judged", ge=1)

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        windows = ("distal", "proximal", "early", "response", "late", "confirmation")
        for window in windows:
            if getattr(self, f"{window}_from_day") > getattr(self, f"{window}_to_day"):
                raise ValueError(f"{window}_from_day is after {window}_to_day")
        if not -self.look_back_days < self.spread_from_day < self.spread_to_day:
            raise ValueError("spread_from_day is not between the start of the look-back and spread_to_day")
        gaps = self.discontinuation_shortest_days, self.discontinuation_shorter_days, self.discontinuation_days
        if not gaps[0] < gaps[1] < gaps[2]:
            raise ValueError("discontinuation_shortest_days, _shorter_days and _days do not grow")
        return self

    def parameters(self) -> dict[str, Any]:
        return self.model_dump()


def described() -> list[dict[str, Any]]:
    """Every setting with meaning, unit, default and citation, for the methods part of a report."""
    return [
        {"name": name, "meaning": field.description, "default": field.default, **_extra(field.json_schema_extra)}
        for name, field in Settings.model_fields.items()
    ]


def _extra(extra: Any) -> dict[str, Any]:
    return dict(extra)
