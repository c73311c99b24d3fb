"""One step of a chain as a card: switched on or off, moved, removed, and a control for each of its settings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.parameter_control import ParameterControl, parameter_control
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.samplers import Step

AT_FIRST = 4
"""Settings a card shows before it is asked for more."""
_SPARE = 2  # a button to show fewer than this many would take as much room as they do


@dataclass(frozen=True)
class Link:
    """One step of a chain, and whether it is switched on."""

    step: Step
    on: bool = True


class StepCard(ipywidgets.VBox):
    """A step's name and its settings, from `parameters()` alone: a step that somebody defines needs nothing else.

    What cannot be is said in the card, and the step stays as it was until it can.

    Args:
        link: the step to begin with.
        changed: called with the card and the setting's name (None for the switch) after every valid change.
        moved: called with the card and -1 or 1 when it is to come earlier or later, 0 when it is to go.
    """

    def __init__(
        self, link: Link, *, changed: Callable[[StepCard, str | None], None], moved: Callable[[StepCard, int], None]
    ) -> None:
        self._changed, self._move = changed, moved
        self.link, self._quiet = link, False
        self.controls: dict[str, ParameterControl] = {
            one.name: parameter_control(one, getattr(link.step, one.name), lambda name=one.name: self._set(name))
            for one in link.step.parameters()
        }
        self.problem = ipywidgets.HTML(layout={"display": "none"})
        super().__init__([self._head(link.step), *self._settings(), self.problem])
        self.add_class("workbench-step")
        self.show(link)

    def show(self, link: Link) -> None:
        """Take on another step of the same kind without telling anybody."""
        self.link = link
        self._say("")
        for name, control in self.controls.items():
            control.show(getattr(link.step, name))
        self._quiet = True
        self.switch.value = link.on
        self._quiet = False
        self._fade()

    def place(self, *, first: bool, last: bool) -> None:
        """Say where in the chain the card stands."""
        self.up.disabled, self.down.disabled = first, last

    def _head(self, step: Step) -> ipywidgets.HBox:
        about = (inspect.cleandoc(type(step).__doc__ or ""), f"Source: {step.source}", "Off, it keeps its settings.")
        self.switch = ipywidgets.Checkbox(
            description=step.title,
            tooltip="\n\n".join(about),
            indent=False,
            layout={"flex": "1 1 auto", "width": "auto"},
        )
        self.switch.observe(self._switched, "value")

        def button(icon: str, tooltip: str, by: int) -> ipywidgets.Button:
            made = ipywidgets.Button(icon=icon, tooltip=f"{step.title}: {tooltip}", layout={"width": "26px"})
            made.on_click(lambda _: self._move(self, by))
            return made

        self.up = button("arrow-up", "act earlier", -1)
        self.down = button("arrow-down", "act later", 1)
        self.remove = button("times", "remove", 0)
        head = ipywidgets.HBox([self.switch, self.up, self.down, self.remove], layout={"align_items": "center"})
        head.add_class("workbench-step-head")
        return head

    def _settings(self) -> list[ipywidgets.Widget]:
        controls = list(self.controls.values())
        if len(controls) < AT_FIRST + _SPARE:
            return controls
        rest = ipywidgets.VBox(controls[AT_FIRST:], layout={"display": "none"})
        more = ipywidgets.Button(
            description=f"{len(rest.children)} more settings", icon="caret-down", layout={"width": "auto"}
        )
        more.add_class("workbench-more")

        def toggle(_: ipywidgets.Button) -> None:
            opens = rest.layout.display == "none"
            rest.layout.display = None if opens else "none"
            more.icon = "caret-up" if opens else "caret-down"
            more.description = "fewer settings" if opens else f"{len(rest.children)} more settings"

        more.on_click(toggle)
        return [*controls[:AT_FIRST], more, rest]

    def _set(self, name: str) -> None:
        values = {key: control.value for key, control in self.controls.items()}
        try:
            step = replace(self.link.step, **values)
        except (WorkbenchError, ValueError, TypeError) as problem:  # a step somebody defined may raise its own
            self._say(str(problem))
            return
        self._say("")
        self.link = replace(self.link, step=step)
        self._changed(self, name)

    def _switched(self, change: dict[str, bool]) -> None:
        if self._quiet:
            return
        self.link = replace(self.link, on=change["new"])
        self._fade()
        self._changed(self, None)

    def _fade(self) -> None:
        (self.remove_class if self.link.on else self.add_class)("workbench-off")

    def _say(self, text: str) -> None:
        self.problem.value = f'<span role="alert">⚠ {escape(text)}</span>' if text else ""
        self.problem.layout.display = None if text else "none"

    def close(self) -> None:
        """Close the card and what is on it."""
        for part in (*self.controls.values(), *self.children):
            part.close()
        super().close()
