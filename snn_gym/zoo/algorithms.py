"""Algorithms of the zoo: their hyper-parameters, classes and policies."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from gymnasium import spaces

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
    from_mapping,
)
from snn_gym._base.lazy import import_extra
from snn_gym._base.names import check_new_name, check_subclass
from snn_gym.learners.settings import (
    AcceptRejectSettings,
    CMAESSettings,
    Copies,
    CreditName,
    EvolutionStrategiesSettings,
    LearnerSettings,
    LocalRuleSettings,
    RandomSearchSettings,
    SynapseAgentsSettings,
    WinStaySettings,
    check_sequences,
)

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy
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
class AdaptivePPOSettings(PPOSettings):
    """Hyper-parameters of ``snn_gym.learners.PPO``."""

    desired_kl: Positive | None = field(default=None, metadata=ADDED)
    """Divergence (nat) of updates that is sought by larger steps; None for the step size alone."""


@dataclass(frozen=True)
class StatefulPPOSettings(AdaptivePPOSettings):
    """Hyper-parameters of PPO on sequences (``snn_gym.learners.StatefulPPO``)."""

    gone: ClassVar[Mapping[str, Any]] = {"bptt_steps": None, "feedback": "symmetric"}
    n_steps: Count = 128
    batch_size: Count = 128
    """Environment steps in a minibatch, a multiple of ``sequence_length``."""
    sequence_length: Count | None = None
    """Environment steps of a sequence; None for ``n_steps``."""
    burn_in_steps: Natural = 0
    """Environment steps before a sequence that bring its state up to date."""
    credit: CreditName = "bptt"
    """``bptt``: gradients pass back through recurrent spikes; ``eprop``: they do not, so that
    eligibility traces could carry them forward in time."""

    def _check(self) -> None:
        length = self.n_steps if self.sequence_length is None else self.sequence_length
        check_sequences(length, self.burn_in_steps)


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


# ---- algorithms ----------------------------------------------------------------------------------

Settings = AlgorithmSettings | LearnerSettings


@dataclass(frozen=True)
class Algorithm:
    """Entry of the zoo for an algorithm."""

    library: str
    """Module of the class, imported when the algorithm is used."""
    policy: str
    """Name of its policy class."""
    settings: type[Settings]
    """Type of its hyper-parameters, named as the arguments of its class."""
    classes: tuple[type[BaseAlgorithm], type[BasePolicy]] | None = None
    """Classes of a registered algorithm and its policy; None for ours and the libraries'."""
    stock: str | None = None
    """Name of Stable-Baselines3's class with its own policy, which never spikes; None for ours."""
    actions: type[spaces.Space[Any]] | None = None
    """The one kind of action spaces that it serves; None if there are several."""


_SB3, _CONTRIB, _OURS = "stable_baselines3", "sb3_contrib", "snn_gym.learners"
_ACTOR_CRITIC, _CONTROLLER = "SpikingActorCriticPolicy", "SpikingControllerPolicy"

ALGORITHMS: dict[str, Algorithm] = {
    "PPO": Algorithm(_OURS, _ACTOR_CRITIC, AdaptivePPOSettings),
    "A2C": Algorithm(_SB3, _ACTOR_CRITIC, A2CSettings),
    "TRPO": Algorithm(_CONTRIB, _ACTOR_CRITIC, TRPOSettings),
    "DQN": Algorithm(_SB3, "SpikingDQNPolicy", DQNSettings, actions=spaces.Discrete),
    "QRDQN": Algorithm(_CONTRIB, "SpikingQRDQNPolicy", QRDQNSettings, actions=spaces.Discrete),
    "DDPG": Algorithm(_SB3, "SpikingTD3Policy", DDPGSettings, actions=spaces.Box),
    "TD3": Algorithm(_OURS, "SpikingTD3Policy", TD3Settings, actions=spaces.Box),
    "SAC": Algorithm(_OURS, "SpikingSACPolicy", FusedSACSettings, actions=spaces.Box),
    "TQC": Algorithm(_CONTRIB, "SpikingTQCPolicy", TQCSettings, actions=spaces.Box),
    "RandomSearch": Algorithm(_OURS, _CONTROLLER, RandomSearchSettings),
    "AcceptReject": Algorithm(_OURS, _CONTROLLER, AcceptRejectSettings),
    "WinStay": Algorithm(_OURS, _CONTROLLER, WinStaySettings),
    "EvolutionStrategies": Algorithm(_OURS, _CONTROLLER, EvolutionStrategiesSettings),
    "CMAES": Algorithm(_OURS, _CONTROLLER, CMAESSettings),
    "SynapseAgents": Algorithm(_OURS, _CONTROLLER, SynapseAgentsSettings),
    "LocalActorCritic": Algorithm(_OURS, "LocalActorCriticPolicy", LocalActorCriticSettings),
    "StatefulPPO": Algorithm(_OURS, "StatefulActorCriticPolicy", StatefulPPOSettings),
    "StockPPO": Algorithm(_SB3, "StockActorCriticPolicy", PPOSettings, stock="PPO"),
    "StockDQN": Algorithm(
        _SB3, "StockDQNPolicy", DQNSettings, stock="DQN", actions=spaces.Discrete
    ),
    "StockSAC": Algorithm(_SB3, "StockSACPolicy", SACSettings, stock="SAC", actions=spaces.Box),
}
"""Algorithms by name; ``register_learner`` adds to it."""


