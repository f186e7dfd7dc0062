"""The evidence ledger of one episode: what each rule saw of it, when, and how near it came.

Row-level: what this reads stays inside the secure environment.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from pipelines import reporting, sql_files, warehouse
from pipelines.errors import WorkspaceError
from pipelines.study import Study
from pipelines.warehouse import Connection
from pipelines.workspace import Workspace

Row = dict[str, Any]

# Kinds of events, in the order in which the page draws them, each with the feed that tells of it.
KINDS = {
    "dose step": None,
    "dose cut": None,
    "change of opioid": None,
    "adjuvant begun": "has_adjuvants",
    "procedure": "has_procedures",
    "acute event": "has_diagnoses",
    "stay in hospital": "has_encounters",
    "stay in long-term care": "has_encounters",
}

WINDOWS = """
select
    win.window_name,
    win.start_date,
    win.end_date,
    win.is_observed,
    dose.mean_mme,
    pain.mean_nrs,
    pain.standard_error_nrs,
    coalesce(pain.scored_week_count, 0) as scored_week_count
from episode.episode_window as win
left join episode.window_dose as dose using (episode_id, window_name)
left join episode.window_pain as pain using (episode_id, window_name)
where win.episode_id = $episode_id
"""

# Only tapers, cuts and ends of supply under some definition are cuts; a smaller fall is seen in the dose itself.
# A refill is no start: an adjuvant begins where none of it was in supply for as long as therapy bridges.
EVENTS = """
with
adjuvant as (
    select
        ingredient,
        drug_class,
        start_date,
        max(coalesce(end_date, start_date)) over (
            partition by ingredient order by start_date rows between unbounded preceding and 1 preceding
        ) as last_date
    from trajectory.adjuvant_dose
    where patient_index = $patient_index
),
event as (
    select 'dose step' as kind, increase_date as event_date, null::date as end_date,
        format('{:.1f} to {:.1f} MME a day', mean_before_mme, mean_after_mme) as what
    from episode.escalation
    where patient_index = $patient_index and failed_requirement is null
    union all by name
    select 'dose cut' as kind, event_date, replace(event, '_', ' ') as what
    from trajectory.opioid_event
    where patient_index = $patient_index and event in ('taper', 'abrupt_cut', 'discontinuation')
    union all by name
    select 'dose cut' as kind, unnest([first_cut_date, last_cut_date]) as event_date,
        unnest(['first cut of the taper that rules read', 'last cut of the taper that rules read']) as what
    from episode.dechallenge
    where episode_id = $episode_id and is_taper
    union all by name
    select 'change of opioid' as kind, switch_date as event_date,
        replace(event, '_', ' ') || ', ' || ingredient_before || ' to ' || ingredient_after
        || coalesce(', ' || release_before || ' to ' || release_after || ' release', '') as what
    from trajectory.opioid_switch
    where patient_index = $patient_index
    union all by name
    select 'adjuvant begun' as kind, start_date as event_date,
        ingredient || ', ' || replace(drug_class, '_', ' ') as what
    from adjuvant
    where coalesce(start_date - last_date > $bridge_gap_days, true)
    union all by name
    select 'procedure' as kind, procedure_date as event_date, code_system || ' ' || code as what
    from clean.procedure
    where patient_index = $patient_index
    union all by name
    select 'acute event' as kind, event_date, replace(kind, '_', ' ') as what
    from trajectory.acute_event
    where patient_index = $patient_index
    union all by name
    select if(setting = 'inpatient', 'stay in hospital', 'stay in long-term care') as kind,
        start_date as event_date, end_date,
        stay_days || if(is_end_known, '', ' or more') || ' days' as what
    from trajectory.inpatient_stay
    where patient_index = $patient_index
)
select
    kind,
    event_date,
    end_date,
    event_date - $index_date as day,
    string_agg(distinct what, '; ' order by what) as what
from event
where event_date <= $end_date and coalesce(end_date, event_date) >= $start_date
group by all
order by event_date, kind
"""

DOSE = """
select
    greatest(start_date, $start_date) as start_date,
    least(end_date, $end_date) as end_date,
    dose_mme,
    is_lower_bound
