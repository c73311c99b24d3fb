"""Think and answer: their entropies, the reward that compares them, and when thinking could have stopped."""

from workbench.phases.after_think import eat, entropy_after_think, forced_answers
from workbench.phases.correlation import Correlation, LengthCorrelation, length_correlation
from workbench.phases.eat_run import EatRun, runs_from_frame
from workbench.phases.entropy import PhaseEntropy, phase_entropy
from workbench.phases.outcome import EatOutcome, eat_outcome
from workbench.phases.pear import pear_kink, pear_penalty, pear_reward
from workbench.phases.rewards import PearRewards, RewardCurve, pear_rewards, reward_curve
from workbench.phases.splitting import PhaseSplit, split
from workbench.phases.steps import StepEnds, step_ends
from workbench.phases.stopping import EatStop, default_min_distance, ema_stop
from workbench.phases.table import phase_table

__all__ = [
    "Correlation",
    "EatOutcome",
    "EatRun",
    "EatStop",
    "LengthCorrelation",
    "PearRewards",
    "PhaseEntropy",
    "PhaseSplit",
    "RewardCurve",
    "StepEnds",
    "default_min_distance",
    "eat",
    "eat_outcome",
    "ema_stop",
    "entropy_after_think",
    "forced_answers",
    "length_correlation",
    "pear_kink",
    "pear_penalty",
    "pear_reward",
    "pear_rewards",
    "phase_entropy",
    "phase_table",
    "reward_curve",
    "runs_from_frame",
    "split",
    "step_ends",
]
