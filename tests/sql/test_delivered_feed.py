"""A feed that was not delivered is told apart from one that holds nothing."""

TABLE = "episode.delivered_feed"


def test_a_feed_is_that_of_the_patients_own_source(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode": "episode_id | patient_index\n-\na | 1\nb | 2\nc | 3",
            "clean.patient": "patient_index | source\n-\n1 | north\n2 | south",
            "clean.source_coverage": """
                source | table_name   | is_delivered | row_count
                -------+--------------+--------------+----------
                north  | diagnosis    | true         | 0
                north  | note_mention | false        | 0
                south  | encounter    | true         | 9
                south  | adjuvant     | true         | 9
                south  | procedure    | true         | 9
            """,
        },
        then="""
            episode_id | has_diagnoses | has_procedures | has_encounters | has_adjuvants | has_notes
            -----------+---------------+----------------+----------------+---------------+----------
            a          | true          | false          | false          | false         | false
            b          | false         | true           | true           | true          | false
            c          | false         | false          | false          | false         | false
        """,
    )
