"""Files are found whatever their case, only below the extract's folder, and decompressed only as far as a table goes."""

import gzip
import os
from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from pipelines import extracts
from pipelines.cli import intake
from pipelines.errors import ContractError, ExtractError
from pipelines.extracts import csv_file, delivered, sample, stat_file
from pipelines.study import Study
from tests.test_extracts import a_contract, outcome, refusal

TWO = a_contract("a VARCHAR, b VARCHAR", files="hosp/rx.*")


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "extract"
    (path / "hosp").mkdir(parents=True)
    return path


def test_files_that_no_contract_reads_are_told_by_their_path(folder, tmp_path):
    for name in ("rx.csv", "RX.sav", "rx_2021.csv", ".DS_Store"):
        (folder / "hosp" / name).write_text("a,b\n")
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("x")
    other = a_contract("a VARCHAR", files="hosp/*.sav")
    only_csv = a_contract("a VARCHAR", files="hosp/rx.csv")
    assert extracts.unread([only_csv, other], folder) == ["hosp/rx_2021.csv", "notes/readme.txt"]
    assert extracts.unread([other], folder) == ["hosp/rx.csv", "hosp/rx_2021.csv", "notes/readme.txt"]
    database = tmp_path / "cdm.duckdb"
    database.write_bytes(b"")
    assert extracts.unread([other], database) == []


def test_a_check_tells_at_most_five_files_of_a_source_in_one_line(folder, tmp_path, capsys):
    study = Study(name="s", title="S", sources={"simulated": {"folder": folder}}, output=tmp_path / "out")
    (folder / "patient.csv").write_text("")
    intake.print_unread(study)
    assert capsys.readouterr().out == ""
    for number in range(1, 8):
        (folder / f"x{number}.csv").write_text("")
        intake.print_unread(study)
    one, *_, five, _six, seven = capsys.readouterr().out.splitlines()
    assert one.startswith("warning: simulated: 1 file that no contract reads (x1.csv). ")
    assert "(x1.csv, x2.csv, x3.csv, x4.csv, x5.csv)" in five
    assert seven.startswith(
        "warning: simulated: 7 files that no contract reads (x1.csv, x2.csv, x3.csv, x4.csv, x5.csv, …)"
    )


# --- Upper and lower case ---


@pytest.mark.parametrize("where", ["hosp/RX.CSV", "HOSP/Rx.csv", "Hosp/rX.cSv"])
def test_a_file_is_found_whatever_its_case(connection, folder, where):
    (folder / "hosp").rmdir()
    (folder / where).parent.mkdir()
    (folder / where).write_text("a,b\n1,2\n")
    assert outcome(connection, TWO, folder).rows == [("1", "2", where, 1)]


def test_a_range_of_a_glob_is_kept(connection, folder):
    for name in ("rx1.csv", "rx3.csv", "rxa.csv"):
        (folder / name).write_text(f"a,b\n{name},2\n")
    assert outcome(connection, a_contract("a VARCHAR, b VARCHAR", files="RX[0-2a-z].csv"), folder).loaded.files == (
        "rx1.csv", "rxa.csv",
    )  # fmt: skip


@pytest.mark.parametrize("names", [("rx.csv", "RX.csv"), ("rx.csv", "Rx.CSV.gz"), ("rx.sav", "RX.dta")])
def test_files_whose_names_differ_in_case_alone_are_refused(connection, folder, names):
    for name in names:
        (folder / "hosp" / name).write_text("a,b\n")
    assert "is delivered as" in refusal(connection, TWO, folder)


@pytest.mark.parametrize("header", ["A,B", "a,B", '"A",b'])
def test_a_column_is_found_whatever_its_case(connection, folder, header):
    (folder / "hosp" / "rx.csv").write_text(f"{header}\n1,2\n")
    found = outcome(connection, TWO, folder)
    assert found.rows == [("1", "2", "hosp/rx.csv", 1)]
    assert found.deliveries[0][8] == []


def test_a_column_of_parquet_is_found_whatever_its_case(connection, folder):
    connection.execute(f"copy (select 1 as B, 2 as A, 3 as C) to '{folder / 'hosp' / 'RX.parquet'}'")
    found = outcome(connection, TWO, folder)
    assert found.rows == [("2", "1", "hosp/RX.parquet", 1)]
    assert found.deliveries[0][8] == ["C"]


