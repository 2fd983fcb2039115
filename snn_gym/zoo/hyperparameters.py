"""Hyper-parameters of the zoo's algorithms, and schedules written as text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from snn_gym._base.config import (
    ADDED,
    Config,
    Count,
    Natural,
    NonNegative,
    Positive,
    PositiveShare,
    Range,
    Share,
)
from snn_gym.learners.settings import (
    Copies,
    CreditFeedbackName,
    CreditName,
    LocalRuleSettings,
    check_credit,
    check_sequences,
)

if TYPE_CHECKING:
    from stable_baselines3.common.utils import LinearSchedule


# ---- schedules -----------------------------------------------------------------------------------
_NUMBER = r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_LINEAR = re.compile(rf"lin_{_NUMBER}(?:_{_NUMBER}_{_NUMBER})?")


def parse_schedule(value: float | str) -> float | LinearSchedule:
    """Read a hyper-parameter that may change over training.

    Args:
        value: A number for a constant; ``"lin_START"`` falls linearly from START to 0 over
            training, as in RL Baselines3 Zoo (https://github.com/DLR-RM/rl-baselines3-zoo);
            ``"lin_START_END_FRACTION"`` goes to END within the first FRACTION of training.

    Returns:
        The number, or Stable-Baselines3's schedule of the remaining progress.

    Raises:
        ValueError: The string is no such schedule.
    """
    if not isinstance(value, str):
        return float(value)
    start, end, fraction = _linear_numbers(value)
    from stable_baselines3.common.utils import LinearSchedule

    return LinearSchedule(start, end, fraction)


def check_schedule(value: float | str, name: str) -> None:
    """Refuse a number below 0, or text that is no schedule; import nothing heavy."""
    if isinstance(value, str):
        try:
            _linear_numbers(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    elif not value >= 0:
        raise ValueError(f"{name}: expected a number from 0 up, got {value}")


Schedule = Annotated[float | str, check_schedule]
SCHEDULES = ("learning_rate", "clip_range")
"""Hyper-parameters that may be schedules."""


def format_schedule(schedule: Any, name: str) -> float | str:
    """Return a schedule as ``parse_schedule`` reads it; refuse any but constant and linear."""
    from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule

    if isinstance(schedule, FloatSchedule):
        schedule = schedule.value_schedule
    if isinstance(schedule, ConstantSchedule):
        schedule = schedule.val
    if isinstance(schedule, int | float):
        return float(schedule)
    if not isinstance(schedule, LinearSchedule):
        raise ValueError(
            f"{name} is {schedule!r}, which can't be saved without its code; use a number or "
            "stable_baselines3.common.utils.LinearSchedule"
        )
    start, end, fraction = (float(getattr(schedule, k)) for k in ("start", "end", "end_fraction"))
    return f"lin_{start}" if (end, fraction) == (0.0, 1.0) else f"lin_{start}_{end}_{fraction}"


def _linear_numbers(text: str) -> tuple[float, float, float]:
    match = _LINEAR.fullmatch(text)
    if match is None:
        raise ValueError(
            f'got {text!r}; expected a number, "lin_START" such as "lin_0.001", or '
            '"lin_START_END_FRACTION"'
        )
    start, end, fraction = match.groups()
    if fraction is not None and float(fraction) == 0:
        raise ValueError(f"got {text!r}, whose fraction of training is 0; expected more than 0")
    return float(start), float(end or 0.0), float(fraction or 1.0)


# ---- shared --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class AlgorithmSettings(Config):
    """Hyper-parameters of every algorithm that learns by gradients."""

    budget_class: ClassVar[str] = "gradient"
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
    """Whether advantages are standardised within a minibatch."""


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


# ---- on policy -----------------------------------------------------------------------------------
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
    """Weights that carry the readout's error to spiking neurons with e-prop: its own
    (``symmetric``), or fixed random weights."""

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
    """Damping added to the diagonal of the Hessian."""
    line_search_shrinking_factor: Annotated[float, Range(above=0, below=1)] = 0.8
    """Factor of the step from one try of the line search to the next."""
    line_search_max_iter: Count = 10
    """Most tries of the line search."""
    n_critic_updates: Count = 10
    """Passes of the critic over a rollout for each update."""
    target_kl: Positive = 0.01
    """Largest divergence of an update."""
    sub_sampling_factor: Count = 1
    """Inverse of the share of the rollout that the natural gradient is computed on."""


# ---- off policy ----------------------------------------------------------------------------------
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
    """Environment steps before a sequence that bring its stored state up to date."""
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
class FusedSettings(Config):
    """Choice between two loops that learn the same within rounding."""

    fused: bool = field(default=False, metadata=ADDED)
    """Whether gradient steps run in few fused calls; else in Stable-Baselines3's loop."""


@dataclass(frozen=True)
class TD3Settings(FusedSettings, DDPGSettings):
    """Hyper-parameters of TD3 (Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477)."""

    policy_delay: Count = 2
    """Updates of the critics for each update of the actor."""
    target_policy_noise: NonNegative = 0.2
    """Standard deviation of the noise that smooths the target actor."""
    target_noise_clip: NonNegative = 0.5
    """Largest noise that smooths the target actor."""
    proxy_steps: Count = field(default=3, metadata=ADDED)
    """Minibatches that a proxy target is fitted on before each update of the critics."""
    proxy_learning_rate: Positive = field(default=1e-3, metadata=ADDED)
    """Step size of a proxy target."""


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
class FusedSACSettings(FusedSettings, SACSettings):
    """Hyper-parameters of ``snn_gym.learners.SAC``."""


@dataclass(frozen=True)
class TQCSettings(SACSettings):
    """Hyper-parameters of TQC (Kuznetsov et al. 2020, https://arxiv.org/abs/2005.04269)."""

    top_quantiles_to_drop_per_net: Natural = 2
    """Largest quantiles of each critic that the target leaves out."""


# ---- local ---------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LocalActorCriticSettings(LocalRuleSettings, AlgorithmSettings):
    """Hyper-parameters of ``snn_gym.learners.LocalActorCritic``."""

    budget_class: ClassVar[str] = "local"
    learning_rate: Schedule = 0.002
    """Step size of the readouts; a number or a schedule such as ``lin_0.002``."""
