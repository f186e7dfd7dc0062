"""Tiers: every pattern of votes falls in exactly one."""

import re

import duckdb
import pytest

from pipelines import sql_files, warehouse
from tests.conftest import PARAMETERS, draw, select, sql_file
from tests.sql.drawing import drawn

TABLE = "label.tier"

# What each rule can say that a tier depends on: vote and strength; '' where it has no row for the episode.
SAID = {
    "LF01": ["", "NONE", "OIH weak", "OIH strong"],
    "LF04": ["", "OIH weak", "NOT_OIH weak"],
    "LF05": ["", "OIH weak"],
    "LF06": ["ABSTAIN", "NONE", "OIH weak", "OIH strong"],
    "LF07": ["", "NOT_OIH weak"],
    "LF08": ["", "OIH weak", "OIH strong"],
    "LF14": ["", "OIH weak", "OIH strong"],
    "LF16": ["", "OIH weak"],
}
# Rules that speak for another cause: none of them, each alone, all.
ALTERNATIVES = [[], ["LF09"], ["LF10"], ["LF12"], ["LF15"], ["LF09", "LF10", "LF12", "LF15"]]
PROFILES = [  # grade, steps, kind, why it cannot be judged
    ("A", 1, "dose_led", None),
    ("B", 1, "dose_led", None),
    ("B", 2, "dose_led", None),
    ("C", 2, "dose_led", None),
    ("C", 1, "sham_maintainer", None),
    ("B", 2, "pain_led", None),
    ("B", 2, "dose_led", "too_few_scores_response"),
]

# Each definition on its own and in no order: the methods' section on tiers, one line each.
DEFINITIONS = """
    not is_judged as insufficient_data,
    is_judged and (failed or (alternative and not support)) as alternative_more_likely,
    is_judged and alternative and support and not failed as mixed,
    is_judged and not alternative and not failed and not paradox as no_paradox,
    is_candidate and dense and confirmed as strong_candidate,
    is_candidate and dense and not confirmed and clear as probable,
    is_candidate and not (dense and (confirmed or clear)) as possible
"""
TIERS = [line.rsplit(" as ", 1)[1].strip(" ,") for line in DEFINITIONS.strip().splitlines()]


@pytest.fixture(scope="module")
def patterns():
    """Every pattern of votes as a row of a table, with the definitions that it meets and the tier that it is given."""
    connection = duckdb.connect()
    for table in ("episode.episode_profile", "label.vote", TABLE):
        draw(connection, table)
    crossed = " cross join ".join(f"(select unnest({said}) as {rule.lower()})" for rule, said in SAID.items())
    connection.execute(
        f"create table pattern as select row_number() over () as number, * from {crossed} "
        f"cross join (select unnest({ALTERNATIVES}) as alternatives) cross join (select * from (values "
        + ", ".join(
            f"('{grade}', {steps}, '{kind}', {repr(unmet) if unmet else 'null'})"
            for grade, steps, kind, unmet in PROFILES
        )
        + ") as profile (grade, steps, kind, unmet))"
    )
    connection.execute(
        "insert into episode.episode_profile by name select number::varchar as episode_id, number as patient_index, "
        "grade as data_grade, steps as step_count, kind as index_kind, unmet as not_classifiable_reason from pattern"
    )
    for rule in SAID:
        connection.execute(
            f"insert into label.vote by name select number::varchar as episode_id, '{rule}' as rule, "
            f"split_part({rule}, ' ', 1) as vote, nullif(split_part({rule}, ' ', 2), '') as strength "
            f"from pattern where {rule} <> ''"
        )
    connection.execute(
        "insert into label.vote by name select number::varchar as episode_id, unnest(alternatives) as rule, "
        "'OTHER' as vote, 'weak' as strength from pattern"
    )
    warehouse.insert(connection, sql_file(TABLE), TABLE, PARAMETERS)
    connection.execute(
        f"""
        create table judged as select tier.tier, met.* from {TABLE} as tier
        inner join (
            select *, {DEFINITIONS} from (
                select *, is_judged and paradox and not alternative and not failed as is_candidate from (
                    select
                        number,
                        unmet is null as is_judged,
                        len(alternatives) > 0 as alternative,
                        lf07 = 'NOT_OIH weak' as failed,
                        lf05 = 'OIH weak' or lf06 like 'OIH%' or lf08 like 'OIH%' or lf14 like 'OIH%'
                        or lf16 like 'OIH%' as support,
                        lf01 like 'OIH%' or lf04 = 'OIH weak' as paradox,
                        lf01 = 'OIH strong' or lf01 = 'OIH weak' and (lf05 = 'OIH weak' or steps >= 2) as clear,
                        lf06 = 'OIH strong' or lf08 = 'OIH strong' or lf14 = 'OIH strong' and lf01 like 'OIH%'
                            as confirmed,
                        grade in ('A', 'B') and kind <> 'pain_led' as dense
                    from pattern
                )
            )
        ) as met on tier.episode_id = met.number::varchar
        """
    )
    return connection


