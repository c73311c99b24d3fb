"""SRGen's loss and its gradient in closed form: no automatic differentiation, no (L, V) matrix kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.samplers.reflective.head import LinearHead
    from workbench.samplers.reflective.settings import Reflective

_CHUNK_BYTES = 64 * 2**20
_COPIES = 4
"""Scores, logits, probabilities and their weighted product are there at once."""


@dataclass(frozen=True, eq=False)
class PastSums:
    """The cross-entropy of tokens that are already there, summed over them."""

    loss: Tensor
    """-Σ_i ln P_i[y_i], a scalar; nats."""
    residual: Tensor
    """(V,) Σ_i g'(u_i) ⊙ (P_i - onehot(y_i)), its gradient with respect to a common shift of all scores."""
    count: int
    """How many tokens."""

    def __add__(self, other: PastSums) -> PastSums:
        return PastSums(self.loss + other.loss, self.residual + other.residual, self.count + other.count)


def past_sums(head: LinearHead, states: Tensor, targets: Tensor, shift: Tensor | None = None) -> PastSums:
    """Sums over the states (n, D) and the tokens (n,) that followed them, all scores moved by `shift` (V,).

    As δ is the same for every state, one vector (V,) sums up the gradient of all of them, and Wᵀ is multiplied once.
    The states go through the head in chunks of 64 MiB of scores.
    """
    vocabulary = len(head.weight)
    loss = torch.zeros((), dtype=head.dtype, device=head.weight.device)
    residual = torch.zeros(vocabulary, dtype=head.dtype, device=head.weight.device)
    rows = max(1, _CHUNK_BYTES // (_COPIES * head.dtype.itemsize * vocabulary))
    for some, following in zip(torch.split(states, rows), torch.split(targets, rows), strict=True):
        scores = head.scores(some)
        logits = head.logits(scores if shift is None else scores + shift)
        logp = torch.log_softmax(logits, dim=-1)
        loss -= logp.gather(1, following[:, None]).sum()
        off = logp.exp_()
        off[torch.arange(len(following), device=off.device), following] -= 1
        residual += (off * head.slope(logits)).sum(0)
    return PastSums(loss, residual, len(targets))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The loss at one δ. Nats."""

    loss: float
    """(1 - λ) L_CE + λ L_AEM."""
    cross_entropy: float
    """L_CE, sum or mean."""
    entropy: float
    """L_AEM = H(softmax(z_t / T))."""
    gradient: Tensor
    """(D,) ∇_δ of the loss."""


class Objective:
    """L(δ) = (1 - λ) L_CE + λ L_AEM and its gradient.

    ∇L_CE = Wᵀ Σ_i g'(u_i) ⊙ (P_i - onehot(y_{i+1})), or the mean instead of the sum;
    ∇L_AEM = Wᵀ [g'(u_t) ⊙ (-p ⊙ (ln p + H))] / T with p = softmax(z_t / T). The cross-entropy is taken at T = 1.

    Args:
        head: W, b and g.
        states: h_i (L, D) of the whole prefix; the last is that of the token to come.
        targets: (L - 1,) the tokens that followed all others.
        settings: λ, and sum or mean.
        temperature: T.
        at_zero: the sums at δ = 0, where they are known already.
    """

    def __init__(
        self,
        head: LinearHead,
        states: Tensor,
        targets: Tensor,
        settings: Reflective,
        *,
        temperature: float = 1.0,
        at_zero: PastSums | None = None,
    ) -> None:
        self._head, self._past, self._targets = head, states[:-1], targets
        self._scores = head.scores(states[-1])
        self._weight, self._temperature = settings.weight, temperature
        self._share = 1.0 / max(1, len(targets)) if settings.cross_entropy == "mean" else 1.0
        self._at_zero = at_zero
        self.head_rows = 1
        """States put through the head so far, W δ and Wᵀ r counted as one each."""

    def __call__(self, delta: Tensor) -> Evaluation:
        """Loss and gradient at δ (D,)."""
        if self._at_zero is not None and not delta.any():
            return self._evaluate(self._at_zero, self._scores)
        shift = self._head.shift(delta)
        self.head_rows += 1 + len(self._past)
        return self._evaluate(past_sums(self._head, self._past, self._targets, shift), self._scores + shift)

    def _evaluate(self, past: PastSums, scores: Tensor) -> Evaluation:
        head, temperature, weight = self._head, self._temperature, self._weight
        logits = head.logits(scores)
        logp = torch.log_softmax(logits / temperature, dim=-1)
        p = logp.exp()
        entropy = -(p * logp).sum()
        sharpen = -p * (logp + entropy) / temperature * head.slope(logits)
        self.head_rows += 1
        cross_entropy = self._share * float(past.loss)
        return Evaluation(
            loss=(1 - weight) * cross_entropy + weight * float(entropy),
            cross_entropy=cross_entropy,
            entropy=float(entropy),
            gradient=head.pull((1 - weight) * self._share * past.residual + weight * sharpen),
        )

    def corrected(self, raw: Tensor, delta: Tensor) -> Tensor:
        """The model's logits (V,) with what δ (D,) changes about them: exactly themselves for δ = 0."""
        moved = self._head.logits(self._scores + self._head.shift(delta)) - self._head.logits(self._scores)
        self.head_rows += 1
        return raw + moved.to(raw)
