"""``oih quality``."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from pipelines import study as studies
from pipelines.cli.console import console
from pipelines.errors import CheckError


def quality(
    study: Annotated[Path, typer.Option(metavar="STUDY", help="Study file, e.g. studies/demo.yaml.")],
    run: Annotated[str | None, typer.Option(metavar="ID", help="A run under <output>/runs; default: the last.")] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK=LIMIT", help="Another limit, e.g. clean.prescription.days_supply_between=1%."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the page under these limits.")] = None,
) -> None:
    """Show what a run checked, and what would pass under other limits, without running again."""
    from pipelines import quality as qualities
    from pipelines.workspace import Workspace

    loaded = studies.load(study)
    workspace = Workspace(loaded)
    folder = qualities.run_folder(workspace, run)
    if out:
        workspace.refuse_inside(out)
    found = qualities.read(folder / "quality")
    limits = qualities.thresholds(threshold or [])
    judged = found.model_copy(update={"results": qualities.judged(found.results, limits)})
    for before, now in zip(found.results, judged.results, strict=True):
        if now.is_open or now != before:
            then = "" if now.status == before.status else f"{before.status.replace('_', ' ')} -> "
            line = f"{now.severity}: {now.table}.{now.check}: {then}{now.outcome}"
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    statuses = Counter(result.status for result in judged.results)
    counted = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in statuses.items())
    console.print(f"Run {found.run_id}: {counted or 'nothing was checked'}", soft_wrap=True, highlight=False)
    if out:
        console.print(f"Page: {qualities.write_again(out, folder, judged, loaded)}", soft_wrap=True)
    blocking = [result for result in judged.results if result.blocks]
    if blocking:
        raise CheckError(
            f"{'; '.join(f'{result.table}: {result.check}: {result.outcome}' for result in blocking)}. "
            "Mend the extract or the contract and run again."
        )