def _check_known(name: str, where: str) -> None:
    if name not in ALGORITHMS:
        raise ValueError(
            f"{where}: got {name!r}; allowed values: {', '.join(map(repr, ALGORITHMS))}; one of "
            "your own is registered first, by snn_gym.register_learner"
        )


AlgorithmName = Annotated[str, _check_known]
"""Key of ``ALGORITHMS``."""


def register_learner(
    name: str,
    algorithm_class: type[BaseAlgorithm],
    policy_class: type[BasePolicy],
    settings_class: type[Settings],
) -> None:
    """Add an algorithm to those that agents' files, saved agents and commands can name.

    Files hold the name and the hyper-parameters, never code: who loads an agent of this
    algorithm registers it first.

    Args:
        name: An identifier that no algorithm has yet.
        algorithm_class: Takes the arguments that Stable-Baselines3's algorithms share, and its
            hyper-parameters but ``n_envs``, each of which it keeps in an attribute of that name.
        policy_class: Its policy, one of ``snn_gym.policies`` or a subclass of one.
        settings_class: Its hyper-parameters and ``n_envs``: a frozen dataclass derived from
            ``snn_gym.zoo.algorithms.AlgorithmSettings`` or
            ``snn_gym.learners.settings.LearnerSettings``.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: A class is not of the kind above.

    Example:
        >>> import snn_gym
        >>> from stable_baselines3 import PPO
        >>> from snn_gym.policies import SpikingActorCriticPolicy
        >>> from snn_gym.zoo.algorithms import PPOSettings
        >>> class MyPPO(PPO):
        ...     pass
        >>> snn_gym.register_learner("MyPPO", MyPPO, SpikingActorCriticPolicy, PPOSettings)
    """
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy

    check_new_name(name, "algorithm", ALGORITHMS)
    check_subclass("algorithm_class", algorithm_class, BaseAlgorithm)
    check_subclass("policy_class", policy_class, BasePolicy)
    check_subclass("settings_class", settings_class, AlgorithmSettings, LearnerSettings)
    # Files store the acting tensors of a policy by name.
    if not hasattr(policy_class, "acting_state_dict"):
        raise TypeError(f"policy_class must be one of snn_gym.policies', got {policy_class!r}")
    module, policy = algorithm_class.__module__, policy_class.__name__
    ALGORITHMS[name] = Algorithm(module, policy, settings_class, (algorithm_class, policy_class))


def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """Return the class of a registered algorithm such as "PPO", importing its library.

    Raises:
        KeyError: The name is unknown.
        ImportError: sb3-contrib is needed and not installed.
    """
    algorithm = ALGORITHMS[name]
    if algorithm.classes is not None:
        return algorithm.classes[0]
    if algorithm.library == _CONTRIB:
        module = import_extra(_CONTRIB, f"{name} needs sb3-contrib", "contrib")
    else:
        module = import_module(algorithm.library)
    return cast("type[BaseAlgorithm]", getattr(module, algorithm.stock or name))


def policy_class(name: str) -> type[BasePolicy]:
    """Return the policy class of a registered algorithm such as "PPO", importing its module."""
    algorithm = ALGORITHMS[name]
    if algorithm.classes is not None:
        return algorithm.classes[1]
    from snn_gym import policies

    return cast("type[BasePolicy]", getattr(policies, algorithm.policy))


def algorithm_name(model: BaseAlgorithm) -> str:
    """Return the name of a model's algorithm; refuse classes that ``ALGORITHMS`` does not hold.

    Subclasses are refused, but for lean ones; Stable-Baselines3's own PPO is named ``PPO`` too.
    """
    from snn_gym.learners.lean_algorithm import stock

    kind = stock(type(model))
    for name, algorithm in ALGORITHMS.items():
        # Equal types, for a subclass may behave in a way that its hyper-parameters do not say.
        if algorithm.library in sys.modules:
            known = algorithm_class(name)
            # The zoo's PPO learns as Stable-Baselines3's, to the bit.
            same = kind is known or kind is getattr(known, "same_as", known)
            if same and type(model.policy) is policy_class(name):
                return name
    supported = ", ".join(f"{name} with {known.policy}" for name, known in ALGORITHMS.items())
    raise ValueError(
        f"{type(model).__name__} with {type(model.policy).__name__} can't be saved as data; one of "
        "your own is registered first, by snn_gym.register_learner, or saved with its code, by "
        f"model.save; supported: {supported}"
    )


def make_settings(algorithm: str, values: dict[str, Any], where: str) -> Settings:
    """Build an algorithm's hyper-parameters: values, else defaults; errors name the place."""
    return from_mapping(ALGORITHMS[algorithm].settings, values, where)
