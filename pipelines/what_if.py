"""What if a threshold were another: rules and tiers evaluated anew over the stored tables of the published run.

Nothing of the run changes. Of what is before the rules, only tables that lead nowhere but to them are built anew, in
memory, and only where a setting of theirs is another. Counts are exact and episodes are named: what this gives stays
inside the secure environment.
"""

import ast
import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from pipelines import contracts, paths, settings, sql_files, warehouse
from pipelines.contracts import Contract
from pipelines.errors import PipelineError, WorkspaceError
from pipelines.settings import Settings
from pipelines.sql_files import SqlFile
from pipelines.study import Study
from pipelines.warehouse import Connection
from pipelines.workspace import Workspace

FIRST_STEP = sql_files.RULES.parent.name
STEP_BEFORE = "4_episode"

TIERS = """
select episode_id, before.index_kind, before.tier as tier_before, after.tier as tier_after
from stored.label.tier as before inner join label.tier as after using (episode_id)
"""
IS_REVOTED = """
(before.vote, before.strength, before.abstain_reason)
is distinct from (after.vote, after.strength, after.abstain_reason)
"""

# A vote is another where a value of its evidence lies on the other side of a threshold than before.
REASONS = f"""
with
moved as (
    from label.move where tier_before <> tier_after
),
changed as (
    select
        moved.*,
        before.rule,
        before.vote as vote_before,
        after.vote as vote_after,
        before.strength as strength_before,
        after.strength as strength_after,
        before.abstain_reason as abstain_reason_before,
        after.abstain_reason as abstain_reason_after,
        before.evidence as evidence_before,
        after.evidence as evidence_after
    from moved
    inner join stored.label.vote as before using (episode_id)
    inner join label.revoted as after using (episode_id, rule)
    where {IS_REVOTED}
),
value_before as (
    select episode_id, rule, unnest(evidence_before, recursive := true), unnest(range(len(evidence_before))) as place
    from changed
),
value_after as (
    select episode_id, rule, unnest(evidence_after, recursive := true), unnest(range(len(evidence_after))) as place
    from changed
),
seen as (
    select
        before.episode_id,
        before.rule,
        before.place,
        before.name,
        before.value as value_before,
        after.value as value_after,
        before.threshold as threshold_before,
        after.threshold as threshold_after,
        before.unit
    from value_before as before
    inner join value_after as after using (episode_id, rule, place)
    where (before.margin >= 0) is distinct from (after.margin >= 0)
)
select
    moved.episode_id,
    moved.index_kind,
    moved.tier_before,
    moved.tier_after,
    changed.* exclude (
        episode_id, index_kind, tier_before, tier_after, evidence_before, evidence_after
    ),
    seen.* exclude (episode_id, rule, place),
from moved
left join changed using (episode_id)
left join seen using (episode_id, rule)
order by moved.index_kind, moved.tier_before, moved.tier_after, moved.episode_id, changed.rule, seen.place
"""


@dataclass(frozen=True)
class Moves:
    """Who moves.

    Attributes:
        settings: Each changed setting with its value in the run and the other one.
        tiers: Episodes by index_kind, tier_before and tier_after: episode_count. Those that stay are counted too.
        reasons: What moved each episode that did; one row per episode, rule whose vote changed and value of evidence
            that is now on the other side of its threshold. Without a value, a threshold moved the vote that no evidence
            has; without a rule, a threshold of the tiers did. ``settings`` are the changed ones that the rule, or else
            the tiers, use.
        revoted_count: Votes that changed, in episodes that stay too.
    """

    settings: dict[str, tuple[Any, Any]]
    tiers: pl.DataFrame
    reasons: pl.DataFrame
    revoted_count: int


