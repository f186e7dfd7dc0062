"""National Drug Codes: every spelling to eleven digits, and what is none."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import ndc
from pipelines.errors import ExtractError


def read(*codes: str | int) -> list[tuple]:
    """ndc11 and reason of codes, in the order of the codes."""
    rows = ndc.read(pl.DataFrame({"ndc": codes}))
    said = {code: told for code, *told in rows.iter_rows()}
    return [tuple(said[str(code) if isinstance(code, str) else f"{code:011d}"]) for code in codes]


@pytest.mark.parametrize(
    ("code", "ndc11"),
    [
        ("1234-5678-90", "01234567890"),
        ("51655-089-52", "51655008952"),
        ("12345-6789-0", "12345678900"),
        ("12345-6789-01", "12345678901"),
        ("12345678901", "12345678901"),
        (" 00002-0351-02 ", "00002035102"),
        ("2035102", "00002035102"),
        ("54017613", "00054017613"),
        ("2035102.0", "00002035102"),
        ("1234567890.0", "01234567890"),
        (2035102, "00002035102"),
        (54017613, "00054017613"),
        (1234567890, "01234567890"),
    ],
)
def test_a_code_has_eleven_digits_however_it_is_spelled(code, ndc11):
    assert read(code) == [(ndc11, None)]


def test_ten_digits_as_text_are_ambiguous():
    assert read("1234567890") == [(None, "ambiguous_ndc")]


@pytest.mark.parametrize(
    "code",
    [
        "",
        "0",
        "00000000000",
        "351020",
        "123456789012",
        "123456-7890-12",
        "1234-567-890",
        "1234-56789-0",
        "12345-678-9",
        "12345-6789-012",
        "1234-5678",
        "12345-678-90-1",
        "1234 5678 90",
        "1234567890A",
        "-12345678901",
        "+2035102",
        "2035102.5",
        "2.035102e6",
        "٠٠٠٠٢٠٣٥١٠٢",
        "9" * 10_000,
        -5,
        123456789012,
    ],
)
def test_what_is_no_code_is_none(code):
    [told] = ndc.read(pl.DataFrame({"ndc": [code]})).rows()
    assert told[1:] == (None, "not_an_ndc")


def test_each_distinct_code_has_one_row_as_delivered_whatever_the_order():
    codes = ["54017613", None, "1234-5678-90", "54017613", "x"]
    rows = ndc.read(pl.DataFrame({"ndc": codes}))
    assert rows["ndc"].to_list() == ["1234-5678-90", "54017613", "x"]
    assert rows.equals(ndc.read(pl.DataFrame({"ndc": codes[::-1]})))


@pytest.mark.parametrize("codes", [[], [None]])
def test_no_codes_are_no_rows(codes):
    rows = ndc.read(pl.DataFrame({"ndc": codes}, schema={"ndc": pl.String}))
    assert dict(rows.schema) == ndc.SCHEMA
    assert rows.is_empty()


PARTS = st.tuples(st.integers(1, 99_999), st.integers(0, 9_999), st.integers(0, 99))


def spellings_of(labeler: int, product: int, package: int) -> set[str]:
    ndc11 = f"{labeler:05d}{product:04d}{package:02d}"
    spellings = {ndc11, f"{labeler:05d}-{product:04d}-{package:02d}"}
    spellings |= {f"{labeler:04d}-{product:04d}-{package:02d}"} if labeler < 10_000 else set()
    spellings |= {f"{labeler:05d}-{product:03d}-{package:02d}"} if product < 1_000 else set()
    spellings |= {f"{labeler:05d}-{product:04d}-{package}"} if package < 10 else set()
    return spellings | ({ndc11.lstrip("0")} if len(ndc11.lstrip("0")) != 10 else set())


@given(PARTS)
def test_every_spelling_of_a_code_is_the_same_code(parts):
    labeler, product, package = parts
    ndc11 = f"{labeler:05d}{product:04d}{package:02d}"
    assert {told for told, _ in read(*spellings_of(*parts))} == {ndc11}
    assert read(int(ndc11)) == [(ndc11, None)]


@given(PARTS)
def test_a_table_of_codes_is_given_in_every_spelling_once(parts):
    labeler, product, package = parts
    ndc11 = f"{labeler:05d}{product:04d}{package:02d}"
    spelled = ndc.spelled(pl.DataFrame({"ndc11": [ndc11], "drug_text": ["a text"]}))
    assert spelled.rows() == [(code, ndc11, "a text") for code in sorted(spellings_of(*parts) | {f"{int(ndc11)}.0"})]
    assert {told for told, _ in read(*spelled["ndc"])} == {ndc11}


@given(st.one_of(st.text(alphabet="0123456789-. ", max_size=14), st.text(max_size=20)))
def test_a_code_is_eleven_digits_or_has_a_reason(code):
    [(ndc11, reason)] = read(code)
    assert (ndc11 is None) == (reason is not None)
    if ndc11:
        assert len(ndc11) == 11
        assert ndc11.isascii()
        assert ndc11.isdigit()
        assert read(ndc11) == [(ndc11, None)]


# A user's own table of codes


def written(tmp_path, content):
    file = tmp_path / "ndc.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_a_table_of_codes_is_read_whatever_their_spelling(tmp_path):
    file = written(
        tmp_path,
        "drug_text,ndc,other\n OXYCODONE HCL 5 MG TABLET ,1234-5678-90,x\n"
        "OXYCODONE HCL 5 MG TABLET,01234567890,y\nMORPHINE 15 MG TABLET,54017613,z\n",
    )
    assert ndc.load(file).rows() == [
        ("00054017613", "MORPHINE 15 MG TABLET"),
        ("01234567890", "OXYCODONE HCL 5 MG TABLET"),
    ]


def test_a_parquet_column_of_numbers_gets_its_zeros_back(tmp_path):
    file = tmp_path / "ndc.parquet"
    pl.DataFrame({"ndc": [54017613, 1234567890], "drug_text": ["a", "b"]}).write_parquet(file)
    assert ndc.load(file).rows() == [("00054017613", "a"), ("01234567890", "b")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ndc\n12345678901\n", "has no column drug_text"),
        ("a,b\n1,2\n", "has no column ndc, drug_text"),
        ("ndc,drug_text\n12345678901,SECRET\n12345-6789-01,OTHER\n", "1 codes have a second text"),
        (
            "ndc,drug_text\nSECRET,a\n1234567890,b\n12345678901,c\n",
            "2 of 3 codes cannot be read (1 ambiguous_ndc, 1 not_",
        ),
        ("ndc,drug_text\n12345678901,\n", "1 rows have no drug_text"),
        ('ndc,drug_text\n,SECRET\n" ",SECRET\n', "2 rows have no ndc"),
        ("", "is empty"),
        (b"ndc,drug_text\n12345678901,\xff\xfe\n", "is not UTF-8"),
        ("ndc,drug_text\n12345678901,SECRET,SECRET\n", "cannot be read"),
    ],
)
def test_a_table_of_codes_that_cannot_be_used_is_refused_in_one_line_without_a_value(tmp_path, content, said):
    file = written(tmp_path, content)
    with pytest.raises(ExtractError) as refused:
        ndc.load(file)
    message = str(refused.value)
    assert message.startswith(f"{file}: ")
    assert said in message
    assert "\n" not in message
    assert "SECRET" not in message


def test_a_table_of_codes_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ExtractError, match="there is no such file"):
        ndc.load(tmp_path / "nowhere.csv")
