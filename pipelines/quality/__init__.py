"""Quality of a run: what was checked and found, what changed since the last run, and the page that shows it.

Counts are exact here, so everything this folder writes stays inside the secure environment.
"""

from pipelines.quality.page import write
from pipelines.quality.results import Before, RunResults, published

__all__ = ["Before", "RunResults", "published", "write"]
