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
        then="""
            rule | vote    | episode_count | patient_count
            -----+---------+---------------+--------------
            LF01 | OIH     | 2             | 1
            LF01 | OIH     | 1             | 1
            LF01 | ABSTAIN | 1             | 1
            LF03 | NONE    | 1             | 1
        """,
    )
