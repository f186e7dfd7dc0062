"""Adding a source: drafts of its contracts and mappings from delivered files, and what is still missing of them."""

from pipelines.source_draft.completeness import Gap, gaps
from pipelines.source_draft.drafting import draft

__all__ = ["Gap", "draft", "gaps"]
