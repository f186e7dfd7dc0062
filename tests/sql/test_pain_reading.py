"""What a recorded pain score says, on which scale, and whether the study counts it."""

import duckdb
import pytest

from pipelines import checks, warehouse
from tests.conftest import CONTRACTS, select
from tests.sql.drawing import drawn

TABLE = "trajectory.pain_reading"


@pytest.fixture
def check(check_sql):
    """Read scores of one patient on the NRS, now, outside hospital, unless drawn otherwise."""

    def check(scores: str, then: str, settings: dict | None = None, **same: object) -> None:
        usual = {
            "source": "north",
            "instrument": "NRS",
            "recall": "now",
            "setting": "outpatient",
            "patient_index": 1,
            "scored_at": "2021-01-04 08:00:00",
        }
        header = {name.strip() for name in scores.strip().splitlines()[0].split("|")}
        values = {name: value for name, value in (usual | same).items() if name not in header}
        check_sql(TABLE, given={"clean.pain_score": drawn(scores, **values)}, settings=settings, then=then)

    return check


# Numbers, as numbers and in text


def test_a_number_from_0_to_10_is_the_score_and_any_other_is_unknown(check):
    check(
        """
        pain_score_id | score  | score_text
        --------------+--------+-----------
        none          | 0      |
        worst         | 10     |
        half          | 4.5    |
        above         | 10.001 |
        below         | -0.001 |
        nothing       |        |
        blank         |        | ''
        text_none     |        | 0
        text_worst    |        | 10
        text_half     |        | 8.5
        text_stop     |        | 7.
        text_above    |        | 13
        text_below    |        | -1
        no_number     | nan    |
        """,
        """
        pain_score_id | pain_nrs | reading_kind | unknown_reason
        --------------+----------+--------------+------------------
        none          | 0        | number       |
        worst         | 10       | number       |
        half          | 4.5      | number       |
        above         |          | number       | out_of_range
        below         |          | number       | out_of_range
        nothing       |          |              | score_not_charted
        blank         |          |              | score_not_charted
        text_none     | 0        | number       |
        text_worst    | 10       | number       |
        text_half     | 8.5      | number       |
        text_stop     | 7        | number       |
        text_above    |          | number       | out_of_range
        text_below    |          | number       | out_of_range
        no_number     |          | number       | out_of_range
        """,
    )


def test_a_fraction_counts_only_out_of_the_largest_score_of_its_scale(check):
    check(
        """
        pain_score_id | instrument | score_text
        --------------+------------+-------------
        none          | NRS        | 0/10
        worst         | NRS        | 10/10
        spaced        | NRS        | 7 / 10
        in_words      | NRS        | 7 Out Of  10
        above         | NRS        | 11/10
        of_five       | NRS        | 4/5
        of_hundred    | NRS        | 70/100
        mm            | VAS_100    | 70/100
        date          | NRS        | 7/10/21
        """,
        """
        pain_score_id | scale_score | reading_kind | unknown_reason
        --------------+-------------+--------------+------------------
        none          | 0           | fraction     |
        worst         | 10          | fraction     |
        spaced        | 7           | fraction     |
        in_words      | 7           | fraction     |
        above         |             | fraction     | out_of_range
        of_five       |             | fraction     | other_denominator
        of_hundred    |             | fraction     | other_denominator
        mm            | 70          | fraction     |
        date          |             |              | text_not_known
        """,
    )


def test_a_narrow_range_is_its_midpoint_and_a_wide_one_says_too_little(check):
    check(
        """
        pain_score_id | score_text
        --------------+------------
        one           | 4-5
        to            | 4 to 5
        dash          | 4 \N{EN DASH} 5
        out_of        | 4-5/10
        two           | 4-6
        wider         | 4-6.1
        whole         | 0-10
        equal         | 5-5
        backwards     | 6-5
        above         | 9-11
        """,
        """
        pain_score_id | pain_nrs | reading_kind | unknown_reason
        --------------+----------+--------------+-------------------
        one           | 4.5      | range        |
        to            | 4.5      | range        |
        dash          | 4.5      | range        |
        out_of        | 4.5      | range        |
        two           | 5        | range        |
        wider         |          | range        | range_too_wide
        whole         |          | range        | range_too_wide
        equal         | 5        | number       |
        backwards     |          | number       | range_not_in_order
        above         |          | range        | out_of_range
        """,
    )


