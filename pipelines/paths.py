"""Where the SQL files, contracts and report templates are, in a checkout and in an installed wheel."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

_PACKAGE = Path(__file__).parent
_BUNDLED = _PACKAGE / "_bundled"
ROOT = _BUNDLED if _BUNDLED.exists() else _PACKAGE.parent
SQL = ROOT / "sql"
DATA_CONTRACTS = ROOT / "data_contracts"
REPORTS = ROOT / "reports"


def is_installed() -> bool:
    """Whether the files are those of an installed wheel, where nothing should be added."""
    return _BUNDLED.exists()


def table_name(path: Path) -> str:
    """The table a file is about.

    ``sql/3_trajectory/pain_week.sql`` is ``trajectory.pain_week``; in a folder of its own within a step the
    schema carries that folder: ``sql/2_clean/mimic_iv/patient.sql`` is ``clean_mimic_iv.patient``, and so does
    what several mappings of a source share: ``sql/2_clean/fhir/shared/drug.sql`` is ``clean_fhir.drug``.
    """
    folder = path.parent.parent if path.parent.name == "shared" else path.parent
    if folder.parent.name[0].isdigit():
        return f"{_step_name(folder.parent)}_{folder.name}.{path.stem}"
    return f"{_step_name(folder)}.{path.stem}"


def relative(path: Path) -> str:
    """A path as messages show it: from the project's root where it lies below it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def fingerprint(files: Iterable[Path]) -> str:
    """Hash of names and contents, the same in any checkout or wheel."""
    digest = sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _step_name(folder: Path) -> str:
    return folder.name.split("_", 1)[1]
