"""What values that identify people look like, as SQL: the cited table ``reference.identifier_pattern``.

Values are compared in plain writing: digits, dashes and blanks of other scripts and widths are those of ASCII, and
what takes no room is left out, so that no typographer's dash hides a number.
"""

import re
import unicodedata
from functools import cache

import polars as pl

from pipelines import paths

# Pairs of a JSON text that names_definition tells by their name alone.
_DEFINITION = r'"(?:system|reference)"\s*:\s*"https?://[^"\\@\s]*"'
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


def may_hold(text: str, some: list[dict[str, str]]) -> str:
    """SQL for whether a JSON text may have a string or a name that looks like any of some patterns.

    Never false where one has. Addresses that name a definition are passed over, and what is written with escapes may
    hold anything.
    """
    # Where a value begins or ends, a JSON text has a quote. The sign after a bracket is another.
    ends = '(?:^|$|" *| *")'
    within = [row | {"value_pattern": re.sub(r"(?<![\[\\])[\^$]", ends, row["value_pattern"])} for row in some]
    rest = f"regexp_replace({text}, {_quoted(_DEFINITION)}, '', 'g')"
    return f"(contains({text}, '\\') or {may_match(rest, within)})"


def names_definition(path: str) -> bool:
    """Whether an address at this path of JSON names a code system, an extension or another record, and nobody's page.

    Source: FHIR R4 (hl7.org/fhir/R4): Coding.system, Identifier.system, Quantity.system, Extension.url,
    Reference.reference, Meta.profile.
    """
    *above, last = path.split(".")
    is_extension = last == "url" and above[-1:] in (["extension"], ["modifierExtension"])
    return bool(above) and (last in ("system", "reference", "profile") or is_extension)


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