@pytest.mark.parametrize(("widest", "nrs", "reason"), [(1, "4.5", ""), (0.9, "", "range_too_wide")])
def test_the_widest_range_is_a_setting(check, widest, nrs, reason):
    check(
        "score_text\n-\n4-5",
        f"pain_nrs | unknown_reason\n-\n{nrs} | {reason}",
        settings={"max_range_width_nrs": widest},
    )


def test_the_width_of_a_range_is_measured_in_shares_of_its_scale(check):
    check(
        """
        pain_score_id | instrument | score_text
        --------------+------------+-----------
        narrow        | VAS_100    | 40-60
        wide          | VAS_100    | 40-61
        """,
        "pain_score_id | scale_score | unknown_reason\n-\nnarrow | 50 |\nwide | | range_too_wide",
    )


@pytest.mark.parametrize("text", ["pain 6", "7,5", "about 7", "6 or 7", "++", "1e1", "0x7", "seven", "7 7", "7/", "-"])
def test_a_text_that_holds_more_than_a_number_is_not_guessed_at(check, text):
    check(f"score_text\n-\n{text}", "pain_nrs | reading_kind | unknown_reason\n-\n | | text_not_known")


# Words


def test_words_that_say_why_there_is_no_score_are_read_in_any_source_and_spelling(check):
    check(
        """
        pain_score_id | source | instrument | score_text
        --------------+--------+------------+------------------
        unable        | north  | NRS        | Unable
        to_score      | south  | VAS_100    | unable  to score.
        uta           | north  | NRS        | UTA
        asleep        | north  | NRS        | asleep
        refused       | north  | FLACC      | Refused
        sedated       | north  | NRS        | sedated
        non_verbal    | north  | NRS        | non-verbal
        declined      | fhir   | NRS        | asked-declined
        """,
        """
        pain_score_id | pain_nrs | reading_kind | unknown_reason
        --------------+----------+--------------+----------------
        unable        |          | word         | unable_to_score
        to_score      |          | word         | unable_to_score
        uta           |          | word         | unable_to_score
        asleep        |          | word         | asleep
        refused       |          | word         | refused
        sedated       |          | word         | sedated
        non_verbal    |          | word         | non_verbal
        declined      |          | word         | refused
        """,
    )


def test_the_words_of_one_source_are_exact_and_mean_nothing_in_another(check):
    check(
        """
        pain_score_id | source   | score_text
        --------------+----------+--------------------
        three         | mimic_iv | Mild to Moderate
        four          | mimic_iv | Mild to Moderate.
        six           | mimic_iv | Moderate to Severe
        seven         | mimic_iv | Moderate to Severe.
        none          | mimic_iv | None
        lower         | mimic_iv | severe
        elsewhere     | north    | Severe
        """,
        """
        pain_score_id | pain_nrs | unknown_reason
        --------------+----------+---------------
        three         | 3        |
        four          | 4        |
        six           | 6        |
        seven         | 7        |
        none          | 0        |
        lower         |          | text_not_known
        elsewhere     |          | text_not_known
        """,
    )


def test_a_word_is_a_number_on_its_own_scale_alone(check):
    check(
        """
        pain_score_id | instrument | score_text
        --------------+------------+-----------
        four_words    | VRS_4      | Severe
        none          | VRS_4      | none
        six_words     | VDS_6      | Horrible
        numbers       | NRS        | Severe
        other_words   | VRS_4      | horrible
        """,
        """
        pain_score_id | scale_score | pain_nrs | unknown_reason
        --------------+-------------+----------+---------------
        four_words    | 3           |          |
        none          | 0           |          |
        six_words     | 4           |          |
        numbers       |             |          | text_not_known
        other_words   |             |          | text_not_known
        """,
    )


