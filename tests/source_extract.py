"""An extract of one source, loaded as its contracts say, mapped, and filled into the clean tables."""

from pathlib import Path

import duckdb

from pipelines import tables
from pipelines.study import Source, Study


def filled(source: str, folder: Path) -> duckdb.DuckDBPyConnection:
    """The steps of a study up to the clean tables, in memory; of the reference tables those that the source reads."""
    study = Study(name="extract", title="Extract", sources={source: Source(folder=folder)}, output=folder / "output")
    connection = duckdb.connect()
    steps = [table for table in tables.of(study) if table.step in ("raw", "reference", "clean")]
    cited = {name for table in steps if table.step == "clean" for name in table.reads}
    for table in steps:
        if table.step != "reference" or table.name in cited:
            table.build(connection, study)
    return connection
