"""Long satellite video cut into clips in the layout of Jilin-189."""

from __future__ import annotations

from satvsr_plugin.data.extraction.dataset import extract_clips
from satvsr_plugin.data.extraction.options import ExtractionOptions, Moment

__all__ = ['ExtractionOptions', 'Moment', 'extract_clips']
