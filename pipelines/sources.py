"""From each source's mapping to the clean tables, with every delivered row accounted for.

A mapping (``sql/2_clean/<source>/<table>.sql``) keeps every row of its driving raw tables: a row that is not wanted
carries an ``excluded_reason``. Here the wanted rows of all sources fill ``clean.<table>``; a row that breaks the
clean contract, or whose patient is unknown, goes to ``clean.quarantine``.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pipelines import contracts, ndc, paths, sql_files
from pipelines.contracts import Column, Contract
from pipelines.errors import LedgerError, SqlFileError
from pipelines.sql_files import SqlFile
from pipelines.study import Study
from pipelines.warehouse import Connection, count, create, create_if_missing, insert

# What a mapping gives beside the columns of the clean table.
MAPPING_COLUMNS = {
    "patient_id": "VARCHAR",
    "source_table": "VARCHAR",
    "source_file": "VARCHAR",
    "source_row": "BIGINT",
    "excluded_reason": "VARCHAR",
}
# What filling adds, so that no mapping has to.
FILLED_COLUMNS = ("source", "patient_index")

WHOLE_NUMBERS = ("INTEGER", "BIGINT")


def build_ndc_text(connection: Connection, study: Study) -> pl.DataFrame:
    """The study's own table of drug codes, for mappings of drugs without words; grain: one row per spelling."""
    if study.ndc_table is None:
        return pl.DataFrame(schema={"ndc": pl.String, "ndc11": pl.String, "drug_text": pl.String})
    return ndc.spelled(ndc.load(study.ndc_table))


def map_rows(connection: Connection, mapping: SqlFile, contract: Contract) -> int:
    """Build ``clean_<source>.<table>`` from a mapping and prove that it kept every delivered row.

    Args:
        contract: Contract of the clean table that the mapping serves.

    Raises:
        SqlFileError: The mapping gives a column that the clean table does not have.
        LedgerError: A driving row is missing, or stands there twice.
    """
    schema = mapping.table.split(".")[0]
    types = {name: type_ for name, type_ in contract.types.items() if name not in FILLED_COLUMNS} | MAPPING_COLUMNS
    columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
    connection.execute(f"create schema if not exists {schema}")
    connection.execute(f"create or replace table {mapping.table} ({columns})")
    insert(connection, mapping, mapping.table, {})
    _prove_rows_kept(connection, mapping)
    return count(connection, mapping.table)


def _prove_rows_kept(connection: Connection, mapping: SqlFile) -> None:
    where = paths.relative(mapping.path)
    if not mapping.driving_tables:
        raise SqlFileError(f"{where}: the header has no Rows line. Name the raw tables whose rows it keeps.")
    for table in mapping.driving_tables:
        [[delivered]] = connection.execute(f"select count(*) from {table}").fetchall()
        [[mapped, distinct]] = connection.execute(
            f"select count(*), count(distinct (source_file, source_row)) from {mapping.table} where source_table = ?",
            [table.split(".")[1]],
        ).fetchall()
        if not delivered == mapped == distinct:
            raise LedgerError(
                f"{where}: {table} has {delivered} rows, the mapping gives {mapped} of which {distinct} differ. "
                f"Keep each row once, and give unwanted rows an excluded_reason."
            )
    [[mapped]] = connection.execute(f"select count(*) from {mapping.table}").fetchall()
    driven = [table.split(".")[1] for table in mapping.driving_tables]
    [[known]] = connection.execute(
        f"select count(*) from {mapping.table} where list_contains(?, source_table)", [driven]
    ).fetchall()
    if mapped != known:
        raise LedgerError(f"{where}: {mapped - known} rows name no table of its Rows line. Set source_table.")


def fill(connection: Connection, contract: Contract, sources: Sequence[str]) -> int:
    """Fill ``clean.<table>`` with the wanted rows of every source that maps it.

    Rows that break a rule of the contract go to ``clean.quarantine`` under the first rule they break: required,
    range, value, unknown_patient, duplicate_key. The first delivered of two rows with one key stays.

    Returns:
        Rows in the clean table.
    """
    create(connection, contract)
    create_if_missing(connection, contracts.all_contracts()["clean.quarantine"])
    connection.execute("delete from clean.quarantine where table_name = ?", [contract.name])
    for source in sources:
        if _is_mapped(source, contract):
            _judge(connection, contract, source)
            _insert_judged(connection, contract, source)
            connection.execute("drop table judged_row")
    return count(connection, contract.table)


