"""Hyper-parameters of the on-policy algorithms; names and defaults are Stable-Baselines3's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from snn_gym.config import Count, Natural, NonNegative, Positive, Range, Share
from snn_gym.learners.sequence_settings import (
    CreditFeedbackName,
    CreditName,
    check_credit,
    check_sequences,
)
from snn_gym.zoo.schedules import Schedule
from snn_gym.zoo.settings.shared import OnPolicySettings


@dataclass(frozen=True)
class _ActorCriticSettings(OnPolicySettings):
    """Hyper-parameters of the loss that PPO and A2C share."""

    ent_coef: float = 0.0
    """Weight of the entropy bonus."""
    vf_coef: NonNegative = 0.5
    """Weight of the value loss."""
    max_grad_norm: Positive = 0.5
    """Largest norm of a gradient."""


@dataclass(frozen=True)
class PPOSettings(_ActorCriticSettings):
    """Hyper-parameters of PPO (Schulman et al. 2017, https://arxiv.org/abs/1707.06347)."""

    batch_size: Count = 64
    """Decisions in a minibatch."""
    n_epochs: Count = 10
    """Passes over a rollout for each update."""
    clip_range: Schedule = 0.2
    """Largest change of the probability ratio; a number or a schedule."""
    target_kl: Positive | None = None
    """Divergence at which an update stops early."""


@dataclass(frozen=True)
class StatefulPPOSettings(PPOSettings):
    """Hyper-parameters of PPO on sequences (``snn_gym.learners.StatefulPPO``)."""

    n_steps: Count = 128
    batch_size: Count = 128
    """Environment steps in a minibatch, a multiple of ``sequence_length``."""
    sequence_length: Count | None = None
    """Environment steps of a sequence; None for ``n_steps``."""
    bptt_steps: Count | None = None
    """Environment steps that a gradient passes back; None for whole sequences."""
    burn_in_steps: Natural = 0
    """Environment steps before a sequence that bring its state up to date."""
    credit: CreditName = "bptt"
    """``bptt``: gradients pass back through recurrent spikes; ``eprop``: they do not, so that
    eligibility traces could carry them forward in time."""
    feedback: CreditFeedbackName = "symmetric"
    """With e-prop, what carries the readout's error to spiking neurons: its own weights
    (``symmetric``), or fixed random ones."""

    def _check(self) -> None:
        check_credit(self.credit, self.feedback)
        length = self.n_steps if self.sequence_length is None else self.sequence_length
        check_sequences(length, self.burn_in_steps, self.bptt_steps)


@dataclass(frozen=True)
class A2CSettings(_ActorCriticSettings):
    """Hyper-parameters of A2C (Mnih et al. 2016, https://arxiv.org/abs/1602.01783)."""

    learning_rate: Schedule = 7e-4
    n_steps: Count = 5
    gae_lambda: Share = 1.0
    normalize_advantage: bool = False
    rms_prop_eps: Positive = 1e-5
    """Term that keeps RMSProp from dividing by zero."""
    use_rms_prop: bool = True
    """Whether the optimiser is RMSProp; else Adam."""


@dataclass(frozen=True)
class TRPOSettings(OnPolicySettings):
    """Hyper-parameters of TRPO (Schulman et al. 2015, https://arxiv.org/abs/1502.05477)."""

    learning_rate: Schedule = 1e-3
    """Step size of the critic's optimiser; a number or a schedule such as ``lin_0.001``."""
    batch_size: Count = 128
    """Decisions in a minibatch of the critic."""
    cg_max_steps: Count = 15
    """Most steps of the conjugate gradient method."""
    cg_damping: NonNegative = 0.1
    """What is added to the diagonal of the Hessian."""
    line_search_shrinking_factor: Annotated[float, Range(above=0, below=1)] = 0.8
    """Factor of the step from one try of the line search to the next."""
    line_search_max_iter: Count = 10
    """Most tries of the line search."""
    n_critic_updates: Count = 10
    """Passes of the critic over a rollout for each update."""
    target_kl: Positive = 0.01
    """Largest divergence of an update."""
    sub_sampling_factor: Count = 1
    """Share of the rollout, as its inverse, that the natural gradient is computed on."""
