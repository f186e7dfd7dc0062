"""The pages under docs/ on factor sets, dose definitions, code lists and rules, rendered from what runs.

``make docs`` writes them. Nobody edits them: what they say stands in ``sql/1_reference``, of rules in their headers.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipelines import paths, settings, sql_files
from pipelines.sql_files import SqlFile

DOCS = paths.ROOT / "docs"
UNITS = {"MG": "mg", "MG/SPRAY": "mg, as sprays", "MCG/HR": "mcg/h worn", "any": "any"}

Row = dict[str, str | None]


class Product(NamedTuple):
    """What a factor is for; ``any`` stands for every route, form or unit."""

    ingredient: str
    route: str
    form: str
    dose_unit: str

    def covers(self, other: "Product") -> bool:
        return all(mine in ("any", its) for mine, its in zip(self, other, strict=True))


Factors = dict[Product, str]


def pages() -> dict[str, str]:
    """Every page with its text, by its path below docs/.

    Returns:
        One page per factor set, per dose definition, per clinical concept and per rule, and an index of each.
    """
    sets = _rows("factor_set")
    definitions = _rows("dose_definition")
    concepts = _rows("clinical_concept")
    return {
        "factor_sets/index.md": _index_of_sets(sets),
        **{f"factor_sets/{row['factor_set']}.md": text for row, text in _set_pages(sets)},
        "dose_definitions/index.md": _index_of_definitions(definitions),
        **{f"dose_definitions/{row['definition']}.md": _definition_page(row) for row in definitions},
        "code_lists/index.md": _index_of_concepts(concepts),
        **{f"code_lists/{row['concept']}.md": _concept_page(row) for row in concepts},
        "rules/index.md": _index_of_rules(),
        **{f"rules/{sql.path.stem}.md": _rule_page(sql) for sql in sql_files.rules()},
    }


def write(docs: Path = DOCS) -> None:
    """Write every page, and take away those of sets, definitions, concepts and rules that are gone."""
    rendered = pages()
    for folder in {Path(name).parent for name in rendered}:
        (docs / folder).mkdir(parents=True, exist_ok=True)
        for file in (docs / folder).glob("*.md"):
            file.unlink()
    for name, text in rendered.items():
        (docs / name).write_text(text, encoding="utf-8")


def differences(mine: Factors, other: Factors) -> list[tuple[Product, str, str]]:
    """Where two sets convert a product differently.

    A factor for any form is held against the forms that the other set names, each on a line of its own.

    Returns:
        Product, factor in the first set and in the second, in the order of the products.
    """
    compared = _without_the_general(mine, other) | _without_the_general(other, mine)
    lines = [(product, _factor(mine, product), _factor(other, product)) for product in sorted(compared)]
    return [(product, here, there) for product, here, there in lines if here != there]


def factors_by_set() -> dict[str, Factors]:
    """Factors by set and product, as they are printed: bands of a daily dose on one line."""
    found: dict[str, Factors] = {}
    rows = _rows("mme_factor")
    for (name, product), bands in groupby(rows, key=lambda row: (row["factor_set"], _product(row))):
        found.setdefault(str(name), {})[product] = _bands(list(bands))
    return found


def _without_the_general(mine: Factors, other: Factors) -> set[Product]:
    return {product for product in mine if not any(product != its and product.covers(its) for its in other)}


def _factor(factors: Factors, product: Product) -> str:
    fitting = [own for own in factors if own.covers(product)]
    if not fitting:
        return "-"
    most_specific = min(fitting, key=lambda own: (own.route == "any", own.form == "any", own.dose_unit == "any"))
    return factors[most_specific]


@cache
def _rows(table: str) -> list[Row]:
    return pl.read_csv(paths.SQL / "1_reference" / f"{table}.csv", infer_schema=False).to_dicts()


def _product(row: Row) -> Product:
    return Product(*(str(row[part]) for part in Product._fields))


def _bands(rows: Sequence[Row]) -> str:
    """The factor as a page shows it: ``1.5``, ``not converted`` or ``4 up to 20 mg, 8 above``."""
    factors = [_number(row["factor"]) for row in rows]
    bounds = [row["above_mg_per_day"] for row in rows[1:]]
    steps = [f"{factor} up to {bound} mg a day" for factor, bound in zip(factors[:-1], bounds, strict=True)]
    return ", ".join([*steps, factors[-1] + (" above" if steps else "")])


def _number(factor: str | None) -> str:
    return "not converted" if factor is None else f"{Decimal(factor).normalize():f}"


def _set_pages(sets: Sequence[Row]) -> Iterable[tuple[Row, str]]:
    factors = factors_by_set()
    for row in sets:
        others = [other for other in sets if other != row and "general" in (other["kind"], row["kind"])]
        if row["kind"] == "general":
            others = [other for other in others if other["kind"] == "general"]
        yield row, _set_page(row, others, factors)


def _set_page(row: Row, others: Sequence[Row], factors: dict[str, Factors]) -> str:
    own = factors[str(row["factor_set"])]
    key = "factor_set" if row["kind"] == "general" else "parenteral_factor_set"
    parts = [
        f"# {row['title']}",
        f"`{key}: {row['factor_set']}`",
        _facts([("Published", row["effective_date"] or "undated"), ("Source", row["citation"])]),
        str(row["notes"]),
        "Factors serve to measure populations, never to switch a patient from one opioid to another. An opioid or a "
        "route that is not listed has no factor in this set: its dose is unknown, never zero.",
        "## Factors",
        "Oral morphine milligrams per unit of the daily dose.",
        _table(
            ("Opioid", "Route", "Form", "Unit", "Factor", "As printed"),
            [(*_cells(product), factor, _as_printed(row, product)) for product, factor in own.items()],
        ),
        "## Differences to the other sets",
        "This set first. A dash: not in the set. A factor for any form is held against the forms that the other set "
        "names.",
    ]
    for other in others:
        its = factors[str(other["factor_set"])]
        mine = own
        if row["kind"] == "parenteral":
            its = {product: factor for product, factor in its.items() if product.route == "parenteral"}
            if not its:
                continue
        found = differences(mine, its)
        parts.append(f"### [{other['title']}]({other['factor_set']}.md)")
        header = ("Opioid", "Route", "Form", "Unit", str(row["factor_set"]), str(other["factor_set"]))
        lines = [(*_cells(product), here, there) for product, here, there in found]
        parts.append(_table(header, lines) if found else "None.")
    return _page(parts)


def _as_printed(row: Row, product: Product) -> str:
    """What a factor's citation adds to that of its set."""
    cited = [
        str(factor["citation"])
        for factor in _rows("mme_factor")
        if factor["factor_set"] == row["factor_set"] and _product(factor) == product
    ]
    return "; ".join(citation.removeprefix(str(row["citation"])).removeprefix(": ") for citation in cited)


