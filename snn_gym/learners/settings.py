"""Hyper-parameters of the gradient-free learners, typed; nothing here imports torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from snn_gym.config import check_positive
from snn_gym.synapses.presets import PRESETS

PRESET_NAMES = tuple(PRESETS)
"""Masks of what a synapse sees, by content."""

Comparison = Literal["paired", "until_accepted", "kept_score"]
"""How a candidate is compared; see ``ComparingLearner``."""
LearnerName = Literal["shared_table", "synapse_tables", "q_network", "policy_gradient"]
"""Learning rules of synapses; see ``SynapseAgents``."""
RewardName = Literal["global", "local"]
"""Rewards of synapses; see ``SynapseAgents``."""
MovesKept = Literal["always", "improving"]
"""Which moves of synapses stay; see ``SynapseAgents``."""
ProbeRenewal = Literal["always", "improved", "never"]
"""When the episodes that judge weights are drawn anew; see ``SynapseAgents``."""
Limits = tuple[tuple[float, ...], tuple[float, ...]]
"""Lower and upper limits of the observed values, in the environment's units."""


@dataclass(frozen=True)
class LearnerSettings:
    """Hyper-parameters that every gradient-free learner has."""

    n_envs: int = 1
    """Copies of the environment that are stepped together where no batched task serves."""
    probe_episodes: int = 1
    """Episodes that judge weights."""
    observation_limits: Limits | None = None
    """Limits (low, high) that become -1 and 1; None for those of the task."""

    def __post_init__(self) -> None:
        """Check the counts."""
        check_positive(self, "n_envs", "probe_episodes")

    @property
    def episodes_per_iteration(self) -> int:
        """Most episodes of one iteration, by which training may exceed its budget."""
        return self.probe_episodes


@dataclass(frozen=True)
class ComparingSettings(LearnerSettings):
    """Hyper-parameters of learners that compare a candidate with the weights they hold."""

    comparison: Comparison = "until_accepted"
    """Episodes of a comparison: ``paired``, ``until_accepted`` or ``kept_score``."""
    early_rejection: bool = False
    """Whether a candidate that is worse in the first episode is spared the others."""

    @property
    def episodes_per_iteration(self) -> int:
        """Most episodes of one iteration: of the candidate and of the weights held."""
        return 2 * self.probe_episodes


@dataclass(frozen=True)
class AcceptRejectSettings(ComparingSettings):
    """Hyper-parameters of ``AcceptReject``."""

    step_size: float = 1.0
    """Standard deviation of a weight's step, or its length where steps are signs."""
    step_shape: Literal["normal", "sign"] = "normal"
    """Whether a step is normally distributed, or plus or minus ``step_size``."""
    moved_share: float = 1.0
    """Share of the weights that a candidate moves."""

    def __post_init__(self) -> None:
        """Check counts, step and share."""
        super().__post_init__()
        check_sizes(self, "step_size")
        check_share(self, "moved_share")


@dataclass(frozen=True)
class RandomSearchSettings(LearnerSettings):
    """Hyper-parameters of ``RandomSearch``."""

    candidates: int = 16
    """Fresh networks of an iteration."""
    head_scale: float = 1.0
    """Spread of the outputs where all decoded activity is 1."""

    def __post_init__(self) -> None:
        """Check counts and scale."""
        super().__post_init__()
        check_positive(self, "candidates")
        check_sizes(self, "head_scale")

    @property
    def episodes_per_iteration(self) -> int:
        """Episodes of one iteration: of the candidates and of the weights held."""
        return (self.candidates + 1) * self.probe_episodes


@dataclass(frozen=True)
class WinStaySettings(ComparingSettings):
    """Hyper-parameters of ``WinStay``."""

    step_size: float = 0.5
    """Length of a move."""
    moved_share: float = 0.5
    """Share of the synapses whose drawn move is not 0."""
    lose: Literal["redraw", "reverse"] = "redraw"
    """After a loss, whether moves are drawn anew or first reversed."""

    def __post_init__(self) -> None:
        """Check counts, step and share."""
        super().__post_init__()
        check_sizes(self, "step_size")
        check_share(self, "moved_share")