@pytest.mark.parametrize("header", ["a,b,A", "a,b,x,X", "A,a,b"])
def test_columns_that_differ_in_case_alone_are_refused(connection, folder, header):
    (folder / "hosp" / "rx.csv").write_text(f"{header}\n")
    assert "twice. Deliver each column once" in refusal(connection, TWO, folder)


def test_columns_of_parquet_that_differ_in_case_alone_are_refused(connection, folder):
    import polars as pl

    pl.DataFrame({"a": ["1"], "A": ["2"], "b": ["3"]}).write_parquet(folder / "hosp" / "rx.parquet")
    assert "has column a twice" in refusal(connection, TWO, folder)


# --- Only below the folder ---


def test_a_link_out_of_the_folder_is_refused(connection, folder, tmp_path):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (folder / "hosp" / "rx.csv").symlink_to(tmp_path / "secret.csv")
    assert refusal(connection, TWO, folder) == (
        "hosp/rx.csv: is a link out of the extract's folder. Put the file itself there."
    )


def test_a_folder_that_links_out_of_the_extract_is_refused(connection, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "rx.csv").write_text("a,b\n1,2\n")
    (folder / "hosp").rmdir()
    (folder / "hosp").symlink_to(tmp_path / "elsewhere")
    assert "is a link out of the extract's folder" in refusal(connection, TWO, folder)


def test_a_link_within_the_extract_and_a_linked_extract_are_followed(connection, folder, tmp_path):
    (folder / "hosp" / "2024.csv").write_text("a,b\n1,2\n")
    (folder / "hosp" / "rx.csv").symlink_to("2024.csv")
    (tmp_path / "linked").symlink_to(folder)
    assert len(outcome(connection, TWO, tmp_path / "linked").rows) == 1


@pytest.mark.parametrize("files", ["../rx.csv", "hosp/../../rx.csv", "/etc/rx.csv", "/*"])
def test_a_contract_whose_files_leave_the_folder_is_refused(connection, folder, files):
    with pytest.raises(ContractError, match=r"raw_clinic\.rx: its files leave the extract's folder"):
        extracts.load(connection, a_contract("a VARCHAR", files=files), "clinic", folder)


def test_a_pipe_is_not_waited_for(connection, folder):
    os.mkfifo(folder / "hosp" / "rx.csv")
    assert "no such file" in refusal(connection, TWO, folder)


# --- Gzip ---


