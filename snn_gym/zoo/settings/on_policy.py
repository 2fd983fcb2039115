"""Hyper-parameters of the on-policy algorithms; names and defaults are Stable-Baselines3's."""

from __future__ import annotations

from dataclasses import dataclass

from snn_gym.config import check_positive
from snn_gym.learners.sequence_settings import check_sequences
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
        check_positive(self, "n_envs", "n_steps", "batch_size", "n_epochs")
        check_schedule(self.learning_rate, "learning_rate")
        check_schedule(self.clip_range, "clip_range")


@dataclass(frozen=True)
class StatefulPPOSettings(PPOSettings):
    """Hyper-parameters of PPO on sequences (``snn_gym.learners.StatefulPPO``)."""

    n_steps: int = 128
    """Environment steps of each copy between updates."""
    batch_size: int = 128
    """Environment steps in a minibatch, a multiple of ``sequence_length``."""
    sequence_length: int | None = None
    """Environment steps of a sequence; None for ``n_steps``."""
    bptt_steps: int | None = None
    """Environment steps that a gradient passes back; None for whole sequences."""
    burn_in_steps: int = 0
    """Environment steps before a sequence that bring its state up to date."""

    def __post_init__(self) -> None:
        """Check counts, schedules and lengths."""
        super().__post_init__()
        length = self.n_steps if self.sequence_length is None else self.sequence_length
        check_sequences(length, self.burn_in_steps, self.bptt_steps)


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
        check_positive(self, "n_envs", "n_steps")
        check_schedule(self.learning_rate, "learning_rate")


@dataclass(frozen=True)
class TRPOSettings:
    """Hyper-parameters of TRPO (Schulman et al. 2015, https://arxiv.org/abs/1502.05477)."""

    n_envs: int = 1
    """Copies of the environment that are stepped together."""
    learning_rate: float | str = 1e-3
    """Step size of the critic's optimiser; a number or a schedule such as ``lin_0.001``."""
    n_steps: int = 2048
    """Environment steps of each copy between updates."""
    batch_size: int = 128
    """Decisions in a minibatch of the critic."""
    gamma: float = 0.99
    """Discount of a reward one environment step later."""
    cg_max_steps: int = 15
    """Most steps of the conjugate gradient method."""
    cg_damping: float = 0.1
    """What is added to the diagonal of the Hessian."""
    line_search_shrinking_factor: float = 0.8
    """Factor of the step from one try of the line search to the next."""
    line_search_max_iter: int = 10
    """Most tries of the line search."""
    n_critic_updates: int = 10
    """Passes of the critic over a rollout for each update."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation."""
    use_sde: bool = False
    """Whether exploration noise depends on the state (gSDE); continuous actions only."""
    sde_sample_freq: int = -1
    """Environment steps between new gSDE noise; -1: once for each rollout."""
    normalize_advantage: bool = True
    """Whether advantages are standardised within a rollout."""
    target_kl: float = 0.01
    """Largest divergence of an update."""
    sub_sampling_factor: int = 1
    """Share of the rollout, as its inverse, that the natural gradient is computed on."""

    def __post_init__(self) -> None:
        """Check counts and schedules."""
        check_positive(self, "n_envs", "n_steps", "batch_size", "cg_max_steps")
        check_positive(self, "line_search_max_iter", "n_critic_updates", "sub_sampling_factor")
        check_schedule(self.learning_rate, "learning_rate")
