"""Where the open hospital extract is for the tests; those that need it are skipped where it is not."""

import os
from pathlib import Path

import pytest

from pipelines import paths
from pipelines import study as studies

VARIABLE = "OIH_MIMIC_IV_DEMO"
STUDY = paths.ROOT / "studies" / "mimic_iv_demo.yaml"


def _extract() -> Path:
    """Where the variable says; else where the study says."""
    said = os.environ.get(VARIABLE)
    return Path(said) if said else studies.load(STUDY).sources["mimic_iv"].folder


EXTRACT = _extract()
needed = pytest.mark.skipif(
    not EXTRACT.is_dir(), reason=f"the MIMIC-IV demo extract is neither at {EXTRACT} nor where {VARIABLE} says"
)
