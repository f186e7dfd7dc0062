"""The data dictionary: every table and column, its checks and its versions, as pages rendered from the contracts.

``make docs`` writes them. Nobody edits them: what they say stands in ``data_contracts``.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines import contracts, paths
from pipelines.checks import check_names
from pipelines.contracts import IMPLIED, Column, Contract, Expectation

FOLDER = paths.ROOT / "docs" / "data_dictionary"


def pages() -> dict[str, str]:
    """Every page with its text, by file name: one for each schema, and an index."""
    by_schema: dict[str, list[Contract]] = {}
    for contract in contracts.all_contracts().values():
        by_schema.setdefault(contract.schema_name, []).append(contract)
    index = [
        "# Data dictionary",
        "Every table, in the order of flow. A source's own tables are `raw_<source>`; each mapping fills the tables of "
        "`clean`. Rendered from `data_contracts/` by `make docs`.",
    ]
    for schema, tables in by_schema.items():
        lines = [
            (f"[{each.name}]({schema}.md#{_anchor(each)})", each.description, each.owner, each.version)
            for each in tables
        ]
        index += [f"## [{schema}]({schema}.md)", _table(("Table", "Holds", "Owner", "Version"), lines)]
    return {"index.md": _page(index)} | {f"{schema}.md": _schema_page(schema, t) for schema, t in by_schema.items()}


def write(folder: Path = FOLDER) -> None:
    """Write every page, and take away those of schemas that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.md"):
        file.unlink()
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def _schema_page(schema: str, tables: Sequence[Contract]) -> str:
    return _page([f"# {schema}", "[All tables](index.md)", *(part for each in tables for part in _table_parts(each))])


def _table_parts(contract: Contract) -> list[str]:
    facts = [
        ("Key", ", ".join(f"`{name}`" for name in contract.key) or "none"),
        ("Owner", contract.owner),
        ("Version", "; ".join(f"{each.version} ({each.date}): {each.change}" for each in contract.changelog)),
        ("Delivered as", f"`{contract.files}`, {contract.delivery}" if contract.files else None),
        ("May be missing", "yes" if contract.may_be_missing else None),
        ("Built by", f"`{contract.built_by}`" if contract.built_by else None),
    ]
    parts = [
        f"## {contract.table}",
        contract.description,
        "\n".join(f"- {name}: {value}" for name, value in facts if value),
        _table(
            ("Column", "Type", "Unit", "Values", "Meaning"), [_column(contract, column) for column in contract.columns]
        ),
    ]
    written = [
        (name, expectation)
        for name, expectation in zip(check_names(contract), contract.all_expectations, strict=True)
        if expectation.why != IMPLIED
    ]
    if written:
        lines = [(f"`{name}`", each.severity, _limit(each), each.why) for name, each in written]
        parts.append(_table(("Check", "Severity", "May fail", "Why"), lines))
    return parts


def _column(contract: Contract, column: Column) -> tuple[str, ...]:
    name = f"`{column.name}`" + (f" (`{column.delivered_as}`)" if column.delivered_as else "")
    needed = column.required or (contract.is_raw and column.name in contract.key)
    return (
        name,
        f"{column.type}{', required' if needed else ''}",
        column.unit or "",
        _values(column),
        column.description,
    )


def _values(column: Column) -> str:
    if column.values is not None:
        return ", ".join(f"`{value}`" for value in column.values)
    low, high = (None if end is None else f"{end:g}" for end in (column.minimum, column.maximum))
    if low and high:
        return f"{low} to {high}"
    return f"from {low}" if low else f"to {high}" if high else ""


def _limit(expectation: Expectation) -> str:
    limits = [] if expectation.max_failing_share is None else [f"{100 * expectation.max_failing_share:.6g} %"]
    limits += [] if expectation.max_failing_rows is None else [f"{expectation.max_failing_rows:,} rows"]
    return ", ".join(limits) or "none"


def _anchor(contract: Contract) -> str:
    """What the heading of a table is linked by."""
    return contract.table.replace(".", "")


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows
    )


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    write()
