"""Where the open hospital extract is for the tests; those that need it are skipped where it is not."""

import os
from pathlib import Path

import pytest

from pipelines import paths
from pipelines import study as studies

VARIABLE = "OIH_MIMIC_IV_DEMO"
STUDY = paths.ROOT / "studies" / "mimic_iv_demo.yaml"


def _extract() -> Path:
    """Where the variable says; else where the study says, or beside the project among data that projects share."""
    if said := os.environ.get(VARIABLE):
        return Path(said)
    delivered = studies.load(STUDY).sources["mimic_iv"].folder
    beside = paths.ROOT.parent / "shared" / "data" / delivered.name
    return delivered if delivered.is_dir() or not beside.is_dir() else beside


EXTRACT = _extract()
needed = pytest.mark.skipif(
    not EXTRACT.is_dir(), reason=f"the MIMIC-IV demo extract is neither at {EXTRACT} nor where {VARIABLE} says"
)