def _judge(connection: Connection, contract: Contract, source: str) -> None:
    is_patient = contract.table == "clean.patient"
    rules = [rule for column in contract.columns if column.name not in FILLED_COLUMNS for rule in _rules(column)]
    if not is_patient:
        rules.append(("patient.patient_index is null", "unknown_patient", "patient_id"))
    rules.append(("delivered_before > 0", "duplicate_key", contract.key[0]))
    broken_rule = "\n".join(f"when {broken} then '{rule}'" for broken, rule, _ in rules)
    broken_column = "\n".join(f"when {broken} then '{column}'" for broken, _, column in rules)
    index = (
        "dense_rank() over (order by mapped.rule is not null, mapped.patient_id) - 1"
        if is_patient
        else "patient.patient_index"
    )
    keys = ", ".join(f'"{name}"' for name in contract.key)
    patient = "" if is_patient else "left join clean.patient as patient on patient.patient_id = mapped.patient_id"
    connection.execute(
        f"""
        create or replace temp table judged_row as
        with mapped as (
            select *, row_number() over (
                partition by {keys} order by source_table, source_file, source_row
            ) - 1 as delivered_before
            from clean_{source}.{contract.name}
            where excluded_reason is null
        )
        select
            mapped.* exclude (delivered_before),
            {"" if is_patient else "patient.patient_index,"}
            case {broken_rule} end as rule,
            case {broken_column} end as column_name
        from mapped {patient}
        """
    )
    if is_patient:
        # Numbers follow on from the sources before, in the order of the pseudonyms.
        connection.execute(
            f"""
            create or replace temp table judged_row as
            select mapped.*, (select count(*) from clean.patient) + {index} as patient_index
            from judged_row as mapped
            order by patient_index
            """
        )


def _insert_judged(connection: Connection, contract: Contract, source: str) -> None:
    columns = ", ".join(f'"{name}"' for name in contract.types if name != "source")
    connection.execute(
        f"insert into {contract.table} by name select {columns}, ? as source from judged_row where rule is null",
        [source],
    )
    connection.execute(
        """
        insert into clean.quarantine by name
        select
            ? as source, ? as table_name, source_table, source_file, source_row, rule, column_name,
            to_json(judged_row)::varchar as record
        from judged_row
        where rule is not null
        """,
        [source, contract.name],
    )


def _rules(column: Column) -> list[tuple[str, str, str]]:
    """What breaks a column, as (condition, rule, column)."""
    rules = []
    if column.required:
        rules.append((f'mapped."{column.name}" is null', "required", column.name))
    if column.minimum is not None:
        rules.append((f'mapped."{column.name}" < {column.minimum}', "range", column.name))
    if column.maximum is not None:
        rules.append((f'mapped."{column.name}" > {column.maximum}', "range", column.name))
    if column.values is not None:
        known = ", ".join("'" + value.replace("'", "''") + "'" for value in column.values)
        rules.append((f'mapped."{column.name}" not in ({known})', "value", column.name))
    return rules


def _is_mapped(source: str, contract: Contract) -> bool:
    return _mapping_path(source, contract).exists()


def _mapping_path(source: str, contract: Contract) -> Path:
    return paths.SQL / "2_clean" / source / f"{contract.name}.sql"


def _is_delivered(connection: Connection, source: str, contract: Contract) -> bool:
    """Whether the source maps the table, and files of a raw table that drives the mapping were delivered.

    A file with a header alone was delivered: there were no events. One whose every row is an opioid, such as that of
    a monitoring program, was not made to hold anything else: of adjuvants it says nothing.
    """
    if not _is_mapped(source, contract):
        return False
    driving = sql_files.read(_mapping_path(source, contract)).driving_tables
    [[files]] = connection.execute(
        f"""
        with opioids_alone as (
            select source_table
            from clean_{source}.{contract.name}
            group by source_table
            having bool_and(coalesce(excluded_reason, '') = 'opioid_product')
        )
        select count(*)
        from raw.delivery
        where
            list_contains(?, 'raw_' || source || '.' || table_name)
            and table_name not in (select source_table from opioids_alone)
        """,
        [driving],
    ).fetchall()
    return files > 0


def build_source_coverage(connection: Connection, study: Study) -> None:
    """Fill ``clean.source_coverage``: which source delivered which clean table, and for which days.

    A table that an extract may lack, and lacks, is not delivered: that tells it from one without events.
    """
    create(connection, contracts.all_contracts()["clean.source_coverage"])
    for contract in filled_contracts():
        event_date = f'"{contract.event_date}"' if contract.event_date else "null"
        dates = f"min({event_date})::date, max({event_date})::date"
        for source in sorted(study.sources):
            connection.execute(
                f"insert into clean.source_coverage select ?, ?, ?, count(*), {dates} "
                f"from {contract.table} where source = ?",
                [source, contract.name, _is_delivered(connection, source, contract), source],
            )


def build_row_outcome(connection: Connection, study: Study) -> None:
    """Fill ``clean.row_outcome``: where every row of the driving raw tables went, by reason."""
    create(connection, contracts.all_contracts()["clean.row_outcome"])
    for contract in filled_contracts():
        for source in sorted(study.sources):
            if not _is_mapped(source, contract):
                continue
            connection.execute(
                f"""
                insert into clean.row_outcome
                select ?, ?, source_table, 'clean', '', count(*)
                from {contract.table} where source = ? group by source_table
                union all
                select ?, ?, source_table, 'excluded', excluded_reason, count(*)
                from clean_{source}.{contract.name} where excluded_reason is not null group by all
                union all
                select source, table_name, source_table, 'quarantined', rule, count(*)
                from clean.quarantine where source = ? and table_name = ? group by all
                """,
                [source, contract.name, source, source, contract.name, source, contract.name],
            )


def filled_contracts() -> list[Contract]:
    """Contracts of the clean tables that sources fill, patients first."""
    filled = [contract for contract in contracts.all_contracts().values() if contract.is_filled]
    return sorted(filled, key=lambda contract: contract.table != "clean.patient")
