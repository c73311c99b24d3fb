"""Two models draw one text in turn: whose turn it is, what they have read, and what is kept of every token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from workbench.entropies import entropy
from workbench.errors import LogitsError
from workbench.samplers.switching.caches import CachedModel
from workbench.samplers.switching.cost import Cost
from workbench.samplers.switching.routing import NATS_PER_BIT, Router
from workbench.traces.recorder import Recorder, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.models import LanguageModel
    from workbench.samplers.sampler import Sampler
    from workbench.samplers.switching.settings import Switching


class SwitchingLoop:
    """The state of one decode by two models.

    Args:
        small, large: the models; the vocabulary both know is that of the shorter rows of logits.
        prompt_ids: at least one token.
        settings: when the models take turns.
        sampler: how a token is drawn from either's logits.
        seed: of the generator, one a device.
        limit: most tokens to draw.
        top: logits a sketch holds exactly.
        on_token: called with every token.
    """

    def __init__(
        self,
        small: LanguageModel,
        large: LanguageModel,
        prompt_ids: Sequence[int],
        settings: Switching,
        *,
        sampler: Sampler,
        seed: int,
        limit: int,
        top: int,
        on_token: Callable[[Token], None] | None,
    ) -> None:
        self.small, self.large = CachedModel(small), CachedModel(large)
        self.sampler, self.limit = sampler, limit
        self.router = Router(settings, limit)
        narrow = min(small, large, key=lambda model: model.vocabulary)
        self.vocabulary = narrow.vocabulary
        self.recorder = Recorder(narrow, sampler, prompt_ids, [0], top=top, on_token=self._hear)
        self.caught_up: list[int] = []
        """Positions the drawing model computed for each token, less the one its logits came from."""
        self._ids, self._prompt = list(prompt_ids), len(prompt_ids)
        self._processor = sampler.processor(seeds=[seed], prompt_lengths=[self._prompt]) if sampler.steps else None
        self._generators = {model.device: torch.Generator(model.device).manual_seed(seed) for model in (small, large)}
        self._monitor_small, self._monitored = settings.monitor == "small", 0
        self._on_token = on_token

    @property
    def drawn(self) -> list[int]:
        """The tokens drawn so far."""
        return self._ids[self._prompt :]

    def run(self, stop: Callable[[], bool]) -> str:
        """Draw until an end token (of the model that drew it), the limit or `stop`; say which: end, length, stopped.

        Raises:
            LogitsError: a model gave NaN, +inf or nothing but -inf; model and step are named.
        """
        for _ in range(self.limit):
            active = self.large if self.router.large else self.small
            before = active.read
            raw = self._logits(active)
            self.caught_up.append(active.read - before - 1)
            processed = raw if self._processor is None else self._processor(torch.tensor([self._ids]), raw)
            token = self._draw(processed, self._generators[active.model.device])
            self.recorder.step(raw, processed, token, [True])
            self._ids.append(int(token))
            if self._ids[-1] in active.model.end_ids:
                return "end"
            if stop():
                return "stopped"
        return "length"

    def cost(self) -> Cost:
        """What it has cost so far, the positions as the caches counted them."""
        route = self.router.route()
        return Cost(
            tokens_small=int((~route.large).sum()),
            tokens_large=int(route.large.sum()),
            switches=len(route.switch_points),
            prompt=self._prompt,
            read_small=self.small.read,
            read_large=self.large.read,
            monitored=self._monitored,
            parameters_small=self.small.model.parameters,
            parameters_large=self.large.model.parameters,
        )

    def _logits(self, cached: CachedModel) -> torch.Tensor:
        """Raw logits (1, V) after the text so far, over the vocabulary both know."""
        raw = cached.logits(self._ids)[None, : self.vocabulary]
        if not bool(torch.isfinite(raw.amax())):  # NaN for NaN, -inf for nothing left, +inf for +inf
            raise LogitsError(
                f"The raw logits of {cached.model.name} at step {len(self.drawn)}: NaN, +inf or no token left. "
                "Try dtype='float32' or another model."
            )
        return raw

    def _draw(self, processed: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if self.sampler.greedy:
            return processed.argmax(dim=-1)
        return torch.multinomial(torch.softmax(processed, dim=-1)[0], 1, generator=generator)

    def _hear(self, token: Token) -> None:
        """Route on the token just recorded; the text does not hold it yet, so that the small model's view is of it."""
        nats = token.row["entropy"]
        if self._monitor_small and self.router.large:
            nats = float(entropy(self._logits(self.small)).entropy[0])
            self._monitored += 1
        self.router.take(nats / NATS_PER_BIT)
        if self._on_token is not None:
            self._on_token(token)
