"""``oih explain``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable

from pipelines import study as studies
from pipelines.cli.console import StudyFile, console


def explain(
    study: StudyFile,
    episode: Annotated[str, typer.Argument(metavar="EPISODE", help="Episode, as in label.tier.")],
    out: Annotated[Path | None, typer.Option(help="HTML file to write a page to, with the timeline.")] = None,
) -> None:
    """Show what each rule saw of an episode, and how near it came. Prints row values: keep it inside.

    A candidate is never a diagnosis, and nothing here is advice.
    """
    from pipelines import evidence, evidence_page

    loaded = studies.load(study)
    if out:
        evidence_page.require_writable(loaded, out)
    found = evidence.of(loaded, episode)
    if out:
        evidence_page.write(found, loaded, out)
        console.print(f"Page of one patient's data, which stays inside: {out}", soft_wrap=True)
        return
    console.print(
        "This is one patient's data. Keep it inside. A candidate is never a diagnosis, and no advice follows."
    )
    known = RichTable("", "", title=f"Episode {episode}", title_justify="left", show_header=False)
    for heading, said in found.facts.items():
        known.add_row(heading, said)
    console.print(known)

    votes = RichTable("Rule", "Vote", "Value looked at", title="Votes", title_justify="left")
    for column in ("Value", "Threshold", "Margin"):
        votes.add_column(column, justify="right")
    votes.add_column("Unit")
    for (rule,), rows in found.votes.group_by("rule", maintain_order=True):
        for number, row in enumerate(rows.iter_rows(named=True)):
            vote = evidence.vote_words(row["vote"], row["strength"], row["abstain_reason"])
            first = (str(rule), vote) if number == 0 else ("", "")
            limits = ("" if row[name] is None else evidence.number(row[name]) for name in ("threshold", "margin"))
            value = evidence.number(row["value"]) if row["name"] else ""
            votes.add_row(*first, row["name"], value, *limits, row["unit"], end_section=number == len(rows) - 1)
    console.print(votes if votes.row_count else "Votes: none, no rule votes outside the cohort")
    console.print("A margin of at least 0 meets the rule's condition; below 0 it falls short by so much.")

    windows = RichTable("Window", "Days", title="Windows", title_justify="left")
    for column in ("MME a day", "Pain, NRS", "Scored weeks"):
        windows.add_column(column, justify="right")
    for row in found.windows.iter_rows(named=True):
        days = f"{row['start_date']} to {row['end_date']}" + ("" if row["is_observed"] else ", not observed whole")
        means = (evidence.number(row["mean_mme"]), evidence.number(row["mean_nrs"]), f"{row['scored_week_count']}")
        windows.add_row(row["window_name"], days, *(("", "", "") if row["window_name"] == "C" else means))
    console.print(windows)

    events = RichTable("Day", "From the index date", "Kind", "What", title="Events", title_justify="left")
    for row in found.events.iter_rows(named=True):
        days = f"{row['event_date']}" + (f" to {row['end_date']}" if row["end_date"] else "")
        events.add_row(days, f"{row['day']:+d}" if row["day"] else "0", row["kind"], row["what"])
    console.print(events if events.row_count else "Events: none recorded")
