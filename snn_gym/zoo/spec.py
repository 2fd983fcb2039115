"""Agents as their files under agents/ describe them; nothing here imports torch."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gymnasium import spaces

from snn_gym._base.config import Config, RecordedAgent, RecordedId, from_mapping
from snn_gym._base.folders import content_path, read_toml
from snn_gym._base.names import AGENT_NAME, AGENT_NAME_RULE, did_you_mean
from snn_gym.envs.registry import IMPORTED, EnvironmentSpec, unflattened_id
from snn_gym.zoo.algorithms import (
    ALGORITHMS,
    AlgorithmName,
    AlgorithmSettings,
    Settings,
    make_settings,
)
from snn_gym.zoo.recipe import VecNormalizeSettings

BudgetClass = Literal["gradient", "local", "evolutionary", "imported"]
"""How agents are trained; those of one class share a budget and a results table."""

LEAST_LEAN_STEPS = 1000
"""Fewest environment steps that `make_lean` chooses."""

# Keys of an [environments.ID] table that are no hyper-parameters of the algorithm.
_INHERIT = "same_as"
_NETWORK = "network"
_NORMALISE = "normalise_observations"
_REWARDS = "normalise_rewards"
# Arguments of the policy that an environment's table, or a user, may give.
_POLICY = ("memory_steps", "log_std_init", "optimizer_kwargs")
_VEC_NORMALIZE = "vec_normalize"
_PARENT = "parent"
# Tables of agents that have no file, by name.
_REGISTERED: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class AgentSpec(Config):
    """An agent: an algorithm, a policy, a network and hyper-parameters by environment."""

    name: RecordedAgent
    description: str
    """One sentence for lists."""
    algorithm: AlgorithmName
    budget_class: BudgetClass
    """The algorithm's class, whose budget of the environment binds it; ``imported`` for an agent
    trained elsewhere, whose algorithm and hyper-parameters are those that it would learn on with.
    """
    environments: dict[RecordedId, dict[str, Any]]
    """Hyper-parameters by environment id; may hold ``network``, ``normalise_observations``,
    ``same_as``, ``normalise_rewards`` (of ``vec_normalize``) and ``vec_normalize``: the settings of
    a VecNormalize around the environments, or false."""
    default: dict[str, Any] = field(default_factory=dict)
    """Hyper-parameters for all other environments, tuned on none of them."""
    continuous: dict[str, Any] = field(default_factory=dict)
    """Hyper-parameters for all other environments with Box actions; none: those of ``default``."""
    parent: RecordedAgent | None = None
    """Agent whose description this one's overrides in part; None for none."""
    twin: RecordedAgent | None = None
    """Agent to compare with: the ANN twin of a spiking agent, and the other way round; None for a
    learner without gradients, which is compared with its kind alone."""
    network: dict[str, Any] = field(default_factory=dict)
    """Settings of ``snn_gym.spiking.NetworkConfig``."""
    policy_kwargs: dict[str, Any] = field(default_factory=dict)

    def _check(self) -> None:
        if self.budget_class not in (
            IMPORTED,
            known := ALGORITHMS[self.algorithm].settings.budget_class,
        ):
            raise ValueError(
                f"budget_class is {self.budget_class!r}, but that of {self.algorithm} is "
                f"{known!r}; write {known!r}"
            )
        for env_id in self.environments:
            self.settings(env_id)
            self.policy_settings(env_id)
            self.vec_normalize(env_id)
        for name in ("default", "continuous"):
            values = _hyperparameters(self._resolved(getattr(self, name)))
            make_settings(self.algorithm, values, f"[{name}]")

    @property
    def is_imported(self) -> bool:
        """Whether it was trained elsewhere and came in as a NIR graph."""
        return self.budget_class == IMPORTED

    def budget(self, environment: EnvironmentSpec) -> int:
        """Return the environment steps that it may train for; refuse an imported agent."""
        if self.is_imported:
            raise ValueError(
                f"{self.name} was trained elsewhere and has no budget here; import its graph by "
                "`snn-gym submit-nir`, or name an agent that is trained here"
            )
        return environment.budget[self.budget_class]

    @property
    def acts_in_spikes(self) -> bool:
        """Whether the network that chooses its actions spikes."""
        switches = ("spiking_actor", "spiking")
        return ALGORITHMS[self.algorithm].stock is None and all(
            self.policy_kwargs.get(switch, True) for switch in switches
        )

    def fitted(self, actions: spaces.Space[Any]) -> AgentSpec:
        """Return the agent with the default settings that fit these actions."""
        fits = self.continuous and isinstance(actions, spaces.Box)
        return replace(self, default=self.continuous) if fits else self

    def settings(self, env_id: str, overrides: dict[str, Any] | None = None) -> Settings:
        """Return the hyper-parameters for an environment, some replaced by ``overrides``."""
        if _NETWORK in (overrides or {}):
            raise ValueError(
                "network is no hyper-parameter; give its values to make_agent's network, or to "
                "--network NAME=VALUE"
            )
        values = _hyperparameters({**self.table(env_id), **(overrides or {})})
        return make_settings(self.algorithm, values, f"agent {self.name!r} on {env_id}")

    def policy_settings(
        self, env_id: str, overrides: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return ``policy_kwargs``, those of ``_POLICY``, and ``normalise_observations`` if False.

        For the latter two overrides come first, then the environment's table, then the arguments.
        """
        chosen = {**self.policy_kwargs, **self.table(env_id), **(overrides or {})}
        normalise = chosen.get(_NORMALISE, True)
        if not isinstance(normalise, bool):
            raise ValueError(
                f"agent {self.name!r} on {env_id}: {_NORMALISE} must be true or false, got "
                f"{normalise!r}"
            )
        arguments = {name: x for name, x in self.policy_kwargs.items() if name != _NORMALISE}
        # Defaults are left out: agents that were saved before there was a choice lack them, too.
        arguments |= {name: chosen[name] for name in _POLICY if name in chosen}
        return arguments if normalise else {**arguments, _NORMALISE: False}

    def network_settings(self, env_id: str) -> dict[str, Any]:
        """Return the agent's network settings, some replaced by those of the environment."""
        return {**self.network, **self.table(env_id).get(_NETWORK, {})}

    def vec_normalize(
        self, env_id: str, overrides: Mapping[str, Any] | None = None
    ) -> VecNormalizeSettings | None:
        """Return the settings of the VecNormalize around an environment, None for none.

        ``normalise_rewards = true`` stands for one of rewards alone, with the agent's ``gamma``.
        """
        chosen = {**self.table(env_id), **(overrides or {})}
        settings, rewards = chosen.get(_VEC_NORMALIZE, False), chosen.get(_REWARDS, False)
        where = f"agent {self.name!r} on {env_id}"
        if not isinstance(rewards, bool):
            raise ValueError(f"{where}: {_REWARDS} must be true or false, got {rewards!r}")
        if rewards and settings is not False:
            raise ValueError(
                f"{where}: {_REWARDS} is true, and {_VEC_NORMALIZE} says so itself; leave out "
                f"{_REWARDS}"
            )
        if rewards:
            hyperparameters = self.settings(env_id, dict(overrides or {}))
            if not isinstance(hyperparameters, AlgorithmSettings):
                raise ValueError(
                    f"{where}: {_REWARDS} is for learners by gradients, and {self.algorithm} "
                    f"compares whole returns; leave it out"
                )
            settings = {"norm_obs": False, "gamma": hyperparameters.gamma}
        if settings is False:
            return None
        return from_mapping(VecNormalizeSettings, settings, f"{where}: {_VEC_NORMALIZE}")

    def table(self, env_id: str) -> dict[str, Any]:
        """Return the settings for an environment, inherited ones too; else ``default``."""
        return self._resolved(self.environments.get(unflattened_id(env_id), self.default))

    def _resolved(self, table: dict[str, Any]) -> dict[str, Any]:
        """Return an environment's table, laid over the table that it inherits."""
        if _INHERIT not in table:
            return table
        base = table[_INHERIT]
        if base not in self.environments or _INHERIT in self.environments[base]:
            raise ValueError(
                f"{_INHERIT} is {base!r}; expected one of the agent's environments that has no "
                f"{_INHERIT} of its own"
            )
        own = {key: value for key, value in table.items() if key != _INHERIT}
        return _laid_over(self.environments[base], own)


def _laid_over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return a table laid over its base; settings of the network one by one."""
    network = {**base.get(_NETWORK, {}), **own.get(_NETWORK, {})}
    return {**base, **own, **({_NETWORK: network} if network else {})}


def _hyperparameters(table: dict[str, Any]) -> dict[str, Any]:
    reserved = (_NETWORK, _NORMALISE, _REWARDS, _VEC_NORMALIZE, *_POLICY)
    return {key: value for key, value in table.items() if key not in reserved}


def agent_ids() -> tuple[str, ...]:
    """Return the names of the zoo's agents, sorted, with those that were registered."""
    files = content_path("agents").glob("*/agent.toml")
    return tuple(sorted({*(file.parent.name for file in files), *_REGISTERED}))


def register_agent(name: str, **table: Any) -> None:
    """Add an agent to those that ``make_agent`` and commands can name, as a file in agents/ does.

    A saved agent loads without registration, for its files hold all settings. The results table
    takes agents with a folder in agents/ alone.

    Args:
        name: Small letters, digits and hyphens; no other agent's.
        **table: Content of agents/NAME/agent.toml beside the name: ``description``, ``parent`` and
            the fields that differ, or all fields of ``AgentSpec``.

    Raises:
        ValueError: The name is taken or malformed, or the table does not fit the schema.

    Example:
        >>> import snn_gym
        >>> snn_gym.register_agent(
        ...     "ppo-lif-small",
        ...     parent="ppo-lif",
        ...     description="ppo-lif with few neurons.",
        ...     network={"hidden_sizes": [16]},
        ... )
        >>> snn_gym.make_agent("ppo-lif-small", "CartPole-v1").policy.network.hidden_sizes
        (16,)
    """
    if re.fullmatch(AGENT_NAME, name) is None:
        raise ValueError(f"the name of an agent is {AGENT_NAME_RULE}, got {name!r}")
    if name in agent_ids():
        raise ValueError(f"agent {name!r} is there already; take another name")
    # A copy, for the caller may change the tables.
    _REGISTERED[name] = {"name": name, **copy.deepcopy(table)}
    try:
        load_agent_spec(name)
    except ValueError:
        del _REGISTERED[name]
        raise


@functools.cache
def load_agent_spec(name: str) -> AgentSpec:
    """Load the description of an agent.

    Args:
        name: One of ``agent_ids()``.

    Raises:
        ValueError: The name is unknown, or the file does not fit the schema.
    """
    spec = from_mapping(AgentSpec, _read_table(name), _place(name))
    if spec.name != name:
        raise ValueError(f"{_place(name)}: name is {spec.name!r}, expected {name!r}")
    return spec


def _place(name: str) -> str:
    """Return the place of an agent's description, for errors."""
    return f"register_agent({name!r})" if name in _REGISTERED else f"agents/{name}/agent.toml"


def _read_table(name: str, role: str = "agent", heirs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return an agent's table, laid over its ancestors'; refuse unknown names and cycles."""
    known = agent_ids()
    # The list decides and not the disk: a name such as "../x" reaches no file.
    if name not in known:
        hint = did_you_mean(name, known)
        raise ValueError(
            f"{role} {name!r} is unknown{hint} `snn-gym agents` lists the {len(known)} known ones"
        )
    if name in heirs:
        raise ValueError(f"{_place(name)}: {name!r} is its own ancestor")
    own = _REGISTERED.get(name)
    if own is None:
        own = read_toml(content_path("agents") / name / "agent.toml", _place(name))
    if _PARENT not in own:
        return own
    base = _read_table(own[_PARENT], f"{_place(name)}: parent", (*heirs, name))
    table = {**_laid_over(base, own), "environments": dict(base["environments"])}
    for key in ("policy_kwargs", "default"):
        table[key] = _laid_over(base.get(key, {}), own.get(key, {}))
    if base.get("continuous"):
        # Differences in a child's default are for all other environments, these too.
        both = _laid_over(base["continuous"], own.get("default", {}))
        table["continuous"] = _laid_over(both, own.get("continuous", {}))
    # Environments are merged key by key, so that a child holds its differences alone.
    for env_id, settings in own.get("environments", {}).items():
        table["environments"][env_id] = _laid_over(base["environments"].get(env_id, {}), settings)
    return table


def lean_steps(trained_steps: int) -> int:
    """Return the environment steps that `make_lean` chooses for a teacher's trained steps."""
    return max(LEAST_LEAN_STEPS, trained_steps // 5)
