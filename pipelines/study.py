"""A study: one YAML file that says which extracts, which definitions and where the output goes."""

import os
import re
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError

import pipelines
from pipelines import contracts, ndc, paths, sql_files, yaml_file
from pipelines.contracts import Contract
from pipelines.errors import StudyError
from pipelines.extracts.delivered import is_database
from pipelines.overlap import Overlap
from pipelines.settings import Settings

TRUTH_FILES = ("patient.csv", "escalation.csv")
OWN_FOLDERS = ("work", "runs", "current", "models", ".dagster")  # what a run writes below its output
SMALLEST_MEMORY_MB = 256  # below this DuckDB gives up on small studies


def _require_enough_memory(limit: str) -> str:
    number, unit = re.fullmatch(r"([\d.]+)\s?([MG])i?B", limit).groups()  # type: ignore[union-attr]
    if float(number) * (1024 if unit == "G" else 1) < SMALLEST_MEMORY_MB:
        raise ValueError(f"is below {SMALLEST_MEMORY_MB} MB")
    return limit


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Strict):
    """Where one source's extract lies.

    Attributes:
        folder: Folder of the extract, or a DuckDB database in its place; relative paths start at the study file.
        database_schema: Schema of that database to read, where several have a table of one name (``schema`` in the
            file).
        dates: Whether its dates are real or each patient's are shifted by one constant (pipelines.date_shift).
    """

    model_config = ConfigDict(validate_by_name=True)

    folder: Path
    database_schema: str | None = Field(None, alias="schema", min_length=1)
    dates: Literal["real", "shifted", "unknown"] = "unknown"


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


class DosePolicy(_Strict):
    """What counts as dose where published studies differ.

    ``with`` converts a product if the factor set does; ``lower_bound`` never does, and its days are lower bounds;
    ``without`` leaves it out, with a reason that is counted, and its days are as if it were not there.

    Attributes:
        overlap: What becomes of supplies that overlap (pipelines.overlap).
        supply_at_window: Definitions take supply inside the window alone, or, as many studies do, all of the supplies
            that begin in it.
        missing_days_supply: Whether a dispensing without days supply has an unknown one, or imputed_supply_days.
        buprenorphine: All products of buprenorphine.
        oud_medication: Treatment of opioid use disorder, which must not be held against thresholds made for pain.
        antitussive: Cough and cold products.
        parenteral: Injections and infusions.
        neuraxial: Epidural and intrathecal doses; no published table converts them.
    """

    overlap: Overlap = "sum"
    supply_at_window: Literal["clipped", "whole"] = "clipped"
    missing_days_supply: Literal["unknown", "imputed"] = "unknown"
    buprenorphine: Literal["with", "lower_bound", "without"] = "with"
    oud_medication: Literal["with", "lower_bound", "without"] = "lower_bound"
    antitussive: Literal["with", "lower_bound", "without"] = "with"
    parenteral: Literal["with", "lower_bound", "without"] = "with"
    neuraxial: Literal["lower_bound", "without"] = "lower_bound"


class Pain(_Strict):
    """Which pain scores count; all others keep their row and a reason.

    Attributes:
        scales: Scales of reference.pain_scale that may stand beside the numerical rating scale. A patient counts on one
            alone: that of the first known score, of two at once the one named first.
        recall: Time the question asked about; with ``unknown`` beside it, or alone, scores count whose source does not
            tell it. Two times are never mixed.
        settings: Settings that windows read. Scores from hospital speak of the stay; ``unknown`` is for sources that do
            not tell the setting.
    """

    scales: list[str] = Field(["NRS"], min_length=1)
    recall: Annotated[list[Literal["now", "average", "worst", "least", "unknown"]], BeforeValidator(_listed)] = Field(
        ["now"], min_length=1
    )
    settings: list[Literal["outpatient", "unknown"]] = Field(["outpatient"], min_length=1)

    @field_validator("recall")
    @classmethod
    def _one_time(cls, recall: list[str]) -> list[str]:
        if len({*recall} - {"unknown"}) > 1:
            raise PydanticCustomError("one_time", "name one time, and unknown beside it; times are never mixed")
        return recall


