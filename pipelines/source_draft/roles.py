"""Which column of a delivered table plays which part, guessed from names and values, and where a human must decide."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.source_draft.profile import ColumnProfile, TableProfile, snake_case

# Names that extracts give their columns, the likeliest first; a name counts as a whole or as words within a longer one.
NAMES = {
    "patient_id": "patient_id person_id subject_id member_id patient_key patid pat_id bene_id enrolid desynpuf_id "
    "study_id pseudonym pseudo patient_no patient_number pid mbr_id patient person subject member mbr client recipient",
    "fill_date": "fill_date filled_date date_filled dispense_date dispensed_date date_dispensed dispensing_date "
    "supply_date srvc_dt service_date svc_date issue_date order_date ordered start_date date start starttime "
    "written_date",
    "end_date": "end_date stop_date stop stoptime end",
    "drug_text": "drug_text drug_name drug_label product_name prod_name label_name medication_name drug_description "
    "medication drug product description item_name generic_name brand_name",
    "ndc": "ndc ndc11 ndc_code national_drug_code prod_srvc_id product_service_id product_id",
    "strength": "strength strength_value dose_strength",
    "strength_unit": "strength_unit strength_uom unit_of_strength",
    "route": "route route_text route_of_administration",
    "quantity": "quantity qty quantity_dispensed qty_dispensed qty_dspnsd_num dispensed_quantity metric_quantity "
    "units_dispensed amount_dispensed quantity_supplied",
    "days_supply": "days_supply day_supply day_sup days_sup days_supplied supply_days dayssup daysupp "
    "days_suply_num days_supply_num days_of_supply",
    "scored_at": "scored_at score_time recorded_at recorded_date survey_date observation_date observed_at "
    "assessment_date measured_at charttime obs_date visit_date datetime date time",
    "score": "pain_score pain_level pain_intensity nrs nrs_score score pain answer response value result obs_value",
    "instrument": "instrument scale tool pain_scale",
    "setting": "setting care_setting encounter_type visit_type encounter_class location_type place_of_service",
    "item": "item observation measure question concept label loinc description test_name",
    "diagnosis_code": "diagnosis_code dx_code icd10 icd9 icd_code icd dx diagnosis code",
    "diagnosis_date": "diagnosis_date dx_date onset_date condition_date service_date start_date date start",
    "procedure_code": "procedure_code cpt hcpcs cpt_code proc_code code",
    "procedure_date": "procedure_date service_date performed_date start_date date start",
    "sex": "sex gender",
    "birth_year": "birth_year year_of_birth yob birthyear",
    "birth_date": "birth_date birthdate date_of_birth dob bene_birth_dt",
    "death_date": "death_date deathdate date_of_death deceased_date bene_death_dt",
    "observation_start_date": "observation_start_date eligibility_start enrollment_start enrolment_start "
    "coverage_start obs_start registration_date",
    "observation_end_date": "observation_end_date eligibility_end enrollment_end enrolment_end coverage_end obs_end",
}

ABBREVIATIONS = {
    "cd": "code",
    "dt": "date",
    "elig": "eligibility",
    "mbr": "member",
    "nm": "name",
    "num": "number",
    "pat": "patient",
    "pt": "patient",
    "qty": "quantity",
    "srvc": "service",
    "svc": "service",
    "yr": "year",
}

# Words of columns that may tell rows that are no event: a claim reversed, an order cancelled.
STATUS = "status state void reversal reversed cancelled canceled deleted active"

# Parts whose values alone tell, whatever the column is called.
TOLD_BY_VALUES = ("drug_text",)
# Parts that other numbers look like, so that the name must tell.
TOLD_BY_NAME = ("patient_id", "diagnosis_code", "procedure_code")

SEX = {"female": ("f", "female", "w", "woman"), "male": ("m", "male", "man")}
SETTINGS = {
    "outpatient": ("outpatient", "ambulatory", "clinic", "office", "amb", "op", "gp"),
    "emergency": ("emergency", "ed", "er", "emer"),
    "icu": ("icu", "critical care", "intensive care"),
    "inpatient": ("inpatient", "hospital", "ward", "imp", "ip"),
}


@dataclass
class Draft:
    """How one delivered table fills one clean table.

    Attributes:
        columns: Delivered column of each part that a column plays.
        choices: What a human must decide, by part.
    """

    table: TableProfile
    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)


def drafts(tables: list[TableProfile]) -> dict[str, list[Draft]]:
    """Clean tables that delivered ones can fill; one delivered table can fill several."""
    found: dict[str, list[Draft]] = {}
    for table in tables:
        for clean, draft in _clean_tables(table):
            found.setdefault(clean, []).append(draft)
    return found


def _clean_tables(table: TableProfile) -> Iterable[tuple[str, Draft]]:
    patient = _draft(
        table,
        {"patient_id": lambda column: column.is_unique},
        {"sex": _is_text_or_code, "birth_year": _is_number}
        | dict.fromkeys(("birth_date", "death_date", "observation_start_date", "observation_end_date"), _is_date),
    )
    if len(patient.columns) > 1 and "patient_id" in patient.columns:
        yield "patient", patient
        return
    if "patient_id" not in _draft(table, {"patient_id": _any}, {}).columns:
        return
    drug = _draft(
        table,
        {"patient_id": _any, "fill_date": _is_date},
        {
            "drug_text": lambda column: column.opioid_values > 0,
            "ndc": lambda column: column.kinds["NDC"] > 0.9,
            "end_date": _is_date,
            "strength": _is_number,
            "strength_unit": _is_text,
            "route": _is_text,
            "quantity": _is_number,
            "days_supply": _is_number,
        },
    )
    if "fill_date" in drug.columns and {"drug_text", "ndc"} & set(drug.columns):
        yield "prescription", drug
        yield "adjuvant", drug
        return
    pain = _draft(
        table,
        {"patient_id": _any, "scored_at": _is_date, "score": lambda column: column.kinds["score"] > 0.3},
        {"instrument": _is_text, "setting": _is_text, "item": lambda column: column.pain_values > 0},
    )
    if {"scored_at", "score"} <= set(pain.columns) and _speaks_of_pain(pain):
        yield "pain_score", pain
        return
    diagnosis = _draft(
        table,
        {"patient_id": _any, "diagnosis_date": _is_date, "diagnosis_code": _is_diagnosis},
        {},
    )
    procedure = _draft(
        table,
        {"patient_id": _any, "procedure_date": _is_date, "procedure_code": _is_procedure},
        {},
    )
    if {"diagnosis_date", "diagnosis_code"} <= set(diagnosis.columns):
        yield "diagnosis", diagnosis
    elif {"procedure_date", "procedure_code"} <= set(procedure.columns):
        yield "procedure", procedure


def _draft(
    table: TableProfile,
    needed: Mapping[str, Callable[[ColumnProfile], bool]],
    optional: Mapping[str, Callable[[ColumnProfile], bool]],
) -> Draft:
    """Give each part the column that its name and values speak for; a needed one else goes to the first that fits."""
    draft = Draft(table)
    for part, fits in {**needed, **optional}.items():
        free = [column for column in table.columns if column not in draft.columns.values() and fits(column)]
        ranked = sorted((rank, column.name) for column in free if (rank := _rank(column.name, part)) is not None)
        by_name = {column.name: column for column in free}
        if ranked:
            draft.columns[part] = by_name[ranked[0][1]]
            if len(ranked) > 1 and ranked[1][0] == ranked[0][0]:
                others = ", ".join(name for rank, name in ranked if rank == ranked[0][0])
                draft.choices[part] = f"which of {others}?"
        elif ((part in needed and part not in TOLD_BY_NAME) or part in TOLD_BY_VALUES) and free:
            draft.columns[part] = free[0]
            draft.choices[part] = f"no column is called like it; is it {', '.join(column.name for column in free)}?"
    for column in table.columns:
        words = f"_{column.name}_"
        if column not in draft.columns.values() and any(f"_{word}_" in words for word in STATUS.split()):
            seen = f" Seen: {', '.join(column.values)}." if column.values else ""
            draft.choices["status"] = f"does {column.name} tell rows that are no event?{seen} Give those a reason here."
    for part, column in draft.columns.items():
        if len(column.date_formats) > 1:
            draft.choices[part] = "is the day or the month first? Both fit every value."
    return draft


def may_be_pseudonym(delivered_as: str) -> bool:
    """Whether a column is called as patients' pseudonyms are."""
    return _rank(snake_case(delivered_as), "patient_id") is not None


