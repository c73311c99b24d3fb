"""Figures: a result in, a plotly figure out."""

from widgets.figures.entropy_chart import entropy_chart
from widgets.figures.entropy_histogram import entropy_histogram
from widgets.figures.entropy_series import EntropyView
from widgets.figures.export import export_data, export_settings, save_figure
from widgets.figures.sampler_chart import sampler_chart
from widgets.figures.sampler_series import SamplerView
from widgets.figures.switching_chart import switching_chart
from widgets.figures.template import apply_theme, template
from widgets.figures.top_tokens import top_tokens
from widgets.figures.trigger_chart import trigger_chart
from widgets.figures.varentropy_scatter import varentropy_scatter

__all__ = [
    "EntropyView",
    "SamplerView",
    "apply_theme",
    "entropy_chart",
    "entropy_histogram",
    "export_data",
    "export_settings",
    "sampler_chart",
    "save_figure",
    "switching_chart",
    "template",
    "top_tokens",
    "trigger_chart",
    "varentropy_scatter",
]
