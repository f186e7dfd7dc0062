"""Trajectory tables that time-ordered kernels build: read from the warehouse, hand over to the kernel, give a frame."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from pipelines import dose_change, dose_pain_slope, dose_timeline, ndc, overlap, pain_timeline, products
from pipelines.study import Study
from pipelines.warehouse import Connection


def build_drug_code(connection: Connection, study: Study) -> pl.DataFrame:
    """What each distinct delivered drug code means; grain: one row per code."""
    codes = ndc.read(connection.sql("select ndc from clean.prescription").pl())
    if study.ndc_table is None:
        texts = pl.DataFrame(schema={"ndc11": pl.String, "drug_text": pl.String})
    else:
        texts = ndc.load(study.ndc_table)
    in_table = pl.when(pl.col("drug_text").is_null()).then(pl.lit("ndc_not_in_table"))
    return codes.join(texts, on="ndc11", how="left").with_columns(reason=pl.coalesce("reason", in_table))


def build_drug_product(connection: Connection, study: Study) -> pl.DataFrame:
    """What each distinct drug text says; grain: one row per text."""
    texts = connection.sql(
        """
        from clean.prescription select drug_text
        union from clean.administration select drug_text
        union from trajectory.drug_code select drug_text
        """
    )
    return products.read(
        texts.pl(),
        connection.sql("from reference.opioid_name").pl(),
        connection.sql("from reference.label_strength").pl(),
    )


def build_dose_period(connection: Connection, study: Study) -> pl.DataFrame:
    """Runs of equal dose; grain: one row per patient and run of days."""
    record = overlapped(records(connection, "trajectory.record_dose"), study)
    return dose_timeline.dose_period(record, bands(connection, study.factor_set))


def records(connection: Connection, dose: str, where: str = "true", more: Sequence[str] = ()) -> pl.DataFrame:
    """Records of the timeline, on the days of their supply; grain: one row per record.

    Args:
        dose: Table with the columns of trajectory.record_dose.
        where: Which of its records count.
        more: What to select besides what days and doses need.
    """
    # Products are few: numbering them costs less than ranking all records.
    return connection.sql(
        f"""
        with record as (from {dose} where is_in_timeline and {where}),
        product as (select distinct ingredient, form, release, dose_unit, unit_strength from record),
        numbered as (
            select
                *,
                dense_rank() over (order by ingredient)::integer as ingredient_number,
                row_number() over (order by ingredient, form, release, dose_unit, unit_strength)::integer
                    as drug_number
            from product
        )
        select
            patient_index, start_date, end_date, dose_micro_mme, tiered_micro_mg, days_supply,
            days_supply is null and record_kind <> 'administration' as is_open_ended,
            ingredient_number, drug_number{"".join(f", {column}" for column in more)}
        from record
        inner join numbered
            on record.ingredient is not distinct from numbered.ingredient
            and record.form is not distinct from numbered.form
            and record.release is not distinct from numbered.release
            and record.dose_unit is not distinct from numbered.dose_unit
            and record.unit_strength is not distinct from numbered.unit_strength
        """
    ).pl()


def overlapped(record: pl.DataFrame, study: Study) -> pl.DataFrame:
    """The records on the days that the study's overlap policy gives them."""
    return overlap.overlapped(record, study.dose_policy.overlap, study.settings.carry_forward_cap_days)


def bands(connection: Connection, factor_set: str) -> pl.DataFrame:
    """Bands of the factor that depends on the dose; grain: one row per band, none where the set has one factor."""
    return connection.sql(
        """
        select distinct above_mg_per_day, factor
        from reference.mme_factor
        where factor_set = ?
        qualify count(*) over (partition by ingredient, route, form, dose_unit) > 1
        """,
        params=[factor_set],
    ).pl()