class Study(_Strict):
    """A study file.

    Attributes:
        name: Short name, in every output.
        title: What the report is called.
        sources: Extracts by source; each source has contracts and mappings under its name.
        output: Folder for the warehouse and the reports.
        ndc_table: The study's own table of drug codes, a CSV, Parquet, SAS, SPSS or Stata file with columns ndc and
            drug_text.
        factor_set: Conversion factors to morphine milligram equivalents (a general set of reference.factor_set).
        parenteral_factor_set: The set whose parenteral factors convert injections and infusions; without one they
            have no dose, since published factors differ twofold and more.
        dose_policy: What becomes of overlapping supply and of special products.
        pain: Which pain scores count.
        long_term_definition: When therapy is long-term (a row of reference.long_term_definition).
        dose_definition: How the mean dose of a window is taken: over days in supply, or over all its days.
        settings: Windows and thresholds that differ from ``settings.py``.
        disclosure: What may be published.
        training: The simulated world the classifier learns from.
        truth: Folder with the truth of a simulated extract, read only to evaluate.
        memory_limit: DuckDB's memory limit.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    sources: dict[contracts.Name, Source] = Field(min_length=1)
    output: Path
    ndc_table: Path | None = None
    factor_set: str = "cdc_2022"
    parenteral_factor_set: str | None = None
    dose_policy: DosePolicy = DosePolicy()
    pain: Pain = Pain()
    long_term_definition: str = "covered_90_in_120"
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

    @field_validator("factor_set", "parenteral_factor_set", mode="before")
    @classmethod
    def _one_set(cls, value: object) -> object:
        if isinstance(value, list | dict):
            raise PydanticCustomError("one_set", "name one set, vintages are never mixed; run a study for each")
        return value

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything in the study that can change a number; folders are left out, the table of codes is not."""
        content = self.model_dump_json(exclude={"sources", "output", "truth", "memory_limit", "ndc_table"})
        if self.ndc_table:
            content += sha256(self.ndc_table.read_bytes()).hexdigest()
        dates = ",".join(f"{name} {source.dates}" for name, source in sorted(self.sources.items()))
        return sha256((content + dates).encode()).hexdigest()[:12]

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Everything a SQL file may use as ``$name``."""
        return (
            self.settings.parameters()
            | self.dose_policy.model_dump()
            | {f"pain_{name}": value for name, value in self.pain.model_dump().items()}
            | self.model_dump(include={"factor_set", "parenteral_factor_set", "dose_definition"})
            | self.disclosure.model_dump()
            | {"shifted_sources": self.shifted_sources}
        )

    def raw_contracts(self, source: str) -> list[Contract]:
        """The contracts of a source's delivered tables, each read from where the study says."""
        schema = self.sources[source].database_schema
        found = contracts.raw_contracts(source)
        return [contract.model_copy(update={"database_schema": schema}) for contract in found] if schema else found

    @property
    def shifted_sources(self) -> list[str]:
        """Sources whose dates have no calendar."""
        return sorted(name for name, source in self.sources.items() if source.dates == "shifted")


def load(path: Path) -> Study:
    """Read a study file; relative paths start at the file and may go up from there, absolute ones stay as they are.

    Raises:
        StudyError: The file is missing, is not a study, or names what the project does not have.
        ExtractError: The table of drug codes cannot be used.
    """
    if not path.is_file():
        raise StudyError(f"{path}: there is no such study file. Give the path of a file like studies/demo.yaml.")
    try:
        study = Study.model_validate(yaml_file.read(path, str(path), StudyError))
    except ValidationError as error:
        raise StudyError(f"{path}: {_faults(error)}. Correct the file; studies/demo.yaml shows every key.") from None
    _refuse_unknown_sources(path, study)
    refuse_unknown_factor_sets(path, study)
    _refuse_unknown_long_term_definition(path, study)
    _refuse_scales_beside_nrs(path, study.pain)
    study = _with_absolute_folders(path, study)
    _refuse_schemas_of_folders(path, study)
    _refuse_misplaced_output(path, study)
    if study.ndc_table:
        ndc.load(study.ndc_table)  # said now, not after an hour of loading
    return study


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


def refuse_unknown_factor_sets(path: Path | str, study: Study) -> None:
    """Refuse a study whose factor sets do not exist, or cannot do what they are named for."""
    sets = pl.read_csv(paths.SQL / "1_reference" / "factor_set.csv", infer_schema=False)
    general = sets.filter(pl.col("kind") == "general")["factor_set"].to_list()
    if study.factor_set not in general:
        raise StudyError(
            f"{path}: factor set {study.factor_set} is no general set of sql/1_reference/factor_set.csv. "
            f"Use one of {', '.join(general)}, or add its cited rows there and to mme_factor.csv."
        )
    factors = pl.read_csv(paths.SQL / "1_reference" / "mme_factor.csv", infer_schema=False)
    is_parenteral = (pl.col("route") == "parenteral") & pl.col("factor").is_not_null()
    parenteral = factors.filter(is_parenteral)["factor_set"].unique().sort().to_list()
    if study.parenteral_factor_set not in (None, *parenteral):
        raise StudyError(
            f"{path}: parenteral factor set {study.parenteral_factor_set} has no parenteral factors. "
            f"Use one of {', '.join(parenteral)}, or leave the key out: parenteral doses then stay unknown."
        )


def _refuse_unknown_long_term_definition(path: Path, study: Study) -> None:
    known = pl.read_csv(paths.SQL / "1_reference" / "long_term_definition.csv", infer_schema=False)["definition"]
    if study.long_term_definition not in known:
        raise StudyError(
            f"{path}: long_term_definition: {study.long_term_definition} is no definition of "
            f"sql/1_reference/long_term_definition.csv. Use one of {', '.join(known)}, or add a cited row there."
        )


