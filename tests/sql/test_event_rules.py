"""Rules that only ask whether an event was there: LF10, LF15 and LF17 to LF20."""

import pytest

from tests.conftest import select, sql_file
from tests.sql.drawing import drawn

RULES = {
    "lf10_acute_cause": (
        "PROG",
        ("cancer", "emergency_pain_visit", "flare", "infection", "injection", "injury", "surgery"),
    ),
    "lf15_changed_exposure": (
        "OTHER",
        ("bariatric_surgery", "cyp2d6_inhibitor", "cyp3a4_inducer", "release_switch", "rotation"),
    ),
    "lf17_narcotic_bowel": ("OTHER", ("narcotic_bowel",)),
    "lf18_overused_medication": ("OTHER", ("medication_overuse_headache",)),
    "lf19_new_benzodiazepine": ("OTHER", ("benzodiazepine",)),
    "lf20_new_distress": ("OTHER", ("depression", "ptsd")),
}
ASKED = [(rule, vote, kind) for rule, (vote, kinds) in RULES.items() for kind in kinds]


def events(kinds, **shown: str) -> str:
    """All kinds of a rule for one episode, without an event but for the kinds shown: day, margin and reason."""
    rows = "\n".join(f"{kind} | {shown.get(kind, '| |')}" for kind in (*kinds, "opioid_withdrawal"))
    return drawn(f"kind | event_day | margin_days | unread_reason\n-\n{rows}", episode_id="a", from_day=-30, to_day=30)


@pytest.mark.parametrize(("rule", "vote", "kind"), ASKED)
def test_any_event_on_the_days_on_which_it_counts_is_a_weak_vote(check_sql, rule, vote, kind):
    for event, expected in [
        ("30 | 0 |", f"{vote} | weak |"),
        ("31 | -1 |", "NONE | |"),
        ("| |", "NONE | |"),
        ("| | no_diagnosis_feed", "ABSTAIN | | no_diagnosis_feed"),
        ("31 | -1 | follow_up_too_short", "ABSTAIN | | follow_up_too_short"),
        ("10 | 20 | follow_up_too_short", f"{vote} | weak |"),
    ]:
        check_sql(
            f"label_rules.{rule}",
            given={"episode.nearest_event": events(RULES[rule][1], **{kind: event})},
            then=f"episode_id | rule | vote | strength | abstain_reason\n-\na | {rule[:4].upper()} | {expected}",
        )


@pytest.mark.parametrize("rule", RULES)
def test_no_other_kind_moves_a_rule(check_sql, rule):
    check_sql(
        f"label_rules.{rule}",
        given={"episode.nearest_event": events(RULES[rule][1], opioid_withdrawal="0 | 30 |")},
        then="episode_id | vote\n-\na | NONE",
    )


@pytest.mark.parametrize(
    ("rule", "vote", "kinds"), [(rule, *asked) for rule, asked in RULES.items() if len(asked[1]) > 1]
)
def test_an_event_of_one_kind_is_a_vote_though_another_kind_is_not_read(check_sql, rule, vote, kinds):
    check_sql(
        f"label_rules.{rule}",
        given={"episode.nearest_event": events(kinds, **{kinds[0]: "0 | 30 |", kinds[1]: "| | no_adjuvant_feed"})},
        then=f"vote | strength | abstain_reason\n-\n{vote} | weak |",
    )


@pytest.mark.parametrize("rule", RULES)
def test_the_evidence_is_the_day_of_each_kind_with_the_edge_that_is_nearest(rule):
    kinds = RULES[rule][1]
    table = f"label_rules.{rule}"
    connection = select(table, given={"episode.nearest_event": events(kinds, **{kinds[0]: "-33 | -3 |"})})
    rows = connection.sql(f"select unnest(evidence, recursive := true) from {table}").fetchall()
    rest = [(f"day of {kind.replace('_', ' ')}", None, 30, None, "day") for kind in kinds[1:]]
    assert rows == [(f"day of {kinds[0].replace('_', ' ')}", -33, -30, -3, "day"), *rest]


@pytest.mark.parametrize("rule", [*RULES, "lf09_withdrawal"])
def test_the_card_of_a_rule_names_the_days_on_which_its_kinds_count(rule):
    days = sorted(
        name for name in sql_file("episode.nearest_event").parameters if name.endswith(("from_day", "to_day"))
    )
    numbered = {name: 1000 + number for number, name in enumerate(days)}
    given = {"episode.episode": "episode_id\n-\na", "episode.delivered_feed": "episode_id\n-\na"}
    connection = select("episode.nearest_event", given=given, settings=numbered)
    kinds = RULES[rule][1] if rule in RULES else ("opioid_withdrawal",)
    counted = connection.execute(
        "select distinct unnest([from_day, to_day]) from episode.nearest_event where list_contains(?, kind)", [[*kinds]]
    ).fetchall()
    assert {days[day - 1000] for (day,) in counted} <= set(sql_file(f"label_rules.{rule}").settings)
