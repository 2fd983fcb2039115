"""Hyper-parameters of the off-policy algorithms; names and defaults are Stable-Baselines3's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snn_gym.config import check_positive
from snn_gym.learners.sequence_settings import check_sequences
from snn_gym.zoo.schedules import check_schedule


@dataclass(frozen=True)
class _QLearningSettings:
    """Hyper-parameters that DQN and QR-DQN share, with DQN's defaults."""

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

    def __post_init__(self) -> None:
        """Check counts and schedules."""
        check_positive(self, "n_envs", "buffer_size", "batch_size", "train_freq")
        check_schedule(self.learning_rate, "learning_rate")


@dataclass(frozen=True)
class DQNSettings(_QLearningSettings):
    """Hyper-parameters of DQN (Mnih et al. 2015, https://doi.org/10.1038/nature14236)."""

    max_grad_norm: float = 10
    """Largest norm of a gradient."""


@dataclass(frozen=True)
class StatefulDQNSettings(DQNSettings):
    """Hyper-parameters of DQN on sequences (``snn_gym.learners.StatefulDQN``)."""

    sequence_length: int = 32
    """Environment steps of a sequence that are learned from."""
    burn_in_steps: int = 8
    """Environment steps before them that bring the stored state up to date."""
    bptt_steps: int | None = None
    """Environment steps that a gradient passes back; None for whole sequences."""
    double_q: bool = True
    """Whether the online network chooses the action that the target network values."""

    def __post_init__(self) -> None:
        """Check counts, schedules and lengths."""
        super().__post_init__()
        check_sequences(self.sequence_length, self.burn_in_steps, self.bptt_steps)


@dataclass(frozen=True)
class QRDQNSettings(_QLearningSettings):
    """Hyper-parameters of QR-DQN (Dabney et al. 2018, https://arxiv.org/abs/1710.10044)."""

    learning_rate: float | str = 5e-5
    """Step size of the optimiser; a number or a schedule such as ``lin_0.001``."""
    exploration_fraction: float = 0.005
    """Share of training over which the rate of random actions falls."""
    exploration_final_eps: float = 0.01
    """Rate of random actions at the end."""
    max_grad_norm: float | None = None
    """Largest norm of a gradient; None for no limit."""


@dataclass(frozen=True)
class DDPGSettings:
    """Hyper-parameters of DDPG (Lillicrap et al. 2016, https://arxiv.org/abs/1509.02971)."""

    n_envs: int = 1
    """Copies of the environment that are stepped together."""
    learning_rate: float | str = 1e-3
    """Step size of the optimisers; a number or a schedule such as ``lin_0.001``."""
    buffer_size: int = 1_000_000
    """Transitions that the replay buffer holds."""
    learning_starts: int = 100
    """Environment steps of random actions before the first update."""
    batch_size: int = 256
    """Transitions in a minibatch."""
    tau: float = 0.005
    """Share of the new weights in each update of the target networks."""
    gamma: float = 0.99
    """Discount of a reward one environment step later."""
    train_freq: int = 1
    """Environment steps of each copy between updates."""
    gradient_steps: int = 1
    """Minibatches for each update; -1: as many as there were environment steps."""
    n_steps: int = 1
    """Rewards summed before the target networks' estimate is added."""
    action_noise_std: float = 0.0
    """Standard deviation of the Gaussian noise on actions scaled to [-1, 1]; 0 for none."""

    def __post_init__(self) -> None:
        """Check counts, noise and schedules."""
        check_positive(self, "n_envs", "buffer_size", "batch_size", "train_freq")
        check_schedule(self.learning_rate, "learning_rate")
        if not (math.isfinite(self.action_noise_std) and self.action_noise_std >= 0):
            raise ValueError(
                f"action_noise_std must be at least 0 and finite, got {self.action_noise_std}"
            )


@dataclass(frozen=True)
class TD3Settings(DDPGSettings):
    """Hyper-parameters of TD3 (Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477)."""

    policy_delay: int = 2
    """Updates of the critics for each update of the actor."""
    target_policy_noise: float = 0.2
    """Standard deviation of the noise that smooths the target actor."""
    target_noise_clip: float = 0.5
    """Largest noise that smooths the target actor."""


@dataclass(frozen=True)
class SACSettings(DDPGSettings):
    """Hyper-parameters of SAC (Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905)."""

    learning_rate: float | str = 3e-4
    """Step size of the optimisers; a number or a schedule such as ``lin_0.001``."""
    ent_coef: float | str = "auto"
    """Weight of the entropy: a number, ``auto`` to learn it, or ``auto_START``."""
    target_update_interval: int = 1
    """Minibatches between updates of the target networks."""
    target_entropy: float | str = "auto"
    """Entropy that a learned weight aims at; ``auto``: minus the number of action values."""
    use_sde: bool = False
    """Whether exploration noise depends on the state (gSDE)."""
    sde_sample_freq: int = -1
    """Environment steps between new gSDE noise; -1: once for each rollout."""
    use_sde_at_warmup: bool = False
    """Whether gSDE and not uniform sampling acts before the first update."""

    def __post_init__(self) -> None:
        """Check counts, noise, schedules and the entropy's weight."""
        super().__post_init__()
        if isinstance(self.ent_coef, str) and not self.ent_coef.startswith("auto"):
            raise ValueError(
                f"ent_coef must be a number, 'auto' or 'auto_START', got {self.ent_coef!r}"
            )
        if isinstance(self.target_entropy, str) and self.target_entropy != "auto":
            raise ValueError(
                f"target_entropy must be a number or 'auto', got {self.target_entropy!r}"
            )


@dataclass(frozen=True)
class TQCSettings(SACSettings):
    """Hyper-parameters of TQC (Kuznetsov et al. 2020, https://arxiv.org/abs/2005.04269)."""

    top_quantiles_to_drop_per_net: int = 2
    """Largest quantiles of each critic that the target leaves out."""