def test_a_sources_own_words_come_before_those_of_any(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.pain_score": drawn("score_text\n-\nnil", source="north", instrument="NRS", recall="now"),
            "reference.pain_text": """
                source | instrument | score_text | score | unknown_reason
                -------+------------+------------+-------+---------------
                any    | any        | nil        |       | not_assessed
                any    | NRS        | nil        |       | asleep
                north  | any        | nil        |       | refused
                north  | NRS        | nil        | 0     |
            """,
        },
        then="pain_nrs | unknown_reason\n-\n0 |",
    )


# A number beside a text


def test_a_number_that_contradicts_its_text_is_not_accepted_least_of_all_a_zero(check):
    check(
        """
        pain_score_id | source   | score_text        | score
        --------------+----------+-------------------+------
        zero          | mimic_iv | Unable to Score   | 0
        asleep_zero   | north    | asleep            | 0
        asleep        | north    | asleep            |
        other_word    | mimic_iv | Mild to Moderate. | 3
        same_word     | mimic_iv | Mild to Moderate. | 4
        word_alone    | mimic_iv | Severe            |
        other_number  | north    | 7                 | 0
        same_number   | north    | 7/10              | 7
        in_range      | north    | 4-5               | 4
        off_range     | north    | 4-5               | 3.9
        out_of_range  | north    | 13                | 13
        not_read      | north    | quite a lot       | 7
        not_read_zero | north    | quite a lot       | 0
        not_read_high | north    | quite a lot       | 13
        no_pain       | north    | No pain           | 0
        none          | north    | none              | 0
        no_pain_alone | north    | no pain           |
        no_pain_six   | north    | no pain           | 6
        mild_beside   | north    | Mild pain         | 2
        blank         | north    | ''                | 7
        """,
        """
        pain_score_id | pain_nrs | unknown_reason
        --------------+----------+------------------------
        zero          |          | number_contradicts_text
        asleep_zero   |          | number_contradicts_text
        asleep        |          | asleep
        other_word    |          | number_contradicts_text
        same_word     | 4        |
        word_alone    | 8        |
        other_number  |          | number_contradicts_text
        same_number   | 7        |
        in_range      | 4.5      |
        off_range     |          | number_contradicts_text
        out_of_range  |          | out_of_range
        not_read      | 7        |
        not_read_zero |          | text_not_known
        not_read_high |          | out_of_range
        no_pain       | 0        |
        none          | 0        |
        no_pain_alone |          | text_not_known
        no_pain_six   |          | number_contradicts_text
        mild_beside   | 2        |
        blank         | 7        |
        """,
    )


# Scales


def test_a_score_is_in_nrs_points_only_where_its_scale_may_stand_beside_it(check):
    check(
        """
        pain_score_id | instrument | score
        --------------+------------+------
        nrs           | NRS        | 5
        cm            | VAS_10     | 5
        mm            | VAS_100    | 55
        too_long      | VAS_100    | 101
        observed      | FLACC      | 5
        lowest        | BPS        | 3
        below         | BPS        | 2
        composite     | PEG        | 5
        item          | PEG_PAIN   | 5
        unheard_of    | SMILEY     | 5
        """,
        """
        pain_score_id | scale_score | pain_nrs | unknown_reason
        --------------+-------------+----------+----------------
        nrs           | 5           | 5        |
        cm            | 5           | 5        |
        mm            | 55          | 5.5      |
        too_long      |             |          | out_of_range
        observed      | 5           |          |
        lowest        | 3           |          |
        below         |             |          | out_of_range
        composite     | 5           |          |
        item          | 5           | 5        |
        unheard_of    |             |          | scale_not_known
        """,
    )


SCALES = """
    pain_score_id | instrument  | recall          | score
    --------------+-------------+-----------------+------
    nrs           | NRS         | now             | 5
    nrs_worst     | NRS         | worst           | 5
    after         | NRS         | after_treatment | 5
    not_told      | NRS         | unknown         | 5
    mm            | VAS_100     | now             | 50
    observed      | CPOT        | now             | 5
    words         | VRS_4       | now             | 2
    unheard_of    | SMILEY      | now             | 5
    bpi_average   | BPI_AVERAGE | unknown         | 5
    bpi_now       | BPI_NOW     | unknown         | 5
    unnamed       | PAIN_REPORTED | now           | 5
"""


