"""Rows in quarantine: counted, shown, fed back once they were corrected, and corrections let go.

They are read from the writer's warehouse, so those of a failed run are there too. Rows are the extract's own: what
this shows or writes stays inside the secure environment.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from pipelines import contracts, flat_file, warehouse
from pipelines.contracts import Contract
from pipelines.errors import PipelineError, WorkspaceError
from pipelines.extracts import corrections, delivered_files, history, value_screen
from pipelines.extracts.corrections import IDENTITY
from pipelines.extracts.delivered import DeliveredFile, delivered_as, sql_name, sql_text
from pipelines.extracts.history import Taken
from pipelines.study import Study
from pipelines.warehouse import Connection
from pipelines.workspace import Workspace

# Lines that are no record: of these the text as delivered is kept, not its columns.
UNSPLIT_RULES = ("ragged_row", "unclosed_quote", "stray_quote", "nul_byte")
PLACE = ("source", "table_name", "source_file", "source_row")
ABOUT = (*PLACE, "rule", "column_name")

# Both steps' quarantines by delivered table, and by the clean table that rejected the row.
REJECTED = """
select 'ingest' as step, source, table_name, '' as clean_table, source_file, source_row, rule, column_name, record
from raw.quarantine where step = 'ingest'
union all
select 'clean' as step, source, source_table, table_name, source_file, source_row, rule, column_name, record
from clean.quarantine
"""


@dataclass(frozen=True)
class Corrected:
    """What corrected rows of one delivered table came to.

    Attributes:
        new: Rows that had no correction before.
        changed: Rows whose correction differs from the one before.
        same: Rows that were given before just so.
    """

    source: str
    table: str
    new: int
    changed: int
    same: int


def counts(study: Study) -> pl.DataFrame:
    """Rows in quarantine by step, source, delivered table, clean table, rule and column.

    Raises:
        WorkspaceError: The study has not run.
    """
    with _opened(study) as connection:
        return connection.sql(
            "select step, source, table_name, clean_table, rule, coalesce(column_name, '') as column_name, "
            f"count(*) as row_count from ({_rejected(connection)}) group by all order by all"
        ).pl()


def rows(study: Study, rule: str, source: str | None = None, table: str | None = None) -> dict[str, pl.DataFrame]:
    """Rejected rows of one rule, in the layout in which they were delivered.

    Args:
        source: Of this source only.
        table: Of this delivered table only.

    Returns:
        By ``source.table``: where each row was delivered, the rule and column it broke, the delivered columns as
        text and, of a line that is no record, ``line``, the text as delivered.

    Raises:
        WorkspaceError: The study has not run.
        PipelineError: No row of that rule is in quarantine.
    """
    with _opened(study) as connection:
        wanted = connection.execute(
            f"""select distinct source, table_name from ({_rejected(connection)})
            where rule = $rule and source = coalesce($source, source) and table_name = coalesce($table, table_name)
            order by all""",
            {"rule": rule, "source": source, "table": table},
        ).fetchall()
        if not wanted:
            raise PipelineError(f"{rule}: no such row is in quarantine. See oih quarantine list.")
        return {f"{of}.{name}": _rows(connection, of, name, rule) for of, name in wanted}


def _rows(connection: Connection, source: str, table: str, rule: str) -> pl.DataFrame:
    contract = _raw_contract(source, table)
    texts, typed = [], []
    for column in contract.columns:
        name = sql_name(delivered_as(column))
        path = sql_text(f'$."{column.name}"')
        texts.append(f"json_extract_string(fields, {path}) as {name}")
        typed.append(f"cast(loaded.{sql_name(column.name)} as varchar) as {name}")
    # A row that the clean step rejected was loaded, so its columns are those of the raw table.
    return connection.sql(
        f"""
        with rejected as (
            from ({_rejected(connection)}) where source = $source and table_name = $table and rule = $rule
        ),
        ingest as (
            select *, case when rule not in ({", ".join(map(sql_text, UNSPLIT_RULES))}) then record::json end as fields
            from rejected where step = 'ingest'
        )
        select {", ".join(ABOUT)}, {", ".join(texts)}, if(fields is null, record, null) as line from ingest
        union all by name
        select {", ".join(f"rejected.{name}" for name in ABOUT)}, {", ".join(typed)}, null as line
        from rejected inner join {contract.table} as loaded using (source_file, source_row)
        where rejected.step = 'clean'
        order by source_file, source_row
        """,
        params={"source": source, "table": table, "rule": rule},
    ).pl()


def reprocess(study: Study, file: Path) -> list[Corrected]:
    """Keep corrected rows, so that the next run reads them in the place of those in quarantine.

    The delivered files stay as they are. A correction given twice changes nothing; another one of the same row takes
    its place. Whether a row fits now is for the run to tell: one that still breaks a rule stays in quarantine.

    Args:
        file: CSV or Parquet as ``oih quarantine show --out`` writes it: where each row was delivered, and the
            delivered columns.

    Raises:
        PipelineError: A row is not in quarantine, or stands there twice.
        ExtractError: The file cannot be read, or lacks a column.
        IdentifierError: A value looks as hardly anything but an identifier does.
        WorkspaceError: The study has not run, or is running.
    """
    workspace = Workspace(study)
    placed = flat_file.read(file, PLACE)
    if placed.is_empty():
        raise PipelineError(f"{file}: has no row. Write the corrected rows below its header.")
    found = []
    with workspace.locked(), _opened(study) as connection:
        prepared = []
        for source, table in placed.select("source", "table_name").unique(maintain_order=True).iter_rows():
            corrected = _read(study, file, source, table)
            kept = _kept(workspace, source, table)
            prepared.append((source, table, _placed(connection, file, source, table, corrected, kept), kept))
        for source, table, corrected, kept in prepared:  # all or none
            found.append(_keep(workspace, source, table, corrected, kept))
    return found


def forget(study: Study, source: str | None = None, table: str | None = None) -> dict[str, int]:
    """Let go of corrections whose delivered file is not there any more or has changed, so that a run goes on.

    Their rows are read as they are delivered now. Corrections of files that are as they were stay.

    Args:
        source: Of this source only.
        table: Of this delivered table only.

    Returns:
        Corrections let go, by ``source.table``; only tables that had any.

    Raises:
        PipelineError: There is no such source or table.
        WorkspaceError: The study has not run, or is running.
        ExtractError: The delivered files cannot be found.
    """
    workspace = Workspace(study)
    if source is not None and source not in study.sources:
        raise PipelineError(f"{source}: is no source of the study. Use one of {', '.join(sorted(study.sources))}.")
    of_study = [(name, of) for name in sorted(study.sources) for of in study.raw_contracts(name)]
    wanted = [(name, of) for name, of in of_study if name == (source or name) and of.name == (table or of.name)]
    if not wanted:
        raise PipelineError(f"{table}: is no delivered table. See oih quarantine list.")
    found = {}
    with workspace.locked(), _opened(study) as connection:
        for name, contract in wanted:
            file = workspace.corrections(name, contract.name)
            if not file.is_file():
                continue
            kept = _kept(workspace, name, contract.name)
            stale = corrections.stale(kept, _delivered(connection, contract, name, study))
            found[f"{name}.{contract.name}"] = len(stale)
            if len(stale):
                _replace(file, kept.join(stale, on=list(IDENTITY), how="anti"))
    return found


def _delivered(connection: Connection, contract: Contract, source: str, study: Study) -> list[DeliveredFile | Taken]:
    """The files that corrections may be for: those delivered now, and of increments those that were taken."""
    folder = study.sources[source].folder
    with duckdb.connect() as extracts:
        now = delivered_files(extracts, contract, folder)
    files = [DeliveredFile(connection, contract, path, where, "") for where, path in now.items()]
    return [*history.taken(connection, contract, source), *files]  # a file that was corrected is what it is now


def _read(study: Study, file: Path, source: str, table: str) -> pl.DataFrame:
    """Corrected rows of one delivered table, under the contract's names."""
    if source not in study.sources:
        raise PipelineError(f"{file}: names a source that the study does not have. Leave column source as it was.")
    contract = _raw_contract(source, table)
    names = {delivered_as(column): column.name for column in contract.columns}
    read = flat_file.read(file, [*PLACE, *names])
    of_table = (pl.col("source") == source) & (pl.col("table_name") == table)
    row = pl.col("source_row").cast(pl.Int64, strict=False)
    texts = {name: pl.col(name).cast(pl.String) for name in ("source_file", *names)}
    if file.suffix != ".parquet":  # an apostrophe that keeps a spreadsheet from running a text is no part of it
        texts = {name: flat_file.with_formulas(text) for name, text in texts.items()}
    place = texts.pop("source_file")
    value = [text.alias(names[name]) for name, text in texts.items()]
    corrected = read.filter(of_table).select(place, row, *value)
    if corrected.select(pl.any_horizontal(pl.col("source_file", "source_row").is_null()).any()).item():
        raise PipelineError(f"{file}: has a row without source_file and source_row. Leave these columns as they were.")
    if corrected.select(pl.struct("source_file", "source_row").is_duplicated().any()).item():
        raise PipelineError(f"{file}: has two corrections of one row. Keep one.")
    value_screen.refuse_corrected(contract, corrected, file)
    return corrected


