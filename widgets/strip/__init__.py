"""The token strip: a trace's tokens as flowing text, coloured, under a cursor."""

from widgets.strip.columns import Layer
from widgets.strip.strip import TokenStrip

__all__ = ["Layer", "TokenStrip"]
