"""What each source delivered, by kind of record."""

from tests.sql.drawing import drawn

TABLE = "report.source_summary"


def test_rows_and_patients_are_counted_by_source_and_kind(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.patient": "source | patient_index\n-\nnorth | 1\nnorth | 2\nsouth | 3",
            "clean.prescription": """
                source | patient_index | record_kind
                -------+---------------+------------
                north  | 1             | dispensing
                north  | 1             | dispensing
                north  | 2             | dispensing
                north  | 1             | order
                south  | 3             | dispensing
            """,
            "clean.administration": "source | patient_index\n-\nsouth | 3\nsouth | 3",
            "clean.diagnosis": "source | patient_index\n-\nnorth | 1",
            "clean.procedure": "source | patient_index\n-\nnorth | 2",
            "clean.encounter": "source | patient_index | setting\n-\nnorth | 2 | inpatient\nnorth | 2 | long_term_care",
            "clean.note_mention": "source | patient_index\n-\nnorth | 1",
        },
        then="""
            source | record_kind               | row_count | patient_count
            -------+---------------------------+-----------+--------------
            north  | patient                   | 2         | 2
            north  | opioid dispensing         | 3         | 2
            north  | opioid order              | 1         | 1
            north  | diagnosis                 | 1         | 1
            north  | procedure                 | 1         | 1
            north  | encounter, inpatient      | 1         | 1
            north  | encounter, long term care | 1         | 1
            north  | mention in a note         | 1         | 1
            south  | patient                   | 1         | 1
            south  | opioid dispensing         | 1         | 1
            south  | opioid administration     | 2         | 1
        """,
    )


def test_the_scores_that_the_study_counts_are_counted_by_setting_known_apart_from_unknown(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": drawn(
                """
                patient_index | setting    | is_counted | pain_nrs
                --------------+------------+------------+---------
                1             | outpatient | true       | 0
                1             | outpatient | true       | 7
                2             | outpatient | true       |
                1             | icu        | true       | 7
                1             | outpatient | false      | 3
                """,
                source="north",
            )
        },
        then="""
            source | record_kind                     | row_count | patient_count
            -------+---------------------------------+-----------+--------------
            north  | pain score, outpatient          | 2         | 1
            north  | pain score, outpatient, unknown | 1         | 1
            north  | pain score, icu                 | 1         | 1
        """,
    )
