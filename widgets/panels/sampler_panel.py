"""The sampler panel: a chain of steps on sliders, and what it would have done to every token of a trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.closing import lay_out
from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.sample_bar import SampleBar
from widgets.controls.settings_export import SettingsExport, in_every_engine
from widgets.controls.soon import Soon
from widgets.controls.theme import Theme
from widgets.figures.sampler_series import SamplerView
from widgets.panels.sampler_along import AlongTheTrace
from widgets.panels.sampler_replays import Replays, SamplerScene
from widgets.panels.sampler_settings import SamplerSettings
from widgets.panels.sampler_summary import headline
from widgets.panels.sampler_top import TopTokens
from widgets.panels.trace_layers import alternatives, strip_layers, strip_phases
from widgets.session import Session
from widgets.strip import TokenStrip
from workbench.errors import ParameterError
from workbench.samplers import Sampler
from workbench.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.models import LanguageModel

_STYLE = Path(__file__).with_name("sampler.css").read_text(encoding="utf-8")
_LAYERS = ("entropy", "surprisal", "rank", "varentropy")
"""The raw ones: what the recording's own sampler did is not what this panel is about."""
_WRAP = {"flex_flow": "row wrap", "align_items": "flex-start"}
_AT_LATEST = 0.5
"""Seconds the browser has for the chart along the trace before the rest of the panel asks to be drawn."""


