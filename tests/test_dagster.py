"""What Dagster shows of a study: every table an asset, every contract a check, one job."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipelines import paths, simulator, tables, warehouse
from pipelines import study as studies
from pipelines.checks import CheckResult
from pipelines.definitions import defs
from pipelines.defs import launch, study_run
from pipelines.errors import CheckError, WorkspaceError
from pipelines.run import Run
from pipelines.workspace import Workspace


@pytest.fixture(scope="module")
def repository():
    return defs()


@pytest.fixture(scope="module")
def built():
    return tables.of(study_run.active_study())


def test_the_definitions_pass_dagsters_own_check():
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "dg"), "check", "defs"], cwd=paths.ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_table_of_the_study_is_an_asset_and_the_page_comes_last(repository, built):
    graph = repository.resolve_asset_graph()
    keys = {".".join(key.path) for key in graph.get_all_asset_keys()}
    assert keys == {table.name for table in built} | {"report.page"}
    page = graph.get(dg.AssetKey(["report", "page"]))
    assert {".".join(key.path) for key in page.parent_keys} == {table.name for table in built}


def test_lineage_is_what_the_tables_read(repository, built):
    graph = repository.resolve_asset_graph()
    for table in built:
        node = graph.get(dg.AssetKey(table.name.split(".")))
        assert {".".join(key.path) for key in node.parent_keys} == set(table.reads)


def test_assets_are_grouped_by_step_and_described(repository, built):
    graph = repository.resolve_asset_graph()
    for table in built:
        node = graph.get(dg.AssetKey(table.name.split(".")))
        assert node.group_name.split("_")[1] == table.step
        assert node.description
        assert node.kinds


def test_every_contract_is_a_blocking_check_and_a_warning(repository, built):
    specs = {(".".join(key.asset_key.path), key.name) for key in repository.resolve_asset_graph().asset_check_keys}
    expected = {(table.name, name) for table in built if table.contract for name in ("critical", "warning")}
    assert specs == expected


def test_there_is_one_named_job(repository):
    assert repository.resolve_job_def("run_study")


def test_the_generated_home_sends_nothing_and_runs_one_at_a_time():
    assert "telemetry:\n  enabled: false" in launch.DAGSTER_HOME
    assert "max_concurrent_runs: 1" in launch.DAGSTER_HOME


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    """A study whose warehouse holds every table, built but not checked."""
    folder = tmp_path_factory.mktemp("small")
    simulator.write(simulator.simulate(40, 5), folder)
    content = {"name": "small", "title": "Small", "sources": {"simulated": {"folder": "extract"}}, "output": "out"}
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content | {"settings": {"look_back_days": 5000}}))
    study = studies.load(file)
    workspace = Workspace(study)
    workspace.create()
    with workspace.connected([study.sources["simulated"].folder]) as connection:
        for table in tables.of(study):
            table.build(connection, study)
    return file


def test_a_report_is_not_published_from_tables_that_the_run_did_not_check(repository, small_study, monkeypatch):
    monkeypatch.setenv(study_run.STUDY_VARIABLE, str(small_study))
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(CheckError, match="Launch the whole job run_study"):
        repository.resolve_job_def(launch.JOB).execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["report", "page"])], run_config=launch.QUIET
        )
    assert not (small_study.parent / "out" / "current").exists()


def test_a_report_is_not_published_over_a_blocking_check(small_study):
    study = studies.load(small_study)
    run = Run(study, "blocked")
    run.row_counts = {table.name: 0 for table in tables.of(study)}
    run.results = [
        CheckResult(
            table="clean.patient",
            check="key_unique",
            expectation="expect_column_values_to_be_unique",
            arguments={"column": "patient_id"},
            column="patient_id",
            severity="critical",
            why="One row per patient.",
            status="failed",
            rows=40,
            failing_rows=2,
        )
    ]
    with run, pytest.raises(CheckError, match=r"clean\.patient key_unique"):
        run.publish()
    assert not (small_study.parent / "out" / "current").exists()


def test_what_a_user_can_mend_as_a_run_begins_reaches_the_command_line_as_it_was_said(small_study, monkeypatch):
    def in_use(*_):
        raise WorkspaceError("warehouse.duckdb: another program has the warehouse open. Close it there.")

    for variable in ("DAGSTER_HOME", study_run.STUDY_VARIABLE):
        monkeypatch.setenv(variable, "")  # put back afterwards
    monkeypatch.setattr(warehouse, "keep_only", in_use)
    with pytest.raises(WorkspaceError, match="another program"):
        launch.run(small_study, studies.load(small_study))
