"""Reading delivered extracts into the raw tables.

Every column is read as text and cast by its contract, so that a value that does not fit sends its row to
quarantine instead of stopping the run.
"""

from pipelines.extracts.delivered import require_folder, unread
from pipelines.extracts.loading import Loaded, delivered_files, load
from pipelines.extracts.sample import heads

__all__ = ["Loaded", "delivered_files", "heads", "load", "require_folder", "unread"]
