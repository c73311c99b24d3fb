"""One settings object on sliders, with presets and undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import ipywidgets

from widgets.controls.history import History
from widgets.controls.parameter_control import ParameterControl, SwitchControl, parameter_control
from workbench.errors import ParameterError
from workbench.samplers.parameters import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from workbench.samplers.parameters import Parameter

S = TypeVar("S", bound=Settings)

_LABEL_WIDTH = "124px"


class SettingsSliders(ipywidgets.VBox, Generic[S]):
    """A control for each parameter of a settings class, and `buttons`: undo, redo, presets.

    `settings` is always valid; while somebody has typed what cannot be, it is the last that could, and `invalid` says
    what is wrong.

    Args:
        settings: to begin with.
        changed: called after every change, also when something invalid came or went.
        presets: button -> settings, and where they are from.
        folded: names of settings that are folded away.
        folded_title: what is said of them.
        unused: asked which settings have no effect while the others are as they are.
    """

    def __init__(
        self,
        settings: S,
        changed: Callable[[], None],
        *,
        presets: Mapping[str, tuple[S, str]],
        folded: Collection[str] = (),
        folded_title: str = "",
        unused: Callable[[S], Collection[str]] = lambda _: (),
    ) -> None:
        self._changed, self._unused = changed, unused
        self._history: History[S] = History(settings)
        self.invalid = ""
        self.controls = {one.name: self._control(one) for one in settings.parameters()}
        self.undo = _button("Undo", "Undo the last change of the settings", "undo")
        self.redo = _button("Redo", "Redo it", "repeat")
        self.presets = {name: _button(name, about) for name, (_, about) in presets.items()}
        self.undo.on_click(lambda _: self._undo())
        self.redo.on_click(lambda _: self._go(self._history.redo))
        for name, button in self.presets.items():
            button.on_click(lambda _, settings=presets[name][0]: self._take(settings))
        self.buttons = ipywidgets.HBox(
            [self.undo, self.redo, *self.presets.values()], layout={"flex_flow": "row wrap", "align_items": "center"}
        )
        super().__init__(self._arranged(folded, folded_title))
        self._settle()

    @property
    def settings(self) -> S:
        """What the sliders say; setting it moves them.

        Raises:
            ParameterError: set to something else than settings of the same class.
        """
        return self._history.present

    @settings.setter
    def settings(self, settings: S) -> None:
        check_settings(settings, type(self.settings))
        self._take(settings)

    def _control(self, parameter: Parameter) -> ParameterControl:
        value = getattr(self.settings, parameter.name)
        control = parameter_control(parameter, value, lambda: self._moved(parameter.name))
        if not isinstance(control, SwitchControl):
            control.children[0].style.description_width = _LABEL_WIDTH
        return control

    def _arranged(self, folded: Collection[str], title: str) -> list[ipywidgets.Widget]:
        parts: list[ipywidgets.Widget] = [one for name, one in self.controls.items() if name not in folded]
        if folded:
            below = ipywidgets.VBox([self.controls[name] for name in folded])
            self._below = ipywidgets.Accordion([below], titles=[title], selected_index=None)
            parts.append(self._below)
        return parts

    def _moved(self, name: str) -> None:
        """Somebody moved the control of this name."""
        values: dict[str, Any] = {one: control.value for one, control in self.controls.items()}
        try:
            settings = type(self.settings)(**values)
        except ParameterError as problem:
            self.invalid = str(problem)
        else:
            self.invalid = ""
            self._history.add(settings, source=name)
        self._settle()
        self._changed()

    def _take(self, settings: S) -> None:
        self._history.add(settings)
        self._adopt()

    def _undo(self) -> None:
        """Go back, at first to what is valid."""
        self._go((lambda: self.settings) if self.invalid else self._history.undo)

    def _go(self, step: Callable[[], S]) -> None:
        step()
        self._adopt()

    def _adopt(self) -> None:
        """Put the controls where the settings are."""
        self.invalid = ""
        for name, control in self.controls.items():
            control.show(getattr(self.settings, name))
        self._settle()
        self._changed()

    def _settle(self) -> None:
        """Enable what can be done, and what has an effect."""
        self.undo.disabled = not (self._history.can_undo or self.invalid)
        self.redo.disabled = not self._history.can_redo
        unused = self._unused(self.settings)
        for name, control in self.controls.items():
            for part in control.children:
                part.disabled = name in unused

    def close(self) -> None:
        """Close controls and buttons."""
        for part in (*self.controls.values(), *self.buttons.children, self.buttons, *self.children):
            for inner in part.children if isinstance(part, ipywidgets.Accordion) else ():
                inner.close()
            part.close()
        super().close()


def check_settings(settings: object, kind: type[Settings]) -> None:
    """Whether `settings` are of this class.

    Raises:
        ParameterError: they are not.
    """
    if not isinstance(settings, kind):
        raise ParameterError(
            f"The settings of this panel are a {kind.__name__}, not a {type(settings).__name__}; "
            f"{kind.__name__}() makes one."
        )


def _button(text: str, tooltip: str, icon: str = "") -> ipywidgets.Button:
    return ipywidgets.Button(description=text, tooltip=tooltip, icon=icon, layout={"width": "auto"})