def build_therapy_run(connection: Connection, study: Study) -> pl.DataFrame:
    """Runs of therapy with short gaps bridged, long-term as the study says; grain: one row per patient and run."""
    period = connection.sql("from trajectory.dose_period").pl()
    bridge_days = study.settings.bridge_gap_days
    rule = long_term_definition(connection, study)
    if rule["min_covered_days"]:
        return dose_timeline.therapy_run(
            period, bridge_days, rule["covered_span_days"], rule["min_covered_days"], rule["is_across_runs"]
        )
    fill = connection.sql(
        "select patient_index, start_date, days_supply from trajectory.record_dose "
        "where is_in_timeline and record_kind <> 'administration'"
    ).pl()
    return dose_timeline.long_term_by_supply(
        dose_timeline.therapy_run(period, bridge_days),
        fill,
        rule["min_run_days"],
        rule["min_supply_days"],
        rule["min_fills"],
        rule["supply_span_days"],
    )


def long_term_definition(connection: Connection, study: Study) -> dict[str, Any]:
    """The row of reference.long_term_definition that the study names."""
    where = "from reference.long_term_definition where definition = ?"
    return connection.sql(where, params=[study.long_term_definition]).pl().row(0, named=True)


def build_dose_step(connection: Connection, study: Study) -> pl.DataFrame:
    """Every rise of the dose with the mean doses around it; grain: one row per patient and day of a rise."""
    settings = study.settings
    period = connection.sql("from trajectory.dose_period").pl()
    step = dose_timeline.dose_increase(period)
    before = _window(period, step, -settings.dose_before_days, -1)
    after = _window(period, step, 0, settings.dose_after_days - 1)
    sustained = _window(period, step, 0, settings.reversal_days - 1)
    return step.with_columns(
        mean_before_mme=_mean(before, study),
        mean_after_mme=_mean(after, study),
        mean_sustained_mme=_mean(sustained, study),
        before_coverage=before["covered_days"] / settings.dose_before_days,
        after_coverage=after["covered_days"] / settings.dose_after_days,
        before_lower_bound_days=before["lower_bound_days"],
        after_lower_bound_days=after["lower_bound_days"],
    )


def build_pain_rise(connection: Connection, study: Study) -> pl.DataFrame:
    """Scored weeks with more pain than the scored week before; grain: one row per patient and such week."""
    settings = study.settings
    week = connection.sql(
        """
        select patient_index, week_start_date, avg(pain_nrs) as pain_nrs
        from trajectory.pain_week
        where list_contains(?, setting)
        group by all
        order by all
        """,
        params=[study.pain.settings],
    ).pl()
    rose = (pl.col("pain_nrs") > pl.col("pain_nrs").shift()) & (pl.col("patient_index").diff() == 0)
    rise = week.filter(rose).select("patient_index", index_date="week_start_date")
    return rise.with_columns(
        distal_nrs=pain_timeline.window_means(week, rise, settings.distal_from_day, settings.distal_to_day),
        late_nrs=pain_timeline.window_means(week, rise, settings.late_from_day, settings.late_to_day),
    )


def build_index_dose(connection: Connection, study: Study) -> pl.DataFrame:
    """Mean doses around every day that may begin an episode without a rise of the dose; grain: one row per such day."""
    settings = study.settings
    period = connection.sql("from trajectory.dose_period").pl()
    candidate = connection.sql("from episode.index_candidate").pl()
    before = _window(period, candidate, -settings.dose_before_days, -1, "index_date")
    after = _window(period, candidate, 0, settings.response_to_day, "index_date")
    distal = _window(period, candidate, settings.distal_from_day, settings.distal_to_day, "index_date")
    late = _window(period, candidate, settings.late_from_day, settings.late_to_day, "index_date")
    return candidate.with_columns(
        mean_before_mme=_mean(before, study),
        mean_after_mme=_mean(after, study),
        distal_mme=_mean(distal, study),
        late_mme=_mean(late, study),
        before_coverage=before["covered_days"] / before["window_days"],
        after_coverage=after["covered_days"] / after["window_days"],
        before_lower_bound_days=before["lower_bound_days"],
        after_lower_bound_days=after["lower_bound_days"],
    )


