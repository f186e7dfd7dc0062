"""What the recovery bench counts, drawn as rows."""

import polars as pl
import pytest

from tests.bench import recovery
from tests.conftest import rows_of

NUMBERS = ("number", "of", "y_escalation", "votes for", "votes less")


def frame(drawing: str) -> pl.DataFrame:
    rows = pl.DataFrame(rows_of(drawing), infer_schema_length=None)
    return rows.with_columns(pl.col(name).cast(pl.Float64) for name in rows.columns if name in NUMBERS)


def cells(found: pl.DataFrame) -> dict[tuple[str, str], tuple[float, float]]:
    return {(row, column): (number, of) for row, column, number, of in found.drop("figure").iter_rows()}


def votes(drawing: str) -> pl.DataFrame:
    """Episodes as lines, rules as columns."""
    wide = frame(drawing)
    long = wide.unpivot(index=wide.columns[: wide.columns.index("LF01")], variable_name="rule", value_name="vote")
    said = long.with_columns(pl.col("vote").fill_null("NONE"))
    is_reason = pl.col("vote").str.starts_with("no_")
    return said.with_columns(
        vote=pl.when(is_reason).then(pl.lit("ABSTAIN")).otherwise("vote"),
        abstain_reason=pl.when(is_reason).then("vote"),
    )


def test_votes_are_counted_one_each_and_half_for_both():
    vote = votes(
        """
        episode_id | LF01 | LF02       | LF04    | LF06     | LF10 | LF12
        -
        silent     |      |            |         | no_taper |      |
        one        | OIH  |            |         |          |      |
        half       |      | OIH_OR_TOL |         |          |      |
        more       | OIH  | OIH_OR_TOL |         |          |      | UND
        tie        | OIH  |            |         |          | PROG |
        two to one | OIH  |            |         | OIH      | PROG |
        against    |      |            | NOT_OIH |          |      |
        """
    )
    found = {
        episode: rest
        for episode, *rest in recovery.counted(vote)
        .select("episode_id", "votes for", "votes for less against", "leading_class")
        .iter_rows()
    }
    assert found == {
        "silent": [0, 0, "none"],
        "one": [1, 1, "OIH"],
        "half": [0.5, 0, "mixed"],
        "more": [1.5, 0, "OIH"],
        "tie": [1, 0, "mixed"],
        "two to one": [2, 1, "OIH"],
        "against": [0, -1, "NOT_OIH"],
    }


def test_a_confusion_counts_every_pair_and_gives_each_row_its_total():
    episode = frame(
        """
        tier     | true_cause
        -
        possible | hyperalgesia
        possible | none
        possible | none
        probable | none
        """
    )
    found = recovery.shares(
        episode, "confusion", "tier", "true_cause", ["probable", "possible", "mixed"], ["hyperalgesia", "none"]
    )
    assert cells(found) == {
        ("probable", "hyperalgesia"): (0, 1),
        ("probable", "none"): (1, 1),
        ("possible", "hyperalgesia"): (1, 3),
        ("possible", "none"): (2, 3),
        ("mixed", "hyperalgesia"): (0, 0),
        ("mixed", "none"): (0, 0),
    }


BEHAVIOUR = """
episode_id | true_cause   | LF01 | LF02       | LF04    | LF06     | LF10
-
a          | hyperalgesia | OIH  | OIH_OR_TOL |         | no_taper |
b          | hyperalgesia | OIH  |            | NOT_OIH | no_taper | PROG
c          | none         |      |            | OIH     | no_taper |
d          | none         |      |            |         |          |
"""


def test_rules_overlap_where_another_votes_alike_and_conflict_where_one_votes_against():
    found = cells(recovery.behaviour(votes(BEHAVIOUR)))
    assert {row: found[row, "coverage"] for row in ("LF01", "LF06")} == {"LF01": (4, 4), "LF06": (1, 4)}
    assert {column: found["LF01", column] for column in ("vote rate", "overlap", "conflict")} == {
        "vote rate": (2, 4),
        "overlap": (1, 2),
        "conflict": (1, 2),
    }
    # Against in one episode, with another and against one; alone in the other.
    assert (found["LF04", "overlap"], found["LF04", "conflict"]) == ((1, 2), (1, 2))
    assert found["LF06", "overlap"] == (0, 0)


def test_a_rule_hits_the_episodes_of_a_cause_in_which_it_votes_each_direction_for_itself():
    found = cells(recovery.hits(votes(BEHAVIOUR), "true_cause"))
    assert {column: value for (row, column), value in found.items() if row == "LF01 for"} == {
        "hyperalgesia": (2, 2),
        "none": (0, 2),
    }
    assert found["LF04 for", "none"] == (1, 2)
    assert found["LF04 against", "hyperalgesia"] == (1, 2)
    assert not {row for row, _ in found} & {"LF01 against", "LF06 for", "LF06 against"}


