"""Bayes' rule over the priors, with the reliabilities of the rules."""

import pytest

from tests.sql.drawing import drawn

TABLE = "report.prevalence_range"
RULES = """
    rule | dependence_group | direction | strength | vote_if_oih | vote_if_not_oih
    -
    A    | G1               | for       | weak     | 0.3         | 0.15
    A    | G1               | for       | strong   | 0.1         | 0.05
    B    | G1               | for       | weak     | 0.6         | 0.2
    C    | G2               | against   | weak     | 0.2         | 0.4
"""


def posterior(ratio: float, prior: float) -> float:
    return round(1 / (1 + (1 - prior) / prior / ratio), 4)


@pytest.fixture
def share(check_sql):
    def share(votes: str, ratio: float, prior: float = 0.2) -> None:
        """Episodes of eleven patients, all with the same votes (rule, vote, strength)."""
        ids = range(11)
        rows = [f"{n} | {vote}" for n in ids for vote in votes.strip().splitlines()]
        given = {
            "reference.rule": RULES,
            "label.tier": drawn(
                "episode_id | patient_index\n-\n" + "\n".join(f"{n} | {n}" for n in ids),
                index_kind="dose_led",
                tier="possible",
            ),
            "label.vote": "episode_id | rule | vote | strength\n-\n" + "\n".join(rows),
        }
        then = f"""
            index_kind | episode_group | episode_count | expected_share
            -
            dose_led   | judged        | 11            | {posterior(ratio, prior)}
        """
        check_sql(TABLE, given=given, then=then, settings={"prior_shares": [prior]})

    return share


@pytest.mark.parametrize("prior", [0.01, 0.05, 0.33])
def test_a_strong_vote_multiplies_the_odds_by_its_reliability(share, prior):
    share("A | OIH | strong", 0.1 / 0.05, prior)


def test_a_weak_vote_says_that_it_was_not_strong(share):
    share("A | OIH | weak", 0.2 / 0.1)


def test_a_rule_that_did_not_fire_is_evidence_too(share):
    share("A | NONE |", 0.7 / 0.85)


def test_an_abstention_is_no_evidence(share):
    share("A | ABSTAIN |", 1)


def test_a_rule_without_reliabilities_is_no_evidence(share):
    share("Z | OIH | strong", 1)


def test_of_a_group_the_vote_that_says_most_counts_alone(share):
    share("A | OIH | strong\nB | OIH | weak", 0.6 / 0.2)


def test_a_vote_goes_before_the_silence_of_another_rule_of_its_group(share):
    share("A | OIH | strong\nB | NONE |", 0.1 / 0.05)


def test_groups_multiply_and_a_vote_for_another_class_speaks_against(share):
    share("A | OIH | strong\nC | TOL | weak", 0.1 / 0.05 * 0.2 / 0.4)


def test_flagged_episodes_stand_apart_and_unjudged_ones_are_left_out(check_sql):
    rows = [f"{n} | {n} | probable" for n in range(11)] + [f"{n} | {n} | possible" for n in range(11, 22)]
    rows += [f"{n} | {n} | insufficient_data" for n in range(22, 44)]
    given = {
        "reference.rule": RULES,
        "label.tier": drawn("episode_id | patient_index | tier\n-\n" + "\n".join(rows), index_kind="dose_led"),
    }
    then = """
        episode_group | episode_count | patient_count | expected_share
        -
        judged        | 22            | 22            | 0.1
        flagged       | 11            | 11            | 0.1
    """
    check_sql(TABLE, given=given, then=then, settings={"prior_shares": [0.1]})


def test_too_few_patients_are_left_out(check_sql):
    rows = "\n".join(f"{n} | {n % 10}" for n in range(30))
    given = {"label.tier": drawn(f"episode_id | patient_index\n-\n{rows}", index_kind="dose_led", tier="possible")}
    check_sql(TABLE, given=given, then="prior_share\n-")