def test_every_pattern_of_votes_meets_exactly_one_definition(patterns):
    met = " + ".join(f"{tier}::integer" for tier in TIERS)
    assert patterns.execute(f"select count(*), min({met}), max({met}) from judged").fetchall() == [(145_152, 1, 1)]


@pytest.mark.parametrize("tier", TIERS)
def test_every_pattern_of_votes_has_the_tier_whose_definition_it_meets(patterns, tier):
    given, met, both = patterns.execute(
        f"select count_if(tier = '{tier}'), count_if({tier}), count_if(tier = '{tier}' and {tier}) from judged"
    ).fetchone()
    assert given == met == both > 0


def test_where_pain_led_nothing_is_more_than_possible(patterns):
    found = patterns.execute(
        "select distinct tier from judged inner join pattern using (number) where kind = 'pain_led' order by tier"
    ).fetchall()
    assert [tier for (tier,) in found] == ["alternative_more_likely", "mixed", "no_paradox", "possible"]


def test_every_pattern_is_explained_in_one_sentence(patterns):
    [[count]] = patterns.execute(
        f"select count(*) from {TABLE} where not regexp_full_match(explanation, '[A-Z][^.]*([0-9][.][0-9][^.]*)*[.]') "
        "or not starts_with(lower(explanation), replace(tier, '_', ' ') || ': ')"
    ).fetchall()
    assert count == 0


def test_tiers_drawn(check_sql):
    """The same in pictures: one episode per line, with its votes and the tier they add up to."""
    episodes = """
        votes                                         | data_grade | step_count | tier
        ----------------------------------------------+------------+------------+------------------------
                                                      | A          | 1          | no_paradox
        LF06 OIH strong                               | A          | 1          | no_paradox
        LF02 OIH weak, LF13 OIH weak                  | A          | 1          | no_paradox
        LF03 UND weak, LF11 TOL weak                  | A          | 1          | no_paradox
        LF01 OIH weak                                 | A          | 1          | possible
        LF04 OIH weak                                 | A          | 2          | possible
        LF01 OIH weak, LF03 TOL weak                  | A          | 1          | possible
        LF01 OIH weak, LF06 OIH weak                  | A          | 1          | possible
        LF01 OIH weak, LF08 OIH weak                  | A          | 1          | possible
        LF01 OIH weak, LF14 OIH weak                  | A          | 1          | possible
        LF01 OIH weak, LF17 OTHER weak                | A          | 1          | possible
        LF01 OIH weak                                 | A          | 2          | probable
        LF01 OIH weak, LF05 OIH weak                  | B          | 1          | probable
        LF01 OIH weak                                 | C          | 2          | possible
        LF01 OIH strong                               | B          | 1          | probable
        LF01 OIH strong                               | C          | 1          | possible
        LF01 OIH weak, LF06 OIH strong                | B          | 1          | strong_candidate
        LF04 OIH weak, LF06 OIH strong                | B          | 1          | strong_candidate
        LF04 OIH weak, LF08 OIH strong                | B          | 1          | strong_candidate
        LF01 OIH weak, LF14 OIH strong                | B          | 1          | strong_candidate
        LF04 OIH weak, LF14 OIH strong                | B          | 1          | possible
        LF01 OIH strong, LF06 OIH strong              | C          | 1          | possible
        LF01 OIH strong, LF09 WD weak                 | A          | 2          | alternative_more_likely
        LF10 PROG weak                                | A          | 1          | alternative_more_likely
        LF01 OIH strong, LF12 UND weak                | A          | 1          | alternative_more_likely
        LF01 OIH strong, LF15 OTHER weak              | A          | 1          | alternative_more_likely
        LF01 OIH strong, LF07 NOT_OIH weak            | A          | 1          | alternative_more_likely
        LF01 OIH weak, LF05 OIH weak, LF07 PROG weak  | A          | 1          | alternative_more_likely
        LF01 OIH strong, LF10 PROG weak, LF06 OIH weak| A          | 2          | mixed
        LF15 OTHER weak, LF05 OIH weak                | A          | 1          | mixed
        LF09 WD weak, LF16 OIH weak                   | A          | 1          | mixed
        LF09 WD weak, LF16 OTHER weak                 | A          | 1          | alternative_more_likely
        LF01 OIH weak, LF10 ABSTAIN , LF12 NONE       | A          | 1          | possible
    """
    rows = [[cell.strip() for cell in line.split("|")] for line in episodes.strip().splitlines()[2:]]
    votes = []
    for number, (said, *_) in enumerate(rows):
        for vote in filter(None, said.split(",")):
            rule, voted, *strength = vote.split()
            votes.append(f"{number} | {rule} | {voted} | {''.join(strength)}")
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": drawn(
                "episode_id | data_grade | step_count\n-\n"
                + "\n".join(f"{number} | {grade} | {steps}" for number, (_, grade, steps, _) in enumerate(rows)),
                patient_index=1,
                index_kind="dose_led",
            ),
            "label.vote": "episode_id | rule | vote | strength\n-\n" + "\n".join(votes),
        },
        then="episode_id | tier\n-\n" + "\n".join(f"{number} | {row[-1]}" for number, row in enumerate(rows)),
    )


