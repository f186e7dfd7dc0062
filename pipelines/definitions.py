"""What Dagster loads: the assets of one study, one step at a time in one process.

One study is one code location (``OIH_STUDY``, by default the demo), because its sources decide the assets. DuckDB
lets one process write, so the steps of a run share a process.
"""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
        dg.Definitions(executor=dg.in_process_executor),
    )
