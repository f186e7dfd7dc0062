"""Where the open OMOP extract is for the tests; those that need it are skipped where it is not."""

import os
from pathlib import Path

import pytest

from pipelines import paths
from pipelines import study as studies

VARIABLE = "OIH_OMOP_DEMO"
STUDY = paths.ROOT / "studies" / "omop_demo.yaml"


def _extract() -> Path:
    """Where the variable says; else where the study says."""
    said = os.environ.get(VARIABLE)
    return Path(said) if said else studies.load(STUDY).sources["omop"].folder


EXTRACT = _extract()
needed = pytest.mark.skipif(
    not EXTRACT.exists(), reason=f"the OMOP demo extract is neither at {EXTRACT} nor where {VARIABLE} says"
)
