"""A small simulated extract, drawn once, and studies of it."""

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from pipelines import simulator


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    simulator.write(simulator.simulate(80, 5), folder)
    return folder


@pytest.fixture
def extract(world, tmp_path) -> Path:
    """A copy of the extract to spoil."""
    return Path(shutil.copytree(world / "extract", tmp_path / "extract"))


@pytest.fixture
def study(tmp_path) -> Callable[..., Path]:
    """A study file of ``extract`` beside it. No episode is inside the cohort, so nothing is trained."""

    def write(**changes) -> Path:
        content = {
            "name": "small",
            "title": "A small study",
            "sources": {"simulated": {"folder": "extract"}},
            "output": "out",
            "settings": {"look_back_days": 5000},
        }
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump(content | changes))
        return file

    return write


def oih(*arguments: object, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it."""
    command = [*prefix, sys.executable, "-c", "from pipelines.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def bound_by_permissions() -> list[str]:
    """Command prefix under which permissions hold for root too."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may read everything, and there is no setpriv to take that away")
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


def compress(file: Path) -> bytes:
    return gzip.compress(file.read_bytes())