class SamplerPanel(ipywidgets.VBox):
    """A chain of sampling steps on sliders, replayed on a trace at every move: sampler A, and a frozen B beside it.

    Strip (marks: realised tokens that A would have dropped), entropy before and after and tokens kept along the trace,
    the 20 most likely tokens at the cursor, summary, presets, undo, samples drawn live with a model, and the settings
    in other engines' words.

    Args:
        trace: what to replay first.
        session: share model, trace, cursor and sampler with other panels; a session of its own where none is given.
        model: a model to draw samples with; the session's where none is given.
        sampler: the settings to begin with; else the session's, the trace's own, the model's own, or none at all.

    Raises:
        ParameterError: `trace` is not a Trace, or `sampler` not a Sampler.
    """

    _connected = False

    def __init__(
        self,
        trace: Trace | None = None,
        *,
        session: Session | None = None,
        model: LanguageModel | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        if trace is not None and not isinstance(trace, Trace):
            raise ParameterError(f"SamplerPanel shows a Trace, not a {type(trace).__name__}; wb.record makes one.")
        if sampler is not None and not isinstance(sampler, Sampler):
            raise ParameterError(f"{sampler!r} is no sampler; wb.Sampler(temperature=0.8, top_p=0.95) makes one.")
        self.session = session or Session()
        for name, value in (("model", model), ("trace", trace), ("sampler", sampler)):
            if value is not None:
                self.session.set_trait(name, value)
        self.replays = Replays()
        self._soon, self._cursor_soon = Soon(self._recompute), Soon(self._follow_cursor)
        self._others_soon = Soon(self._refresh_others, after=_AT_LATEST)
        self._make_parts()
        super().__init__(
            [
                self.theme, self.style_sheet, self.toolbar, self.strip,
                ipywidgets.HBox([self.chain, self.along, self.top], layout=_WRAP), self.sample_bar, self.texts,
                self.take_away,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self.add_class("workbench-sampler")
        self._connect()
        self._show(self.session.trace)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.theme = Theme()
        self.style_sheet = ipywidgets.HTML(f"<style>{_STYLE}</style>", layout={"display": "none"})
        self.settings = SamplerSettings(self.session, a_changed=self._soon.ask, b_changed=self._replay_b)
        self.toolbar, self.chain = self.settings.toolbar, self.settings.chain
        lay_out(self.chain, flex="0 0 330px", width="330px")
        self.strip = TokenStrip(
            layers=self._layers(), marked_label="would not survive", on_alternatives=self._alternatives, max_height=87,
            layout={"min_height": "112px"},
        )  # fmt: skip
        self.along = AlongTheTrace(self._scene, self._point, self.settings.in_words)
        lay_out(self.along, flex="1 1 400px", min_width="360px", width="auto")
        self.top = TopTokens(self._scene)
        lay_out(self.top, flex="0 0 318px", width="318px")
        self.sample_bar = SampleBar(self.session, sampler=lambda: self.sampler)
        self.texts = SettingsExport(lambda: self.sampler, self.settings.take)
        self.figure_choice = ipywidgets.Dropdown(
            options=[("chart along the trace", "along"), ("top 20 at the cursor", "top")], layout={"width": "190px"},
            tooltip="Which figure, with its data, the export buttons write",
        )  # fmt: skip
        self.export_bar = ExportBar(self._exportable)
        self.take_away = ipywidgets.HBox([self.figure_choice, self.export_bar], layout=_WRAP)
        self.take_away.add_class("workbench-take")

    def _connect(self) -> None:
        self._connected = True
        self.toolbar.active.observe(lambda _: self._soon.ask(), "value")
        self.toolbar.unit.observe(lambda _: self._unit_changed(), "value")
        self.theme.observe(lambda _: self._recolour(), "dark")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._trace_changed, "trace")
        self.session.observe(self._cursor_moved, ["cursor", "hover"])

    @property
    def sampler(self) -> Sampler:
        """Sampler A: the steps that are switched on, in order; the session's sampler."""
        return self.settings.sampler

    @sampler.setter
    def sampler(self, sampler: Sampler) -> None:
        self.session.sampler = sampler

    @property
    def b(self) -> Sampler | None:
        """The sampler that A is compared with."""
        return self.settings.b

    @property
    def busy(self) -> bool:
        """Whether samples are being drawn."""
        return self.sample_bar.running

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name; the samplers are the session's."""
        return {
            "tab": self.along, "unit": self.toolbar.unit, "active": self.toolbar.active,
            "prompt": self.sample_bar.prompt, "limit": self.sample_bar.limit, "seed": self.sample_bar.seed,
        }  # fmt: skip

    def _scene(self) -> SamplerScene:
        view = SamplerView(self.toolbar.unit.value, self.along.visible)
        return SamplerScene(self.replays, view, self.theme.name, self.session.shown)

    # --- replay ---------------------------------------------------------------------------------------------------

    def _recompute(self) -> None:
        """Replay A with the settings as they are now, and show it."""
        if self._connected:
            self._tried(lambda: self.replays.move(self.settings.replayed), a_alone=True)

    def _replay_b(self) -> None:
        self._tried(lambda: self.replays.compare(self.settings.b))

    def _tried(self, replay: Any, *, a_alone: bool = False) -> None:  # noqa: ANN401  -- a call without arguments
        """Replay, and show what came of it; a failure is said, and nothing older is left on show."""
        problem = ""
        try:
            replay()
        except Exception as error:  # noqa: BLE001  -- a step that somebody defined may fail in any way
            problem = f"{type(error).__name__}: {error}"
        self._refresh(a_alone=a_alone)
        if problem:
            self.toolbar.alert(problem)

    def _refresh(self, *, a_alone: bool = False) -> None:
        r, unit = self.replays, self.toolbar.unit.value
        if r.problem:
            self.toolbar.alert(r.problem)
        else:
            self.toolbar.headline.value = "" if r.a is None else headline(r.a, unit)
        self.along.refresh(a_alone=a_alone)
        if a_alone:
            self._others_soon.ask()
            self.along.chart.when_drawn(self._others_soon.do_now)
        else:
            self._refresh_others()

    def _refresh_others(self) -> None:
        """All that shows the replays besides the chart along the trace, which a moving hand is to see first."""
        self._others_soon.cancel()
        a = self.replays.a
        dropped = () if a is None else tuple(a.dropped.tolist())
        if self.strip.marked != dropped:
            self.strip.marked = dropped
        self.top.refresh()
        self.texts.refresh()
        self.chain.refresh()

    # --- trace and cursor -----------------------------------------------------------------------------------------

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        self._show(change["new"])

    def _show(self, trace: Trace | None) -> None:
        self.along.visible = None
        self.replays.show(trace)
        self._refill_strip()

        def both() -> None:
            self.replays.move(self.settings.replayed)
            self.replays.compare(self.settings.b)

        self._tried(both)

    def _layers(self) -> dict[str, Any]:
        layers = strip_layers(self.replays.tokens, self.toolbar.unit.value)
        return {name: layers[name] for name in _LAYERS}

    def _refill_strip(self) -> None:
        cursor, tokens = self.session.cursor, self.replays.tokens
        self.strip.replace(tokens["text"].to_list(), strip_phases(tokens), self._layers())
        self.session.cursor = self.strip.cursor = cursor

    def _unit_changed(self) -> None:
        self._refill_strip()
        self._refresh()

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        self.session.set_trait(change["name"], change["new"])

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        self.strip.set_trait(change["name"], change["new"])
        self._cursor_soon.ask()

    def _follow_cursor(self) -> None:
        if self._connected:
            self.along.move_cursor()
            self.top.refresh()

    def _point(self, position: int, pin: bool) -> None:  # noqa: FBT001  -- a callback
        self.session.set_trait("cursor" if pin else "hover", position)

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        trace = self.session.trace
        return [] if trace is None else alternatives(trace, position)

    def _recolour(self) -> None:
        for box in (self.along.chart, self.top.chart):
            box.recolour(self.theme.name)

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        """The figure chosen, its data, and both samplers with A in every engine's words."""
        trace, scene = self.session.trace, self._scene()
        if trace is None or not len(trace):
            return None
        settings = {
            **trace.meta, "prompt": trace.prompt, "recorded_with": trace.meta.get("sampler"),
            "sampler": self.sampler.to_dict(), "sampler_b": None if self.b is None else self.b.to_dict(),
            "engines": in_every_engine(self.sampler),
            "view": {"with_sampler": self.toolbar.active.value, "unit": scene.view.unit, "token": scene.focus},
        }  # fmt: skip
        if self.figure_choice.value == "top":
            return Exportable("top-tokens", self.top.figure(scene), self.top.frame(scene), settings, tall=1.6)
        figure = self.along.figure(replace(scene, token=None))
        return Exportable("sampler", figure, self.replays.to_frame(), settings, tall=1.4)

    def close(self) -> None:
        """Stop what runs, close the charts and let go of the session."""
        if self._connected:  # a widget is closed once more when it is collected, also one that was never finished
            self._connected = False
            self._soon.cancel()
            self._cursor_soon.cancel()
            self._others_soon.cancel()
            self.session.unobserve(self._trace_changed, "trace")
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            self.settings.close()
            for part in (self.along, self.top, self.figure_choice, self.export_bar, *self.children):
                part.close()
        super().close()
