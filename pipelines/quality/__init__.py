"""Quality of a run: what was checked and found, what changed since the last run, and the page that shows it.

Counts are exact here, so everything this folder writes stays inside the secure environment.
"""

from pipelines.quality.page import write, write_again
from pipelines.quality.results import Before, RunResults, judged, last, read, run_folder, thresholds

__all__ = ["Before", "RunResults", "judged", "last", "read", "run_folder", "thresholds", "write", "write_again"]
