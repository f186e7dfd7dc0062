"""National Drug Codes: every spelling to eleven digits, and a user's own table of what they mean.

A code has three parts: labeler, product and package. The FDA writes ten digits, as 4-4-2, 5-3-2 or 5-4-1; billing
standards (HIPAA) write eleven, as 5-4-2, with a zero before the part that is short. Ten digits without hyphens
do not tell which part that is, so they are no code; nor is the FDA's coming code of twelve digits, yet.
"""

from pathlib import Path

import polars as pl

from pipelines import flat_file
from pipelines.errors import ExtractError

SCHEMA = {"ndc": pl.String, "ndc11": pl.String, "reason": pl.String}

_HYPHENATED = r"^(?:[0-9]{4}-[0-9]{4}-[0-9]{2}|[0-9]{5}-[0-9]{3}-[0-9]{2}|[0-9]{5}-[0-9]{4}-[0-9]{1,2})$"
# What was read as a number has lost its leading zeros, and shows it by its length or by a decimal point.
_NUMBER = r"^(?:[0-9]{1,9}|[0-9]{11}|[0-9]{1,11}\.0+)$"
_NO_LABELER = "00000"


def read(ndc: pl.DataFrame) -> pl.DataFrame:
    """Read each distinct code once.

    Args:
        ndc: Column ``ndc``, text or whole numbers; a code may be there many times. Ten digits are ambiguous as
            text, where the hyphens may have been dropped, and not as a number, where the first zero was.

    Returns:
        One row per distinct code, sorted by it: ndc (as delivered), ndc11 (eleven digits without hyphens) and
        reason, where there is no ndc11: ambiguous_ndc or not_an_ndc.
    """
    codes = ndc.select(_as_text(ndc)).drop_nulls().unique().sort("ndc")
    text = pl.col("ndc").str.strip_chars()
    labeler, product, package = (text.str.split_exact("-", 2).struct.field(f"field_{part}") for part in range(3))
    hyphenated = labeler.str.zfill(5) + product.str.zfill(4) + package.str.zfill(2)
    ndc11 = (
        pl.when(text.str.contains(_HYPHENATED))
        .then(hyphenated)
        .when(text.str.contains(_NUMBER))
        .then(text.str.replace(r"\.0+$", "").str.zfill(11))
    )
    read = codes.with_columns(ndc11=pl.when(~ndc11.str.starts_with(_NO_LABELER)).then(ndc11))
    is_ambiguous = text.str.contains("^[0-9]{10}$")
    reason = pl.when(is_ambiguous).then(pl.lit("ambiguous_ndc")).otherwise(pl.lit("not_an_ndc"))
    return read.with_columns(reason=pl.when(pl.col("ndc11").is_null()).then(reason)).select(*SCHEMA)


def load(path: Path) -> pl.DataFrame:
    """A user's own table of codes.

    Args:
        path: CSV or Parquet with columns ``ndc`` and ``drug_text`` (such as "OXYCODONE HCL 5 MG TABLET").

    Returns:
        One row per code, sorted by it: ndc11, drug_text.

    Raises:
        ExtractError: The file cannot be read, a row lacks a code or a text, a code is none, or one code has two texts.
    """
    rows = flat_file.read(path, ["ndc", "drug_text"])
    rows = rows.select(_as_text(rows), pl.col("drug_text").cast(pl.String).str.strip_chars())
    for column in ("ndc", "drug_text"):
        if empty := rows.filter(pl.col(column).is_null() | (pl.col(column).str.strip_chars() == "")).height:
            raise ExtractError(f"{path}: {empty} rows have no {column}. Fill them in or delete them.")
    known = rows.join(read(rows.select("ndc")), on="ndc")
    unread = known["reason"].drop_nulls()
    if len(unread):
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(unread.value_counts().rows()))
        raise ExtractError(
            f"{path}: {len(unread)} of {len(known)} codes cannot be read ({counts}). "
            f"Write them with hyphens or as eleven digits."
        )
    table = known.select("ndc11", "drug_text").unique().sort("ndc11")
    if several := table.height - table["ndc11"].n_unique():
        raise ExtractError(f"{path}: {several} codes have a second text. Keep one text for each code.")
    return table


def spelled(table: pl.DataFrame) -> pl.DataFrame:
    """A table of codes in every spelling that a delivered code may have.

    Args:
        table: Columns ndc11 and drug_text, one row per code, as ``load`` gives it.

    Returns:
        One row per spelling, sorted by it: ndc, ndc11, drug_text. Reading an ndc gives its ndc11.
    """
    code = pl.col("ndc11")
    labeler, product, package = code.str.slice(0, 5), code.str.slice(5, 4), code.str.slice(9, 2)
    number = code.str.strip_chars_start("0")

    def short(part: pl.Expr) -> pl.Expr:
        return pl.when(part.str.starts_with("0")).then(part.str.slice(1))

    spellings = [
        code,
        pl.concat_str(labeler, product, package, separator="-"),
        pl.concat_str(short(labeler), product, package, separator="-"),
        pl.concat_str(labeler, short(product), package, separator="-"),
        pl.concat_str(labeler, product, short(package), separator="-"),
        pl.when(number.str.len_chars() != 10).then(number),
        number + ".0",
    ]
    spelled = table.select(pl.concat_list(spellings).alias("ndc"), "ndc11", "drug_text").explode("ndc")
    return spelled.drop_nulls("ndc").unique().sort("ndc")


def _as_text(ndc: pl.DataFrame) -> pl.Expr:
    """Codes as text; whole numbers get their leading zeros back."""
    code = pl.col("ndc")
    if ndc.schema["ndc"].is_integer():
        return code.cast(pl.String).str.zfill(11)
    return code.cast(pl.String)
