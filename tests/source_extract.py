"""An extract of one source, loaded as its contracts say, mapped, and filled into the clean tables."""

from pathlib import Path

import duckdb

from pipelines import tables
from pipelines.study import Source, Study

STEPS = ("raw", "reference", "clean")


def filled(source: str, folder: Path) -> duckdb.DuckDBPyConnection:
    """The steps of a study up to the clean tables, in memory."""
    study = Study(name="extract", title="Extract", sources={source: Source(folder=folder)}, output=folder / "output")
    connection = duckdb.connect()
    for table in tables.of(study):
        if table.step in STEPS:
            table.build(connection, study)
    return connection
