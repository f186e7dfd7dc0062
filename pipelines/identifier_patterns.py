"""What values that identify people look like, as SQL: the cited table ``reference.identifier_pattern``.

Values are compared in plain writing: digits, dashes and blanks of other scripts and widths are those of ASCII, and
what takes no room is left out, so that no typographer's dash hides a number.
"""

import re
import unicodedata
from functools import cache

import polars as pl

from pipelines import paths

_LAST = 0xFFFF  # of the plane that all scripts in use are in
_MINUS = "\N{MINUS SIGN}"


@cache
def patterns() -> list[dict[str, str]]:
    """The rows of the reference table."""
    rows = pl.read_csv(paths.SQL / "1_reference" / "identifier_pattern.csv", infer_schema=False)
    return rows.to_dicts()


def is_specific(pattern: dict[str, str]) -> bool:
    """Whether one value is enough."""
    return pattern["is_specific"] == "true"


def is_value(text: str) -> bool:
    """Whether a text, such as a header, is itself what hardly anything but an identifier looks like."""
    return any(re.search(row["value_pattern"], text, re.IGNORECASE) for row in patterns() if is_specific(row))


def plain(value: str) -> str:
    """SQL for a text in plain writing."""
    letters, plain_letters = _writings()
    written = f"translate({value}, {_quoted(letters)}, {_quoted(plain_letters)})"
    return f"if(strlen({value}) = length({value}), {value}, {written})"  # as many bytes as letters: it is plain


def matches(value: str, pattern: dict[str, str]) -> str:
    """SQL for whether a text in plain writing looks like a pattern, and not only so."""
    condition = f"regexp_matches({value}, {_quoted(pattern['value_pattern'])}, 'i')"
    if pattern["unless_pattern"]:
        condition += f" and not regexp_matches({value}, {_quoted(pattern['unless_pattern'])}, 'i')"
    return condition


def may_match(value: str, some: list[dict[str, str]]) -> str:
    """SQL for whether a text in plain writing looks like any of some patterns: one pass in place of one for each."""
    any_of = "|".join(f"(?:{row['value_pattern']})" for row in some)
    return f"regexp_matches({value}, {_quoted(any_of)}, 'i')"


@cache
def _writings() -> tuple[str, str]:
    """Letters to write otherwise, and what for; those at the end for nothing."""
    found, dropped = {}, []
    for letter in map(chr, range(0x80, _LAST + 1)):
        category = unicodedata.category(letter)
        wide = unicodedata.normalize("NFKC", letter) if "\uff01" <= letter <= "\uff5e" else ""
        if category == "Nd":
            found[letter] = str(unicodedata.digit(letter))
        elif category == "Pd" or letter == _MINUS:
            found[letter] = "-"
        elif category == "Zs":
            found[letter] = " "
        elif category == "Cf":
            dropped.append(letter)
        elif wide.isascii() and wide:
            found[letter] = wide
    return "".join([*found, *dropped]), "".join(found.values())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