@dataclass(frozen=True)
class EvolutionStrategiesSettings(LearnerSettings):
    """Hyper-parameters of ``EvolutionStrategies``."""

    learning_rate: float = 0.1
    """Step size of Adam."""
    pairs: int = 16
    """Antithetic pairs of networks for each update."""
    noise_std: float = 0.3
    """Standard deviation of the noise on the weights."""
    weight_decay: float = 0.0
    """Share of the weights that each gradient pulls towards 0."""

    def __post_init__(self) -> None:
        """Check counts and sizes."""
        super().__post_init__()
        check_positive(self, "pairs")
        check_sizes(self, "learning_rate", "noise_std")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be at least 0 and finite, got {self.weight_decay}")

    @property
    def episodes_per_iteration(self) -> int:
        """Episodes of one update."""
        return 2 * self.pairs * self.probe_episodes


@dataclass(frozen=True)
class CMAESSettings(LearnerSettings):
    """Hyper-parameters of ``CMAES``."""

    initial_std: float = 0.5
    """Standard deviation of the first generation's weights around the start."""
    population_size: int = 18
    """Networks of a generation; Hansen's ``4 + 3 ln W`` for about 114 weights."""
    separable: bool | None = None
    """Whether only variances are adapted; None: above 200 synapses."""

    def __post_init__(self) -> None:
        """Check counts and sizes."""
        super().__post_init__()
        check_sizes(self, "initial_std")
        if self.population_size < 2:
            raise ValueError(f"population_size must be at least 2, got {self.population_size}")

    @property
    def episodes_per_iteration(self) -> int:
        """Episodes of one generation."""
        return self.population_size * self.probe_episodes


@dataclass(frozen=True)
class SynapseAgentsSettings(LearnerSettings):
    """Hyper-parameters of ``SynapseAgents``, which documents them."""

    preset: str = "weight+topology"
    """Features that synapses observe."""
    learner: LearnerName = "shared_table"
    """Their learning rule."""
    reward: RewardName = "global"
    """What they are rewarded for."""
    learning_rate: float = 0.1
    """Rate of the tables, or of the networks' Adam."""
    gamma: float = 0.8
    """Discount of their future rewards."""
    exploration: float = 0.2
    """Probability that a synapse moves at random."""
    restlessness: float = 0.0
    """How soon failures lead to random moves of the whole network."""
    restless_step_size: float = 0.5
    """Standard deviation of these."""
    step_size: float = 0.6
    """Length of a move."""
    weight_limit: float = 4.0
    """Bound of the weights."""
    moves_kept: MovesKept = "improving"
    """Whether a move that made it worse is taken back."""
    probe_renewal: ProbeRenewal = "improved"
    """When the episodes that judge weights are drawn anew."""
    history: int = 2
    """Past moves and rewards that are seen."""
    frozen: bool = False
    """Whether the rule stays as it is."""
    shuffled: bool = False
    """Whether local dynamics are permuted across synapses."""

    def __post_init__(self) -> None:
        """Check counts, sizes and shares."""
        super().__post_init__()
        if self.preset not in PRESET_NAMES:
            raise ValueError(
                f"preset {self.preset!r} is unknown; allowed: {', '.join(PRESET_NAMES)}"
            )
        check_positive(self, "history")
        check_sizes(self, "learning_rate", "restless_step_size", "step_size", "weight_limit")
        if not (0 <= self.gamma < 1 and 0 <= self.exploration <= 1):
            raise ValueError(
                f"gamma must be in [0, 1) and exploration in [0, 1], got {self.gamma} and "
                f"{self.exploration}"
            )
        if not (math.isfinite(self.restlessness) and self.restlessness >= 0):
            raise ValueError(f"restlessness must be at least 0 and finite, got {self.restlessness}")

    @property
    def episodes_per_iteration(self) -> int:
        """Most episodes of one iteration: of the weights before and after."""
        return 2 * self.probe_episodes


def check_sizes(settings: object, *names: str) -> None:
    """Refuse sizes that are not above 0 and finite.

    Args:
        settings: Hyper-parameters.
        *names: Names of the sizes.

    Raises:
        ValueError: One of them is not.
    """
    for name in names:
        value = getattr(settings, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above 0 and finite, got {value}")


def check_share(settings: object, name: str) -> None:
    """Refuse a share outside (0, 1].

    Args:
        settings: Hyper-parameters.
        name: Name of the share.

    Raises:
        ValueError: It is outside.
    """
    value = getattr(settings, name)
    if not 0 < value <= 1:
        raise ValueError(f"{name} must be above 0 and at most 1, got {value}")
