"""The page of a comparison: scores, differences, pictures to compare by a slider, and figures, in one file."""

from satvsr_plugin.comparison.page.writing import Page, write_page

__all__ = ['Page', 'write_page']
