"""A study: one YAML file that says which extracts, which definitions and where the output goes."""

import os
import re
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

import pipelines
from pipelines import contracts, paths, sql_files
from pipelines.errors import StudyError
from pipelines.settings import Settings

TRUTH_FILES = ("patient.csv", "escalation.csv")
SMALLEST_MEMORY_MB = 256  # below this DuckDB gives up on small studies


def _require_enough_memory(limit: str) -> str:
    number, unit = re.fullmatch(r"([\d.]+)\s?([MG])i?B", limit).groups()  # type: ignore[union-attr]
    if float(number) * (1024 if unit == "G" else 1) < SMALLEST_MEMORY_MB:
        raise ValueError(f"is below {SMALLEST_MEMORY_MB} MB")
    return limit


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Strict):
    """Where one source's extract lies.

    Attributes:
        folder: Folder of the extract; relative paths start at the study file.
    """

    folder: Path


class Disclosure(_Strict):
    """What may be published.

    Attributes:
        min_cell_count: Counts of patients from 1 up to below this are not published.
    """

    min_cell_count: int = Field(11, ge=1)


class Training(_Strict):
    """The simulated world that the classifier is trained on; never the study's own data.

    Attributes:
        patient_count: Simulated patients.
        seed: Seed of the world; a study of simulated patients must have been drawn with another one.
        simulated_prevalence: Share of simulated patients who can get hyperalgesia: high, to have cases to learn from.
        assumed_prevalence: Share that the probabilities are calibrated to; no true value is known.
    """

    patient_count: int = Field(10_000, ge=200)
    seed: int = 20_221_104
    simulated_prevalence: float = Field(0.5, gt=0, lt=1)
    assumed_prevalence: float = Field(0.05, gt=0, lt=1)


class Study(_Strict):
    """A study file.

    Attributes:
        name: Short name, in every output.
        title: What the report is called.
        sources: Extracts by source; each source has contracts and mappings under its name.
        output: Folder for the warehouse and the reports.
        factor_set: Conversion factors to morphine milligram equivalents (reference.mme_factor).
        dose_definition: How the mean dose of a window is taken: over days in supply, or over all its days.
        settings: Windows and thresholds that differ from ``settings.py``.
        disclosure: What may be published.
        training: The simulated world the classifier learns from.
        truth: Folder with the truth of a simulated extract, read only to evaluate.
        memory_limit: DuckDB's memory limit.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    sources: dict[str, Source] = Field(min_length=1)
    output: Path
    factor_set: str = "cdc_2022"
    dose_definition: Literal["on_therapy_days", "window_days"] = "on_therapy_days"
    settings: Settings = Settings()
    disclosure: Disclosure = Disclosure()
    training: Training = Training()
    truth: Path | None = None
    memory_limit: Annotated[
        str,
        StringConstraints(pattern=r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$"),
        AfterValidator(_require_enough_memory),
    ] = "4GB"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything in the study that can change a number; folders are left out."""
        content = self.model_dump_json(exclude={"sources", "output", "truth", "memory_limit"})
        return sha256((content + ",".join(sorted(self.sources))).encode()).hexdigest()[:12]

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Everything a SQL file may use as ``$name``."""
        return self.settings.parameters() | {
            "factor_set": self.factor_set,
            "dose_definition": self.dose_definition,
        }


def load(path: Path) -> Study:
    """Read a study file; relative folders start at the file.

    Raises:
        StudyError: The file is missing, is not a study, or names what the project does not have.
    """
    if not path.is_file():
        raise StudyError(f"{path}: there is no such study file. Give the path of a file like studies/demo.yaml.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        study = Study.model_validate(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise StudyError(f"{path}: line {line} is not YAML. Mend the indentation or quoting there.") from None
    except ValidationError as error:
        raise StudyError(f"{path}: {_faults(error)}. Correct the file; studies/demo.yaml shows every key.") from None
    _refuse_unknown_sources(path, study)
    _refuse_unknown_factor_set(path, study)
    return _with_absolute_folders(study, path.resolve().parent)


def require_truth(study: Study) -> None:
    """Refuse a study whose truth is not where it says.

    Raises:
        StudyError: A file of the truth is missing or cannot be read.
    """
    for name in TRUTH_FILES if study.truth else ():
        assert study.truth
        if not os.access(study.truth / name, os.R_OK):
            raise StudyError(
                f"{study.truth}: has no {name} that can be read. "
                "Simulate the extract with its truth, or delete the truth line from the study."
            )


def _faults(error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"])) or "the file"
        said = fault["msg"].removeprefix("Value error, ")
        what = "is no key of a study" if fault["type"] == "extra_forbidden" else said[0].lower() + said[1:]
        faults.append(f"{key}: {what}")
    return "; ".join(faults)


def _refuse_unknown_sources(path: Path, study: Study) -> None:
    for source in study.sources:
        if not contracts.raw_contracts(source) or not sql_files.mappings(source):
            known = sorted(folder.name for folder in (paths.SQL / "2_clean").iterdir() if folder.is_dir())
            raise StudyError(
                f"{path}: source {source} has no contracts or no mapping. "
                f"Use one of {', '.join(known)}, or add data_contracts/0_raw/{source} and sql/2_clean/{source}."
            )


def _refuse_unknown_factor_set(path: Path, study: Study) -> None:
    known = pl.read_csv(paths.SQL / "1_reference" / "mme_factor.csv", columns=["factor_set"])["factor_set"].unique()
    if study.factor_set not in known:
        raise StudyError(
            f"{path}: factor set {study.factor_set} is not in sql/1_reference/mme_factor.csv. "
            f"Use one of {', '.join(known.sort())}, or add its cited rows there."
        )


def _with_absolute_folders(study: Study, base: Path) -> Study:
    return study.model_copy(
        update={
            "sources": {
                name: Source(folder=(base / source.folder).resolve()) for name, source in study.sources.items()
            },
            "output": (base / study.output).resolve(),
            "truth": (base / study.truth).resolve() if study.truth else None,
        }
    )


def code_version() -> str:
    """Version of the code, the SQL, the contracts and the templates, by content: the same without git."""
    package = Path(pipelines.__file__).parent
    code = [file for file in package.rglob("*.py") if "_bundled" not in file.parts]
    shared = [file for folder in (paths.SQL, paths.DATA_CONTRACTS, paths.REPORTS) for file in folder.rglob("*.*")]
    return f"{pipelines.__version__}+{paths.fingerprint([*code, *shared])}"