def _index_of_sets(sets: Sequence[Row]) -> str:
    parts = [
        "# Factor sets",
        "Published tables from an opioid dose to oral morphine milligrams. A study names one, `factor_set`; vintages "
        "are never mixed, and every dose names its set. Injections and infusions have no dose unless the study also "
        "names a `parenteral_factor_set`: those of UpToDate, ANZCA, the UK and Switzerland differ up to twofold. "
        "No table converts epidural or intrathecal doses.",
    ]
    for kind, heading in (("general", "General"), ("parenteral", "Parenteral only")):
        header = ("Set", "Title", "Published", "Source")
        lines = [
            (
                f"[{row['factor_set']}]({row['factor_set']}.md)",
                row["title"],
                row["effective_date"] or "undated",
                row["citation"],
            )
            for row in sets
            if row["kind"] == kind
        ]
        parts += [f"## {heading}", _table(header, lines)]
    factors = factors_by_set()
    parenteral = [name for name, own in factors.items() if any(product.route == "parenteral" for product in own)]
    parts.append("Where a source tells only the month or the year, its first day stands for it.")
    parts.append("Sets with parenteral factors: " + ", ".join(f"[{name}]({name}.md)" for name in parenteral) + ".")
    return _page(parts)


def _index_of_definitions(definitions: Sequence[Row]) -> str:
    header = ("Definition", "Title", "Formula")
    lines = [(f"[{row['definition']}]({row['definition']}.md)", row["title"], row["formula"]) for row in definitions]
    return _page(
        [
            "# Daily dose definitions",
            "Every definition reduces one dated timeline: the MME of each day, records summed, clipped to the window. "
            "The definition alone moves the share of patients above 90 MME from 3.6 % to 10.3 % in California "
            "(Dasgupta 2021, PMC8270512). A day that is touched by an unknown dose is a lower bound, and so is every "
            "value it enters. Supply of unknown length may reach half a year: what it may reach is a lower bound, and "
            "a mean over days in supply is not given, since nobody knows how many they are.",
            _table(header, lines),
            "Of one patient and one window, with supply clipped to it, overlapping supplies summed, no bridged gap, "
            "every dose known and one factor for each opioid: `dasgupta_1` <= `dasgupta_2`, and `dasgupta_3` <= "
            "`dasgupta_2` <= `dasgupta_4` <= `zedler_sum`. With factors by band (methadone in CDC 2016) two "
            "prescriptions of a day can be worth more together than apart, so `dasgupta_4` can exceed `zedler_sum`; "
            "with whole supplies counted in a short window, `dasgupta_3` can exceed `dasgupta_2`.",
        ]
    )


