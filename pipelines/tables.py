"""Every table of a study, in the order of flow, each with the one way it is built.

The folder listing is the registry: a contract or a SQL file that is added appears here, in Dagster and in the checks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib import import_module
from typing import Literal

import polars as pl

from pipelines import contracts, extracts, sources, sql_files, warehouse
from pipelines.contracts import Contract
from pipelines.errors import SqlFileError
from pipelines.study import Study
from pipelines.warehouse import Connection
from pipelines.workspace import Workspace

# Ingest and the clean tables write these as they go.
WRITTEN_ALONG = ("raw.delivery", "raw.quarantine", "clean.quarantine")

Kind = Literal["csv", "sql", "python"]


@dataclass(frozen=True)
class Table:
    """One table and how to build it.

    Attributes:
        name: ``schema.name``.
        description: What it holds, one sentence.
        reads: Tables it is built from.
        kind: What builds it.
        contract: Its contract; a source's mapping has none of its own, it answers to the clean table's.
        build: Builds it; gives its rows.
        is_ingest: It reads delivered files.
    """

    name: str
    description: str
    reads: frozenset[str]
    kind: Kind
    contract: Contract | None
    build: Callable[[Connection, Study], int]
    is_ingest: bool = False

    @property
    def step(self) -> str:
        """Schema without the source: raw, reference, clean, trajectory, episode, label, report."""
        return self.name.split(".")[0].split("_")[0]


def of(study: Study) -> list[Table]:
    """All tables of a study, each after the ones it reads."""
    found = {table.name: table for table in (*_from_sources(study), *_shared(study))}
    for table in found.values():
        if unknown := sorted(table.reads - set(found)):
            raise SqlFileError(f"{table.name}: reads {', '.join(unknown)}, which nothing builds. Correct the name.")
    order = TopologicalSorter({name: sorted(table.reads) for name, table in found.items()}).static_order()
    return [found[name] for name in order]


def needed_for(name: str, among: list[Table]) -> list[Table]:
    """The tables that one table is built from, it included, in the order given."""
    known = {table.name: table for table in among}
    needed: set[str] = set()
    left = {name}
    while left:
        needed |= left
        left = {read for found in left for read in known[found].reads} - needed
    return [table for table in among if table.name in needed]


def _from_sources(study: Study) -> Iterator[Table]:
    known = contracts.all_contracts()
    for source in sorted(study.sources):
        for contract in study.raw_contracts(source):
            yield _delivered(contract, source)
        for prepared in sql_files.shared(source):
            yield _prepared(prepared)
        for mapping in sql_files.mappings(source):
            clean = known[f"clean.{mapping.table.split('.')[1]}"]
            yield _mapped(mapping, clean)


def _shared(study: Study) -> Iterator[Table]:
    files = {sql.table: sql for sql in sql_files.tables()}
    clean = {contract.table for contract in sources.filled_contracts()}
    for contract in contracts.all_contracts().values():
        if contract.table in WRITTEN_ALONG:
            yield _written_along(contract, study)
        elif contract.table in clean:
            yield _filled(contract, study)
        elif contract.table == "label.vote":
            yield _voted(contract)
        elif contract.built_by:
            yield _by_python(contract, study)
        elif contract.table in files:
            yield _by_sql(contract, files[contract.table])
        elif contract.schema_name == "reference":
            yield _cited(contract)


def _delivered(contract: Contract, source: str) -> Table:
    def build(connection: Connection, study: Study) -> int:
        corrected = Workspace(study).corrections(source, contract.name)
        return extracts.load(connection, contract, source, study.sources[source].folder, corrected).loaded_rows

    return Table(contract.table, contract.description, frozenset(), "csv", contract, build, is_ingest=True)


def _prepared(sql: sql_files.SqlFile) -> Table:
    def build(connection: Connection, study: Study) -> int:
        return warehouse.build_untyped(connection, sql)

    return Table(sql.table, sql.title, frozenset(sql.reads), "sql", None, build)


def _mapped(mapping: sql_files.SqlFile, clean: Contract) -> Table:
    def build(connection: Connection, study: Study) -> int:
        return sources.map_rows(connection, mapping, clean)

    return Table(mapping.table, mapping.title, frozenset(mapping.reads), "sql", None, build)


def _written_along(contract: Contract, study: Study) -> Table:
    """A table that the tables before it wrote into: nothing is left to build but an empty one."""

    def build(connection: Connection, study: Study) -> int:
        warehouse.create_if_missing(connection, contract)
        return warehouse.count(connection, contract.table)

    if contract.schema_name == "raw":
        writers = [raw.table for source in study.sources for raw in contracts.raw_contracts(source)]
    else:
        writers = [clean.table for clean in sources.filled_contracts()]
    return Table(contract.table, contract.description, frozenset(writers), "python", contract, build)


def _filled(contract: Contract, study: Study) -> Table:
    def build(connection: Connection, study: Study) -> int:
        return sources.fill(connection, contract, sorted(study.sources))

    mapped = {mapping.table for source in study.sources for mapping in sql_files.mappings(source)}
    reads = {table for table in mapped if table.split(".")[1] == contract.name}
    if contract.table != "clean.patient":
        reads.add("clean.patient")
    return Table(contract.table, contract.description, frozenset(reads), "sql", contract, build)


def _voted(contract: Contract) -> Table:
    rules = sql_files.rules()

    def build(connection: Connection, study: Study) -> int:
        warehouse.create(connection, contract)
        for rule in rules:
            warehouse.insert(connection, rule, contract.table, study.parameters)
        return warehouse.count(connection, contract.table)

    reads = frozenset(table for rule in rules for table in rule.reads)
    return Table(contract.table, contract.description, reads, "sql", contract, build)


def _by_python(contract: Contract, study: Study) -> Table:
    module, function = str(contract.built_by).rsplit(".", 1)

    def build(connection: Connection, study: Study) -> int:
        built = getattr(import_module(module), function)(connection, study)
        if isinstance(built, pl.DataFrame):
            return warehouse.build_from_frame(connection, built, contract)
        return warehouse.count(connection, contract.table)

    return Table(contract.table, contract.description, frozenset(contract.reads), "python", contract, build)


def _by_sql(contract: Contract, sql: sql_files.SqlFile) -> Table:
    def build(connection: Connection, study: Study) -> int:
        return warehouse.build_from_sql(connection, sql, contract, study.parameters)

    return Table(contract.table, contract.description, frozenset(sql.reads), "sql", contract, build)


def _cited(contract: Contract) -> Table:
    def build(connection: Connection, study: Study) -> int:
        return warehouse.build_reference(connection, contract)

    return Table(contract.table, contract.description, frozenset(), "csv", contract, build)
