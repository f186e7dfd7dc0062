import json
import os
import subprocess
import sys

import pytest

from pipelines import study as studies
from pipelines.errors import WorkspaceError
from pipelines.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    study = studies.Study(name="s", title="S", sources={"simulated": {"folder": "x"}}, output=tmp_path / "out")
    made = Workspace(study)
    made.create()
    return made


def publish(workspace, run_id, rows):
    with workspace.connected() as connection:
        connection.execute(f"create or replace table t as from range({rows})")
    workspace.run_folder(run_id).mkdir(parents=True)
    (workspace.run_folder(run_id) / "report").mkdir()
    return workspace.publish(run_id, {"run_id": run_id})


def test_current_is_the_last_published_run_with_its_own_warehouse(workspace):
    publish(workspace, "a", 1)
    publish(workspace, "b", 2)
    assert json.loads((workspace.current / "manifest.json").read_text()) == {"run_id": "b"}
    assert (workspace.root / "runs" / "a" / "warehouse.duckdb").exists()


def kept(workspace):
    workspace.forget_old_runs()
    return sorted(run.name for run in (workspace.root / "runs").iterdir())


def test_the_last_three_published_runs_are_kept(workspace):
    for run_id in "abcde":
        publish(workspace, run_id, 1)
    assert kept(workspace) == ["c", "d", "e"]


def test_the_last_three_failed_runs_are_kept_and_displace_no_published_one(workspace):
    for number, run_id in enumerate(["good1", "good2", "good3", "bad1", "bad2", "bad3", "bad4", "bad5"]):
        if run_id.startswith("good"):
            publish(workspace, run_id, 1)
        else:
            (workspace.run_folder(run_id) / "quality").mkdir(parents=True)
        os.utime(workspace.run_folder(run_id), (number, number))
    assert kept(workspace) == ["bad3", "bad4", "bad5", "good1", "good2", "good3"]


def test_the_current_run_is_kept_whatever_its_age(workspace):
    publish(workspace, "current", 1)
    for run_id in "abcd":
        folder = workspace.run_folder(run_id)
        folder.mkdir()
        (folder / "manifest.json").touch()
    os.utime(workspace.run_folder("current"), (0, 0))
    assert "current" in kept(workspace)


def test_files_and_folders_are_their_owners_alone(workspace):
    folder = publish(workspace, "a", 1)
    assert workspace.root.stat().st_mode & 0o777 == 0o700
    assert (folder / "warehouse.duckdb").stat().st_mode & 0o777 == 0o600
    assert (folder / "manifest.json").stat().st_mode & 0o777 == 0o600


def test_a_second_run_says_so_and_leaves(workspace):
    try_to_lock = (
        "import sys; from pathlib import Path; from pipelines import study; from pipelines.workspace import Workspace\n"
        "s = study.Study(name='s', title='S', sources={'simulated': {'folder': 'x'}}, output=Path(sys.argv[1]))\n"
        "with Workspace(s).locked(): pass"
    )
    with workspace.locked():
        second = subprocess.run(
            [sys.executable, "-c", try_to_lock, str(workspace.root)], capture_output=True, text=True
        )
    assert "another run is writing here" in second.stderr
    with workspace.locked():
        pass


def test_an_output_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    study = studies.Study(name="s", title="S", sources={"simulated": {"folder": "x"}}, output=tmp_path / "file" / "out")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        Workspace(study).create()


def test_the_warehouse_reaches_no_file_but_the_folders_it_was_given(workspace, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    given = tmp_path / "extract"
    given.mkdir()
    (given / "rows.csv").write_text("a\n1\n")
    with workspace.connected([given]) as connection:
        assert connection.sql(f"from read_csv('{given / 'rows.csv'}')").fetchall() == [(1,)]
        for attempt in (
            f"from read_csv('{secret}')",
            f"copy (select 1) to '{tmp_path / 'out.csv'}'",
            f"attach '{tmp_path / 'x.duckdb'}'",
            "set enable_external_access = true",
            "install httpfs",
        ):
            with pytest.raises(Exception, match=r"(?i)permission|disabled|locked|cannot"):
                connection.sql(attempt).fetchall()
