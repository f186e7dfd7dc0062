"""Measure every published definition in simulated worlds without hyperalgesia, through the project's own steps.

    python -m tests.bench.null_world_contrasts --seeds 5 --patients 10000

Writes ``sql/1_reference/null_world_figure.csv``: what the report prints beside each figure. Nothing in these worlds
makes pain worse because the dose rose, so whatever a contrast shows there is dose, time, selection and regression to
the mean. ``--world`` measures another world and prints it only.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from pipelines import paths, simulator, tables, warehouse
from pipelines.study import Source, Study, code_version

FILE = paths.SQL / "1_reference" / "null_world_figure.csv"
TABLE = "report.published_definition"


def figures(world: str, patients: int, seed: int) -> pl.DataFrame:
    """The figures of one simulated world; grain: one row per figure that somebody is in."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        simulator.write(simulator.simulate(patients, seed, simulator.load_world(world)), folder)
        source = {"simulated": Source(folder=folder / "extract")}
        study = Study(name="world", title="World", sources=source, output=folder)
        with warehouse.opened(folder / "warehouse.duckdb", [folder / "extract"], study.memory_limit) as connection:
            for table in tables.needed_for(TABLE, tables.of(study)):
                table.build(connection, study)
            found = connection.sql(f"select definition, figure, figure_number, figure_value from {TABLE}").pl()
    return found.drop_nulls("figure_value")


def over_seeds(world: str, patients: int, seeds: list[int]) -> pl.DataFrame:
    """Mean and spread of each figure over worlds, with the columns of reference.null_world_figure."""
    value = pl.col("figure_value")
    measured = pl.concat([figures(world, patients, seed) for seed in seeds])
    citation = f"Simulated world {world}, seeds {seeds[0]} to {seeds[-1]}, code {code_version()}"
    return (
        measured.group_by("definition", "figure", "figure_number")
        .agg(
            mean_value=value.mean().round(4),
            sd_value=value.std().fill_null(0).round(4),
            lowest_value=value.min().round(4),
            highest_value=value.max().round(4),
            seed_count=pl.len(),
            patient_count=pl.lit(patients),
            citation=pl.lit(citation),
        )
        .sort("figure_number")
        .drop("figure_number")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--world", default="null", choices=simulator.world_names())
    asked = parser.parse_args()
    measured = over_seeds(asked.world, asked.patients, [7001 + number for number in range(asked.seeds)])
    if asked.world == "null":
        measured.write_csv(FILE)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=40):
        print(measured.drop("citation"))


if __name__ == "__main__":
    main()