@pytest.mark.parametrize(
    ("votes", "steps", "grade", "is_by_steps"),
    [
        (["LF01 | OIH | weak"], 2, "B", True),
        (["LF01 | OIH | strong"], 2, "B", False),
        (["LF01 | OIH | weak", "LF05 | OIH | weak"], 2, "B", False),
        (["LF01 | OIH | weak"], 1, "B", False),  # possible
        (["LF01 | OIH | weak"], 2, "C", False),  # possible, too
        (["LF01 | OIH | weak", "LF06 | OIH | strong"], 2, "B", False),  # a strong candidate
    ],
)
def test_what_only_repeated_steps_make_probable_is_marked(check_sql, votes, steps, grade, is_by_steps):
    profile = {"patient_index": 1, "index_kind": "dose_led", "data_grade": grade, "step_count": steps}
    said = "\n".join(f"a | {vote}" for vote in votes)
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": drawn("episode_id\n-\na", **profile),
            "label.vote": f"episode_id | rule | vote | strength\n-\n{said}",
        },
        then=f"is_probable_by_steps\n-\n{str(is_by_steps).lower()}",
    )


def value(name: str, number: float | None, threshold: float, unit: str = "NRS point") -> dict[str, object]:
    margin = None if number is None else number - threshold
    return {"name": name, "value": number, "threshold": threshold, "margin": margin, "unit": unit}


def explained(votes: list[tuple[str, str, str | None, str | None, list]], **profile: object) -> str:
    """The sentence of one episode with these votes: rule, vote, strength, reason to abstain, evidence."""
    same = {"patient_index": 1, "index_kind": "dose_led", "data_grade": "B", "step_count": 1} | profile
    connection = select(TABLE, given={"episode.episode_profile": drawn("episode_id\n-\na", **same)})
    for vote in votes:
        connection.execute("insert into label.vote values ('a', ?, ?, ?, ?, ?)", list(vote))
    connection.execute(f"delete from {TABLE}")
    warehouse.insert(connection, sql_file(TABLE), TABLE, PARAMETERS)
    [[sentence]] = connection.execute(f"select explanation from {TABLE}").fetchall()
    return sentence


def worsening(rise: float | None, ratio: float) -> list[dict[str, object]]:
    return [value("adjusted change R - B1", rise, 1.0), value("dose ratio R to B1", ratio, 1.3, "ratio")]


ROSE = ("LF01", "OIH", "weak", None, worsening(1.4, 1.6))
NO_TAPER = ("LF06", "ABSTAIN", None, "no_taper", [])


def test_the_sentence_gives_the_values_of_the_evidence():
    assert explained([ROSE, NO_TAPER]) == (
        "Possible: pain rose 1.4 points beyond expectation (threshold 1.0) at 1.6 times the dose; "
        "no alternative is active; no taper to read."
    )