def _definition_page(row: Row) -> str:
    facts = [("Formula", row["formula"]), ("Denominator", row["denominator"]), ("Source", row["citation"])]
    return _page([f"# {row['title']}", f"`{row['definition']}`", _facts(facts), str(row["caveats"])])


def _index_of_rules() -> str:
    header = ("Rule", "Says", "Cannot see")
    lines = [(f"[{_rule_name(sql)}]({sql.path.stem}.md)", sql.title, sql.header["Unseen"]) for sql in sql_files.rules()]
    return _page(
        [
            "# Rules",
            "Each rule votes on each episode, or abstains and says why. Where a feed was not delivered it abstains, "
            "and never says that nothing happened. An abstention is no vote against. None of them is a criterion that "
            "anybody has agreed on, and no threshold of worsening is validated.",
            _table(header, lines),
        ]
    )


def _rule_page(sql: SqlFile) -> str:
    described = {row["name"]: row for row in settings.described()}
    used = [described[name] for name in sql.settings if name in described]
    lines = [(f"`{row['name']}`", row["meaning"], row["default"], row["unit"], row["citation"]) for row in used]
    parts = [
        f"# {_rule_name(sql)}: {sql.title}",
        _facts([("Rule", sql.header["Rule"]), ("Cannot see", sql.header["Unseen"]), ("From", sql.header["Source"])]),
    ]
    if lines:
        parts += ["## Parameters", _table(("Setting", "Meaning", "Default", "Unit", "From"), lines)]
    parts += [f"In force: `sql/5_label/rules/{sql.path.name}`, which reads {', '.join(sorted(sql.reads))}."]
    return _page(parts)


def _rule_name(sql: SqlFile) -> str:
    return sql.path.stem.split("_")[0].upper()


def _index_of_concepts(concepts: Sequence[Row]) -> str:
    header = ("Concept", "Meaning", "Used for", "Version")
    lines = [
        (f"[{row['concept']}]({row['concept']}.md)", row["meaning"], row["used_for"], row["version"])
        for row in concepts
    ]
    return _page(
        [
            "# Code lists",
            "What diagnoses and procedures stand for. A code belongs to a concept when it begins with one of its "
            "prefixes, dots taken out, and may belong to several. No code listed says opioid-induced hyperalgesia, and "
            "a code that is missing is no proof of health: it says what was billed or written, where the feed was "
            "delivered. "
            "Operations are in `sql/1_reference/surgery_code.csv`. Codes of SNOMED CT are in no list yet, so a source "
            "that codes in it alone has none of these concepts.",
            _table(header, lines),
        ]
    )


def _concept_page(row: Row) -> str:
    codes = [code for code in _rows("code_list") if code["concept"] == row["concept"]]
    header = ("System", "Codes that begin with", "Title")
    return _page(
        [
            f"# {str(row['concept']).replace('_', ' ').capitalize()}",
            f"`{row['concept']}`, version {row['version']}",
            str(row["meaning"]),
            _facts([("Used for", row["used_for"]), ("Source", row["citation"])]),
            _table(header, [(code["code_system"], f"`{code['code_prefix']}`", code["citation"]) for code in codes]),
        ]
    )


def _cells(product: Product) -> tuple[str, str, str, str]:
    return product.ingredient, product.route, product.form, UNITS[product.dose_unit]


def _facts(facts: Iterable[tuple[str, str | None]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts)


def _table(header: Sequence[str], lines: Iterable[Sequence[str | None]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    write()
