"""A user's own file: read by its columns, written whole, refused in one line."""

import gzip
import os

import polars as pl
import pytest

from pipelines import flat_file, products
from pipelines.errors import ExtractError, WorkspaceError

READ = ["drug_text", "ingredient", "strength", "strength_unit", "route", "form", "release", "reason"]
ROWS = pl.DataFrame({"id": ["1", "2", "3"], "drug": ["OXYCODONE 5 MG TAB", "x", "OXYCODONE 5 MG TAB"]})


def written(tmp_path, name):
    file = tmp_path / name
    ROWS.write_parquet(file) if name.endswith("parquet") else ROWS.write_csv(file)
    return file


@pytest.mark.parametrize("given", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_the_drug_texts_of_a_file_are_read_into_a_file_one_row_each(tmp_path, given, out):
    products.read_file(written(tmp_path, given), "drug", tmp_path / out)
    rows = pl.read_parquet(tmp_path / out) if out.endswith("parquet") else pl.read_csv(tmp_path / out)
    assert rows.columns == READ
    assert rows.rows() == [
        ("OXYCODONE 5 MG TAB", "oxycodone", 5, "MG", "oral", "tablet", None, None),
        ("x", None, None, None, None, None, None, "no_opioid_name"),
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([given, out])


def test_a_gzipped_csv_is_read(tmp_path):
    file = tmp_path / "in.csv.gz"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbfdrug\nmorphine 5 mg tab\n"))
    assert flat_file.read(file, ["drug"]).rows() == [("morphine 5 mg tab",)]


def test_cells_are_text_and_empty_ones_null(tmp_path):
    file = tmp_path / "in.csv"
    file.write_text('a,b,c\n007,,x\n1,"y, z",\n')
    assert flat_file.read(file, ["b", "a"]).rows() == [(None, "007"), ("y, z", "1")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.csv", None, "there is no such file"),
        ("in.csv", b"", "is empty"),
        ("in.csv", b"text\nSECRET\n", "has no column drug"),
        ("in.csv", b"drug\nSECRET \xe9\n", "is not UTF-8"),
        ("in.csv", b"drug\nSECRET,SECRET\n", "cannot be read"),
        ("in.parquet", b"SECRET", "cannot be read"),
        ("in.csv.gz", b"\x1f\x8bSECRET", "cannot be read"),
        ("in.xlsx", b"SECRET", "is neither CSV nor Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line_without_a_value(tmp_path, name, content, said):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ExtractError) as refused:
        products.read_file(file, "drug", tmp_path / "out.csv")
    message = str(refused.value)
    assert message.startswith(f"{file}: ")
    assert said in message
    assert "\n" not in message
    assert "SECRET" not in message
    assert not (tmp_path / "out.csv").exists()


def test_an_output_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ExtractError, match=r"out\.txt: is neither CSV nor Parquet"):
        products.read_file(written(tmp_path, "in.csv"), "drug", tmp_path / "out.txt")


@pytest.mark.parametrize("out", ["nowhere/out.csv", "in.csv/out.csv", "folder.csv"])
def test_an_output_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, out):
    file = written(tmp_path, "in.csv")
    (tmp_path / "folder.csv" / "full").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="cannot be written"):
        products.read_file(file, "drug", tmp_path / out)
    assert sorted(os.listdir(tmp_path)) == ["folder.csv", "in.csv"]


def test_the_file_to_read_is_never_written_over(tmp_path):
    file = written(tmp_path, "in.csv")
    before = file.read_bytes()
    with pytest.raises(ExtractError, match="is the file to read"):
        products.read_file(file, "drug", tmp_path / "." / "in.csv")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "in_csv"),
    [
        ("=1+1", "'=1+1"),
        (" \t=1", "' \t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-x", "'-x"),
        ("'=1", "''=1"),
        ("''@a", "'''@a"),
        ("'-5", "''-5"),
        ("-5", "-5"),
        ("+1e3", "+1e3"),
        ("'x", "'x"),
        ("a=1", "a=1"),
        ("", ""),
        (None, None),
    ],
)
def test_a_formula_gets_an_apostrophe_that_comes_off_again(text, in_csv):
    rows = pl.DataFrame({"a": [text]}, schema={"a": pl.String})
    plain = flat_file.without_formulas(rows)
    assert plain["a"].to_list() == [in_csv]
    assert plain.select(flat_file.with_formulas(pl.col("a")))["a"].to_list() == [text]
