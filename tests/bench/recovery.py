"""How far rules and tiers recover the truth of simulated worlds, over several seeds.

    python -m tests.bench.recovery --worlds realistic easy hard null --seeds 5 --patients 10000 --jobs 2 --out recovery.md
    python -m tests.bench.recovery --out recovery.md --remake

Each world is simulated with each seed and run from raw extract to tiers by the project's own steps. The page has its
tables; ``recovery.csv`` beside it has every figure of every seed, from which ``--remake`` writes the page anew.

Truth is known of episodes that begin on an escalation of the simulator. Their true cause is what made pain rise: the
dominant part of the change, none where no part rose by half a point. The true class is the patient's, whatever this
one escalation did. Where it says judged, episodes with insufficient data are left out.

Votes are counted plainly: one each, weak or strong, half a vote each for hyperalgesia and tolerance where a rule says
so. Votes for are those for hyperalgesia, votes against all others. The project names no leading class: here it is the
class with the most votes, mixed where two have as many, none without a vote; votes that only speak against
hyperalgesia (NOT_OIH) are a class of their own.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from pipelines import contracts, simulator, tables, warehouse
from pipelines.classifier import MEASURES
from pipelines.study import Source, Study, code_version
from pipelines.warehouse import Connection

REALISTIC = "realistic"
JUDGED = pl.col("tier") != "insufficient_data"
LEVELS = {
    "possible or higher": ["possible", "probable", "strong_candidate"],
    "probable or higher": ["probable", "strong_candidate"],
}
CAUSES = ["hyperalgesia", "analgesia_loss", "nociception", "withdrawal", "none"]  # of the simulator
CLASSES = ["OIH", "TOL", "WD", "PROG", "UND", "OTHER", "NOT_OIH", "mixed", "none"]
TRUTHS = {"true_cause": CAUSES, "true_class": list(simulator.CLASSES)}
TARGETS = {"y_escalation": "pain rose because the dose rose", "y_state": "hyperalgesia of a point or more is there"}
# What is held against hyperalgesia: the clinical question.
OTHERS = {
    "tolerance": {"true_cause": "analgesia_loss", "true_class": "tolerance"},
    "progression": {"true_cause": "nociception", "true_class": "progression"},
}
IS_OIH = {"true_cause": "hyperalgesia", "true_class": "oih"}
SCORES = ["votes for less against", "votes for"]
# What a vote is worth: a class and how much of a vote.
BACKED = pl.DataFrame(
    [("OIH_OR_TOL", "OIH", 0.5), ("OIH_OR_TOL", "TOL", 0.5)]
    + [(name, name, 1.0) for name in ("OIH", "TOL", "WD", "PROG", "UND", "OTHER", "NOT_OIH")],
    ["vote", "class", "votes"],
    orient="row",
)
EPISODES = """
select tier.episode_id, tier.index_kind, tier.tier, patient.patient_id, episode.index_date
from label.tier as tier
left join episode.episode as episode using (episode_id)
left join clean.patient as patient on tier.patient_index = patient.patient_index
"""
FIGURE = {"figure": pl.String, "row": pl.String, "column": pl.String, "number": pl.Float64, "of": pl.Float64}


def measured(world: str, seed: int, patients: int) -> pl.DataFrame:
    """The figures of one simulated world; grain: one row per figure, row and column of a table."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        simulator.write(simulator.simulate(patients, seed, simulator.load_world(world)), folder)
        source = {"simulated": Source(folder=folder / "extract")}
        study = Study(name="world", title="World", sources=source, output=folder)
        with warehouse.opened(folder / "warehouse.duckdb", [folder / "extract"], study.memory_limit) as connection:
            for table in tables.needed_for("label.tier", tables.of(study)):
                table.build(connection, study)
            found = figures(*read(connection, folder / "truth"))
    return found.select(
        *FIGURE, world=pl.lit(world), seed=pl.lit(seed), patients=pl.lit(patients), code=pl.lit(code_version())
    )


