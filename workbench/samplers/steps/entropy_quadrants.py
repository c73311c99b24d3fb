"""Entropy quadrants, known from entropix: entropy and varentropy decide how a token is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import ends, entropy_of, keep_above, prefix_counting, prefix_reaching, varentropy_of, x_of
from workbench.kernels.rules import keeps, learns, tempers
from workbench.samplers.parameters import choice, number, switch
from workbench.samplers.step import Signal, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row

QUADRANTS = ("LELV", "HELV", "LEHV", "HEHV", "adaptive")
"""low/high entropy, low/high varentropy; the signal is an index into these."""
# Parameters by position, in the order of the fields.
_T, _TOP_P, _TOP_K, _MIN_P, _H_LOW, _H_HIGH, _H_MEDIUM, _V_LOW, _V_HIGH = range(9)
_LELV, _HELV, _LEHV, _HEHV, _REST, _HELV_T, _LEHV_T, _HEHV_T, _CLARIFIER, _MIN_P_ACTS = range(9, 19)
# Actions.
_GREEDY, _CLARIFY, _WARM, _EXPLORE, _HOT, _ADAPT, _PLAIN = range(7)
ACTIONS = ("greedy", "clarify", "warmer", "explore", "hot", "adapt", "plain")


@tempers
def by_quadrant(row: Row, p: NDArray[np.float64]) -> float:
    """Choose the quadrant and its temperature. memory: quadrant, tokens since the clarifier, and H + V in bits."""
    h = entropy_of(row) / math.log(2.0)
    v = varentropy_of(row) / math.log(2.0) ** 2
    quadrant = 4
    if h < p[_H_LOW] and v < p[_V_LOW]:
        quadrant = 0
    elif h > p[_H_HIGH] and v < p[_V_LOW]:
        quadrant = 1
    elif h < p[_H_HIGH] and v > p[_V_HIGH]:
        quadrant = 2
    elif h > p[_H_MEDIUM] and v > p[_V_HIGH]:
        quadrant = 3
    row.memory[0], row.memory[2] = quadrant, h + v
    action = int(p[_LELV + quadrant])
    if action == _GREEDY:
        return 0.0
    if action in (_CLARIFY, _WARM):
        return min(1.5, p[_T] * p[_HELV_T])
    if action == _EXPLORE:
        return min(1.5, p[_T] * p[_LEHV_T])
    if action == _HOT:
        return max(2.0, p[_T] * p[_HEHV_T])
    if action == _ADAPT:
        return p[_T] * (1.0 + 0.3 * (h + v))
    return p[_T]


@keeps
def by_action(row: Row, p: NDArray[np.float64]) -> tuple[float, float]:
    """Min-p (where it acts), top-k, then top-p, by the quadrant's action."""
    action = int(p[_LELV + int(row.memory[0])])
    if action == _GREEDY:
        return row.low, row.high
    clarifier = int(p[_CLARIFIER])
    if action == _CLARIFY and clarifier >= 0 and row.memory[1] != 1.0:
        for i in range(row.ids.shape[0]):
            if row.ids[i] == clarifier:
                return float(i), i + 1.0
        _, stop = ends(row)
        return float(row.ids.shape[0]), float(stop)  # somewhere among the tokens that are not known one by one
    k, mass, m = p[_TOP_K], p[_TOP_P], p[_MIN_P]
    if action == _EXPLORE:
        k = max(5.0, math.floor(1.5 * k))
    if action == _HOT:
        mass = max(0.5, mass)
    if action == _ADAPT:
        mass, k = min(max(mass, 0.1), 1.0), min(max(k, 1.0), 100.0)
        m = min(max(m * (1.0 - 0.5 * row.memory[2]), 0.01), 0.5)
    high = min(prefix_counting(row, k), prefix_reaching(row, mass * row.total) if mass < 1.0 else row.high)
    if p[_MIN_P_ACTS] == 1.0 and m > 0.0:
        high = min(high, keep_above(row, x_of(row, int(row.low)) + math.log(m))[1])
    return row.low, high


@learns
def remember(memory: NDArray[np.float64], p: NDArray[np.float64], token: int, _before: float, _after: float) -> None:
    """1 where the last token was the clarifier."""
    memory[1] = 1.0 if token == int(p[_CLARIFIER]) else 0.0