def test_a_gzip_bomb_is_refused_before_it_is_read_whole(connection, folder, monkeypatch):
    monkeypatch.setattr(delivered, "GZIP_FREE_BYTES", 1 << 20)
    (folder / "hosp" / "rx.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * (1 << 20)))
    assert refusal(connection, TWO, folder).startswith("hosp/rx.csv.gz: decompresses to more than 200 times its size")
    assert connection.execute("select count(*) from duckdb_tables() where schema_name = 'raw'").fetchall() == [(0,)]


def test_a_bomb_of_one_line_is_refused_too(connection, folder, monkeypatch):
    monkeypatch.setattr(delivered, "GZIP_FREE_BYTES", 1 << 20)
    (folder / "hosp" / "rx.csv.gz").write_bytes(gzip.compress(bytes(1 << 23)))
    assert "decompresses to more than" in refusal(connection, TWO, folder)


@pytest.mark.parametrize(("limit", "is_read"), [(8, True), (7, False)])
def test_the_absolute_limit_counts_decompressed_bytes(connection, folder, monkeypatch, limit, is_read):
    monkeypatch.setattr(delivered, "GZIP_MAX_BYTES", limit)
    (folder / "hosp" / "rx.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    if is_read:
        assert len(outcome(connection, TWO, folder).rows) == 1
    else:
        assert "decompresses to more than" in refusal(connection, TWO, folder)


def test_text_that_shrinks_well_is_no_bomb(connection, folder):
    (folder / "hosp" / "rx.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000))
    assert len(outcome(connection, TWO, folder).rows) == 100_000


@pytest.mark.parametrize("name", ["rx.csv", "rx.csv.gz"])
def test_a_line_longer_than_any_record_is_refused(connection, folder, monkeypatch, name):
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_file, "LINE_MAX_BYTES", 256)
    content = b"a,b\n1," + b"x" * 1000 + b"\n"
    (folder / "hosp" / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert "has a line of more than" in refusal(connection, TWO, folder)


# --- Parquet and packed SPSS files ---

BOMBS = {
    "rows": "select 'x' as a, null as b from range(2000000)",
    "one long text again and again": "select repeat('x', 100000) as a, i as b from range(2000) t(i)",
    "a long list again and again": "select range(100000) as a, i as b from range(100) t(i)",
}


@pytest.mark.parametrize("rows", BOMBS.values(), ids=BOMBS)
def test_a_bomb_of_parquet_is_refused_by_its_footer_or_its_dictionaries(connection, folder, monkeypatch, rows):
    monkeypatch.setattr(delivered, "GZIP_FREE_BYTES", 1 << 20)
    connection.execute(f"copy ({rows}) to '{folder / 'hosp' / 'rx.parquet'}' (compression zstd)")
    said = refusal(connection, TWO, folder)
    assert said.startswith("hosp/rx.parquet: decompresses to more than 200 times its size")
    with pytest.raises(ExtractError, match="decompresses to more than"):  # the look for identifiers comes first
        sample.of(connection, TWO, folder / "hosp" / "rx.parquet")


def test_parquet_of_short_texts_that_repeat_is_no_bomb(connection, folder, monkeypatch):
    monkeypatch.setattr(delivered, "GZIP_FREE_BYTES", 1 << 20)
    rows = "select 'drug ' || i % 90 as a, i as b from range(50000) t(i)"
    connection.execute(f"copy ({rows}) to '{folder / 'hosp' / 'rx.parquet'}' (compression zstd)")
    assert len(outcome(connection, TWO, folder).rows) == 50_000


@pytest.fixture
def packed(folder, monkeypatch) -> Path:
    file = folder / "hosp" / "rx.zsav"
    pyreadstat.write_sav(pl.DataFrame({"a": ["x" * 2000] * 20_000, "b": ["1"] * 20_000}), file, compress=True)
    monkeypatch.setattr(delivered, "GZIP_FREE_BYTES", 1 << 20)
    monkeypatch.setattr(delivered, "GZIP_MAX_RATIO", 20)
    return file


def test_a_bomb_of_packed_spss_is_refused_by_its_header(connection, folder, packed):
    assert refusal(connection, TWO, folder).startswith("hosp/rx.zsav: decompresses to more than 20 times its size")


def test_a_bomb_of_packed_spss_that_hides_its_rows_is_refused_while_it_is_read(packed, monkeypatch):
    read = stat_file._parsed

    def without_rows(*args, **options):
        found, about = read(*args, **options)
        about.number_rows = None
        return found, about

    monkeypatch.setattr(stat_file, "_parsed", without_rows)
    heights = []
    with pytest.raises(ExtractError, match="decompresses to more than"):
        heights += [rows.height for rows in stat_file.chunks(packed, "rx.zsav", ["a", "b"], 10_000)]
    assert list(stat_file.chunks(packed, "rx.zsav", ["b"], 10_000))


def test_wide_texts_are_held_a_few_rows_at_a_time(folder):
    file = folder / "rx.sav"
    pyreadstat.write_sav(pl.DataFrame({"a": ["x" * 6000] * 1_000, "b": ["1"] * 1_000}), file)
    heights = [rows.height for rows in stat_file.chunks(file, "rx.sav", ["a", "b"], 10_000)]
    assert sum(heights) == 1_000 and max(heights) < 110


def test_a_users_own_bomb_is_refused(folder, monkeypatch):
    from pipelines import flat_file

    monkeypatch.setattr(delivered, "GZIP_FREE_BYTES", 1 << 20)
    file = folder / "in.csv.gz"
    file.write_bytes(gzip.compress(b"a\n" + b"1\n" * (1 << 21)))
    with pytest.raises(ExtractError, match="decompresses to more than"):
        flat_file.read(file, ["a"])
