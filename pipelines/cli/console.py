"""What every command shares: the console, the bar of progress, the study's argument, and the exit codes.

Exit code 0 only when every blocking check passed and the report was published, 1 for what the user can mend, said
in one line. Anything else is a bug: it keeps its traceback and leaves with 70.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import typer.exceptions
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipelines.errors import PipelineError

console = Console()
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="Study file, e.g. studies/demo.yaml.")]
BUG = 70  # what sysexits.h calls an internal software error


@contextmanager
def progress(title: str) -> Iterator[Callable[[str, int], None]]:
    """A bar on a terminal, nothing in a log; the yielded function moves it on by one."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def advance(step: str, total: int) -> None:
            progress.update(task, advance=1, total=total, description=f"{title}: {step}")

        yield advance


def day_of(where: str, text: str) -> date:
    """The day that an option says."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PipelineError(f"{where}: is not a day. Write it as 2024-01-31.") from None


def leave(app: typer.Typer) -> NoReturn:
    """Run the command line and leave with its exit code."""
    code = 0
    try:
        code = app(standalone_mode=False) or 0
    except PipelineError as error:
        code = _complain(str(error))
    except typer.Exit as left:
        code = left.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except typer.exceptions.TyperException as error:
        # The long form alone names the option whose value is faulty.
        said = str(error) if str(error).startswith("Missing parameter") else error.format_message()
        code = _complain(f"oih: {said[:1].lower()}{said[1:].rstrip('.')}. Run oih --help for the commands.")
    except Exception:
        traceback.print_exc()
        code = BUG
    _end(code)


def _complain(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


def _end(code: int) -> NoReturn:
    """End the process without tearing the interpreter down.

    After a Dagster run, taking DuckDB's extension module apart prints a page of false leak reports.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