def read(connection: Connection, truth: Path) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Episodes inside the cohort with their truth, the votes on them, and how many escalations there were in truth."""
    escalation = pl.read_csv(truth / "escalation.csv", try_parse_dates=True).select(
        "index_date",
        *TARGETS,
        "true_class",
        patient_id=pl.lit("simulated:") + pl.col("patient_id"),
        true_cause=pl.col("dominant_cause").fill_null("none"),
        index_kind=pl.lit("dose_led"),
    )
    episode = connection.sql(EPISODES).pl()
    vote = connection.sql("select episode_id, rule, vote, abstain_reason from label.vote").pl()
    on = ["patient_id", "index_date", "index_kind"]
    return episode.join(escalation, on=on, how="left", validate="1:1"), vote, len(escalation)


def figures(episode: pl.DataFrame, vote: pl.DataFrame, escalation_count: int) -> pl.DataFrame:
    """Every figure of the page.

    Args:
        episode: episode_id, index_kind, tier, and where it is known true_cause, true_class, y_escalation and y_state.
        vote: episode_id, rule, vote and abstain_reason.
        escalation_count: Escalations of the simulator, episodes or not.
    """
    dose_led = episode.filter(pl.col("index_kind") == "dose_led").join(
        counted(vote), on="episode_id", how="left", validate="1:1"
    )
    known = dose_led.drop_nulls("true_cause")
    vote = vote.join(known.select("episode_id", *TRUTHS), on="episode_id")
    return pl.concat(
        [
            _one("episodes", "escalations of the simulator", "", escalation_count),
            _one("episodes", "episodes led by the dose, inside the cohort", "", len(dose_led)),
            _one("episodes", "of these, on an escalation of the simulator", "", len(known), len(dose_led)),
            _one("episodes", "of these, judged", "", len(known.filter(JUDGED)), len(known)),
            *(
                _one("episodes", f"of the judged, {target}: {meaning}", "", judged.sum(), len(judged))
                for target, meaning in TARGETS.items()
                for judged in [known.filter(JUDGED)[target]]
            ),
            *(shares(known, f"tier by {truth}", "tier", truth, _tiers(), names) for truth, names in TRUTHS.items()),
            *(
                shares(known.filter(JUDGED), f"leading class by {truth}", "leading_class", truth, CLASSES, names)
                for truth, names in TRUTHS.items()
            ),
            *discrimination(known.filter(JUDGED)),
            flagged(episode.filter(JUDGED)),
            *(recovered(known, target) for target in TARGETS),
            behaviour(vote),
            *(hits(vote, truth) for truth in TRUTHS),
            reasons(vote),
        ]
    )


def counted(vote: pl.DataFrame) -> pl.DataFrame:
    """Votes of each episode counted plainly; grain: one row per episode."""
    backed = vote.join(BACKED, on="vote", how="left").group_by("episode_id", "class").agg(pl.col("votes").sum())
    is_most = pl.col("votes") == pl.col("votes").max()
    is_for, is_against = pl.col("class") == "OIH", pl.col("class").is_not_null() & (pl.col("class") != "OIH")
    leading = pl.col("class").filter(is_most & (pl.col("votes") > 0))
    return (
        backed.group_by("episode_id")
        .agg(
            pl.col("votes").filter(is_for).sum().alias("votes for"),
            pl.col("votes").filter(is_against).sum().alias("votes against"),
            leading_class=pl.when(leading.len() == 0)
            .then(pl.lit("none"))
            .when(leading.len() > 1)
            .then(pl.lit("mixed"))
            .otherwise(leading.first()),
        )
        .with_columns((pl.col("votes for") - pl.col("votes against")).alias("votes for less against"))
    )


def shares(
    frame: pl.DataFrame, figure: str, row: str, column: str, rows: Sequence[str], columns: Sequence[str]
) -> pl.DataFrame:
    """Rows of a frame counted by two columns, each also of its row's total; what nobody has is zero."""
    grid = pl.DataFrame({"row": rows}).join(pl.DataFrame({"column": columns}), how="cross")
    count = frame.group_by(pl.col(row).alias("row"), pl.col(column).alias("column")).len("number")
    crossed = grid.join(count, on=["row", "column"], how="left").with_columns(pl.col("number").fill_null(0))
    return _as_figure(crossed.with_columns(of=pl.col("number").sum().over("row")), figure)


