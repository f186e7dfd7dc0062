"""Data Docs: what Great Expectations shows of a validation, as pages that need no network and hold no row's value.

Great Expectations words and lays out each table's checks. Its own page around them loads styles, scripts and
pictures from other sites and leads to pages that are not written here, so the page, and the front page with what
did not pass, are templates of this folder.
"""

import html
import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from itertools import groupby
from pathlib import Path
from typing import Any

from pipelines.checks import gx
from pipelines.checks.validation import CheckResult

TEMPLATES = Path(__file__).parent / "templates"


def data_docs(
    results: list[CheckResult],
    folder: Path,
    title: str,
    facts: Mapping[str, str],
    failures: Sequence[str] = (),
    not_built: Sequence[str] = (),
    page: str | None = None,
) -> Path:
    """Write the Data Docs of one run, of whatever tables it checked before it ended.

    Args:
        results: Results of all tables, in the order of flow.
        folder: Where the pages go; made if missing.
        title: Heading of every page.
        facts: What to say of the run, by label: study, code version, time.
        failures: What stopped the run; none if it went through.
        not_built: Tables of the study that were not built and checked.
        page: The page that these stand behind, relative to the folder, to lead back to.

    Returns:
        The front page.
    """
    gx_version = gx.great_expectations().__version__
    from great_expectations.render import RenderedDocumentContent, RenderedSectionContent
    from great_expectations.render.renderer.content_block import ValidationResultsTableContentBlockRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    view = DefaultJinjaPageView(custom_views_directory=str(TEMPLATES))
    by_table = {table: list(found) for table, found in groupby(results, key=lambda result: result.table)}
    about = {"title": title, "facts": facts, "gx_version": gx_version, "failures": failures, "not_built": not_built}
    about |= {"page": page}
    folder.mkdir(parents=True, exist_ok=True)
    for table, found in by_table.items():
        with redirect_stdout(io.StringIO()):  # it prints its opinion of a query that does not name {batch}
            checks: Any = ValidationResultsTableContentBlockRenderer.render(
                [_as_validated(result) for result in found], include_column_name=True
            )
        checks.header_row += ["Failing rows", "Rows", "Severity", "Why"]
        for row, result in zip(checks.table, found, strict=True):
            if result.status == "not_applicable":  # it was true of no row, which is no tick
                row[0], row[-1] = "n/a", "not applicable"
            row += _cells(result)
        document = RenderedDocumentContent(sections=[RenderedSectionContent(content_blocks=[checks])])
        page = view.render(document, template="table.html", table=table, results=found, **about)
        (folder / f"{table}.html").write_text(page, encoding="utf-8")
    index = folder / "index.html"
    page = view.env.get_template("index.html").render(tables=by_table, results=results, **about)
    index.write_text(page, encoding="utf-8")
    return index


def _as_validated(result: CheckResult) -> Any:
    """A result as Great Expectations holds it, made of nothing but what a CheckResult holds."""
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    share = result.failing_share
    return ExpectationValidationResult(
        success=not result.is_open,
        expectation_config=ExpectationConfiguration(type=result.expectation, kwargs=result.arguments),
        result={} if share is None else {"unexpected_percent": 100 * share},
        exception_info={
            "raised_exception": result.status == "error",
            "exception_message": "The reason can quote a row, so it is not shown here.",
            "exception_traceback": "",
        },
    )


def _cells(result: CheckResult) -> list[str]:
    failing_rows = "-" if result.failing_rows is None else f"{result.failing_rows:,}"
    why = html.escape(result.why)  # Great Expectations writes a cell into the page as it is
    return [failing_rows, f"{result.rows:,}", result.severity, why]