def of(study: Study, changes: Mapping[str, str]) -> Moves:
    """Evaluate rules and tiers of a study's published run with other settings.

    Args:
        changes: Values by the name of the setting, as written on the command line.

    Raises:
        PipelineError: A setting is not one that only rules and tiers depend on, or a value not one that it can have.
        WorkspaceError: The study has no published run, or one that other rules made.
    """
    workspace = Workspace(study)
    published = workspace.published
    ran = workspace.published_study()
    before, after = ran.parameters, ran.parameters | _changed(ran.settings, changes).parameters()
    anew = _anew(set(changes))
    rules = [rule for rule in sql_files.rules() if rule.parameters & set(changes) or rule.reads & anew.keys()]
    tier = _tier()
    reads = {table for sql in [*anew.values(), *rules, tier] for table in sql.reads} - {"label.vote", *anew}
    with warehouse.over(published, reads, study.memory_limit) as connection:
        _evaluate(connection, anew, rules, tier, before)
        _refuse_other_rules(connection, published)
        _evaluate(connection, anew, rules, tier, after)
        connection.execute(f"create table label.move as {TIERS}")
        [[revoted_count]] = connection.sql(
            "select count(*) from stored.label.vote as before inner join label.revoted as after "
            f"using (episode_id, rule) where {IS_REVOTED}"
        ).fetchall()
        counts = connection.sql("select * exclude (episode_id), count(*) as episode_count from label.move group by all")
        named = pl.Enum(next(column.values or [] for column in _contract("tier").columns if column.name == "tier"))
        return Moves(
            settings={name: (before[name], after[name]) for name in changes},
            tiers=counts.pl().with_columns(pl.col("tier_before", "tier_after").cast(named)).sort(pl.all()),
            reasons=_with_settings(connection.sql(REASONS).pl(), before, after, changes),
            revoted_count=revoted_count,
        )


def _with_settings(
    reasons: pl.DataFrame, before: Mapping[str, Any], after: Mapping[str, Any], changes: Iterable[str]
) -> pl.DataFrame:
    """Reasons with the changed settings that the rule depends on, or the tiers where no vote is another."""
    said = {
        rule: "; ".join(f"{name} {before[name]} to {after[name]}" for name in changes if name in _depends_on(sql))
        for rule, sql in [(sql.rule, sql) for sql in sql_files.rules()] + [("", _tier())]
    }
    rule = pl.col("rule").fill_null("")
    return reasons.with_columns(settings=rule.replace_strict(said, default="", return_dtype=pl.String))


def _refuse_other_rules(connection: Connection, published: Path) -> None:
    """The stored evidence is that of these rules only where they give the tiers of the run again."""
    query = "select episode_id, tier from {}label.tier"
    one, other = query.format("stored."), query.format("")
    [[differing]] = connection.sql(
        f"select count(*) from (({one} except {other}) union all ({other} except {one}))"
    ).fetchall()
    if differing:
        raise WorkspaceError(
            f"{published}: these rules do not give the tiers of the run, so another version of the project made it. "
            "Run the study again."
        )


@cache
def changeable() -> frozenset[str]:
    """Settings of rules and tiers and of the tables that lead to them alone, which nothing else before them uses."""
    used = {name for sql in (*sql_files.rules(), _tier(), *_of_rules().values()) for name in sql.parameters}
    return frozenset(used & set(Settings.model_fields)) - set(_used_before())


@cache
def _reads() -> dict[str, set[str]]:
    """What each table reads that rules and tiers are built from, themselves included."""
    known = {sql.table: sql.reads for sql in sql_files.tables()}
    known |= {
        contract.table: set(contract.reads) for contract in contracts.all_contracts().values() if contract.built_by
    }
    known["label.vote"] = {table for rule in sql_files.rules() for table in rule.reads}
    found: dict[str, set[str]] = {}
    left = {"label.tier"}
    while left:
        found |= {table: known.get(table, set()) for table in left}
        left = {read for table in left for read in found[table]} - found.keys()
    return found


@cache
def _of_rules() -> dict[str, SqlFile]:
    """Tables of the step before the rules on whose way to the tiers nothing but the like lies, in the order of flow."""
    reads = _reads()
    files = {sql.table: sql for sql in sql_files.tables() if sql.path.parent.name == STEP_BEFORE}
    found = files.keys() & reads.keys()
    while others := {
        read for table in reads.keys() - found - {"label.vote", "label.tier"} for read in reads[table] & found
    }:
        found -= others
    return {
        table: files[table]
        for table in TopologicalSorter({of: reads[of] & found for of in sorted(found)}).static_order()
    }