def build_dose_pain_slope(connection: Connection, study: Study) -> pl.DataFrame:
    """How pain went with the dose of weeks before; grain: one row per episode that is not excluded.

    Scores are read as they were known at the end of the response window: a later operation does not mask them.
    """
    settings = study.settings
    numbered = """
        with numbered as (
            select
                episode_id, patient_index, index_date, patient_id || index_date::varchar as seed_text,
                row_number() over (order by episode_id) - 1 as episode_number
            from episode.episode
            left join (select patient_index, patient_id from clean.patient) using (patient_index)
            where excluded_reason is null
        )
    """
    episode = connection.sql(
        f"""{numbered}
        select episode_id, patient_index, index_date, md5_number_lower(coalesce(seed_text, episode_id)) as seed
        from numbered
        order by episode_number
        """
    ).pl()
    week = connection.sql(
        f"""{numbered}
        select
            episode_number, numbered.patient_index, date_trunc('week', score_date)::date as week_start_date,
            date_trunc('week', score_date)::date - index_date as week_day, median(pain_nrs) as pain_nrs
        from numbered
        inner join trajectory.pain_day as day
            on numbered.patient_index = day.patient_index
            and score_date between index_date - $look_back_days and index_date + $response_to_day
        where
            (score_date < index_date or score_date >= index_date + $response_from_day)
            and pain_nrs is not null
            and list_contains($pain_settings, setting)
            and (not is_masked or masked_by_date > index_date + $response_to_day)
        group by all
        order by episode_number, week_day
        """,
        params={
            "look_back_days": settings.look_back_days,
            "response_from_day": settings.response_from_day,
            "response_to_day": settings.response_to_day,
            "pain_settings": study.pain.settings,
        },
    ).pl()
    period = connection.sql("from trajectory.dose_period").pl()
    dose = dose_pain_slope.dose_before(period, week, settings, study.dose_definition)
    fit = dose_pain_slope.fitted(week.with_columns(dose_mme=dose), episode["seed"].to_numpy(), settings)
    step = dose_pain_slope.steps(period, settings, study.dose_definition)
    day = pl.col("step_date") - pl.col("index_date")
    last_day = settings.response_to_day - settings.reversal_days + 1  # what follows a step is seen in full by then
    counted = (
        episode.join(step, on="patient_index")
        .filter(day.dt.total_days().is_between(-settings.look_back_days, last_day))
        .group_by("episode_id")
        .agg(step_count=pl.len())
    )
    return (
        pl.concat([episode.select("episode_id", "patient_index"), fit], how="horizontal")
        .join(counted, on="episode_id", how="left", maintain_order="left")
        .with_columns(pl.col("step_count").fill_null(0))
    )


def build_dose_change(connection: Connection, study: Study) -> pl.DataFrame:
    """Every change of the dose as each definition measures it; grain: one row per patient, definition and day."""
    return dose_change.measured(
        connection.sql("from trajectory.dose_period").pl(),
        connection.sql("from trajectory.follow_up").pl(),
        study.settings,
        study.dose_definition,
    )


def _window(
    period: pl.DataFrame, step: pl.DataFrame, from_day: int, to_day: int, day: str = "increase_date"
) -> pl.DataFrame:
    window = step.select(
        "patient_index",
        start_date=pl.col(day) + timedelta(days=from_day),
        end_date=pl.col(day) + timedelta(days=to_day),
    )
    return dose_timeline.window_totals(period, window).with_columns(
        window_days=pl.lit(to_day - from_day + 1, dtype=pl.Int32)
    )


def _mean(window: pl.DataFrame, study: Study) -> pl.Series:
    """Mean dose over the days in supply, or over all days, as the study says; NULL without supply."""
    days = "covered_days" if study.dose_definition == "on_therapy_days" else "window_days"
    covered = pl.when(pl.col("covered_days") > 0)
    return window.select(covered.then(pl.col("dose_mme_days") / pl.col(days)))["dose_mme_days"]
