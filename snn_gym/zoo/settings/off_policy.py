"""Hyper-parameters of the off-policy algorithms; names and defaults are Stable-Baselines3's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from snn_gym.config import Count, Natural, NonNegative, Positive, PositiveShare, Share
from snn_gym.learners.sequence_settings import check_sequences
from snn_gym.zoo.schedules import Schedule
from snn_gym.zoo.settings.shared import OffPolicySettings, StateDependentExploration


@dataclass(frozen=True)
class _QLearningSettings(OffPolicySettings):
    """Hyper-parameters that DQN and QR-DQN share, with DQN's defaults."""

    learning_rate: Schedule = 1e-4
    batch_size: Count = 32
    tau: PositiveShare = 1.0
    train_freq: Count = 4
    target_update_interval: Count = 10_000
    """Environment steps between updates of the target network."""
    exploration_fraction: PositiveShare = 0.1
    """Share of training over which the rate of random actions falls."""
    exploration_initial_eps: Share = 1.0
    """Rate of random actions at the start."""
    exploration_final_eps: Share = 0.05
    """Rate of random actions at the end."""


@dataclass(frozen=True)
class DQNSettings(_QLearningSettings):
    """Hyper-parameters of DQN (Mnih et al. 2015, https://doi.org/10.1038/nature14236)."""

    max_grad_norm: Positive = 10.0
    """Largest norm of a gradient."""


@dataclass(frozen=True)
class StatefulDQNSettings(DQNSettings):
    """Hyper-parameters of DQN on sequences (``snn_gym.learners.StatefulDQN``)."""

    sequence_length: Count = 32
    """Environment steps of a sequence that are learned from."""
    burn_in_steps: Natural = 8
    """Environment steps before them that bring the stored state up to date."""
    bptt_steps: Count | None = None
    """Environment steps that a gradient passes back; None for whole sequences."""
    double_q: bool = True
    """Whether the online network chooses the action that the target network values."""

    def _check(self) -> None:
        check_sequences(self.sequence_length, self.burn_in_steps, self.bptt_steps)


@dataclass(frozen=True)
class QRDQNSettings(_QLearningSettings):
    """Hyper-parameters of QR-DQN (Dabney et al. 2018, https://arxiv.org/abs/1710.10044)."""

    learning_rate: Schedule = 5e-5
    exploration_fraction: PositiveShare = 0.005
    exploration_final_eps: Share = 0.01
    max_grad_norm: Positive | None = None
    """Largest norm of a gradient; None for no limit."""


@dataclass(frozen=True)
class DDPGSettings(OffPolicySettings):
    """Hyper-parameters of DDPG (Lillicrap et al. 2016, https://arxiv.org/abs/1509.02971)."""

    learning_rate: Schedule = 1e-3
    action_noise_std: NonNegative = 0.0
    """Standard deviation of the Gaussian noise on actions scaled to [-1, 1]; 0 for none."""


@dataclass(frozen=True)
class TD3Settings(DDPGSettings):
    """Hyper-parameters of TD3 (Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477)."""

    policy_delay: Count = 2
    """Updates of the critics for each update of the actor."""
    target_policy_noise: NonNegative = 0.2
    """Standard deviation of the noise that smooths the target actor."""
    target_noise_clip: NonNegative = 0.5
    """Largest noise that smooths the target actor."""


def _check_entropy_weight(value: float | str, where: str) -> None:
    if isinstance(value, str) and not value.startswith("auto"):
        raise ValueError(f"{where} must be a number, 'auto' or 'auto_START', got {value!r}")


@dataclass(frozen=True)
class SACSettings(StateDependentExploration, DDPGSettings):
    """Hyper-parameters of SAC (Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905)."""

    learning_rate: Schedule = 3e-4
    ent_coef: Annotated[float | str, _check_entropy_weight] = "auto"
    """Weight of the entropy: a number, ``auto`` to learn it, or ``auto_START``."""
    target_update_interval: Count = 1
    """Minibatches between updates of the target networks."""
    target_entropy: float | Literal["auto"] = "auto"
    """Entropy that a learned weight aims at; ``auto``: minus the number of action values."""
    use_sde_at_warmup: bool = False
    """Whether gSDE and not uniform sampling acts before the first update."""


@dataclass(frozen=True)
class TQCSettings(SACSettings):
    """Hyper-parameters of TQC (Kuznetsov et al. 2020, https://arxiv.org/abs/2005.04269)."""

    top_quantiles_to_drop_per_net: Natural = 2
    """Largest quantiles of each critic that the target leaves out."""
