"""Worlds that can be simulated: one file each in ``worlds/``, which says what the world is for and how it differs."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pipelines import yaml_file
from pipelines.errors import PipelineError

FOLDER = Path(__file__).parent / "worlds"


class World(BaseModel):
    """What differs between simulated worlds; everything else is the same in all. The defaults are ``realistic``.

    Attributes:
        days: Recorded days, after the burn-in.
        prevalence: Share of patients whose true class is hyperalgesia.
        hyperalgesia_scale: Multiplies the hyperalgesia that a dose can cause; 0 is a world without any.
        hyperalgesia_half_mme: Median dose that causes half of it; near 0, any dose causes all of it.
        emax_scale: Multiplies the analgesia that opioids can give; 0 is a world without opioid effect.
        drift_sd_nrs: Standard deviation of the slow drift of nociception, which regression to the mean feeds on.
        report_sd_nrs: Standard deviation of what patients say from day to day about the same pain.
        escalation_slope: Rise of the log odds that a visit raises the dose, per NRS of pain on record.
        taper_scale: Multiplies the chance that a visit begins a taper.
        score_density: Multiplies the chance that a visit leaves a pain score.
        late_entry_share: Share of patients whose record begins after the first day of the extract, therapy or not.
        unit_error_share: Share of fills whose strength or quantity is recorded in another unit.
        randomise: Draw each patient's population parameters from their plausible ranges instead of using
            the defaults, so that a model trained on this world does not learn one set of assumptions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(1100, ge=1)
    prevalence: float = Field(0.05, ge=0, le=1)
    hyperalgesia_scale: float = Field(1.0, ge=0)
    hyperalgesia_half_mme: float = Field(75.0, gt=0)
    emax_scale: float = Field(1.0, ge=0)
    drift_sd_nrs: float = Field(1.4, ge=0)
    report_sd_nrs: float = Field(1.25, ge=0)
    escalation_slope: float = 0.36
    taper_scale: float = Field(1.0, ge=0)
    score_density: float = Field(1.0, ge=0)
    late_entry_share: float = Field(0.2, ge=0, le=1)
    unit_error_share: float = Field(0.002, ge=0, le=1)
    randomise: bool = False


def world_names() -> list[str]:
    """Names of the worlds, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_world(name: str) -> World:
    """Read a world by its name.

    Raises:
        PipelineError: There is no such world.
    """
    if name not in world_names():
        raise PipelineError(f"{name}: is no simulated world. Choose one of {', '.join(world_names())}.")
    return World(**(yaml_file.read(FOLDER / f"{name}.yaml", f"world {name}", PipelineError) or {}))
