"""What is thought of each rule's vote: elicited, so it can only be checked for sense."""

import re
from itertools import product

import duckdb
import pytest

from pipelines import contracts, sql_files, warehouse

[VOTES] = [column.values for column in contracts.all_contracts()["label.vote"].columns if column.name == "vote"]
FOR = {"OIH", "OIH_OR_TOL"}
CLASSES = {*VOTES} - {"NONE", "ABSTAIN"}


@pytest.fixture(scope="module")
def rules():
    connection = duckdb.connect()
    warehouse.build_reference(connection, contracts.all_contracts()["reference.rule"])
    return connection


def test_every_row_is_of_a_rule_that_votes(rules):
    known = {sql.path.stem.split("_")[0].upper() for sql in sql_files.rules()}
    assert {rule for (rule,) in rules.sql("select rule from reference.rule").fetchall()} <= known


def test_every_vote_that_a_rule_can_cast_has_exactly_one_row(rules):
    """What a rule can cast are the classes and strengths that its file names."""
    castable = set()
    for sql in sql_files.rules():
        named = set(re.findall(r"'(\w+)'", re.sub("--.*", "", sql.text)))
        directions = {"for" if vote in FOR else "against" for vote in named & CLASSES}
        castable |= {(sql.rule, *cast) for cast in product(directions, named & {"weak", "strong"})}
    rows = rules.sql("select rule, direction, strength from reference.rule").fetchall()
    assert sorted(rows) == sorted(castable)
    assert ("LF16", "against", "weak") in castable and ("LF08", "for", "weak") in castable


def test_rules_that_look_at_the_same_data_are_one_group(rules):
    found = rules.sql(
        "select dependence_group, string_agg(number, ' ' order by number) "
        "from (select distinct dependence_group, right(rule, 2) as number from reference.rule) group by all order by all"
    ).fetchall()
    assert found == [
        ("G1", "01 02 04 13"),
        ("G2", "03 11 12"),
        ("G3", "05"),
        ("G4", "06 07 08 16"),
        ("G5", "09 10 15 17 18 19 20"),
        ("G6", "14"),
    ]


def test_a_vote_for_hyperalgesia_is_likelier_with_it_and_one_against_without(rules):
    wrong = "select * from reference.rule where (direction = 'for') <> (vote_if_oih > vote_if_not_oih)"
    assert not rules.sql(wrong).fetchall()


def test_a_strong_vote_is_rarer_than_a_weak_one_which_includes_it(rules):
    wrong = rules.sql(
        "select * from reference.rule as strong inner join reference.rule as weak using (rule, direction) "
        "where strong.strength = 'strong' and weak.strength = 'weak' "
        "and (strong.vote_if_oih >= weak.vote_if_oih or strong.vote_if_not_oih >= weak.vote_if_not_oih)"
    )
    assert not wrong.fetchall()
