def test_votes_are_counted_by_rule_vote_strength_and_reason(check_sql):
    check_sql(
        "report.vote_count",
        given={
            "episode.episode": """
                episode_id | patient_index
                -----------+--------------
                a          | 1
                b          | 1
                c          | 2
                d          | 3
            """,
            "label.vote": """
                episode_id | rule | vote    | strength | abstain_reason
                -----------+------+---------+----------+---------------
                a          | LF01 | OIH     | weak     |
                b          | LF01 | OIH     | weak     |
                c          | LF01 | OIH     | strong   |
                d          | LF01 | ABSTAIN |          | no_scores
                a          | LF03 | NONE    |          |
            """,
        },
        settings={"min_cell_count": 1},
        then="""
            rule | vote    | episode_count | patient_count
            -----+---------+---------------+--------------
            LF01 | OIH     | 2             | 1
            LF01 | OIH     | 1             | 1
            LF01 | ABSTAIN | 1             | 1
            LF03 | NONE    | 1             | 1
        """,
    )


def test_votes_of_few_patients_are_left_out_and_the_others_rounded(check_sql):
    episodes = "\n".join(f"{number} | {number}" for number in range(40))
    votes = [("OIH", 10), ("NONE", 11), ("TOL", 19)]
    said = "\n".join(
        f"{number} | LF01 | {vote}" for number, vote in enumerate(vote for vote, count in votes for _ in range(count))
    )
    check_sql(
        "report.vote_count",
        given={
            "episode.episode": f"episode_id | patient_index\n-\n{episodes}",
            "label.vote": f"episode_id | rule | vote\n-\n{said}",
        },
        then="vote | episode_count | patient_count\n-\nNONE | 11 | 11\nTOL | 22 | 22",
    )


def test_a_vote_is_a_share_of_what_the_rule_judged_at_index_dates_of_the_kind(check_sql):
    """Votes that are left out were judged as well: 6 of 30 episodes."""
    said = [("dose_led", "OIH", 12), ("dose_led", "NONE", 12), ("dose_led", "TOL", 6), ("dose_led", "ABSTAIN", 30)]
    said += [("sham_maintainer", "OIH", 22)]
    votes = list(enumerate((kind, vote) for kind, vote, count in said for _ in range(count)))
    check_sql(
        "report.vote_count",
        given={
            "episode.episode": "episode_id | patient_index | index_kind\n-\n"
            + "\n".join(f"{number} | {number} | {kind}" for number, (kind, _) in votes),
            "label.vote": "episode_id | rule | vote\n-\n"
            + "\n".join(f"{number} | LF01 | {vote}" for number, (_, vote) in votes),
        },
        then="""
            index_kind      | vote    | episode_count | judged_count
            ----------------+---------+---------------+-------------
            dose_led        | OIH     | 11            | 33
            dose_led        | NONE    | 11            | 33
            dose_led        | ABSTAIN | 33            |
            sham_maintainer | OIH     | 22            | 22
        """,
    )