from trajectory.dose_period
where patient_index = $patient_index and start_date <= $end_date and end_date >= $start_date
order by start_date
"""

PAIN = """
select score_date, pain_nrs, setting, not is_masked and list_contains($settings, setting) as is_counted
from trajectory.pain_day
where patient_index = $patient_index and score_date between $start_date and $end_date and pain_nrs is not null
order by score_date, setting
"""

VOTES = """
select rule, vote, strength, abstain_reason, unnest(if(len(evidence) = 0, [null], evidence), recursive := true)
from label.vote
where episode_id = $episode_id
"""


@dataclass(frozen=True)
class Evidence:
    """What is known of one episode.

    Attributes:
        run_id: The published run that it is from.
        episode: Its row of episode.episode_profile, with ``tier`` (None outside the cohort), ``explanation`` and the
            feeds that were delivered.
        windows: Dates, mean dose and mean pain; one row per window, C (in which a taper is looked for) last.
        votes: What each rule says, those that fired first and those that abstained last; one row per value that a rule
            looked at.
        events: What happened from the first day of B1 to the last of C; one row per day and kind.
        dose: Doses of these days, as in trajectory.dose_period.
        pain: Scored days of these days, and whether the windows count them.
    """

    run_id: str
    episode: Row
    windows: pl.DataFrame
    votes: pl.DataFrame
    events: pl.DataFrame
    dose: pl.DataFrame
    pain: pl.DataFrame

    @property
    def tier(self) -> str:
        """The tier in one sentence, or why the episode has none."""
        if excluded := self.episode["excluded_reason"]:
            return f"Outside the cohort: {reporting.label(excluded, 'reason')}."
        return self.episode["explanation"]

    @property
    def facts(self) -> dict[str, str]:
        """What is to be said of the episode before its evidence, by heading."""
        episode = self.episode
        return {
            "Began as": reporting.label(episode["index_kind"], "index_kind"),
            "Index date": f"{episode['index_date']}",
            "Tier": self.tier,
            "Data grade": f"{episode['data_grade'] or 'below C'}: {episode['fewest_scored_weeks'] or 0} scored weeks "
            "in the sparsest of B1, B0 and R",
            "Not classifiable": reporting.label(episode["not_classifiable_reason"] or "classifiable", "reason"),
            "Change of pain": self._change,
            "Taper": "none that could be read, which says nothing either way"
            if episode["is_dechallenge_not_observed"]
            else "read by the rules below",
            "Followed up until": f"{episode['follow_up_end_date'] or 'not known'}",
        }

    @property
    def _change(self) -> str:
        episode = self.episode
        if episode["distal_change_nrs"] is None:
            return "not known: too few scores in B1 or in R"
        change = f"{number(episode['distal_change_nrs'])} NRS points from B1 to R"
        if episode["expected_change_nrs"] is None:
            return f"{change}; what was to be expected is not known"
        by = {
            "matched_maintainers": f"of {episode['matched_count']} matched patients whose dose was kept",
            "regression": "that regression to the mean explains, since nobody matched",
        }[episode["expected_by"]]
        return (
            f"{change}; {number(episode['expected_change_nrs'])} (standard error "
            f"{number(episode['expected_change_se_nrs'])}) was to be expected, the change {by}; "
            f"{number(episode['adjusted_change_nrs'])} is beyond it"
        )


def number(value: float | None) -> str:
    """A value as a person reads it: three digits that say something, whole beyond a thousand."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def vote_words(vote: str, strength: str | None, abstain_reason: str | None) -> str:
    """A vote as the page says it."""
    said = ", ".join(filter(None, [reporting.label(vote, "vote"), strength]))
    return f"{said}: {reporting.label(abstain_reason, 'reason')}" if abstain_reason else said


def of(study: Study, episode_id: str) -> Evidence:
    """The evidence of an episode, from the published run of a study.

    Args:
        episode_id: As in label.tier or, outside the cohort, as in episode.episode.

    Raises:
        WorkspaceError: The study has no published run, or no such episode.
    """
    workspace = Workspace(study)
    published = workspace.published
    memory_limit, study = study.memory_limit, workspace.published_study()
    with warehouse.opened(published, read_only=True, memory_limit=memory_limit) as connection:
        episode = _episode(connection, study, episode_id)
        windows = _windows(connection, study, episode)
        dated = {
            "patient_index": episode["patient_index"],
            "start_date": windows["start_date"].min(),
            "end_date": windows["end_date"].max(),
        }
        events = dated | {
            "episode_id": episode_id,
            "index_date": episode["index_date"],
            "bridge_gap_days": study.settings.bridge_gap_days,
        }
        return Evidence(
            run_id=published.parent.resolve().name,
            episode=episode,
            windows=windows,
            votes=_votes(connection, episode_id),
            events=connection.sql(EVENTS, params=events).pl(),
            dose=connection.sql(DOSE, params=dated).pl(),
            pain=connection.sql(PAIN, params=dated | {"settings": study.pain.settings}).pl(),
        )


def _episode(connection: Connection, study: Study, episode_id: str) -> Row:
    found = connection.sql(
        "select profile.*, tier.* exclude (episode_id, patient_index, index_kind, data_grade), "
        "feed.* exclude (episode_id) "
        "from episode.episode_profile as profile left join label.tier as tier using (episode_id) "
        "left join episode.delivered_feed as feed using (episode_id) where profile.episode_id = $episode_id",
        params={"episode_id": episode_id},
    ).pl()
    if not len(found):
        raise WorkspaceError(f"{study.name}: has no episode of that name. Write it as in label.tier of its last run.")
    [row] = found.to_dicts()
    return row


def _windows(connection: Connection, study: Study, episode: Row) -> pl.DataFrame:
    found = connection.sql(WINDOWS, params={"episode_id": episode["episode_id"]}).pl()
    end = episode["index_date"] + timedelta(study.settings.confirmation_to_day)
    confirmation = {
        "window_name": "C",
        "start_date": episode["index_date"] + timedelta(study.settings.confirmation_from_day),
        "end_date": end,
        "is_observed": (episode["follow_up_end_date"] or date.min) >= end,
    }
    return pl.concat([found.sort("start_date"), pl.DataFrame([confirmation])], how="diagonal")


def _votes(connection: Connection, episode_id: str) -> pl.DataFrame:
    titles = pl.DataFrame(
        {"rule": [sql.rule for sql in sql_files.rules()], "title": [sql.title for sql in sql_files.rules()]}
    )
    votes = connection.sql(VOTES, params={"episode_id": episode_id}).pl()
    fired_first = pl.col("vote").replace_strict({"NONE": 1, "ABSTAIN": 2}, default=0)
    titled = votes.join(titles, on="rule", how="left", maintain_order="left")
    return titled.sort(fired_first, "rule", maintain_order=True)
