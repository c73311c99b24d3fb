"""What panels of a settings class on a fixed text share: sliders, a chart, a table, one cursor, undo and export."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import ipywidgets

from widgets.controls.beside import beside
from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.controls.theme import Theme
from widgets.panels.replay_tabs import ReplayScene, ReplayTabs, ReplayView
from widgets.panels.trace_layers import alternatives, strip_layers, strip_phases
from widgets.session import Session
from widgets.strip import TokenStrip
from workbench.errors import WorkbenchError
from workbench.samplers.parameters import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from widgets.figures.text import Unit
    from widgets.strip import Layer
    from workbench.traces import Trace

S = TypeVar("S", bound=Settings)
R = TypeVar("R")

_LAYERS = ("entropy", "surprisal", "rank", "varentropy")


class SettingsPanel(ipywidgets.VBox, Generic[S, R]):
    """Base: the settings on sliders, and what they would have done to every token, at every move.

    A panel says what is its own in the attributes and methods below `the panel's own`.

    Args:
        trace: whose tokens the strip shows; the session's trace unless that is of the same tokens already.
        settings: to begin with.
        session: shares the cursor; a session of its own where none is given.
    """

    STEM: str
    """Of the files that are exported."""
    MARKED: str
    """What the strip's mark means."""
    WHOSE: str = ""
    """Whose numbers the strip shows, where that is not plain."""
    UNIT: Unit
    PRESETS: Mapping[str, tuple[Settings, str]]
    """Button -> settings, and where they are from."""
    LIVE_ONLY: tuple[str, ...] = ()
    """Settings that a replay does not depend on."""
    VIEW: ReplayView[Any]

    _connected = False

    def __init__(self, trace: Trace, settings: S, session: Session | None) -> None:
        self.trace = trace
        self.session = session or Session()
        if not self._same_text():
            self.session.trace = trace
        self.result: R | None = None
        self._problem = ""
        self._soon, self._cursor_soon = Soon(self._recompute), Soon(self._follow_cursor)
        self._make_parts(settings)
        super().__init__(
            [
                self.theme, self.sliders.buttons, self.summary, self.strip, beside(self.sliders, self.tabs, width=346),
                self.export_bar,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self.add_class(f"workbench-{self.STEM}")
        self._connect()
        self._recompute()

    # --- the panel's own ------------------------------------------------------------------------------------------

    def _replay(self, settings: S) -> R:
        """What these settings do."""
        raise NotImplementedError

    def _words(self, result: R) -> str:
        """The summary, as HTML."""
        raise NotImplementedError

    def _marks(self, result: R) -> npt.ArrayLike:
        """Positions that the strip marks."""
        raise NotImplementedError

    def _about(self, result: R) -> dict[str, Any]:
        """What travels in every exported file, besides the settings."""
        raise NotImplementedError

    def _unused(self, settings: S) -> frozenset[str]:  # noqa: ARG002  -- for those that have some
        """Settings without an effect while the others are as they are."""
        return frozenset()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self, settings: S) -> None:
        self.theme = Theme()
        # a fixed place for words of any number, so that nothing below jumps while a slider moves
        self.summary = ipywidgets.HTML(layout={"min_height": "66px"})
        self.strip = TokenStrip(
            *self._columns(), marked_label=self.MARKED, on_alternatives=self._alternatives, max_height=87,
            layout={"min_height": "112px"},
        )  # fmt: skip
        self.sliders: SettingsSliders[S] = SettingsSliders(
            settings, self._changed, presets=self.PRESETS, folded=self.LIVE_ONLY,
            folded_title="Matter in live decoding only", unused=self._unused,
        )  # fmt: skip
        self.tabs: ReplayTabs[R] = ReplayTabs(self.VIEW, self._scene, self.strip.set_trait)
        self.export_bar = ExportBar(self._exportable)

    def _connect(self) -> None:
        self._connected = True
        self.theme.observe(lambda _: self.tabs.chart.recolour(self.theme.name), "dark")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._trace_changed, "trace")
        self.session.observe(self._cursor_moved, ["cursor", "hover"])
        if self._same_text():
            self.strip.cursor = self.session.cursor

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        return {"settings": self.sliders, "tab": self.tabs}

    # --- replay ---------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> S:
        """What the sliders say; setting it moves them.

        Raises:
            ParameterError: set to something else than this panel's settings.
        """
        return self.sliders.settings

    @settings.setter
    def settings(self, settings: S) -> None:
        self.sliders.settings = settings

    def _changed(self) -> None:
        self._say()
        self._soon.ask()

    def _recompute(self) -> None:
        """Replay the settings as they are now; where that fails, say why and leave nothing older on show."""
        if not self._connected:
            return
        self._soon.cancel()
        try:
            self.result, self._problem = self._replay(self.settings), ""
        except WorkbenchError as problem:
            self.result, self._problem = None, str(problem)
        self.strip.marked = () if self.result is None else self._marks(self.result)
        self._say()
        self.tabs.refresh()

    def _say(self) -> None:
        """The summary, or what is wrong, in one place; a setting that cannot be leaves the last replay on show."""
        words = "" if self.result is None else self._words(self.result)
        if self.sliders.invalid:
            words = alert(f"{self.sliders.invalid} Shown are the settings before.") + words
        elif self._problem:
            words = alert(self._problem)
        self.summary.value = f'<div class="workbench-summary" style="line-height:1.5">{words}</div>'

    def _scene(self) -> ReplayScene[R]:
        return ReplayScene(self.result, len(self.trace), self.token, self.theme.name)

    # --- text and cursor ------------------------------------------------------------------------------------------

    @property
    def token(self) -> int | None:
        """The token under the pointer, else the cursor's, else None."""
        index = self.strip.hover if self.strip.hover >= 0 else self.strip.cursor
        return index if index >= 0 else None

    def _same_text(self) -> bool:
        """Whether a token of the session's trace is the token of that number here."""
        other = self.session.trace
        return other is self.trace or (
            other is not None and other.tokens["token_id"].equals(self.trace.tokens["token_id"])
        )

    def _columns(self) -> tuple[list[str], list[str], dict[str, Layer]]:
        """What the strip shows: texts, phases, and the raw numbers."""
        tokens = self.trace.tokens
        layers = strip_layers(tokens, self.UNIT)
        raw = {name: replace(layers[name], label=f"{self.WHOSE}{layers[name].label}") for name in _LAYERS}
        return tokens["text"].to_list(), strip_phases(tokens), raw

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        """Another trace is on show elsewhere: this panel's text stays, and shares the cursor while it is the same."""

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        if self._same_text():
            self.session.set_trait(change["name"], change["new"])
        self._cursor_soon.ask()

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        if self._same_text():
            self.strip.set_trait(change["name"], change["new"])

    def _follow_cursor(self) -> None:
        if self._connected:
            self.tabs.move_cursor()

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        return alternatives(self.trace, position)

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        if self._soon.due:
            self._recompute()
        if self.result is None:
            return None
        about = {**self._about(self.result), "method": self.STEM, "settings": self.settings.to_dict()}
        figure = self.tabs.figure(replace(self._scene(), token=None))
        return Exportable(self.STEM, figure, self.VIEW.table(self.result), about, tall=1.2)

    def close(self) -> None:
        """Close sliders, chart and tables, and let go of the session."""
        if self._connected:  # a widget is closed once more when it is collected, also one that was never finished
            self._connected = False
            self._soon.cancel()
            self._cursor_soon.cancel()
            self.session.unobserve(self._trace_changed, "trace")
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            for part in (self.tabs, self.sliders, *self.children):
                part.close()
        super().close()


def facts(*parts: str) -> str:
    """Facts in a line, parted by dots."""
    return ' <span style="opacity:.5">·</span> '.join(part for part in parts if part)


def explained(text: str, about: str) -> str:
    """Words that explain themselves when pointed at."""
    return f'<abbr title="{escape(about)}">{text}</abbr>'


def alert(text: str) -> str:
    """What is wrong, or to be heeded, on a line of its own."""
    return f'<div role="alert" style="color:var(--jp-error-color1,#b71c1c)">⚠ {escape(text)}</div>'
