"""Delivered files: finding them below the extract's folder, opening them, and what reading one comes to."""

import gzip
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import file_digest
from pathlib import Path, PurePosixPath

from pipelines.contracts import Column, Contract
from pipelines.errors import ContractError, ExtractError
from pipelines.warehouse import Connection

NDJSON_SUFFIXES = (".ndjson.gz", ".ndjson", ".jsonl.gz", ".jsonl")
STAT_SUFFIXES = (".sas7bdat", ".xpt", ".sav", ".zsav", ".por", ".dta")
SUFFIXES = (".csv.gz", ".csv", ".parquet", *NDJSON_SUFFIXES, *STAT_SUFFIXES)
DATABASE_SUFFIXES = (".duckdb", ".db")

# A megabyte of gzip or Parquet can hold a gigabyte and more. Text of tables shrinks to a tenth, repetitive text to a
# hundredth; beyond the first bytes, which are free, more than that is no table. The other limit is a disk's.
GZIP_MAX_RATIO = 200
GZIP_FREE_BYTES = 1 << 28
GZIP_MAX_BYTES = 1 << 40


@dataclass(frozen=True)
class DeliveredFile:
    """A file to read.

    Attributes:
        path: The file, or the database that the table is in.
        where: Its path below the extract's folder; of a table in a database ``cdm.duckdb/main.person``.
        table: Temporary table for its records: the declared columns as text, NULL where empty.
    """

    connection: Connection
    contract: Contract
    path: Path
    where: str
    table: str

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the file as delivered."""
        if not is_database(self.path):
            return _sha256(self.path)
        state = self.path.stat()
        return _sha256_of_database(self.path, state.st_size, state.st_mtime_ns)


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
    """The delivered files by their path below the folder, sorted by it; upper and lower case are the same.

    Raises:
        ExtractError: A file is of another format, lies elsewhere by a link, or is there twice.
        ContractError: The contract's glob does not stay below the folder.
    """
    glob = files_of(contract)
    if PurePosixPath(glob).is_absolute() or ".." in PurePosixPath(glob).parts:
        raise ContractError(f"{contract.table}: its files leave the extract's folder. Name them by a path below it.")
    require_folder(folder)
    found = sorted((path.relative_to(folder).as_posix(), path) for path in folder.glob(_any_case(glob)))
    found = [(where, path) for where, path in found if path.is_file()]
    real_folder = folder.resolve()
    stems: dict[str, str] = {}
    for where, path in found:
        if not path.resolve().is_relative_to(real_folder):
            raise ExtractError(f"{where}: is a link out of the extract's folder. Put the file itself there.")
        if not where.lower().endswith(SUFFIXES):
            raise ExtractError(f"{where}: is none of {', '.join(SUFFIXES)}. Move it out of the extract.")
        if set("*?[") & set(str(path)):  # DuckDB would read every file that the name matches
            raise ExtractError(f"{path}: has *, ? or [ in its path. Rename the file or the folder.")
        twin = stems.setdefault(stem(where), where)
        if twin != where:
            raise ExtractError(f"{where}: is delivered as {twin} too. Keep one of them.")
    return dict(found)


def unread(contracts: Sequence[Contract], folder: Path) -> list[str]:
    """Files below an extract's folder that no contract of its source reads, by their path; hidden ones are left out.

    Empty for a database in its place.

    Raises:
        ExtractError: As ``find``.
    """
    if is_database(folder):
        return []
    read = {where for contract in contracts for where in find(contract, folder)}
    there = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    shown = [path.as_posix() for path in there if not any(part.startswith(".") for part in path.parts)]
    return sorted(set(shown) - read)


def files_of(contract: Contract) -> str:
    if contract.files is None:
        raise ContractError(f"{contract.table}: names no files. Add a glob below the extract's folder.")
    return contract.files


def stem(where: str) -> str:
    """What two files share that hold the same table in different formats or spellings."""
    lower = where.lower()
    return lower.removesuffix(next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), ""))


def _any_case(glob: str) -> str:
    """The glob without regard to case; what stands in brackets is kept as it is."""
    letter = re.compile(r"\[[^]]*\]|[A-Za-z]")
    return letter.sub(lambda m: m[0] if len(m[0]) > 1 else f"[{m[0].lower()}{m[0].upper()}]", glob)


def require_folder(folder: Path) -> None:
    """Refuse a folder that is not there, or of which some part cannot be listed: that would pass for an empty one.

    A DuckDB database may stand in its place.

    Raises:
        ExtractError: Says which.
    """
    place = folder
    try:
        if is_database(folder):
            folder.open("rb").close()
            return
        for place in (folder, *folder.rglob("*/")):
            os.listdir(f"{place}/.")  # the dot takes the right to enter, too
    except (FileNotFoundError, NotADirectoryError):
        kind = "database" if is_database(folder) else "folder"
        raise ExtractError(f"{folder}: is not a {kind}. Deliver it, or correct the folder in the study.") from None
    except OSError as error:
        raise ExtractError(f"{place}: cannot be read ({error.strerror}). Give yourself the right to read it.") from None


def is_database(path: Path) -> bool:
    return path.suffix.lower() in DATABASE_SUFFIXES and not path.is_dir()


def open_bytes(path: Path, where: str) -> io.BufferedIOBase:
    """Open a file for reading, decompressed if its name ends in ``.gz``, and no further than any table goes.

    Raises:
        ExtractError: While reading: it decompresses to more than a table could be.
    """
    if not path.name.lower().endswith(".gz"):
        return path.open("rb")
    return io.BufferedReader(_Gunzipped(path, where), 1 << 20)  # type: ignore[type-var]


def most_bytes(path: Path) -> int:
    """How much a packed file may come to, unpacked."""
    return min(GZIP_MAX_BYTES, max(GZIP_FREE_BYTES, GZIP_MAX_RATIO * path.stat().st_size))


def too_large(where: str) -> ExtractError:
    """What is said of a file that unpacks to more than that."""
    return ExtractError(
        f"{where}: decompresses to more than {GZIP_MAX_RATIO} times its size, or than {GZIP_MAX_BYTES >> 30} GiB, as "
        "no table does. Look into it, and deliver it decompressed or in parts."
    )


class _Gunzipped(io.RawIOBase):
    """The content of a gzip file, up to the limit."""

    def __init__(self, path: Path, where: str) -> None:
        self._file = gzip.open(path)  # noqa: SIM115 - closed with this
        self._where = where
        self._left_bytes = most_bytes(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        size_bytes = self._file.readinto(buffer)
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise too_large(self._where)
        return size_bytes

    def close(self) -> None:
        self._file.close()
        super().close()


def check_columns(file: DeliveredFile, delivered: list[str]) -> list[str]:
    """Refuse columns that do not serve the contract.

    Returns:
        The columns in their order, spelled as the contract spells those that it declares: upper and lower case are
        the same.
    """
    declared = [delivered_as(column) for column in file.contract.columns]
    spelled = {name.lower(): name for name in declared}
    columns = [spelled.get(name.lower(), name) for name in delivered]
    missing = [name for name in declared if name not in columns]
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
    lower = [name.lower() for name in columns]
    if repeated := sorted({name or "(no name)" for name in columns if lower.count(name.lower()) > 1}):
        raise ExtractError(f"{file.where}: has column {', '.join(repeated)} twice. Deliver each column once.")
    return columns


def text_columns(contract: Contract, delivered: dict[str, str]) -> str:
    """SQL for the declared columns as text, empty ones NULL.

    Args:
        delivered: Columns as delivered, by the contract's spelling.
    """
    columns = []
    for column in contract.columns:
        name = delivered.get(delivered_as(column))
        value = "null::varchar" if name is None else f"nullif(cast({sql_name(name)} as varchar), '')"
        columns.append(f"{value} as {sql_name(column.name)}")
    return ", ".join(columns)


def delivered_as(column: Column) -> str:
    return column.delivered_as or column.name


def sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def sql_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=8)
def _sha256_of_database(path: Path, size_bytes: int, changed_at_ns: int) -> str:
    """Each table of a database is described with the whole file's, which is read once."""
    return _sha256(path)