def _rank(name: str, part: str) -> tuple[int, int] | None:
    """How well a name fits a part, smallest first: the whole name, then words in it, each in the order of the list."""
    spelled = _spelled_out(name)
    listed = [_spelled_out(known) for known in NAMES[part].split()]
    for place, known in enumerate(listed):
        if spelled == known:
            return 0, place
    for place, known in enumerate(listed):
        if f"_{known}_" in f"_{spelled}_":
            return 1, place
    return None


def _spelled_out(name: str) -> str:
    """A name with its abbreviations spelled out and no number at the end of a word: svc_dt1 is service_date."""
    words = (word.rstrip("0123456789") or word for word in name.split("_"))
    return "_".join(ABBREVIATIONS.get(word, word) for word in words)


def _speaks_of_pain(draft: Draft) -> bool:
    words = f"{draft.table.name} {draft.columns['score'].name}"
    return "item" in draft.columns or any(word in words for word in ("pain", "nrs", "vas"))


def _any(column: ColumnProfile) -> bool:
    return column.filled_rows > 0


def _is_date(column: ColumnProfile) -> bool:
    return column.is_date


def _is_number(column: ColumnProfile) -> bool:
    return column.is_number


def _is_text(column: ColumnProfile) -> bool:
    return column.type == "VARCHAR" and not column.is_date


def _is_text_or_code(column: ColumnProfile) -> bool:
    return not column.is_date


def _is_diagnosis(column: ColumnProfile) -> bool:
    return max(column.kinds["ICD10CM"], column.kinds["ICD9CM"]) > 0.9 and not _is_procedure(column)


def _is_procedure(column: ColumnProfile) -> bool:
    codes = max(column.kinds["CPT4"], column.kinds["HCPCS"])
    return codes > 0.9 and codes > column.kinds["ICD10CM"]