def _placed(
    connection: Connection, file: Path, source: str, table: str, corrected: pl.DataFrame, kept: pl.DataFrame
) -> pl.DataFrame:
    """Corrections with the content of the file that each is for; all must be in quarantine, or corrected before."""
    place = ["source_file", "source_row"]
    rejected = connection.sql(
        f"select distinct source_file, source_row from ({_rejected(connection)}) "
        "where source = $source and table_name = $table",
        params={"source": source, "table": table},
    ).pl()
    known = pl.concat([rejected.select(place), kept.select(place)]).unique()
    unknown = corrected.join(known, on=place, how="anti")
    if len(unknown):
        first = unknown.sort(place).row(0, named=True)
        raise PipelineError(
            f"{file}: {len(unknown)} rows are not in quarantine, the first is record {first['source_row']} of "
            f"{first['source_file']}. Write the rows again with oih quarantine show --out, and correct those."
        )
    contents = connection.sql(
        "select source_file, sha256 from raw.delivery where source = $source and table_name = $table",
        params={"source": source, "table": table},
    ).pl()
    return corrected.join(contents, on="source_file", how="inner").select(
        *IDENTITY, pl.exclude(*IDENTITY).cast(pl.String)
    )


def _kept(workspace: Workspace, source: str, table: str) -> pl.DataFrame:
    file = workspace.corrections(source, table)
    if file.is_file():
        return pl.read_parquet(file)
    return pl.DataFrame(schema={"source_file": pl.String, "sha256": pl.String, "source_row": pl.Int64})


