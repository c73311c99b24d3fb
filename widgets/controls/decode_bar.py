"""A prompt, how to draw, Generate and Stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.decoding import NARROW, Decoding
from workbench.samplers import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from widgets.session import Session
    from workbench.traces import Trace
    from workbench.traces.recorder import Token


class DecodeBar(Decoding):
    """Decodes the session's model off the comm thread; the finished trace, whole or stopped, becomes the session's.

    Args:
        session: whose model decodes. Its trace is None while the decode runs, then the new one; after an error, as it
            was.
        on_tokens: called with the new tokens some ten times a second.
    """

    def __init__(self, session: Session, *, on_tokens: Callable[[list[Token]], None]) -> None:
        self._before: Trace | None = None
        super().__init__(session, on_tokens=on_tokens)

    def _make_controls(self) -> None:
        super()._make_controls()
        self.temperature = ipywidgets.FloatSlider(
            1.0, min=0, max=2, step=0.05, description="temperature", style=NARROW, layout={"width": "240px"},
            tooltip="Divides the logits; 0 takes the most likely token always",
        )  # fmt: skip
        self.top_p = ipywidgets.FloatSlider(
            1.0, min=0.05, max=1, step=0.01, description="top-p", style=NARROW, layout={"width": "220px"},
            tooltip="Keep the smallest set of tokens whose probabilities reach p; 1 keeps all",
        )  # fmt: skip
        self.top_k = ipywidgets.BoundedIntText(
            0, min=0, max=1_000_000, description="top-k", style=NARROW, layout={"width": "110px"},
            tooltip="Keep the k most likely tokens; 0 keeps all",
        )  # fmt: skip

    def _row(self) -> list[ipywidgets.Widget]:
        return [self.generate, self.stop, self.temperature, self.top_p, self.top_k, self.limit, self.seed]

    @property
    def sampler(self) -> Sampler:
        """The sampler the controls describe."""
        return Sampler(temperature=self.temperature.value, top_k=self.top_k.value, top_p=self.top_p.value)

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        own = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        return {"prompt": self.prompt, "limit": self.limit, "seed": self.seed, **own}

    def _begins(self) -> None:
        if self._session.trace is not None:  # None: a run before this one is still under way, and nothing new is there
            self._before, self._session.trace = self._session.trace, None

    def _ends(self, result: Trace | None) -> None:
        self._session.trace = self._before if result is None else result

    def _model_changed(self, _: Any = None) -> None:  # noqa: ANN401
        super()._model_changed()
        model = self._session.model
        if model is not None:
            settings = self._session.sampler or Sampler.from_generation_config(model.hf.generation_config)
            steps = {step.name: step for step in settings.steps}
            self.temperature.value = settings.temperature
            self.top_p.value = getattr(steps.get("top_p"), "p", 1.0)
            self.top_k.value = getattr(steps.get("top_k"), "k", 0)