def test_a_study_counts_current_nrs_scores_unless_it_says_otherwise(check):
    check(
        SCALES,
        """
        pain_score_id | recall          | is_counted | not_counted_reason
        --------------+-----------------+------------+-------------------
        nrs           | now             | true       |
        nrs_worst     | worst           | false      | other_recall
        after         | after_treatment | false      | other_recall
        not_told      | unknown         | false      | other_recall
        mm            | now             | false      | other_scale
        observed      | now             | false      | observed
        words         | now             | false      | other_scale
        unheard_of    | now             | false      | scale_not_known
        bpi_average   | average         | false      | other_scale
        bpi_now       | now             | false      | other_scale
        unnamed       | now             | false      | other_scale
        """,
    )


def test_the_study_names_the_scales_and_the_time_they_ask_about(check):
    check(
        SCALES,
        """
        pain_score_id | is_counted | not_counted_reason
        --------------+------------+-------------------
        nrs           | false      | other_scale
        nrs_worst     | false      | other_scale
        after         | false      | other_scale
        not_told      | false      | other_scale
        mm            | false      | other_scale
        observed      | false      | observed
        words         | false      | other_scale
        unheard_of    | false      | scale_not_known
        bpi_average   | true       |
        bpi_now       | false      | other_scale
        unnamed       | false      | other_scale
        """,
        settings={"pain_scales": ["BPI_AVERAGE", "PEG_PAIN"], "pain_recall": ["average"]},
    )


@pytest.mark.parametrize(
    ("recall", "counted"),
    [(["now"], {"nrs"}), (["now", "unknown"], {"nrs", "not_told"}), (["unknown"], {"not_told"})],
)
def test_scores_of_an_unknown_time_count_where_the_study_says_so(check, recall, counted):
    scores = "pain_score_id | recall | score\n-\nnrs | now | 5\nworst | worst | 5\nnot_told | unknown | 5"
    check(
        scores,
        "pain_score_id | is_counted\n-\n"
        + "\n".join(f"{name} | {str(name in counted).lower()}" for name in ("nrs", "worst", "not_told")),
        settings={"pain_recall": recall},
    )


def test_a_source_of_whose_scores_none_counts_is_a_warning():
    contract = CONTRACTS[TABLE]
    columns = {"pain_score_id": "a b c d", "source": "north north south south", "is_counted": "true false false false"}
    rows = {name: text.split() for name, text in columns.items()}
    with duckdb.connect() as connection:
        warehouse.create(connection, contract)
        for row in zip(*rows.values(), strict=True):
            connection.execute(f"insert into {TABLE} by name select {', '.join(f'? as {n}' for n in rows)}", row)
        [found] = [each for each in checks.check(connection, contract) if each.check.endswith("none_of_them")]
    assert (found.status, found.severity, found.failing_rows, found.rows) == ("failed", "warning", 1, 2)


BOTH = {"pain_scales": ["NRS", "VAS_100"]}


