"""What panels share: the model, the traces, the cursor and the sampler. A change in one panel moves the others."""

from __future__ import annotations

import traitlets

from workbench.models import LanguageModel
from workbench.samplers import Sampler
from workbench.traces import Trace


class Session(traitlets.HasTraits):
    """Observable state; panels observe what they show and set what they change.

    Setting `trace` lets the cursor go and adds the trace to `traces`.
    """

    model = traitlets.Instance(LanguageModel, allow_none=True)
    second_model = traitlets.Instance(LanguageModel, allow_none=True, help="for switching and comparison")
    sampler = traitlets.Instance(Sampler, allow_none=True, help="None: the model's own generation settings")
    sampler_b = traitlets.Instance(Sampler, allow_none=True, help="what the sampler is compared with")
    traces = traitlets.Tuple(help="all traces of this session, oldest first")
    trace = traitlets.Instance(Trace, allow_none=True, help="the one on show")
    cursor = traitlets.Int(-1, help="the token all panels show, -1 for none")
    hover = traitlets.Int(-1, help="the token under the pointer, -1 for none; it goes before the cursor")
    settings = traitlets.Dict(help="panel -> its controls, as JSON, so that they outlive the panel")
    figures = traitlets.Tuple(help="figures kept for the report, as Exportable, oldest first")

    @property
    def shown(self) -> int | None:
        """The token to show now: the one under the pointer, else the cursor's, else None."""
        index = self.hover if self.hover >= 0 else self.cursor
        return index if index >= 0 else None

    @traitlets.validate("cursor", "hover")
    def _inside(self, proposal: traitlets.Bunch) -> int:
        length = 0 if self.trace is None else len(self.trace)
        return proposal["value"] if 0 <= proposal["value"] < length else -1

    @traitlets.observe("trace")
    def _shown(self, change: traitlets.Bunch) -> None:
        self.cursor = self.hover = -1
        trace = change["new"]
        if trace is not None and not any(known is trace for known in self.traces):
            self.traces = (*self.traces, trace)
