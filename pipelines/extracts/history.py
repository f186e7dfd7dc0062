"""What earlier runs loaded of a table whose deliveries follow one another, and which files are new."""

from dataclasses import dataclass, replace

from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from pipelines.extracts.delivered import DeliveredFile, stem
from pipelines.warehouse import Connection


@dataclass(frozen=True)
class Taken:
    """A file that an earlier run loaded.

    Attributes:
        is_same_contract: It was loaded under the contract as it is now.
    """

    where: str
    sha256: str
    sequence: int | None
    is_same_contract: bool


def taken(connection: Connection, contract: Contract, source: str) -> list[Taken]:
    """The files that the warehouse still holds, in the order they were taken; none of a snapshot."""
    columns = dict(connection.execute(_COLUMNS, ["raw", "delivery"]).fetchall())
    if contract.delivery == "snapshot" or not columns:
        return []
    are_here = dict(connection.execute(_COLUMNS, [contract.schema_name, contract.name]).fetchall()) == contract.types
    tells = {"sequence", "contract_fingerprint"} <= set(columns)
    now = contract.columns_fingerprint if are_here else ""
    files = connection.execute(
        f"""select source_file, sha256, {"sequence, contract_fingerprint" if tells else "null, null"}
        from raw.delivery where source = ? and table_name = ? order by 3, 1""",
        [source, contract.name],
    ).fetchall()
    return [Taken(where, digest, sequence, then == now) for where, digest, sequence, then in files]


def without_withdrawn(
    connection: Connection, contract: Contract, source: str, files: list[DeliveredFile], earlier: list[Taken]
) -> list[Taken]:
    """The earlier files but those that stopped the run by their rows in quarantine and are corrected now.

    While a table has more in quarantine than its contract lets pass, no run goes on to publish it, so a file that is
    to blame may be delivered anew under its name. Of an upsert it may have replaced rows, so all files are read again.
    """
    if contract.delivery == "snapshot" or not earlier:
        return earlier
    told = connection.execute(
        """select
            source_file, delivered_rows, quarantined_rows,
            sum(quarantined_rows) over () / sum(delivered_rows) over ()
        from raw.delivery where source = ? and table_name = ?""",
        [source, contract.name],
    ).fetchall()
    limit = contract.max_quarantined_share
    to_blame = {
        where
        for where, delivered_rows, quarantined_rows, share in told
        if (share or 0) > limit and quarantined_rows > limit * delivered_rows
    }
    contents = {_identity(contract, file) for file in files}
    names = {stem(file.where) for file in files}
    is_corrected = {file.where for file in earlier if stem(file.where) in names} - {
        file.where for file in earlier if _identity(contract, file) in contents
    }
    kept = [file for file in earlier if file.where not in to_blame & is_corrected]
    if contract.delivery == "upsert" and len(kept) < len(earlier):
        return [replace(file, is_same_contract=False) for file in kept]
    return kept


def new_files(contract: Contract, files: list[DeliveredFile], earlier: list[Taken]) -> list[DeliveredFile]:
    """The files that no earlier run has loaded, in the order of their paths.

    Of an increment each content is taken once, whatever its name: it would add nothing, or the same again. Of an upsert
    the name counts, too: a later file that says what an earlier one did takes back what came in between.
    All of them are new where the contract changed since, if those of earlier runs are among them.

    Raises:
        ExtractError: A file is not what it was when it was loaded, or is needed again and not there.
    """
    contents = {_identity(contract, file): file for file in reversed(files)}
    distinct = [file for file in files if contents[_identity(contract, file)] is file]
    if not are_kept(earlier):
        if gone := next((file for file in earlier if _identity(contract, file) not in contents), None):
            raise ExtractError(
                f"{gone.where}: was loaded before its contract changed, or another file was corrected, and is not "
                "in the extract any more. Deliver it again, with all earlier files."
            )
        return distinct
    known = {_identity(contract, file) for file in earlier}
    names = {stem(file.where) for file in earlier}
    fresh = [file for file in distinct if _identity(contract, file) not in known]
    if changed := next((file for file in fresh if stem(file.where) in names), None):
        raise ExtractError(
            f"{changed.where}: is not what it was when it was loaded, but {contract.table} grows by new files. "
            "Deliver what is new or corrected in a file of another name."
        )
    return fresh


def copies(contract: Contract, files: list[DeliveredFile], earlier: list[Taken]) -> dict[str, list[str]]:
    """Names of files that are not taken, by the name under which their content is."""
    listed: list[DeliveredFile | Taken] = [*earlier, *files]
    taken_as = {_identity(contract, file): file.where for file in reversed(listed)}
    names: dict[str, list[str]] = {}
    for file in files:
        where = taken_as[_identity(contract, file)]
        if stem(where) != stem(file.where):
            names.setdefault(where, []).append(file.where)
    return names


def _identity(contract: Contract, file: DeliveredFile | Taken) -> tuple[str, ...]:
    return (stem(file.where), file.sha256) if contract.delivery == "upsert" else (file.sha256,)


def are_kept(earlier: list[Taken]) -> bool:
    """Whether the rows of earlier runs stay as they are."""
    return all(file.is_same_contract for file in earlier)


_COLUMNS = """
select column_name, data_type from duckdb_columns()
where database_name = current_database() and schema_name = ? and table_name = ?
order by column_index"""
