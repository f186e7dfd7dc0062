"""What a source still lacks: choices left open, tables that nothing fills, mappings that do not build."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines import contracts, paths, sources, sql_files, warehouse
from pipelines.errors import ContractError, SqlFileError
from pipelines.source_draft.drafting import CHOOSE, COMMENT, DESCRIBE

# What a study cannot say without a clean table.
NEEDED = {
    "patient": "no patient, so no row of any table can be used",
    "prescription": "no opioid of the pharmacy, so no dose outside hospitals",
    "administration": "no dose given in hospital",
    "adjuvant": "no other drug for pain, so rules about them abstain",
    "pain_score": "no pain score, so nobody is classifiable",
    "diagnosis": "no diagnosis, so nobody is excluded for cancer or hospice",
    "procedure": "no procedure, so scores near surgery are not masked",
    "encounter": "no visit, so stays in hospital are not masked",
    "note_mention": "no mention in notes, so the rule about what clinicians wrote abstains",
}
MUST_HAVE = ("patient",)


@dataclass(frozen=True)
class Gap:
    """Something missing.

    Attributes:
        where: File and line, or the folder.
        what: What is missing and what to do.
        is_open: It must be mended; otherwise it is only good to know.
    """

    where: str
    what: str
    is_open: bool = True


def gaps(source: str) -> list[Gap]:
    """What is still missing of a source's contracts, mappings and test.

    Raises:
        ContractError: There is no such source, or one of its contracts cannot be read.
        SqlFileError: One of its mappings cannot be read.
    """
    raw = contracts.raw_contracts(source)
    if not raw:
        raise ContractError(f"data_contracts/0_raw/{source}: holds no contract. Run `oih source new {source}` first.")
    mappings = sql_files.mappings(source)
    shared = sql_files.shared(source)
    folders = (paths.DATA_CONTRACTS / "0_raw" / source, paths.SQL / "2_clean" / source)
    found = [gap for folder in folders for path in sorted(folder.glob("*.*")) for gap in _marked(path)]
    found += _not_filled(source, mappings)
    found += _not_read(raw, [*mappings, *shared])
    found += [gap for mapping in mappings for gap in _not_built(mapping, shared)]
    test = paths.ROOT / "tests" / "sources" / f"test_{source}.py"
    if not test.exists():
        found.append(Gap(paths.relative(test), "is not there. Draw the rows that were hard to decide."))
    return found


def open_choices(source: str) -> int:
    """Marks that a human must still decide on, in the contracts and mappings of a source."""
    files = (paths.DATA_CONTRACTS / "0_raw" / source).glob("*.yaml"), (paths.SQL / "2_clean" / source).rglob("*.sql")
    return sum(path.read_text(encoding="utf-8").count(CHOOSE) for found in files for path in found)


def _marked(path: Path) -> Iterator[Gap]:
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        where = f"{paths.relative(path)}:{number}"
        if CHOOSE in line:
            asked = [line.partition(CHOOSE)[2].strip()]
            for more in lines[number:]:
                if not more.startswith(COMMENT) or CHOOSE in more:
                    break
                asked.append(more.removeprefix(COMMENT))
            yield Gap(where, f"choose: {' '.join(asked)} Then delete the mark.")
        if f'"{DESCRIBE} ' in line:
            what = line.strip().removeprefix("- {name: ").partition(",")[0]
            yield Gap(where, f"describe {'the table' if what.startswith('description') else what}.", is_open=False)


def _not_filled(source: str, mappings: list[sql_files.SqlFile]) -> Iterator[Gap]:
    mapped = {mapping.table.split(".")[1] for mapping in mappings}
    for table, consequence in NEEDED.items():
        if table not in mapped:
            where = f"sql/2_clean/{source}/{table}.sql"
            yield Gap(where, f"is not there: {consequence}.", is_open=table in MUST_HAVE)


def _not_read(raw: list[contracts.Contract], mappings: list[sql_files.SqlFile]) -> Iterator[Gap]:
    """Delivered tables and columns that no mapping looks at."""
    read = {table for mapping in mappings for table in mapping.reads}
    text = " ".join(mapping.text for mapping in mappings)
    for contract in raw:
        if contract.table not in read:
            yield Gap(contract.table, "is read by no mapping. Map it, or delete its contract.", is_open=False)
            continue
        unread = [name for name in contract.column_names if name not in text]
        if unread:
            yield Gap(contract.table, f"columns that no mapping reads: {', '.join(unread)}.", is_open=False)


def _not_built(mapping: sql_files.SqlFile, shared: list[sql_files.SqlFile]) -> Iterator[Gap]:
    """A mapping that does not build on empty tables, or that leaves required columns out."""
    known = contracts.all_contracts()
    where = paths.relative(mapping.path)
    clean = known.get(f"clean.{mapping.path.stem}")
    if clean is None:
        yield Gap(where, "is named like no clean table. Rename it.")
        return
    if not mapping.driving_tables:
        yield Gap(where, "the header has no Rows line. Name the raw tables whose rows it keeps.")
    with (
        tempfile.TemporaryDirectory(prefix="oih-source-") as place,
        warehouse.opened(Path(place) / "check.duckdb") as connection,
    ):
        prepared = {sql.table: sql for sql in shared if sql.table in mapping.reads}
        needed_tables = mapping.reads.union(*(sql.reads for sql in prepared.values())) - set(prepared)
        for table in needed_tables:
            if table not in known:
                yield Gap(where, f"reads {table}, which has no contract. Correct the name.")
                return
            warehouse.create(connection, known[table])
        try:
            for sql in prepared.values():
                warehouse.build_untyped(connection, sql)
            warehouse.create_macros(connection, mapping.macros)
            built = connection.execute(f"describe {mapping.text}").fetchall()
        except SqlFileError as error:
            place, what = str(error).split(": ", 1)
            yield Gap(place, what)
            return
        except duckdb.Error as error:  # of the file's text alone: the tables are empty
            yield Gap(where, f"{str(error).splitlines()[0].rstrip('.')}. Mend the file.")
            return
    names = {name for name, *_ in built}
    allowed = {*clean.types, *sources.MAPPING_COLUMNS} - set(sources.FILLED_COLUMNS)
    if extra := sorted(names - allowed):
        yield Gap(where, f"gives {', '.join(extra)}, which {clean.table} does not have. Rename or delete.")
    needed = {column.name for column in clean.columns if column.required} | set(sources.MAPPING_COLUMNS)
    if missing := sorted(needed - set(sources.FILLED_COLUMNS) - names):
        yield Gap(where, f"does not give {', '.join(missing)}, which every row needs. Add them.")