@dataclass(frozen=True)
class EntropyQuadrants(Step):
    """Entropy H and varentropy V of the distribution as it comes, in bits and bits², choose temperature and cut.

    First match wins: LELV (H < h_low, V < v_low), HELV (H > h_high, V < v_low), LEHV (H < h_high, V > v_high), HEHV
    (H > h_medium, V > v_high), else adaptive. LEHV comes before HEHV, so that the latter is left with H >= h_high.
    Actions: greedy; clarify (draw the clarifying token unless it was the last one, else as warmer); warmer; explore
    (warmer, larger k); hot; adapt (T (1 + 0.3 (H + V))); plain. After the temperature min-p, top-k and top-p.

    Second generation of the code, with its terms of attention entropy, agreement and interaction at 0: a sampler is
    given logits alone. Its min-p has no effect by an oversight, here too unless min_p_acts. Where adaptive, the code
    draws five times and takes the likeliest of the five; here one is drawn.
    """

    name = "entropy_quadrants"
    title = "Entropy quadrants"
    source = "xjdr-alt/entropix, entropix/sampler.py at cceeb84"
    tempers = by_quadrant
    keeps = by_action
    learns = remember
    spread_matters = True
    signal = Signal("quadrant", help="0 LELV, 1 HELV, 2 LEHV, 3 HEHV, 4 adaptive")

    temperature: float = number(
        0.666, "Before a quadrant changes it.", low=0, high=100, open_low=True, slider=(0.05, 2.0), step=0.05
    )
    top_p: float = number(
        0.9, "Before a quadrant changes it; 1 keeps all.", low=0, high=1, slider=(0.05, 1.0), step=0.01
    )
    top_k: int = number(
        27, "Before a quadrant changes it.", low=1, high=100_000, slider=(1, 200), step=0.02, scale="log"
    )
    min_p: float = number(
        0.03, "Has no effect in the original; see min_p_acts.", low=0, high=1, slider=(0.0, 0.5), step=0.005
    )
    h_low: float = number(0.1, "Entropy below this is low.", low=0, high=100, slider=(0.0, 1.0), step=0.01, unit="bits")
    h_high: float = number(
        5.0, "Above it HELV, below it LEHV.", low=0, high=100, slider=(1.0, 6.0), step=0.1, unit="bits"
    )
    h_medium: float = number(
        3.0, "Entropy of HEHV is above this.", low=0, high=100, slider=(0.5, 6.0), step=0.1, unit="bits"
    )
    v_low: float = number(
        0.1, "Varentropy below this is low.", low=0, high=1000, slider=(0.0, 1.0), step=0.01, unit="bits²"
    )
    v_high: float = number(
        5.0, "Varentropy above this is high.", low=0, high=1000, slider=(0.5, 8.0), step=0.1, unit="bits²"
    )
    on_lelv: str = choice(ACTIONS, "What to do at low entropy, low varentropy.")
    on_helv: str = choice(ACTIONS, "What to do at high entropy, low varentropy.", default="clarify")
    on_lehv: str = choice(ACTIONS, "What to do at low entropy, high varentropy.", default="explore")
    on_hehv: str = choice(ACTIONS, "What to do at high entropy, high varentropy.", default="hot")
    otherwise: str = choice(ACTIONS, "What to do everywhere else.", default="adapt")
    warmer: float = number(
        1.3, "Factor of the temperature for clarify and warmer.", low=0, high=100, slider=(0.5, 3.0), step=0.05
    )
    explore: float = number(
        1.2, "Factor of the temperature for explore.", low=0, high=100, slider=(0.5, 3.0), step=0.05
    )
    hot: float = number(
        2.0,
        "Factor of the temperature for hot, whose temperature is at least 2.",
        low=0,
        high=100,
        slider=(0.5, 3.0),
        step=0.05,
    )
    clarifier: int = number(
        -1,
        "Id of the clarifying token; 2564 with Llama 3, -1 for none.",
        low=-1,
        high=10_000_000,
        slider=(-1, 1000),
        step=1,
    )
    min_p_acts: bool = switch(False, "Whether min-p drops tokens, as was meant.")

    @property
    def remembers(self) -> bool:
        """Only whether the last token was the clarifier."""
        return self.clarifier >= 0
