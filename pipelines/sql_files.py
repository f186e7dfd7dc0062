"""The SQL files under sql/: one file builds one table. Lineage and parameters come from DuckDB's own parser."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from pipelines import paths
from pipelines.errors import SqlFileError

HEADER_FIELDS = ("Grain", "Key", "Units", "Scope", "Source")
RULES = paths.SQL / "5_label" / "rules"

# What a file may call in its from clause besides declared tables: functions that only make rows of their arguments.
TABLE_FUNCTIONS = {"unnest", "range", "generate_series"}


@dataclass(frozen=True)
class SqlFile:
    """One SQL file, read but not run.

    Attributes:
        table: Table it builds, as ``schema.name``.
        title: First line of the header.
        header: The ``Field: value`` lines of the header.
        text: The whole file, header included.
    """

    path: Path
    table: str
    title: str
    header: dict[str, str]
    text: str

    @property
    def key(self) -> list[str]:
        return _listed(self.header["Key"])

    @property
    def driving_tables(self) -> list[str]:
        """Raw tables a mapping keeps every row of (header line ``Rows``)."""
        return _listed(self.header.get("Rows", ""))

    @cached_property
    def _tree(self) -> Any:
        [[text]] = duckdb.execute("select json_serialize_sql(?)", [self.text]).fetchall()
        tree = json.loads(text)
        where = paths.relative(self.path)
        if tree.get("error"):
            raise SqlFileError(f"{where}: {tree['error_message']}. A file holds exactly one select.")
        if len(tree["statements"]) != 1:
            raise SqlFileError(f"{where}: holds {len(tree['statements'])} statements. Keep one.")
        for node in _nodes(tree):
            if node.get("type") in {"INSERT_QUERY_NODE", "UPDATE_QUERY_NODE", "DELETE_QUERY_NODE"}:
                raise SqlFileError(f"{where}: changes a table. A file only selects.")
            if node.get("type") == "TABLE_FUNCTION":
                name = node["function"]["function_name"]
                if name not in TABLE_FUNCTIONS:
                    raise SqlFileError(f"{where}: reads from {name}(). Read declared tables only.")
        steps = {entry["key"] for node in _nodes(tree) for entry in node.get("map", []) if "key" in entry}
        for node in _nodes(tree):
            if node.get("type") == "BASE_TABLE" and not node["schema_name"] and node["table_name"] not in steps:
                raise SqlFileError(f"{where}: reads from {node['table_name']}, which is no table. Use schema.name.")
        return tree

    @cached_property
    def reads(self) -> set[str]:
        """Tables this file selects from."""
        tables = [node for node in _nodes(self._tree) if node.get("type") == "BASE_TABLE"]
        return {f"{node['schema_name']}.{node['table_name']}" for node in tables if node["schema_name"]}

    @cached_property
    def parameters(self) -> set[str]:
        """Names of the settings the file uses as ``$name``."""
        return {node["identifier"] for node in _nodes(self._tree) if node.get("type") == "VALUE_PARAMETER"}

    @property
    def fingerprint(self) -> str:
        return sha256(self.text.encode()).hexdigest()[:12]


def read(path: Path) -> SqlFile:
    """Read one SQL file and its header.

    Raises:
        SqlFileError: The header misses a field, or the file is not exactly one select of declared tables.
    """
    text = path.read_text()
    comment = re.match(r"(?:--.*\n)+", text)
    lines = [line.removeprefix("--").strip() for line in (comment.group() if comment else "").splitlines()]
    header: dict[str, str] = {}
    field = None
    for line in lines[1:]:
        match = re.match(r"([A-Z]\w+):\s*(.*)", line)
        if match:
            field = match[1]
            header[field] = match[2]
        elif field and line:
            header[field] += " " + line
    missing = [name for name in HEADER_FIELDS if name not in header]
    if missing:
        raise SqlFileError(
            f"{paths.relative(path)}: the header has no {', '.join(missing)} line. "
            f"Every file starts with a title and the lines {', '.join(HEADER_FIELDS)}."
        )
    sql = SqlFile(path=path, table=paths.table_name(path), title=lines[0], header=header, text=text)
    _ = sql.reads  # parse now, so that a faulty file is refused before anything runs
    return sql


@cache
def tables() -> list[SqlFile]:
    """The files of the steps that all sources share, in the order of flow."""
    return [read(path) for path in sorted(paths.SQL.glob("[0-9]_*/*.sql"))]


@cache
def mappings(source: str) -> list[SqlFile]:
    """The files that map one source's delivered tables to the clean tables."""
    return [read(path) for path in sorted((paths.SQL / "2_clean" / source).glob("*.sql"))]


@cache
def rules() -> list[SqlFile]:
    """The labelling rules: each selects its votes."""
    return [read(path) for path in sorted(RULES.glob("*.sql"))]


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _nodes(node: object) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _nodes(child)
