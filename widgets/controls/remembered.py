"""What somebody has set in a panel, as JSON, and put back where a panel is made anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from widgets.controls.settings_sliders import SettingsSliders
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from widgets.session import Session


def remembered(controls: Mapping[str, ipywidgets.Widget]) -> dict[str, Any]:
    """Name -> what the control says: a value, the tab that is open, or a settings object as a dictionary."""
    found = {name: _read(control) for name, control in controls.items()}
    return {name: value for name, value in found.items() if _is_json(value)}


def recall(controls: Mapping[str, ipywidgets.Widget], state: Mapping[str, Any]) -> None:
    """Set each control to what `remembered` said of it; what does not fit any more is left as it is."""
    for name, control in controls.items():
        if name in state:
            try:
                _write(control, state[name])
            except (traitlets.TraitError, WorkbenchError, TypeError, ValueError, IndexError):
                continue  # another version's value, or of a choice that is not offered here


def store(session: Session, title: str, controls: Mapping[str, ipywidgets.Widget]) -> None:
    """Put what the controls say into the session's settings of that title; what is there of others stays."""
    before = session.settings.get(title, {})
    state = {**before, **remembered(controls)}
    if state != before:
        session.settings = {**session.settings, title: state}


def _read(control: ipywidgets.Widget) -> Any:  # noqa: ANN401  -- as the control has it
    if isinstance(control, SettingsSliders):
        return control.settings.to_dict()
    return control.selected_index if isinstance(control, ipywidgets.Tab) else control.value


def _write(control: ipywidgets.Widget, value: Any) -> None:  # noqa: ANN401
    if isinstance(control, SettingsSliders):
        control.settings = type(control.settings).from_dict(value)
    elif isinstance(control, ipywidgets.Tab):
        control.selected_index = value
    else:
        control.value = value


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
