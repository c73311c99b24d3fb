"""Panels: controls, figures, and what happens on a change."""
