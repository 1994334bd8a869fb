"""Results of several systems in, one table, one figure and one page out."""

from satvsr_plugin.comparison.crop import Crop
from satvsr_plugin.comparison.report import Comparison, FigureChoice, compare

__all__ = ['Comparison', 'Crop', 'FigureChoice', 'compare']
