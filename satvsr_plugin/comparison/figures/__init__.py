"""The figures of a comparison: crops, x-t slices, PSNR over frames and against cost."""

from satvsr_plugin.comparison.figures.choice import FigureChoice
from satvsr_plugin.comparison.figures.crop import Crop
from satvsr_plugin.comparison.figures.writing import Drawing, Figures, write_figures

__all__ = ['Crop', 'Drawing', 'FigureChoice', 'Figures', 'write_figures']
