"""Tiers: every pattern of votes falls in exactly one."""

from itertools import product

import duckdb
import polars as pl

from pipelines import warehouse
from tests.conftest import PARAMETERS, draw, sql_file
from tests.sql.drawing import drawn

TABLE = "label.tier"

# What each rule can say: (vote, strength); None where it has no row for the episode.
LF01 = [None, ("ABSTAIN", None), ("NONE", None), ("OIH", "weak"), ("OIH", "strong")]
LF03 = [None, ("ABSTAIN", None), ("NONE", None), ("NOT_OIH", "weak"), ("TOL", "weak"), ("UND", "weak")]
LF06 = [None, ("ABSTAIN", None), ("NONE", None), ("OIH", "weak"), ("OIH", "strong")]
GRADES = [None, "A", "B", "C"]
STEPS = [1, 2, 3]
UNMET = [None, "too_few_scores_response"]


def tiers_that_fit(paradox, relief, dechallenge, grade, steps, unmet) -> set[str]:
    """The tiers whose definition a pattern meets, each definition on its own and in no order."""
    judged = unmet is None
    alternative = relief in [("TOL", "weak"), ("UND", "weak")]
    worsened, worsened_clearly = paradox in LF01[3:], paradox == ("OIH", "strong")
    improved, improved_clearly = dechallenge in LF06[3:], dechallenge == ("OIH", "strong")
    dense = grade in ("A", "B")
    candidate = judged and not alternative and worsened
    repeated = steps >= 2
    definitions = {
        "insufficient_data": not judged,
        "mixed": judged and alternative and improved,
        "alternative_more_likely": judged and alternative and not improved,
        "strong_candidate": candidate and improved_clearly and dense,
        "probable": candidate and not improved_clearly and dense and (worsened_clearly or repeated),
        "possible": candidate and (not dense or not (improved_clearly or worsened_clearly or repeated)),
        "no_paradox": judged and not alternative and not worsened,
    }
    return {tier for tier, fits in definitions.items() if fits}


def test_every_pattern_of_votes_falls_in_exactly_one_tier():
    patterns = list(product(LF01, LF03, LF06, GRADES, STEPS, UNMET))
    fitting = [tiers_that_fit(*pattern) for pattern in patterns]
    assert all(len(tiers) == 1 for tiers in fitting)

    connection = duckdb.connect()
    for table in ("episode.episode_profile", "label.vote", TABLE):
        draw(connection, table)
    profile = pl.DataFrame(
        [(str(number), number, *pattern[3:]) for number, pattern in enumerate(patterns)],
        schema=["episode_id", "patient_index", "data_grade", "step_count", "not_classifiable_reason"],
        orient="row",
        infer_schema_length=None,
    )
    vote = pl.DataFrame(
        [
            (str(number), rule, *said)
            for number, pattern in enumerate(patterns)
            for rule, said in zip(("LF01", "LF03", "LF06"), pattern[:3], strict=True)
            if said
        ],
        schema=["episode_id", "rule", "vote", "strength"],
        orient="row",
        infer_schema_length=None,
    )
    connection.register("profile_rows", profile)
    connection.register("vote_rows", vote)
    connection.execute("insert into episode.episode_profile by name from profile_rows")
    connection.execute("insert into label.vote by name from vote_rows")
    warehouse.insert(connection, sql_file(TABLE), TABLE, PARAMETERS)

    given = connection.execute(f"select patient_index, tier from {TABLE} order by patient_index").fetchall()
    assert given == [(number, *tiers) for number, tiers in enumerate(fitting)]
    assert {tier for _, tier in given} == set().union(*fitting) and len(set().union(*fitting)) == 7


def test_tiers_drawn(check_sql):
    """The same in pictures: one episode per line, with its votes and the tier they add up to."""
    episodes = """
        LF01   | LF03    | LF06   | data_grade | step_count | tier
        -------+---------+--------+------------+------------+------------------------
        none   | none    | none   | A          | 1          | no_paradox
        none   | none    | strong | A          | 1          | no_paradox
        weak   | none    | none   | A          | 1          | possible
        weak   | NOT_OIH | none   | A          | 1          | possible
        weak   | none    | weak   | A          | 1          | possible
        weak   | none    | none   | A          | 2          | probable
        weak   | none    | none   | B          | 2          | probable
        weak   | none    | none   | C          | 2          | possible
        strong | none    | none   | B          | 1          | probable
        strong | none    | weak   | B          | 1          | probable
        strong | none    | none   | C          | 1          | possible
        weak   | none    | strong | B          | 1          | strong_candidate
        strong | none    | strong | B          | 1          | strong_candidate
        strong | none    | strong | C          | 1          | possible
        strong | TOL     | none   | A          | 2          | alternative_more_likely
        strong | UND     | none   | A          | 2          | alternative_more_likely
        none   | UND     | none   | A          | 1          | alternative_more_likely
        strong | TOL     | weak   | A          | 2          | mixed
        none   | UND     | strong | A          | 1          | mixed
    """
    rows = [[cell.strip() for cell in line.split("|")] for line in episodes.strip().splitlines()[2:]]
    votes = []
    for number, (paradox, relief, dechallenge, *_) in enumerate(rows):
        for rule, strength in (("LF01", paradox), ("LF06", dechallenge)):
            votes.append(
                f"{number} | {rule} | NONE |" if strength == "none" else f"{number} | {rule} | OIH | {strength}"
            )
        votes.append(f"{number} | LF03 | {relief} |".replace("none", "NONE"))
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": drawn(
                "episode_id | data_grade | step_count\n-\n"
                + "\n".join(f"{number} | {grade} | {steps}" for number, (*_, grade, steps, _) in enumerate(rows)),
                patient_index=1,
            ),
            "label.vote": "episode_id | rule | vote | strength\n-\n" + "\n".join(votes),
        },
        then="episode_id | tier\n-\n" + "\n".join(f"{number} | {row[-1]}" for number, row in enumerate(rows)),
    )


def test_an_excluded_episode_has_no_tier_and_every_other_one_has_one(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": drawn(
                """
                episode_id | excluded_reason | not_classifiable_reason | data_grade
                -----------+-----------------+-------------------------+-----------
                a          |                 |                         | B
                b          | under_age       |                         | B
                c          |                 | dose_unknown            | C
                d          | under_age       | dose_unknown            | C
                """,
                patient_index=1,
                step_count=1,
            )
        },
        then="""
            episode_id | patient_index | tier              | data_grade
            -----------+---------------+-------------------+-----------
            a          | 1             | no_paradox        | B
            c          | 1             | insufficient_data | C
        """,
    )


def test_a_dechallenge_is_not_observed_where_lf06_abstained(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": drawn("episode_id\n-\na\nb\nc\nd", patient_index=1, step_count=1),
            "label.vote": drawn("episode_id | vote\n-\na | OIH\nb | NONE\nc | ABSTAIN", rule="LF06"),
        },
        then="""
            episode_id | is_dechallenge_not_observed
            -----------+----------------------------
            a          | false
            b          | false
            c          | true
            d          | true
        """,
    )


def test_the_vote_of_another_rule_moves_no_tier(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": "episode_id | patient_index | step_count\n-\na | 1 | 1",
            "label.vote": "episode_id | rule | vote | strength\n-\na | LF99 | OIH | strong",
        },
        then="tier\n-\nno_paradox",
    )
