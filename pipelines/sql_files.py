"""The SQL files under sql/: one file builds one table, or is a macro that others call.

Lineage and parameters come from DuckDB's own parser.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipelines import paths, sql_gate
from pipelines.errors import SqlFileError

HEADER_FIELDS = ("Grain", "Key", "Units", "Scope", "Source")
RULES = paths.SQL / "5_label" / "rules"
MACROS = paths.SQL / "1_reference" / "macros"
_MACRO = re.compile(r"(?:--.*\n)+create or replace temp macro (\w+)\(\w+\) as\n(.*);\n", re.DOTALL)


@dataclass(frozen=True)
class Macro:
    """What several files ask of a value, said once.

    Attributes:
        text: The whole file, which creates it.
        calls: Macros it calls, each after the ones that it calls itself.
        reads: Tables it selects from, not those of the macros it calls.
    """

    name: str
    text: str
    calls: tuple["Macro", ...]
    reads: frozenset[str]


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
    def rule(self) -> str:
        """Name of the labelling rule in the file: LF01 of ``lf01_paradoxical_worsening.sql``."""
        return self.path.stem.split("_")[0].upper()

    @property
    def driving_tables(self) -> list[str]:
        """Raw tables a mapping keeps every row of (header line ``Rows``)."""
        return _listed(self.header.get("Rows", ""))

    @cached_property
    def _tree(self) -> Any:
        return sql_gate.select(self.text, paths.relative(self.path), SqlFileError, macro_names())

    @cached_property
    def macros(self) -> list[Macro]:
        """Macros this file calls, each after the ones that it calls itself."""
        return _called(self._tree)

    @cached_property
    def reads(self) -> set[str]:
        """Tables this file selects from, itself or by a macro."""
        return _selected(self._tree).union(*(macro.reads for macro in self.macros))

    @cached_property
    def parameters(self) -> set[str]:
        """Names of the settings the file uses as ``$name``."""
        return {node["identifier"] for node in sql_gate.nodes(self._tree) if node.get("type") == "VALUE_PARAMETER"}

    @property
    def settings(self) -> list[str]:
        """What moves the file: its parameters, and those of the tables it reads that its header names."""
        return sorted(self.parameters.union(_listed(self.header.get("Settings", ""))))

    @property
    def fingerprint(self) -> str:
        return sha256("".join([self.text, *(macro.text for macro in self.macros)]).encode()).hexdigest()[:12]


def read(path: Path) -> SqlFile:
    """Read one SQL file and its header.

    Raises:
        SqlFileError: The header misses a field, or the file is not exactly one select of declared tables.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SqlFileError(f"{paths.relative(path)}: cannot be read as UTF-8. Save it as UTF-8.") from None
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
def macro_names() -> frozenset[str]:
    return frozenset(path.stem for path in MACROS.glob("*.sql"))


@cache
def macro(name: str) -> Macro:
    """Read one macro.

    Raises:
        SqlFileError: The file is not exactly one macro of its name, of one argument.
    """
    path = MACROS / f"{name}.sql"
    text = path.read_text(encoding="utf-8")
    match = _MACRO.fullmatch(text)
    if match is None or match[1] != name:
        raise SqlFileError(f"{paths.relative(path)}: is not one macro of that name. See the others of its folder.")
    tree = sql_gate.select(f"select {match[2]}", paths.relative(path), SqlFileError, macro_names() - {name})
    return Macro(name, text, tuple(_called(tree)), frozenset(_selected(tree)))


@cache
def tables() -> list[SqlFile]:
    """The files of the steps that all sources share, in the order of flow."""
    return [read(path) for path in sorted(paths.SQL.glob("[0-9]_*/*.sql"))]


@cache
def mappings(source: str) -> list[SqlFile]:
    """The files that map one source's delivered tables to the clean tables."""
    return [read(path) for path in sorted((paths.SQL / "2_clean" / source).glob("*.sql"))]


@cache
def shared(source: str) -> list[SqlFile]:
    """The files that prepare what several mappings of one source read, each a table of that source alone."""
    return [read(path) for path in sorted((paths.SQL / "2_clean" / source / "shared").glob("*.sql"))]


@cache
def rules() -> list[SqlFile]:
    """The labelling rules: each selects its votes."""
    return [read(path) for path in sorted(RULES.glob("*.sql"))]


def _selected(tree: Any) -> set[str]:
    found = [node for node in sql_gate.nodes(tree) if node.get("type") == "BASE_TABLE"]
    return {f"{node['schema_name']}.{node['table_name']}" for node in found if node["schema_name"]}


def _called(tree: Any) -> list[Macro]:
    named = sorted({str(node.get("function_name")).lower() for node in sql_gate.nodes(tree)} & macro_names())
    return list(dict.fromkeys(each for name in named for each in (*macro(name).calls, macro(name))))


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
