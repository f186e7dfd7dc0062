"""The evidence of one episode as a page that needs no network and no script, from ``reports/evidence``.

Row-level: the page stays inside the secure environment.
"""

import json
from datetime import date
from pathlib import Path

import jinja2
import polars as pl
import yaml
from markupsafe import Markup

from pipelines import evidence, paths, reporting
from pipelines.errors import WorkspaceError
from pipelines.evidence import Evidence
from pipelines.study import Study
from pipelines.workspace import Workspace

TEMPLATES = paths.REPORTS / "evidence"


def require_writable(study: Study, out: Path) -> None:
    """Refuse a file that the page must not, or cannot, be written to.

    Raises:
        WorkspaceError: It is inside the study's output, where the published report is, or cannot be written.
    """
    Workspace(study).refuse_inside(out)
    if out.suffix != ".html" or out.is_dir() or not out.parent.is_dir():
        raise _unwritable(out)


def write(found: Evidence, study: Study, out: Path) -> None:
    """Write the page, readable by its owner alone.

    Raises:
        WorkspaceError: The file cannot be written.
    """
    page = (
        _environment()
        .get_template("index.html")
        .render(
            found=found,
            study=study,
            style=Markup((paths.REPORTS / "style.css").read_text() + (TEMPLATES / "style.css").read_text()),
            timeline=reporting.svg(timeline(found)),
            rules=[(rule[0], rows.to_dicts()) for rule, rows in found.votes.group_by("rule", maintain_order=True)],
        )
    )
    try:
        out.touch(mode=0o600)
        out.chmod(0o600)
        out.write_text(page, encoding="utf-8")
    except OSError:
        raise _unwritable(out) from None


def timeline(found: Evidence) -> evidence.Row:
    """The chart of dose, pain and events as a Vega-Lite definition, its days counted from the index date."""
    index_date = found.episode["index_date"]

    def days(frame: pl.DataFrame, start: str, end: str | None = None) -> pl.DataFrame:
        """Rows with the first day and the day after the last, so that a day has a width."""
        last = pl.coalesce(end, start) if end else pl.col(start)
        return frame.with_columns(
            from_day=(pl.col(start) - index_date).dt.total_days(),
            to_day=(last - index_date).dt.total_days() + 1,
        )

    windows = days(found.windows, "start_date", "end_date").with_columns(
        middle=pl.mean_horizontal("from_day", "to_day"),
        lane=pl.when(pl.col("window_name") == "C").then(1).otherwise(0),
        low_nrs=(pl.col("mean_nrs") - pl.col("standard_error_nrs")).clip(0, 10),
        high_nrs=(pl.col("mean_nrs") + pl.col("standard_error_nrs")).clip(0, 10),
    )
    drawn = {
        "windows": windows,
        "dose": days(found.dose, "start_date", "end_date"),
        "pain": days(found.pain, "score_date"),
        "events": days(found.events, "event_date", "end_date"),
    }
    chart = (
        _environment()
        .get_template("timeline.yaml")
        .render(
            style=json.dumps(reporting.STYLE),
            first_day=windows["from_day"].min(),
            last_day=windows["to_day"].max(),
            index_date=index_date,
            follow_up_end=_follow_up_end(found),
            lanes=json.dumps(_lanes(found)),
            epoch_days=(index_date - date(1970, 1, 1)).days,
        )
    )
    datasets = {name: frame.with_columns(pl.col(pl.Date).cast(pl.String)).to_dicts() for name, frame in drawn.items()}
    for event in datasets["events"]:
        event["lane"] = _lane(found, event["kind"])
    return yaml.safe_load(chart) | {"datasets": datasets}


def _follow_up_end(found: Evidence) -> int | None:
    """The day after follow-up, counted from the index date, where windows go on beyond it."""
    last = found.episode["follow_up_end_date"]
    if last is None or last >= found.windows["end_date"].max():
        return None
    return (last - found.episode["index_date"]).days + 1


def _lanes(found: Evidence) -> list[str]:
    return [_lane(found, kind) for kind in evidence.KINDS]


def _lane(found: Evidence, kind: str) -> str:
    """What the chart calls the lane of a kind of events: an empty one of a feed that nobody delivered says so."""
    feed = evidence.KINDS[kind]
    is_told = feed is None or found.episode[feed] or kind in found.events["kind"]
    return kind if is_told else f"{kind}: not delivered"


def _environment() -> jinja2.Environment:
    environment = reporting.templates(TEMPLATES, paths.REPORTS)
    environment.filters |= {"label": reporting.label, "figure": evidence.number}
    return environment


def _unwritable(out: Path) -> WorkspaceError:
    return WorkspaceError(f"{out}: cannot be written. Choose a file that ends in .html, in a folder that is there.")