def _anew(changes: Set[str]) -> dict[str, SqlFile]:
    """Of these tables the ones that depend on a changed setting, in the order of flow."""
    found: dict[str, SqlFile] = {}
    for table, sql in _of_rules().items():
        if sql.parameters & changes or sql.reads & found.keys():
            found[table] = sql
    return found


def _depends_on(sql: SqlFile) -> set[str]:
    """Settings that what a file gives depends on, as far as they can be changed here."""
    read = [_of_rules()[table] for table in sql.reads if table in _of_rules()]
    return sql.parameters.union(*(_depends_on(other) for other in read))


@cache
def _used_before() -> dict[str, str]:
    """Settings that earlier steps use on the way to the tiers, each with what uses it first."""
    users = {
        name: sql.table
        for sql in reversed(sql_files.tables())
        if sql.path.parent.name < FIRST_STEP and sql.table in _reads() and sql.table not in _of_rules()
        for name in sql.parameters
    }
    # What Python builds is built before, too: an attribute of that name in any module but that of the settings.
    for module in sorted({*Path(__file__).parent.rglob("*.py")} - {Path(str(settings.__file__))}):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in Settings.model_fields:
                users.setdefault(node.attr, paths.relative(module))
    return users


def parse(assignments: Iterable[str]) -> dict[str, str]:
    """Values by name from ``name=value``.

    Raises:
        PipelineError: One is not of that form, or a setting is named twice.
    """
    found: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (name and equals and value):
            raise PipelineError(f"--set {assignment}: is no setting with a value. Write it as weak_rise_nrs=1.5.")
        if name in found:
            raise PipelineError(f"--set {name}: is given twice. Give it once.")
        found[name] = value
    return found


def _changed(ran: Settings, changes: Mapping[str, str]) -> Settings:
    for name in changes:
        if name not in Settings.model_fields:
            raise PipelineError(f"{name}: is no setting. Rules and tiers have {', '.join(sorted(changeable()))}.")
        if user := _used_before().get(name):
            raise PipelineError(
                f"{name}: {user} uses it, so an earlier step would have to be rebuilt. "
                "Change it in the study and run that again."
            )
        if name not in changeable():
            raise PipelineError(
                f"{name}: moves no rule and no tier. Those depend on {', '.join(sorted(changeable()))}."
            )
    try:
        changed = Settings.model_validate(ran.model_dump() | dict(changes))
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"])) or "--set"
        raise PipelineError(f"{name}: {fault['msg'].removeprefix('Value error, ')}. Give another value.") from None
    for name in changes:
        if not math.isfinite(getattr(changed, name)):
            raise PipelineError(f"{name}: {changes[name]} is no number that values compare with. Give another value.")
    return changed


def _evaluate(
    connection: Connection, anew: dict[str, SqlFile], rules: list[SqlFile], tier: SqlFile, values: Mapping[str, Any]
) -> None:
    """Some tables that rules read, votes of some rules and all tiers anew; the rest is the stored one."""
    for table, sql in anew.items():
        warehouse.build_from_sql(connection, sql, contracts.all_contracts()[table], values)
    connection.execute("create schema if not exists label")
    connection.execute("create or replace table label.revoted as from stored.label.vote limit 0")
    for rule in rules:
        warehouse.insert(connection, rule, "label.revoted", values)
    connection.execute(
        "create or replace view label.vote as from stored.label.vote "
        "where rule not in (select rule from label.revoted) union all by name from label.revoted"
    )
    warehouse.build_from_sql(connection, tier, _contract("tier"), values)


def _contract(name: str) -> Contract:
    return contracts.all_contracts()[f"label.{name}"]


def _tier() -> SqlFile:
    [tier] = [sql for sql in sql_files.tables() if sql.table == "label.tier"]
    return tier