def discrimination(judged: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """AUROC and average precision of the counts of votes, chance beside; null where there is nothing to tell apart."""
    for target in TARGETS:
        yield _told_apart(judged, target, judged[target])
    for (name, other), truth in product(OTHERS.items(), TRUTHS):
        pair = judged.filter(pl.col(truth).is_in([IS_OIH[truth], other[truth]]))
        yield _told_apart(pair, f"hyperalgesia against {name}, by {truth}", pair[truth] == IS_OIH[truth])


def _told_apart(judged: pl.DataFrame, row: str, truth: pl.Series) -> pl.DataFrame:
    is_case = truth.cast(pl.Float64).to_numpy()
    found = [_one("discrimination", row, "cases", is_case.sum(), len(is_case))]
    for score, (name, measure) in product(SCORES, (("AUROC", "auroc"), ("AP", "average_precision"))):
        value = None
        if len(np.unique(is_case)) == 2:
            [value] = MEASURES[measure][0](is_case, judged[score].to_numpy(), np.ones((1, len(is_case))))
        found.append(_one("discrimination", row, f"{name}, {score}", value))
    return pl.concat(found)


def flagged(judged: pl.DataFrame) -> pl.DataFrame:
    """How many of the judged episodes of each kind of index date are flagged."""
    found = [
        judged.group_by(row="index_kind").agg(
            number=pl.col("tier").is_in(tiers).sum(), of=pl.len(), column=pl.lit(level)
        )
        for level, tiers in LEVELS.items()
    ]
    return _as_figure(pl.concat(found).sort("row", "column"), "flagged")


def recovered(known: pl.DataFrame, target: str) -> pl.DataFrame:
    """Of each tier, the share that is true (PPV), and the share of all true ones that it holds (recall)."""
    is_true = pl.col(target) == 1
    found = []
    for name, tiers in ({tier: [tier] for tier in _tiers()} | LEVELS).items():
        inside = known.filter(pl.col("tier").is_in(tiers))
        true_count = len(inside.filter(is_true))
        found.append(_one(f"recovery of {target}", name, "PPV", true_count, len(inside)))
        found.append(_one(f"recovery of {target}", name, "recall", true_count, len(known.filter(is_true))))
    return pl.concat(found)


def behaviour(vote: pl.DataFrame) -> pl.DataFrame:
    """How often each rule can judge and votes, and how often another agrees or contradicts when it does."""
    is_for, is_against = _is_for(), _is_against()
    fellows = pl.when(is_for).then("for_count").when(is_against).then("against_count") - 1
    opponents = pl.when(is_for).then("against_count").when(is_against).then("for_count")
    rule = (
        vote.with_columns(
            for_count=is_for.sum().over("episode_id").cast(pl.Int64),
            against_count=is_against.sum().over("episode_id").cast(pl.Int64),
        )
        .group_by(row="rule")
        .agg(
            asked=pl.len(),
            coverage=(pl.col("vote") != "ABSTAIN").sum(),
            voted=(is_for | is_against).sum(),
            overlap=(fellows > 0).sum(),
            conflict=(opponents > 0).sum(),
        )
        .sort("row")
    )
    columns = {"coverage": "asked", "vote rate": "asked", "overlap": "voted", "conflict": "voted"}
    found = rule.with_columns(pl.col("voted").alias("vote rate"))
    return _as_figure(
        pl.concat([found.select("row", number=name, of=of, column=pl.lit(name)) for name, of in columns.items()]),
        "rules",
    )


def hits(vote: pl.DataFrame, truth: str) -> pl.DataFrame:
    """Of the episodes of each true cause or class, the share in which each rule votes, by the direction of the vote."""
    asked = vote.group_by(column=truth, rule="rule").agg(of=pl.len())
    found = [
        vote.group_by(column=truth, rule="rule").agg(number=is_voted.sum(), direction=pl.lit(direction))
        for direction, is_voted in (("for", _is_for()), ("against", _is_against()))
    ]
    hit = pl.concat(found).join(asked, on=["column", "rule"])
    does_vote = pl.col("number").sum().over("row") > 0
    named = hit.with_columns(row=pl.format("{} {}", "rule", "direction")).filter(does_vote)
    # Rules in order, and causes as the other tables have them.
    return _as_figure(named.sort("row", pl.col("column").cast(pl.Enum(TRUTHS[truth]))), f"hit rate by {truth}")


def reasons(vote: pl.DataFrame) -> pl.DataFrame:
    """Why each rule abstained, as a share of the episodes that it was asked about."""
    found = vote.with_columns(of=pl.len().over("rule")).drop_nulls("abstain_reason")
    counted = found.group_by(row="rule", column="abstain_reason").agg(number=pl.len(), of=pl.first("of"))
    return _as_figure(counted.sort("row", "number", "column", descending=[False, True, False]), "abstained")


def _is_for() -> pl.Expr:
    return pl.col("vote").is_in(["OIH", "OIH_OR_TOL"])


def _is_against() -> pl.Expr:
    return ~pl.col("vote").is_in(["OIH", "OIH_OR_TOL", "NONE", "ABSTAIN"])


def _tiers() -> list[str]:
    return next(
        column.values or [] for column in contracts.all_contracts()["label.tier"].columns if column.name == "tier"
    )


def _one(figure: str, row: str, column: str, number: float | None, of: float | None = None) -> pl.DataFrame:
    return pl.DataFrame([(figure, row, column, number, of)], FIGURE, orient="row")


def _as_figure(found: pl.DataFrame, figure: str) -> pl.DataFrame:
    return found.with_columns(figure=pl.lit(figure)).select(*FIGURE).cast(FIGURE)


NUMBER, SHARE = pl.col("number"), pl.col("number") / pl.col("of").replace(0, None)


def spread(value: pl.Expr) -> pl.Expr:
    """Mean and standard deviation over the seeds, with the least and the largest; of one seed the value alone."""
    value = value.fill_nan(None).drop_nulls()
    mean, sd, least, largest = (part.round(3) for part in (value.mean(), value.std(), value.min(), value.max()))
    several = pl.format("{} ± {} ({} to {})", mean, sd, least, largest)
    return pl.when(value.len() > 1).then(several).otherwise(pl.coalesce(mean.cast(pl.String), pl.lit("-")))


def pooled() -> pl.Expr:
    """Count over all seeds and its share."""
    count, of = NUMBER.sum(), pl.col("of").sum()
    share = pl.when(of > 0).then((count / of).round(3).cast(pl.String))
    return pl.format("{} ({})", count.cast(pl.Int64), pl.coalesce(share, pl.lit("-")))


def page(found: pl.DataFrame) -> str:
    """The tables in Markdown, from the figures of every world and seed."""
    worlds = found["world"].unique(maintain_order=True).to_list()
    seeds = found["seed"].n_unique()
    counts_and_shares = (
        pl.when(pl.col("of").is_null().all())
        .then(spread(NUMBER))
        .otherwise(pl.format("{}; share {}", spread(NUMBER), spread(SHARE)))
    )
    # A seed in which nobody gave a reason has no row of it.
    mean_share = (SHARE.sum() / seeds).round(3).cast(pl.String)
    realistic = found.filter(pl.col("world") == REALISTIC).select("seed", "figure", "row", "column", usual=SHARE)
    multiple = found.join(realistic, on=["seed", "figure", "row", "column"]).with_columns(
        number=SHARE / pl.col("usual").replace(0, None)
    )
    across = {
        "Episodes": _across(found, "episodes", counts_and_shares),
        "Telling apart by counts of votes, of judged": _across(found, "discrimination", counts_and_shares),
        "Flagged, of judged": _across(found, "flagged", counts_and_shares),
        f"Flagged, as a multiple of {REALISTIC}, seed by seed": _across(multiple, "flagged", spread(NUMBER)),
        "Reasons to abstain, mean share of asked": _across(found, "abstained", mean_share),
    }
    within = {f"Tier by {truth}: counts and shares of the tier": (f"tier by {truth}", pooled()) for truth in TRUTHS}
    within |= {
        f"Leading class by {truth}, of judged: counts and shares of the leading class": (
            f"leading class by {truth}",
            pooled(),
        )
        for truth in TRUTHS
    }
    within |= {
        f"Tiers, {target} ({meaning}): share of the tier that is true (PPV), share of all true (recall)": (
            f"recovery of {target}",
            spread(SHARE),
        )
        for target, meaning in TARGETS.items()
    }
    within["Rules: coverage and votes, of asked; overlap and conflict, of votes"] = ("rules", spread(SHARE))
    within |= {
        f"Rules: share of the episodes of each {truth} in which the rule votes": (f"hit rate by {truth}", spread(SHARE))
        for truth in TRUTHS
    }
    parts = [
        "# Recovery of simulated truth",
        f"Worlds {', '.join(worlds)}; {found['patients'].max():,} patients, {seeds} seeds, code {found['code'][0]}. "
        "Mean ± SD over the seeds (least to largest); counts are pooled over them.",
        *str(__doc__).strip().split("\n\n")[3:],
    ]
    for title, table in across.items():
        parts += [f"## {title}", table]
    for world in worlds:
        rows = found.filter(pl.col("world") == world)
        parts.append(f"## {world}")
        for title, (figure, cell) in within.items():
            parts += [
                f"### {world}: {title}",
                _markdown(rows.filter(pl.col("figure") == figure), ["row"], "column", cell),
            ]
    return "\n\n".join(parts) + "\n"


def _across(found: pl.DataFrame, figure: str, cell: pl.Expr) -> str:
    return _markdown(found.filter(pl.col("figure") == figure), ["row", "column"], "world", cell)


def _markdown(found: pl.DataFrame, rows: list[str], columns: str, cell: pl.Expr) -> str:
    """A table with one cell per group of seeds."""
    cells = found.group_by(*rows, columns, maintain_order=True).agg(cell=cell)
    wide = cells.pivot(columns, index=rows, values="cell").fill_null("-")
    with pl.Config(
        tbl_formatting="MARKDOWN",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=-1,
        fmt_str_lengths=200,
    ):
        return str(wide)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", choices=simulator.world_names(), default=[REALISTIC, "null"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1, help="worlds run side by side")
    parser.add_argument("--out", type=Path, required=True, help="page to write; the figures go beside it as CSV")
    parser.add_argument("--remake", action="store_true", help="write the page from the figures that are there")
    asked = parser.parse_args()
    file = asked.out.with_suffix(".csv")
    file.parent.mkdir(parents=True, exist_ok=True)
    if not asked.remake:
        runs = list(product(asked.worlds, range(1, asked.seeds + 1), [asked.patients]))
        done = []
        with ProcessPoolExecutor(asked.jobs, get_context("spawn")) as processes:
            for (world, seed, _), found in zip(runs, processes.map(measured, *zip(*runs, strict=True)), strict=True):
                done.append(found)
                pl.concat(done).write_csv(file)  # what is done stays, should a later one fail
                print(f"{world}, seed {seed}: done", flush=True)
    asked.out.write_text(page(pl.read_csv(file, schema_overrides=FIGURE)), encoding="utf-8")
    print(f"{asked.out}, {file}")


if __name__ == "__main__":
    main()
