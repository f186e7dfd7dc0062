import subprocess
import sys

import pytest

from pipelines import cli
from tests.end_to_end.conftest import oih


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.yaml"], "there is no such study file"),
        (["check", "nowhere.yaml"], "there is no such study file"),
        (["run"], "study"),
        (["walk"], "walk"),
        (["simulate", "out", "--patients", "0"], "greater than or equal to 1"),
        (["simulate", "out", "--world", "reel"], "reel: is no simulated world. Choose one of dose_independent, easy,"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_1(arguments, said):
    left = oih(*arguments)
    assert left.returncode == 1
    assert left.stdout == ""
    assert said in left.stderr
    assert len(left.stderr.strip().splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    left = oih("simulate", tmp_path / "file" / "out", "--patients", 5)
    assert left.returncode == 1
    assert "cannot be written" in left.stderr
    assert len(left.stderr.strip().splitlines()) == 1


def test_the_version_and_the_help_leave_with_0():
    assert oih("--version").returncode == 0
    assert "simulate" in oih("--help").stdout


def test_simulate_writes_the_extract_and_its_truth_apart(tmp_path):
    assert oih("simulate", tmp_path / "world", "--patients", 20, "--seed", 3).returncode == 0
    extract = {file.name for file in (tmp_path / "world" / "extract").iterdir()}
    tables = "patient prescription pain_score diagnosis procedure encounter adjuvant note_mention"
    assert extract == {f"{table}.csv" for table in tables.split()}
    assert {file.name for file in (tmp_path / "world" / "truth").iterdir()} == {"patient.csv", "escalation.csv"}


def test_a_bug_keeps_its_traceback_and_leaves_with_a_code_of_its_own():
    """DuckDB's extension module would add pages of leak reports if the interpreter were taken apart."""
    broken = (
        "import sys, duckdb\n"
        "from pipelines import cli, study\n"
        "def bug(path):\n    raise KeyError('a bug')\n"
        "study.load = bug\n"
        "sys.argv = ['oih', 'check', 'study.yaml']\n"
        "cli.main()"
    )
    left = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True)
    assert left.returncode == 70
    assert left.stderr.startswith("Traceback")
    assert left.stderr.strip().splitlines()[-1] == "KeyError: 'a bug'"


def test_a_command_is_in_the_file_of_its_name():
    """And so is each group of commands."""
    named = {
        command.name or command.callback.__name__: command.callback.__module__
        for command in cli.app.registered_commands
    }
    named |= {
        group.name: command.callback.__module__
        for group in cli.app.registered_groups
        for command in group.typer_instance.registered_commands
    }
    assert named == {name: f"pipelines.cli.{name}" for name in named}
    assert named.keys() >= {"run", "check", "mme", "source"}
