"""Adding a source: drafts of its contracts and mappings from delivered files, and what is still missing of them."""

from pipelines.source_draft.completeness import Gap, gaps, open_choices
from pipelines.source_draft.drafting import Drafted, draft

__all__ = ["Drafted", "Gap", "draft", "gaps", "open_choices"]