def test_reasons_to_abstain_are_shares_of_all_that_a_rule_was_asked():
    assert cells(recovery.reasons(votes(BEHAVIOUR))) == {("LF06", "no_taper"): (3, 4)}


def test_recall_is_of_all_true_episodes_and_ppv_of_a_tier():
    known = frame(
        """
        tier              | y_escalation
        -
        probable          | 1
        probable          | 0
        possible          | 0
        no_paradox        | 1
        insufficient_data | 1
        """
    )
    found = cells(recovery.recovered(known, "y_escalation"))
    assert (found["probable", "PPV"], found["probable", "recall"]) == ((1, 2), (1, 3))
    assert (found["possible or higher", "PPV"], found["possible or higher", "recall"]) == ((1, 3), (1, 3))
    assert found["insufficient_data", "recall"] == (1, 3)
    assert found["strong_candidate", "PPV"] == (0, 0)


def test_flags_are_counted_among_the_judged_of_each_kind_of_index_date():
    judged = frame(
        """
        index_kind      | tier
        -
        dose_led        | strong_candidate
        dose_led        | possible
        dose_led        | mixed
        sham_maintainer | no_paradox
        """
    )
    assert cells(recovery.flagged(judged)) == {
        ("dose_led", "possible or higher"): (2, 3),
        ("dose_led", "probable or higher"): (1, 3),
        ("sham_maintainer", "possible or higher"): (0, 1),
        ("sham_maintainer", "probable or higher"): (0, 1),
    }


def test_hyperalgesia_is_told_from_one_other_at_a_time():
    judged = frame(
        """
        true_cause     | true_class  | y_escalation | y_state | votes for | votes less
        -
        hyperalgesia   | oih         | 1            | 1       | 2         | 2
        hyperalgesia   | oih         | 0            | 1       | 1         | -1
        analgesia_loss | tolerance   | 0            | 0       | 1         | 0
        nociception    | progression | 0            | 0       | 3         | 3
        none           | stable      | 0            | 0       | 0         | 0
        """
    ).rename({"votes less": "votes for less against"})
    judged = judged.with_columns(pl.col("y_state").cast(pl.Int64))
    found = {
        (row, column): number for _, row, column, number, _ in pl.concat(recovery.discrimination(judged)).iter_rows()
    }
    assert found["hyperalgesia against tolerance, by true_cause", "AUROC, votes for"] == 0.75  # one tie
    assert found["hyperalgesia against tolerance, by true_class", "AUROC, votes for less against"] == 0.5
    assert found["hyperalgesia against progression, by true_cause", "AUROC, votes for"] == 0
    assert found["y_escalation", "AUROC, votes for"] == 0.75


def test_nothing_is_told_apart_where_all_are_alike():
    none = frame(
        """
        true_cause | true_class | y_escalation | y_state | votes for | votes less
        -
        none       | stable     | 0            | 0       | 1         | 1
        """
    ).rename({"votes less": "votes for less against"})
    found = pl.concat(recovery.discrimination(none.with_columns(pl.col("y_state").cast(pl.Int64))))
    assert found.filter(pl.col("column").str.starts_with("A"))["number"].null_count() == 24


@pytest.mark.parametrize(
    ("values", "said"),
    [([0.1], "0.1"), ([0.1, 0.3], "0.2 ± 0.141 (0.1 to 0.3)"), ([0.1, None], "0.1"), ([None], "-")],
)
def test_a_figure_is_told_with_its_spread_over_the_seeds_that_have_it(values, said):
    found = pl.DataFrame({"number": pl.Series(values, dtype=pl.Float64)})
    assert found.select(recovery.spread(pl.col("number"))).item() == said


def test_the_page_has_every_table_of_each_world():
    vote = votes(BEHAVIOUR)
    episode = vote.unique("episode_id", maintain_order=True).select(
        "episode_id",
        "true_cause",
        index_kind=pl.lit("dose_led"),
        tier=pl.lit("possible"),
        true_class=pl.lit("stable"),
        y_escalation=(pl.col("true_cause") != "none").cast(pl.Int64),
        y_state=pl.lit(0),
    )
    seed = recovery.figures(episode, vote.drop("true_cause"), 9).with_columns(
        world=pl.lit("realistic"), seed=1, patients=100, code=pl.lit("0")
    )
    page = recovery.page(pl.concat([seed, seed.with_columns(world=pl.lit("null"))]))
    assert page.count("### null: ") == page.count("### realistic: ") == 9
    assert "| dose_led | possible or higher | 4.0; share 1.0 | 4.0; share 1.0 |" in page
