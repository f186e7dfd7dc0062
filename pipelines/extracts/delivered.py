"""Delivered files: finding them below the extract's folder, and what reading one comes to."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.contracts import Column, Contract
from pipelines.errors import ContractError, ExtractError
from pipelines.warehouse import Connection

NDJSON_SUFFIXES = (".ndjson.gz", ".ndjson", ".jsonl.gz", ".jsonl")
SUFFIXES = (".csv.gz", ".csv", ".parquet", *NDJSON_SUFFIXES)


@dataclass(frozen=True)
class DeliveredFile:
    """A file to read.

    Attributes:
        where: Its path below the extract's folder.
        table: Temporary table for its records: the declared columns as text, NULL where empty.
    """

    connection: Connection
    contract: Contract
    path: Path
    where: str
    table: str


@dataclass(frozen=True)
class Delivery:
    """A file that was read.

    Attributes:
        columns: Columns as delivered.
        rows: Records after the header, and lines that are none.
        row_number: SQL for a record's number in the file's table; 1 is the first after the header.
    """

    file: DeliveredFile
    columns: list[str]
    rows: int
    row_number: str = "rowid + 1"


def find(contract: Contract, folder: Path) -> dict[str, Path]:
    """The delivered files by their path below the folder, sorted by it."""
    if contract.files is None:
        raise ContractError(f"{contract.table}: names no files. Add a glob below the extract's folder.")
    require_folder(folder)
    found = sorted(
        (path.relative_to(folder).as_posix(), path) for path in folder.glob(contract.files) if path.is_file()
    )
    if not found and not contract.may_be_missing:
        raise ExtractError(f"{contract.files}: no such file in {folder}. Deliver it, or correct the folder.")
    stems: dict[str, str] = {}
    for where, path in found:
        suffix = next((suffix for suffix in SUFFIXES if where.lower().endswith(suffix)), None)
        if suffix is None:
            raise ExtractError(f"{where}: is none of {', '.join(SUFFIXES)}. Move it out of the extract.")
        if set("*?[") & set(str(path)):  # DuckDB would read every file that the name matches
            raise ExtractError(f"{path}: has *, ? or [ in its path. Rename the file or the folder.")
        twin = stems.setdefault(where[: -len(suffix)], where)
        if twin != where:
            raise ExtractError(f"{where}: is delivered as {twin} too. Keep one of them.")
    return dict(found)


def require_folder(folder: Path) -> None:
    """Refuse a folder that is not there, or of which some part cannot be listed: that would pass for an empty one.

    Raises:
        ExtractError: Says which.
    """
    place = folder
    try:
        for place in (folder, *folder.rglob("*/")):
            os.listdir(f"{place}/.")  # the dot takes the right to enter, too
    except (FileNotFoundError, NotADirectoryError):
        raise ExtractError(f"{folder}: is not a folder. Deliver it, or correct the folder in the study.") from None
    except OSError as error:
        raise ExtractError(f"{place}: cannot be read ({error.strerror}). Give yourself the right to read it.") from None


def check_columns(file: DeliveredFile, delivered: list[str]) -> None:
    declared = [delivered_as(column) for column in file.contract.columns]
    missing = [name for name in declared if name not in delivered]
    needed = [delivered_as(column) for column in file.contract.columns if not column.may_be_missing]
    if missing == declared:
        raise ExtractError(
            f"{file.where}: has no header, or its columns are not separated by commas: its first line names "
            f"none of {', '.join(declared)}. Deliver it with a header and commas."
        )
    if lacking := [name for name in missing if name in needed]:
        raise ExtractError(
            f"{file.where}: has no column {', '.join(lacking)}. "
            f"Deliver it, or correct the contract of {file.contract.table}."
        )
    repeated = sorted({name or "(no name)" for name in delivered if delivered.count(name) > 1})
    if repeated:
        raise ExtractError(f"{file.where}: has column {', '.join(repeated)} twice. Deliver each column once.")


def delivered_as(column: Column) -> str:
    return column.delivered_as or column.name


def sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def sql_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
