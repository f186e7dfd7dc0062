"""Checks: every contract as Great Expectations on DuckDB, and its Data Docs. Counts only, never a row's value.

Great Expectations, SQLAlchemy and duckdb_engine are used below this folder and nowhere else, and are imported
by the first check, not before.
"""

from pipelines.checks.pages import data_docs
from pipelines.checks.validation import CheckResult, check, check_names

__all__ = ["CheckResult", "check", "check_names", "data_docs"]
