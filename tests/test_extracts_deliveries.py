"""Deliveries follow one another as the contract says, and the same delivery twice changes nothing."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import checks, contracts, extracts, paths
from pipelines.contracts import Contract
from pipelines.errors import ContractError, ExtractError, LedgerError
from tests.test_extracts import a_contract, refusal

DELIVERY = contracts.read(paths.DATA_CONTRACTS / "0_raw" / "delivery.yaml")
MODES = ("snapshot", "increment", "upsert")


def rx(delivery: str, columns: str = "id INTEGER, mg INTEGER minimum=0", **fields) -> Contract:
    return a_contract(columns, key=["id"], files="*.csv", delivery=delivery, **fields)


@pytest.fixture
def deliver(connection, folder):
    """Put these files, given as rows of ``id,mg``, in place of those in the folder, and load them."""

    def load(contract: Contract, **files: str) -> extracts.Loaded:
        for old in folder.iterdir():
            old.unlink()
        for name, rows in files.items():
            (folder / f"{name}.csv").write_text("\n".join(["id,mg", *rows.split()]) + "\n")
        return extracts.load(connection, contract, "clinic", folder)

    return load


def rows(connection) -> list[tuple]:
    return connection.execute(
        "select id, mg, source_file from raw_clinic.rx order by source_file, source_row"
    ).fetchall()


def quarantine(connection) -> list[tuple]:
    return connection.execute(
        "select source_file, source_row, rule from raw.quarantine order by source_file, source_row"
    ).fetchall()


def counts(connection) -> list[tuple]:
    """File, sequence, and its rows delivered, loaded, in quarantine and replaced."""
    return connection.execute(
        "select source_file, sequence, delivered_rows, loaded_rows, quarantined_rows, replaced_rows "
        "from raw.delivery order by source_file, sequence nulls first"
    ).fetchall()


def copies(connection) -> dict[str, list[str] | None]:
    return dict(connection.execute("select source_file, also_delivered_as from raw.delivery").fetchall())


def everything(connection) -> list[list[tuple]]:
    return [
        connection.execute(f"from {table} order by all").fetchall()
        for table in ("raw_clinic.rx", "raw.quarantine", "raw.delivery")
    ]


# --- Snapshot ---


def test_a_snapshot_replaces_the_one_before(deliver, connection):
    deliver(rx("snapshot"), a="1,10 2,20")
    deliver(rx("snapshot"), a="1,11", b="3,30")
    assert rows(connection) == [(1, 11, "a.csv"), (3, 30, "b.csv")]
    assert counts(connection) == [("a.csv", 1, 1, 1, 0, 0), ("b.csv", 2, 1, 1, 0, 0)]


# --- Increment ---


def test_an_increment_is_added_to_what_was_loaded_though_the_earlier_files_are_gone(deliver, connection):
    deliver(rx("increment"), jan="1,10 2,-1")
    loaded = deliver(rx("increment"), feb="3,30")
    assert rows(connection) == [(3, 30, "feb.csv"), (1, 10, "jan.csv")]
    assert quarantine(connection) == [("jan.csv", 2, "range")]
    assert counts(connection) == [("feb.csv", 2, 1, 1, 0, 0), ("jan.csv", 1, 2, 1, 1, 0)]
    assert loaded == extracts.Loaded(3, 2, 1, ("feb.csv", "jan.csv"))


def test_a_run_without_new_files_changes_nothing(deliver, connection):
    deliver(rx("increment"), jan="1,10")
    before = everything(connection)
    assert deliver(rx("increment")) == extracts.Loaded(1, 1, 0, ("jan.csv",))
    assert everything(connection) == before


def test_the_first_increment_needs_a_file(deliver):
    with pytest.raises(ExtractError, match="no such file"):
        deliver(rx("increment"))


@pytest.mark.parametrize("key", [["id"], []])
def test_a_content_that_was_loaded_changes_no_row_under_another_name_and_is_told(deliver, connection, key):
    contract = rx("increment").model_copy(update={"key": key})
    deliver(contract, jan="1,10")
    before = everything(connection)
    assert copies(connection) == {"jan.csv": None}
    for _ in range(2):
        deliver(contract, january="1,10", january_copy="1,10")
        assert everything(connection)[:2] == before[:2]
        assert copies(connection) == {"jan.csv": ["january.csv", "january_copy.csv"]}
    deliver(contract, feb="1,10")
    assert copies(connection) == {"jan.csv": ["feb.csv", "january.csv", "january_copy.csv"]}
    [told] = [found for found in checks.check(connection, DELIVERY) if found.check.startswith("a_file_of_the_same")]
    assert (told.status, told.severity, told.failing_rows) == ("failed", "warning", 1)


def test_a_content_that_is_delivered_twice_at_once_is_loaded_once(deliver, connection):
    deliver(rx("increment"), jan="1,10", jan_copy="1,10")
    assert counts(connection) == [("jan.csv", 1, 1, 1, 0, 0)]
    assert copies(connection) == {"jan.csv": ["jan_copy.csv"]}


@pytest.mark.parametrize("mode", ["increment", "upsert"])
def test_a_file_that_was_loaded_never_changes(deliver, connection, folder, mode):
    deliver(rx(mode), jan="1,10")
    before = everything(connection)
    with pytest.raises(ExtractError, match=r"^jan\.csv: is not what it was when it was loaded.*Deliver what is new"):
        deliver(rx(mode), jan="1,11", feb="2,20")
    assert everything(connection) == before


def test_a_file_that_was_loaded_does_not_come_in_another_format(deliver, connection, folder):
    deliver(rx("increment", may_be_missing=True).model_copy(update={"files": "*"}), jan="1,10")
    (folder / "jan.csv").unlink()
    connection.execute(f"copy (select 1 as id, 10 as mg) to '{folder / 'JAN.parquet'}'")
    contract = rx("increment").model_copy(update={"files": "*"})
    assert "JAN.parquet: is not what it was" in refusal(connection, contract, folder)


def test_a_key_that_was_loaded_stays_and_the_increments_row_goes_to_quarantine(deliver, connection):
    deliver(rx("increment"), jan="1,10 2,20")
    deliver(rx("increment"), feb="01,10 2,21 3,30 3,31")
    assert rows(connection) == [(3, 30, "feb.csv"), (1, 10, "jan.csv"), (2, 20, "jan.csv")]
    assert quarantine(connection) == [
        ("feb.csv", 1, "duplicate_row"),
        ("feb.csv", 2, "duplicate_key"),
        ("feb.csv", 4, "duplicate_key"),
    ]


def test_increments_of_a_table_without_key_add_up(deliver, connection):
    contract = rx("increment").model_copy(update={"key": []})
    deliver(contract, jan="1,10")
    deliver(contract, feb="1,10 1,10")
    assert len(rows(connection)) == 3


def test_a_table_that_may_be_missing_may_come_later(deliver, connection):
    contract = rx("increment", may_be_missing=True)
    assert deliver(contract) == extracts.Loaded(0, 0, 0, ())
    deliver(contract, jan="1,10")
    assert rows(connection) == [(1, 10, "jan.csv")]


# --- Upsert ---


def test_a_later_files_row_replaces_the_row_of_its_key(deliver, connection):
    deliver(rx("upsert"), jan="1,10 2,20")
    loaded = deliver(rx("upsert"), feb="", feb2="", mar="02,21 3,30")
    assert rows(connection) == [(1, 10, "jan.csv"), (2, 21, "mar.csv"), (3, 30, "mar.csv")]
    assert counts(connection)[2:] == [("jan.csv", 1, 2, 1, 0, 1), ("mar.csv", 4, 2, 2, 0, 0)]
    assert loaded == extracts.Loaded(4, 3, 0, ("feb.csv", "feb2.csv", "jan.csv", "mar.csv"), 1)
    assert quarantine(connection) == []


def test_a_later_file_that_says_what_an_earlier_one_did_takes_back_what_came_in_between(deliver, connection):
    deliver(rx("upsert"), d1="1,10")
    deliver(rx("upsert"), d2="1,20")
    deliver(rx("upsert"), d3="1,10")
    assert rows(connection) == [(1, 10, "d3.csv")]
    one_by_one = everything(connection)
    assert [name for name, *_ in counts(connection)] == ["d1.csv", "d2.csv", "d3.csv"]
    deliver(rx("upsert"), d1="1,10", d2="1,20", d3="1,10")
    assert everything(connection) == one_by_one
    deliver(rx("upsert"), D3="1,10")  # upper and lower case are the same
    assert everything(connection) == one_by_one
    assert set(copies(connection).values()) == {None}


def test_files_follow_one_another_by_name_whenever_each_was_loaded(deliver, connection):
    deliver(rx("upsert"), b="1,20")
    deliver(rx("upsert"), a="1,10 2,10")
    assert rows(connection) == [(2, 10, "a.csv"), (1, 20, "b.csv")]
    assert counts(connection) == [("a.csv", 2, 2, 1, 0, 1), ("b.csv", 1, 1, 1, 0, 0)]


def test_within_one_file_the_first_row_of_a_key_stays(deliver, connection):
    deliver(rx("upsert"), a="1,10", b="1,20 1,21 1,20")
    assert rows(connection) == [(1, 20, "b.csv")]
    assert quarantine(connection) == [("b.csv", 2, "duplicate_key"), ("b.csv", 3, "duplicate_row")]


def test_a_row_that_does_not_fit_replaces_nothing(deliver, connection):
    deliver(rx("upsert"), a="1,10", b="1,-1")
    assert rows(connection) == [(1, 10, "a.csv")]
    assert quarantine(connection) == [("b.csv", 1, "range")]


def test_an_upsert_needs_a_key(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    file = tmp_path / "0_raw" / "clinic" / "rx.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("{table: raw_clinic.rx, description: Fills., key: [], columns: [], delivery: upsert}")
    with pytest.raises(ContractError, match="an upsert without a key cannot tell"):
        contracts.read(file)


# --- Whatever the deliveries are ---

FILES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.lists(st.tuples(st.sampled_from(["1", "2", "02", "3", "x", ""]), st.sampled_from(["5", "6", "-1"])), max_size=5),
    min_size=1,
)


def loaded_in(folder: Path, mode: str, *deliveries: dict[str, list[tuple[str, str]]]) -> list[list[tuple]]:
    with duckdb.connect() as connection:
        for files in deliveries:
            for old in folder.iterdir():
                old.unlink()
            for name, given_rows in files.items():
                lines = ["id,mg", *map(",".join, given_rows), f"9{ord(name)},0"]  # no two files are the same
                (folder / f"{name}.csv").write_text("\n".join(lines))
            extracts.load(connection, rx(mode), "clinic", folder)
        return everything(connection)


@settings(max_examples=8, deadline=None)
@given(files=FILES, mode=st.sampled_from(MODES))
def test_the_same_delivery_twice_changes_nothing(tmp_path_factory, files, mode):
    folder = tmp_path_factory.mktemp("extract")
    assert loaded_in(folder, mode, files, files) == loaded_in(folder, mode, files)


@settings(max_examples=8, deadline=None)
@given(files=FILES, data=st.data(), mode=st.sampled_from(["increment", "upsert"]))
def test_files_come_to_the_same_one_by_one_as_at_once(tmp_path_factory, files, data, mode):
    folder = tmp_path_factory.mktemp("extract")
    order = data.draw(st.permutations(sorted(files))) if mode == "upsert" else sorted(files)
    one_by_one = loaded_in(folder, mode, *({name: files[name]} for name in order))
    at_once = loaded_in(folder, mode, files)
    assert one_by_one[0] == at_once[0]
    # A copy of a row that went to quarantine itself is not told from another row with its key.
    assert [row[3:5] for row in one_by_one[1]] == [row[3:5] for row in at_once[1]]
    assert [row[:-2] for row in one_by_one[2]] == [row[:-2] for row in at_once[2]]


# --- Contracts change ---


def test_after_a_change_of_contract_the_earlier_files_are_loaded_again(deliver, connection):
    deliver(rx("increment"), jan="1,10 2,-5")
    looser = rx("increment", columns="id INTEGER, mg INTEGER minimum=-9")
    deliver(looser, jan="1,10 2,-5", feb="3,30")
    assert rows(connection) == [(3, 30, "feb.csv"), (1, 10, "jan.csv"), (2, -5, "jan.csv")]
    assert quarantine(connection) == []


@pytest.mark.parametrize("mode", ["increment", "upsert"])
def test_after_a_change_of_contract_an_earlier_file_that_is_gone_is_asked_for(deliver, connection, mode):
    deliver(rx(mode), jan="1,10")
    before = everything(connection)
    other = rx(mode, columns="id INTEGER, mg DOUBLE minimum=0")
    with pytest.raises(ExtractError, match=r"^jan\.csv: was loaded before its contract changed.*Deliver it again"):
        deliver(other, feb="3,30")
    assert everything(connection) == before


def test_a_change_of_words_changes_nothing(deliver, connection):
    deliver(rx("increment"), jan="1,10")
    deliver(rx("increment").model_copy(update={"description": "Fills."}), feb="2,20")
    assert len(rows(connection)) == 2


def test_a_snapshot_that_becomes_an_increment_is_its_first_file(deliver, connection):
    deliver(rx("snapshot"), jan="1,10")
    deliver(rx("increment"), feb="2,20")
    assert len(rows(connection)) == 2


def test_books_of_an_earlier_version_are_carried_on(deliver, connection):
    deliver(rx("snapshot"), jan="1,10")
    for column in ("replaced_rows", "sequence", "contract_fingerprint"):
        connection.execute(f"alter table raw.delivery drop {column}")
    connection.execute("insert into raw.delivery select * replace ('other' as source) from raw.delivery")
    with pytest.raises(ExtractError, match="was loaded before its contract changed"):
        deliver(rx("increment"), feb="2,20")
    deliver(rx("increment"), jan="1,10", feb="2,20")
    assert [row[:2] for row in counts(connection)] == [("feb.csv", 1), ("jan.csv", None), ("jan.csv", 2)]


def test_rows_that_were_lost_since_they_were_loaded_stop_the_load(deliver, connection):
    deliver(rx("increment"), jan="1,10 2,20")
    connection.execute("delete from raw_clinic.rx where id = 2")
    with pytest.raises(LedgerError, match="3 rows were delivered, but 2 loaded, 0 replaced and 0"):
        deliver(rx("increment"), feb="3,30")


def test_a_table_that_is_gone_is_loaded_again_from_all_files(deliver, connection):
    deliver(rx("increment"), jan="1,10")
    connection.execute("drop table raw_clinic.rx")
    with pytest.raises(ExtractError, match=r"^jan\.csv: was loaded before"):
        deliver(rx("increment"), feb="3,30")
    deliver(rx("increment"), jan="1,10", feb="3,30")
    assert len(rows(connection)) == 2


# --- A file that stopped a run by its rows in quarantine ---

GOOD, BAD, MENDED = "1,5 2,5 3,5", "4,x 5,x 6,5", "4,5 5,5 6,5"


def shares(connection, contract) -> float:
    [[quarantined, delivered]] = connection.execute(
        "select sum(quarantined_rows), sum(delivered_rows) from raw.delivery"
    ).fetchall()
    return quarantined / delivered


@pytest.mark.parametrize("delivery", ["increment", "upsert"])
@pytest.mark.parametrize("is_first_there", [True, False])
def test_a_file_that_stopped_the_run_may_be_corrected_and_nothing_is_loaded_twice(
    delivery, is_first_there, deliver, connection
):
    contract = rx(delivery)
    deliver(contract, a=GOOD)
    deliver(contract, a=GOOD, b=BAD)
    assert shares(connection, contract) > contract.max_quarantined_share
    there = {"a": GOOD} if is_first_there else {}
    if delivery == "upsert" and not is_first_there:  # the file may have replaced rows of a.csv
        with pytest.raises(ExtractError, match=r"a\.csv: was loaded before .* Deliver it again"):
            deliver(contract, b=MENDED)
        assert len(rows(connection)) == 4, "and nothing was changed"
        return
    loaded = deliver(contract, **there, b=MENDED)
    expected = [(1, 5, "a.csv"), (2, 5, "a.csv"), (3, 5, "a.csv")]
    assert rows(connection) == [*expected, *((number, 5, "b.csv") for number in (4, 5, 6))]
    assert quarantine(connection) == []
    assert (loaded.delivered_rows, loaded.loaded_rows, loaded.files) == (6, 6, ("a.csv", "b.csv"))
    again = deliver(contract, **there, b=MENDED)
    assert (again, len(rows(connection))) == (loaded, 6)


def test_an_upsert_that_stopped_the_run_gives_back_what_it_replaced(deliver, connection):
    contract = rx("upsert")
    deliver(contract, a=GOOD)
    deliver(contract, a=GOOD, b="1,9 4,x 5,x")
    assert (1, 9, "b.csv") in rows(connection)
    deliver(contract, a=GOOD, b=MENDED)
    assert (1, 5, "a.csv") in rows(connection)


def test_the_only_file_may_be_corrected_too(deliver, connection):
    contract = rx("increment")
    deliver(contract, b=BAD)
    assert deliver(contract, b=MENDED).loaded_rows == 3
    assert [row[2] for row in rows(connection)] == ["b.csv"] * 3


def test_a_file_that_stopped_the_run_and_is_still_there_stays(deliver, connection):
    contract = rx("increment")
    deliver(contract, a=GOOD, b=BAD)
    before = rows(connection), quarantine(connection)
    deliver(contract, a=GOOD, b=BAD)
    assert (rows(connection), quarantine(connection)) == before
    deliver(contract, a=GOOD, b=BAD, c="7,5")
    assert quarantine(connection) == before[1]


def test_a_file_that_the_run_went_on_with_still_cannot_change(deliver, folder, connection):
    contract = rx("increment", max_quarantined_share=0.9)
    deliver(contract, a=GOOD, b=BAD)
    with pytest.raises(ExtractError, match=r"b\.csv: is not what it was when it was loaded"):
        deliver(contract, a=GOOD, b=MENDED)
    narrow = rx("increment")  # a limit is no column: what was good under it stays
    with pytest.raises(ExtractError, match=r"a\.csv: is not what it was when it was loaded"):
        deliver(narrow, a="1,5 2,5", b=BAD)


def test_a_contract_that_is_corrected_reads_the_file_again(deliver, connection):
    deliver(rx("increment"), a=GOOD, b="4,-1 5,-1 6,5")
    assert len(quarantine(connection)) == 2
    loaded = deliver(rx("increment", "id INTEGER, mg INTEGER"), a=GOOD, b="4,-1 5,-1 6,5")
    assert (loaded.loaded_rows, loaded.quarantined_rows, len(rows(connection))) == (6, 0, 6)
    assert deliver(rx("increment", "id INTEGER, mg INTEGER"), a=GOOD, b="4,-1 5,-1 6,5") == loaded
