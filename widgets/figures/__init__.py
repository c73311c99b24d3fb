"""Figures: a result in, a plotly figure out."""

from widgets.figures.entropy_chart import entropy_chart
from widgets.figures.entropy_histogram import entropy_histogram
from widgets.figures.entropy_series import EntropyView
from widgets.figures.export import export_data, export_settings, save_figure
from widgets.figures.template import apply_theme, template
from widgets.figures.varentropy_scatter import varentropy_scatter

__all__ = [
    "EntropyView",
    "apply_theme",
    "entropy_chart",
    "entropy_histogram",
    "export_data",
    "export_settings",
    "save_figure",
    "template",
    "varentropy_scatter",
]