def _refuse_scales_beside_nrs(path: Path, pain: Pain) -> None:
    """Refuse scales that nobody knows, that must not stand beside the numerical one, or that ask of another time."""
    rows = pl.read_csv(paths.SQL / "1_reference" / "pain_scale.csv", infer_schema=False).rows_by_key(
        "instrument", named=True, unique=True
    )
    usable = [
        name for name, scale in rows.items() if scale["nrs_use"] != "never" and scale["recall"] in (None, *pain.recall)
    ]
    recall = " or ".join(pain.recall)
    for name in pain.scales:
        if name not in rows:
            what = f"{name} is no scale of sql/1_reference/pain_scale.csv"
        elif rows[name]["nrs_use"] == "never":
            reason = rows[name]["nrs_use_reason"]
            what = f"{name} never stands beside NRS ({reason[0].lower()}{reason[1:]})"
        elif name not in usable:
            what = f"{name} asks about {rows[name]['recall']} pain, the study counts {recall}"
        else:
            continue
        raise StudyError(f"{path}: pain.scales: {what}. Use {', '.join(usable)} for pain {recall}.")


def _with_absolute_folders(path: Path, study: Study) -> Study:
    def absolute(key: str, said: Path | None) -> Path | None:
        return None if said is None else _followed(path, key, said)

    return study.model_copy(
        update={
            "sources": {
                name: source.model_copy(update={"folder": absolute(f"sources.{name}.folder", source.folder)})
                for name, source in study.sources.items()
            },
            "output": absolute("output", study.output),
            "truth": absolute("truth", study.truth),
            "ndc_table": absolute("ndc_table", study.ndc_table),
        }
    )


def _followed(path: Path, key: str, said: Path) -> Path:
    """Where a path of a study file leads: not elsewhere by a way back up inside, nor by a link out of its folder.

    Extracts are seldom kept beside study files, so a path may be absolute, or go up at its beginning (``../extract``):
    both say in plain sight where they lead. Links beyond the study file's own folder are how the machine is laid out.
    """
    if any(ord(letter) < 32 for letter in str(said)):
        raise StudyError(f"{path}: {key} has a character that no path has. Write it anew.")
    names = [part for part in said.parts if part != ".."]
    if list(said.parts[len(said.parts) - len(names) :]) != names:
        raise StudyError(
            f"{path}: {key} goes down and up again (..). Write where it leads: a relative path starts at the study "
            "file and may go up from there first, as ../extract does."
        )
    base = path.resolve().parent
    written = Path(os.path.normpath(base / said))
    real = written.resolve()
    if written.is_relative_to(base) and not real.is_relative_to(base):
        raise StudyError(f"{path}: {key} leaves the study's folder by a symbolic link. Name the folder it leads to.")
    return real


def _refuse_schemas_of_folders(path: Path, study: Study) -> None:
    for name, source in study.sources.items():
        if source.database_schema and not is_database(source.folder):
            raise StudyError(
                f"{path}: sources.{name}.schema: only a DuckDB database has schemas, and {source.folder} is none. "
                "Delete the key, or correct the folder."
            )


def _refuse_misplaced_output(path: Path, study: Study) -> None:
    """An output in an extract would be delivered with it; an extract in a run's own folders would be swept away."""
    for name, source in study.sources.items():
        if study.output.is_relative_to(source.folder):
            raise StudyError(f"{path}: output lies in the extract of {name}. Choose a folder beside it.")
        if any(source.folder.is_relative_to(study.output / own) for own in OWN_FOLDERS):
            raise StudyError(f"{path}: the extract of {name} lies in a folder that runs write to. Move it.")
    if any(study.output.is_relative_to(folder) for folder in (paths.SQL, paths.DATA_CONTRACTS, paths.REPORTS)):
        raise StudyError(f"{path}: output lies among the project's own files. Choose another folder.")
    _refuse_foreign_output(path, study)


def _refuse_foreign_output(path: Path, study: Study) -> None:
    """Refuse an output that holds what neither a run nor the study put there: /etc is one slip of a path away."""
    inputs = [source.folder for source in study.sources.values()]
    inputs += [place for place in (study.truth, study.ndc_table) if place]
    if not os.access(study.output, os.R_OK | os.X_OK):
        return  # said by whoever writes there
    is_of_a_run = (study.output / "lock").is_file() and (study.output / "work").is_dir()
    try:
        held = [] if is_of_a_run else list(study.output.iterdir())
    except OSError:  # it is still to be made, or opening it says what is wrong
        return
    own = {*OWN_FOLDERS, "lock"}
    if any(
        place.name not in own and not any(known.is_relative_to(place) for known in (*inputs, path.resolve()))
        for place in held
    ):
        raise StudyError(
            f"{path}: output {study.output} holds files that no run of this program wrote. "
            "Choose a new or empty folder."
        )


def code_version() -> str:
    """Version of the code, the SQL, the contracts and the templates, by content: the same without git."""
    package = Path(pipelines.__file__).parent
    code = [file for file in package.rglob("*.py") if "_bundled" not in file.parts]
    shared = [file for folder in (paths.SQL, paths.DATA_CONTRACTS, paths.REPORTS) for file in folder.rglob("*.*")]
    return f"{pipelines.__version__}+{paths.fingerprint([*code, *shared])}"