def test_the_sentence_names_what_was_missed():
    assert explained([("LF01", "NONE", None, None, worsening(1.4, 1.2))]) == (
        "No paradox: pain rose 1.4 points beyond expectation (threshold 1.0) at 1.2 times the dose, "
        "but dose ratio R to B1 is 1.2 (threshold 1.3); no alternative is active."
    )
    assert explained([("LF01", "NONE", None, None, worsening(-0.5, 1.6))]) == (
        "No paradox: pain fell 0.5 points beyond expectation (threshold 1.0) at 1.6 times the dose; "
        "no alternative is active."
    )
    assert explained([("LF01", "ABSTAIN", None, "within_measurement_error", worsening(1.2, 1.6))]) == (
        "No paradox: pain rose 1.2 points beyond expectation (threshold 1.0) at 1.6 times the dose, "
        "within measurement error; no alternative is active."
    )


def test_the_sentence_names_every_active_alternative():
    votes = [
        ROSE,
        ("LF15", "OTHER", "weak", None, []),
        ("LF09", "WD", "weak", None, []),
        ("LF10", "NONE", None, None, []),
    ]
    assert "; active alternative: withdrawal (LF09), a change of what reaches the body (LF15)." in explained(votes)


def test_the_sentence_tells_a_dechallenge():
    cuts = [value("cut against R", 0.5, 0.25, "share"), value("cut while pain was read", 0.34, 0.15, "share")]
    improved = ("LF06", "OIH", "strong", None, [*cuts, value("change after the taper", -2.25, -1.0)])
    assert explained([ROSE, improved]) == (
        "Strong candidate: pain rose 1.4 points beyond expectation (threshold 1.0) at 1.6 times the dose; "
        "no alternative is active; after a taper pain fell 2.25 points more than without one (threshold 1.0)."
    )
    unread = ("LF06", "ABSTAIN", None, "follow_up_too_short", [])
    assert explained([ROSE, unread]).endswith("; no taper that can be read (follow up too short).")
    short = ("LF06", "NONE", None, None, [*cuts, value("change after the taper", -0.96, -1.0)])
    assert explained([ROSE, short]).endswith(
        "; after a taper pain fell 0.96 points more than without one, short of the threshold (1.0)."
    )
    for not_fallen in ([], [*cuts, value("change after the taper", 0.0, -1.0)]):
        assert explained([ROSE, ("LF06", "NONE", None, None, not_fallen)]).endswith(
            "; after a taper pain did not fall more than without one."
        )


@pytest.mark.parametrize(("rule", "said"), [("LF01", "adjusted change R - B1"), ("LF06", "change after the taper")])
def test_the_value_that_the_sentence_tells_is_the_rules_change_of_pain(rule, said):
    [sql] = [sql for sql in sql_files.rules() if sql.rule == rule]
    values = re.findall(r"'name': '([^']+)'.*?'unit': '([^']+)'", sql.text, re.DOTALL)
    assert next(name for name, unit in values if unit == "NRS point").startswith(said)


def test_the_sentence_says_what_keeps_an_episode_from_a_higher_tier():
    assert explained([ROSE], data_grade="C", step_count=2).endswith("; scores are too few for a higher tier.")
    assert explained([ROSE], index_kind="pain_led", step_count=2).endswith("; no dose was raised, so not higher.")
    assert "over 2 steps of the dose" in explained([ROSE], step_count=2)


def test_the_sentence_of_what_cannot_be_judged_gives_the_reason():
    assert explained([], not_classifiable_reason="dose_unknown") == "Insufficient data: dose unknown."


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


def test_a_dechallenge_is_not_observed_where_both_its_rules_abstained(check_sql):
    """A fall within measurement error was observed all the same: the rule of a rise could read it."""
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": drawn("episode_id\n-\na\nb\nc\nd\ne", patient_index=1, step_count=1),
            "label.vote": """
                episode_id | rule | vote
                -----------+------+--------
                a          | LF06 | OIH
                b          | LF06 | NONE
                c          | LF06 | ABSTAIN
                c          | LF07 | ABSTAIN
                e          | LF06 | ABSTAIN
                e          | LF07 | NONE
            """,
        },
        then="""
            episode_id | is_dechallenge_not_observed
            -----------+----------------------------
            a          | false
            b          | false
            c          | true
            d          | true
            e          | false
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
