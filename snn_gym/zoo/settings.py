"""Hyper-parameters of the algorithms, typed; names and defaults are Stable-Baselines3's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snn_gym.config import from_mapping
from snn_gym.zoo.schedules import check_schedule


@dataclass(frozen=True)
class PPOSettings:
    """Hyper-parameters of PPO (Schulman et al. 2017, https://arxiv.org/abs/1707.06347)."""

    n_envs: int = 1
    """Copies of the environment that are stepped together."""
    learning_rate: float | str = 3e-4
    """Step size of the optimiser; a number or a schedule such as ``lin_0.001``."""
    n_steps: int = 2048
    """Environment steps of each copy between updates."""
    batch_size: int = 64
    """Decisions in a minibatch."""
    n_epochs: int = 10
    """Passes over a rollout for each update."""
    gamma: float = 0.99
    """Discount of a reward one environment step later."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation."""
    clip_range: float | str = 0.2
    """Largest change of the probability ratio; a number or a schedule."""
    normalize_advantage: bool = True
    """Whether advantages are standardised within a minibatch."""
    ent_coef: float = 0.0
    """Weight of the entropy bonus."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Largest norm of a gradient."""
    use_sde: bool = False
    """Whether exploration noise depends on the state (gSDE); continuous actions only."""
    sde_sample_freq: int = -1
    """Environment steps between new gSDE noise; -1: once for each rollout."""
    target_kl: float | None = None
    """Divergence at which an update stops early."""

    def __post_init__(self) -> None:
        """Check counts and schedules."""
        _check_positive(self, "n_envs", "n_steps", "batch_size", "n_epochs")
        check_schedule(self.learning_rate, "learning_rate")
        check_schedule(self.clip_range, "clip_range")


@dataclass(frozen=True)
class A2CSettings:
    """Hyper-parameters of A2C (Mnih et al. 2016, https://arxiv.org/abs/1602.01783)."""

    n_envs: int = 1
    """Copies of the environment that are stepped together."""
    learning_rate: float | str = 7e-4
    """Step size of the optimiser; a number or a schedule such as ``lin_0.001``."""
    n_steps: int = 5
    """Environment steps of each copy between updates."""
    gamma: float = 0.99
    """Discount of a reward one environment step later."""
    gae_lambda: float = 1.0
    """Decay of generalised advantage estimation."""
    ent_coef: float = 0.0
    """Weight of the entropy bonus."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Largest norm of a gradient."""
    rms_prop_eps: float = 1e-5
    """Term that keeps RMSProp from dividing by zero."""
    use_rms_prop: bool = True
    """Whether the optimiser is RMSProp; else Adam."""
    use_sde: bool = False
    """Whether exploration noise depends on the state (gSDE); continuous actions only."""
    sde_sample_freq: int = -1
    """Environment steps between new gSDE noise; -1: once for each rollout."""
    normalize_advantage: bool = False
    """Whether advantages are standardised within a rollout."""

    def __post_init__(self) -> None:
        """Check counts and schedules."""
        _check_positive(self, "n_envs", "n_steps")
        check_schedule(self.learning_rate, "learning_rate")


@dataclass(frozen=True)
class DQNSettings:
    """Hyper-parameters of DQN (Mnih et al. 2015, https://doi.org/10.1038/nature14236)."""

    n_envs: int = 1
    """Copies of the environment that are stepped together."""
    learning_rate: float | str = 1e-4
    """Step size of the optimiser; a number or a schedule such as ``lin_0.001``."""
    buffer_size: int = 1_000_000
    """Transitions that the replay buffer holds."""
    learning_starts: int = 100
    """Environment steps of random actions before the first update."""
    batch_size: int = 32
    """Transitions in a minibatch."""
    tau: float = 1.0
    """Share of the new weights when the target network is updated."""
    gamma: float = 0.99
    """Discount of a reward one environment step later."""
    train_freq: int = 4
    """Environment steps of each copy between updates."""
    gradient_steps: int = 1
    """Minibatches for each update; -1: as many as there were environment steps."""
    n_steps: int = 1
    """Rewards summed before the target network's estimate is added."""
    target_update_interval: int = 10_000
    """Environment steps between updates of the target network."""
    exploration_fraction: float = 0.1
    """Share of training over which the rate of random actions falls."""
    exploration_initial_eps: float = 1.0
    """Rate of random actions at the start."""
    exploration_final_eps: float = 0.05
    """Rate of random actions at the end."""
    max_grad_norm: float = 10
    """Largest norm of a gradient."""

    def __post_init__(self) -> None:
        """Check counts and schedules."""
        _check_positive(self, "n_envs", "buffer_size", "batch_size", "train_freq")
        check_schedule(self.learning_rate, "learning_rate")


Settings = PPOSettings | A2CSettings | DQNSettings

SETTINGS: dict[str, type[PPOSettings] | type[A2CSettings] | type[DQNSettings]] = {
    "PPO": PPOSettings,
    "A2C": A2CSettings,
    "DQN": DQNSettings,
}
"""Type of the hyper-parameters of each algorithm."""

SCHEDULES = ("learning_rate", "clip_range")
"""Hyper-parameters that may be schedules."""


def make_settings(algorithm: str, values: dict[str, Any], where: str) -> Settings:
    """Build the hyper-parameters of an algorithm, strictly.

    Args:
        algorithm: A key of ``SETTINGS``.
        values: Hyper-parameters by name; what is left out keeps its default.
        where: Place to name in errors.

    Raises:
        ValueError: A name is unknown, or a value has a wrong type or range.
    """
    return from_mapping(SETTINGS[algorithm], values, where)


def _check_positive(settings: Settings, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
