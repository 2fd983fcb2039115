"""Hyper-parameters that several algorithms share; where a default differs, theirs replaces it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from snn_gym.config import Config, Count, Natural, PositiveShare, Range, Share
from snn_gym.learners.settings import Copies
from snn_gym.zoo.schedules import Schedule


@dataclass(frozen=True)
class AlgorithmSettings(Config):
    """Hyper-parameters of every algorithm that learns by gradients."""

    n_envs: Copies = 1
    """Copies of the environment that are stepped together."""
    learning_rate: Schedule = 3e-4
    """Step size of the optimisers; a number or a schedule such as ``lin_0.001``."""
    gamma: Share = 0.99
    """Discount of a reward one environment step later."""


@dataclass(frozen=True)
class StateDependentExploration(Config):
    """Hyper-parameters of gSDE (Raffin et al. 2022, https://arxiv.org/abs/2005.05719)."""

    use_sde: bool = False
    """Whether exploration noise depends on the state (gSDE); continuous actions only."""
    sde_sample_freq: Annotated[int, Range(at_least=-1)] = -1
    """Environment steps between new gSDE noise; -1: once for each rollout."""


@dataclass(frozen=True)
class OnPolicySettings(StateDependentExploration, AlgorithmSettings):
    """Hyper-parameters of every on-policy algorithm."""

    n_steps: Count = 2048
    """Environment steps of each copy between updates."""
    gae_lambda: Share = 0.95
    """Decay of generalised advantage estimation."""
    normalize_advantage: bool = True
    """Whether advantages are standardised within what is learned from at once."""


@dataclass(frozen=True)
class OffPolicySettings(AlgorithmSettings):
    """Hyper-parameters of every off-policy algorithm."""

    buffer_size: Count = 1_000_000
    """Transitions that the replay buffer holds."""
    learning_starts: Natural = 100
    """Environment steps of random actions before the first update."""
    batch_size: Count = 256
    """Transitions in a minibatch."""
    tau: PositiveShare = 0.005
    """Share of the new weights in each update of the target networks."""
    train_freq: Count = 1
    """Environment steps of each copy between updates."""
    gradient_steps: Annotated[int, Range(at_least=-1)] = 1
    """Minibatches for each update; -1: as many as there were environment steps."""
    n_steps: Count = 1
    """Rewards summed before the target networks' estimate is added."""
