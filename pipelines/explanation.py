"""Where a dose comes from: the rows, factors, citations and policies behind one patient's dose of one day."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from pipelines import trajectory, warehouse
from pipelines.errors import WorkspaceError
from pipelines.study import Study
from pipelines.workspace import Workspace

RECORDS = """
select
    dose.record_id,
    amount.drug_text,
    amount.start_date as from_day,
    amount.end_date as to_day,
    amount.amount_basis,
    amount.quantity,
    amount.unit_strength,
    amount.dose_unit,
    dose.dose_micro_unit / 1e6 as amount_per_day,
    dose.factor::double as factor,
    dose.dose_micro_mme / 1e6 as mme_per_day,
    dose.low_dose_micro_mme / 1e6 as low_mme,
    dose.high_dose_micro_mme / 1e6 as high_mme,
    dose.is_in_timeline,
    dose.reason,
    dose.ingredient,
    dose.route,
    dose.factor_set,
    dose.patient_index
from trajectory.record_dose as dose
inner join trajectory.record_amount as amount on dose.record_id = amount.record_id
where dose.patient_index = $patient_index
"""


@dataclass(frozen=True)
class Explanation:
    """What is to be shown.

    Attributes:
        tables: Rows by heading.
        sentence: The dose and what it depends on, in words.
    """

    tables: dict[str, pl.DataFrame]
    sentence: str


def of(study: Study, patient_id: str, day: date) -> Explanation:
    """Explain a patient's dose of a day, from the published run of a study.

    Args:
        patient_id: As in clean.patient, or as delivered where only one source has it.

    Raises:
        WorkspaceError: The study has no published run, or no such patient.
    """
    with warehouse.opened(Workspace(study).published, read_only=True, memory_limit=study.memory_limit) as connection:
        known = connection.execute(
            "select patient_index from clean.patient where patient_id = $id or patient_id = source || ':' || $id",
            {"id": patient_id},
        ).fetchall()
        if len(known) != 1:
            raise WorkspaceError(
                f"{study.name}: {len(known)} patients go by that name. Write it as in clean.patient, source and all."
            )
        [[patient_index]] = known
        record = connection.sql(RECORDS, params={"patient_index": patient_index}).pl()
        supply = trajectory.overlapped(
            trajectory.records(connection, "trajectory.record_dose", f"patient_index = {patient_index}", ["record_id"]),
            study,
        ).select("record_id", taken_from="start_date", taken_to="end_date")
        period = connection.execute(
            "select dose_mme, is_lower_bound from trajectory.dose_period "
            "where patient_index = ? and ? between start_date and end_date",
            [patient_index, day],
        ).fetchall()
        factors = connection.sql("from reference.mme_factor").pl()

    record = record.join(supply, on="record_id", how="left")
    is_on_day = pl.lit(day).is_between(pl.col("taken_from"), pl.col("taken_to"))
    counted = record.filter("is_in_timeline", is_on_day)
    left_out = record.filter(~pl.col("is_in_timeline"), pl.lit(day).is_between(pl.col("from_day"), pl.col("to_day")))
    cited = factors.join(
        counted.select("factor_set", "ingredient").unique(), on=["factor_set", "ingredient"], how="semi"
    ).select(
        "factor_set",
        "ingredient",
        "route",
        "form",
        "dose_unit",
        "above_mg_per_day",
        pl.col("factor").cast(pl.Float64),
        "citation",
    )
    told = ["record_id", "drug_text", "from_day", "to_day", "taken_from", "taken_to", "amount_basis", "quantity"]
    told += ["unit_strength", "dose_unit", "amount_per_day", "factor", "mme_per_day", "low_mme", "high_mme", "reason"]
    return Explanation(
        {
            f"Records of {day}": counted.select(told),
            f"Left out on {day}": left_out.select(
                "record_id", "drug_text", "from_day", "to_day", "mme_per_day", "reason"
            ),
            "Factors": cited.sort(pl.all()),
        },
        _sentence(study, day, period),
    )


def _sentence(study: Study, day: date, period: list[tuple[float, bool]]) -> str:
    policies = ", ".join(f"{name} {value}" for name, value in study.dose_policy.model_dump().items())
    if not period:
        dose = f"No opioid was in supply on {day}."
    else:
        [(dose_mme, is_lower_bound)] = period
        bound = "at least " if is_lower_bound else ""
        dose = f"Dose of {day}: {bound}{dose_mme:g} MME, the sum of the records above, rounded to 0.001."
    return f"{dose} Factor set {study.factor_set}; policies: {policies}."
