"""Algorithms of the zoo: their classes, policies and hyper-parameters."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from gymnasium import spaces

from snn_gym._base.config import from_mapping
from snn_gym._base.extras import import_extra
from snn_gym._base.names import check_new_name, check_subclass
from snn_gym.learners.settings import (
    AcceptRejectSettings,
    CMAESSettings,
    EvolutionStrategiesSettings,
    LearnerSettings,
    RandomSearchSettings,
    SynapseAgentsSettings,
    WinStaySettings,
)
from snn_gym.zoo.hyperparameters import (
    A2CSettings,
    AlgorithmSettings,
    DDPGSettings,
    DQNSettings,
    FusedSACSettings,
    LocalActorCriticSettings,
    PPOSettings,
    QRDQNSettings,
    SACSettings,
    StatefulDQNSettings,
    StatefulPPOSettings,
    TD3Settings,
    TQCSettings,
    TRPOSettings,
)

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy

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
    "PPO": Algorithm(_OURS, _ACTOR_CRITIC, PPOSettings),
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
    "StatefulDQN": Algorithm(
        _OURS, "StatefulDQNPolicy", StatefulDQNSettings, actions=spaces.Discrete
    ),
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
            ``snn_gym.zoo.hyperparameters.AlgorithmSettings`` or
            ``snn_gym.learners.settings.LearnerSettings``.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: A class is not of the kind above.

    Example:
        >>> import snn_gym
        >>> from stable_baselines3 import PPO
        >>> from snn_gym.policies import SpikingActorCriticPolicy
        >>> from snn_gym.zoo.hyperparameters import PPOSettings
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
    module = import_extra(algorithm.library, f"{name} needs sb3-contrib", "contrib")
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