def test_a_patient_keeps_the_scale_of_the_first_known_score_that_windows_read(check):
    check(
        """
        patient_index | scored_at           | instrument | setting    | score
        --------------+---------------------+------------+------------+------
        1             | 2021-01-04 08:00:00 | VAS_100    | outpatient | 50
        1             | 2021-01-05 08:00:00 | NRS        | outpatient | 5
        1             | 2021-01-06 08:00:00 | NRS        | outpatient | 5
        2             | 2021-01-04 08:00:00 | VAS_100    | outpatient |
        2             | 2021-01-05 08:00:00 | NRS        | outpatient | 5
        3             | 2021-01-04 08:00:00 | VAS_100    | icu        | 50
        3             | 2021-01-05 08:00:00 | NRS        | outpatient | 5
        4             | 2021-01-04 08:00:00 | VAS_100    | outpatient | 50
        4             | 2021-01-04 08:00:00 | NRS        | outpatient | 5
        5             | 2021-01-04 08:00:00 | VAS_100    | icu        | 50
        """,
        """
        patient_index | instrument | scored_at           | is_counted | not_counted_reason
        --------------+------------+---------------------+------------+-------------------
        1             | VAS_100    | 2021-01-04 08:00:00 | true       |
        1             | NRS        | 2021-01-05 08:00:00 | false      | second_scale
        1             | NRS        | 2021-01-06 08:00:00 | false      | second_scale
        2             | VAS_100    | 2021-01-04 08:00:00 | false      | second_scale
        2             | NRS        | 2021-01-05 08:00:00 | true       |
        3             | VAS_100    | 2021-01-04 08:00:00 | false      | second_scale
        3             | NRS        | 2021-01-05 08:00:00 | true       |
        4             | VAS_100    | 2021-01-04 08:00:00 | false      | second_scale
        4             | NRS        | 2021-01-04 08:00:00 | true       |
        5             | VAS_100    | 2021-01-04 08:00:00 | true       |
        """,
        settings=BOTH,
    )


def test_no_window_ever_holds_two_scales():
    """NRS says 2, the other scale says 8: any mean between the two has mixed them."""
    days = "\n".join(
        f"{patient} | 2021-01-{day:02} 0{hour}:00:00 | {instrument} | {score}"
        for patient in (1, 2)
        for day in range(1, 29)
        for hour, (instrument, score) in enumerate([("NRS", 2), ("VAS_100", 80)][:: 1 if patient == 1 else -1])
        if (day + hour + patient) % 3
    )
    scores = drawn(
        f"patient_index | scored_at | instrument | score\n-\n{days}", recall="now", setting="outpatient", source="north"
    )
    windows = drawn(
        "episode_id | patient_index\n-\na | 1\nb | 2", window_name="R", start_date="2021-01-01", end_date="2021-01-31"
    )
    connection = select(
        TABLE,
        "trajectory.pain_day",
        "episode.window_pain",
        given={
            "clean.pain_score": scores,
            "episode.episode_window": windows,
            "episode.episode": drawn("episode_id | patient_index\n-\na | 1\nb | 2", index_date="2021-01-01"),
        },
        settings=BOTH,
    )
    found = connection.sql("select episode_id, mean_nrs, weekly_sd_nrs from episode.window_pain order by 1").fetchall()
    assert found in ([("a", 2, 0), ("b", 8, 0)], [("a", 8, 0), ("b", 2, 0)], [("a", 2, 0), ("b", 2, 0)])
    [check] = [e for e in CONTRACTS[TABLE].expectations if "count(distinct instrument)" in e.model_dump_json()]
    assert connection.sql(check.model_dump()["unexpected_rows_query"].format(batch=TABLE)).fetchall() == []


# Reference tables


def test_every_word_lies_on_its_scale_and_every_item_has_one():
    connection = duckdb.connect()
    for name in ("pain_scale", "pain_text", "pain_item"):
        warehouse.build_reference(connection, CONTRACTS[f"reference.{name}"])
    outside = """
        select * from reference.pain_text as word
        left join reference.pain_scale as scale using (instrument)
        where word.instrument <> 'any' and (
            scale.instrument is null or word.score not between scale.smallest_score and scale.largest_score
        )
    """
    assert connection.sql(outside).fetchall() == []
    unknown = "select * from reference.pain_item anti join reference.pain_scale using (instrument)"
    assert connection.sql(unknown).fetchall() == []
    assert (
        connection.sql(
            "select * from reference.pain_text where source = 'any' and score_text <> lower(score_text)"
        ).fetchall()
        == []
    )


@pytest.mark.parametrize("table", ["reference.pain_scale", "reference.pain_text"])
def test_the_shipped_reference_keeps_its_own_rules(table):
    connection = duckdb.connect()
    warehouse.build_reference(connection, CONTRACTS[table])
    for rule in CONTRACTS[table].expectations:
        assert connection.sql(rule.model_dump()["unexpected_rows_query"].format(batch=table)).fetchall() == []