def _keep(workspace: Workspace, source: str, table: str, corrected: pl.DataFrame, kept: pl.DataFrame) -> Corrected:
    place = ["source_file", "source_row"]
    before = corrected.select(place).join(kept, on=place, how="inner")
    same = len(corrected.join(before, on=corrected.columns, how="semi", nulls_equal=True)) if len(before) else 0
    file = workspace.corrections(source, table)
    if same < len(corrected):
        others = kept.join(corrected, on=place, how="anti")
        _replace(file, pl.concat([others, corrected], how="diagonal").sort(place))
    return Corrected(source, table, len(corrected) - len(before), len(before) - same, same)


def _replace(file: Path, kept: pl.DataFrame) -> None:
    """Write the corrections of a table; where there is none, there is no file."""
    if kept.is_empty():
        file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = file.with_suffix(".unfinished")
    kept.write_parquet(unfinished)
    unfinished.replace(file)


def _raw_contract(source: str, table: str) -> Contract:
    known = {contract.name: contract for contract in contracts.raw_contracts(source)}
    if table not in known:
        raise PipelineError(f"{source}.{table}: is no delivered table. Use one of {', '.join(known)}.")
    return known[table]


def _rejected(connection: Connection) -> str:
    """SQL for the rows in quarantine; a run that ended early may have made one of the two tables, or none."""
    made = connection.execute(
        "select schema_name from duckdb_tables() where table_name = 'quarantine' order by all"
    ).fetchall()
    ingest, clean = REJECTED.split("union all\n")
    parts: Sequence[str] = [part for part, schema in ((ingest, "raw"), (clean, "clean")) if (schema,) in made]
    none = "null::varchar as {0}"
    empty = ", ".join(
        "null::bigint as source_row" if name == "source_row" else none.format(name)
        for name in ("step", "source", "table_name", "clean_table", *ABOUT[2:], "record")
    )
    return " union all ".join(parts) or f"select {empty} where false"


@contextmanager
def _opened(study: Study) -> Iterator[Connection]:
    file = Workspace(study).warehouse
    if not file.is_file():
        raise WorkspaceError(f"{study.output}: the study has not run. Run it first.")
    with warehouse.opened(file, read_only=True, memory_limit=study.memory_limit) as connection:
        yield connection
