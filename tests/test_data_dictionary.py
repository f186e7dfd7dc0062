"""The data dictionary says what the contracts say, and is up to date."""

import re

import pytest

from pipelines import contracts, data_dictionary
from pipelines.contracts import Contract

PAGES = data_dictionary.pages()
ALL = contracts.all_contracts()


def test_the_pages_are_those_of_the_contracts():
    folder = data_dictionary.FOLDER
    assert {file.name: file.read_text() for file in folder.glob("*.md")} == PAGES, "run make docs"


@pytest.mark.parametrize("contract", ALL.values(), ids=lambda contract: contract.table)
def test_every_table_has_its_columns_checks_owner_and_version(contract):
    page = PAGES[f"{contract.schema_name}.md"]
    [part] = [part for part in page.split("\n## ") if part.startswith(contract.table + "\n")]
    assert re.findall(r"^\| `(\w+)`[^|]*\| [A-Z]", part, re.MULTILINE) == contract.column_names
    for said in (contract.description, contract.owner, contract.version, *(e.why for e in contract.expectations)):
        assert said.replace("|", "\\|") in part


def test_every_link_leads_to_a_heading():
    headings = {
        f"{name}#{re.sub(r'[^a-z0-9_]', '', heading)}"
        for name, page in PAGES.items()
        for heading in re.findall(r"^## (\S+)$", page, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)]+)\)", PAGES["index.md"]):
        assert link in headings | PAGES.keys()


def test_ranges_values_limits_and_bars_are_written_out():
    table = Contract.model_validate(
        {
            "table": "clean.x",
            "description": "X.",
            "key": ["a", "b"],
            "columns": [
                {
                    "name": "a",
                    "type": "INTEGER",
                    "description": "A | b.",
                    "required": True,
                    "minimum": 0,
                    "maximum": 9.5,
                },
                {"name": "b", "type": "VARCHAR", "description": "B.", "values": ["u", "v"], "unit": "x"},
                {"name": "c", "type": "DOUBLE", "description": "C.", "minimum": 0},
                {"name": "d", "type": "DOUBLE", "description": "D.", "maximum": 0, "delivered_as": "DD"},
            ],
            "expectations": [
                {
                    "type": "unexpected_rows_expectation",
                    "unexpected_rows_query": "from {batch}",
                    "why": "Reason.",
                    "severity": "warning",
                    "max_failing_share": 0.005,
                    "max_failing_rows": 1000,
                }
            ],
        }
    )
    text = "\n".join(data_dictionary._table_parts(table))
    for line in (
        "- Key: `a`, `b`",
        "| `a` | INTEGER, required |  | 0 to 9.5 | A \\| b. |",
        "| `b` | VARCHAR | x | `u`, `v` | B. |",
        "| `c` | DOUBLE |  | from 0 | C. |",
        "| `d` (`DD`) | DOUBLE |  | to 0 | D. |",
        "| `reason` | warning | 0.5 %, 1,000 rows | Reason. |",
    ):
        assert line in text
