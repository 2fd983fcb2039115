"""Policies over raw observations: a model's policy with the wrappers between it and an id.

A score is that of the environment that ``gym.make`` makes of an id. A model may have learned in
environments with wrappers around it. ``raw_policy`` is the one place that looks at them:

- Carried: VecNormalize, and VecTransposeImage, which policies repeat on images.
- Of no effect: VecMonitor, VecCheckNan, VecVideoRecorder, Monitor, and gymnasium's wrappers of
  rewards, time, checks, statistics and pictures.
- Refused by name: every other wrapper that the id does not have itself, with equal arguments.

Other arguments of the environment itself give a warning.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import gymnasium.vector
import numpy as np
import torch
from gymnasium import spaces, wrappers
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorRewardWrapper, VectorWrapper
from gymnasium.wrappers import vector
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecEnv,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
    VecVideoRecorder,
)
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper
from torch import Tensor

from snn_gym._base.names import UNREGISTERED
from snn_gym._base.spaces import by_key, each_array
from snn_gym._base.storage import prefixed, with_prefix
from snn_gym.program.costs import NORMALISER, Counter, sum_costs
from snn_gym.program.program import Normaliser, Program
from snn_gym.spiking.recording import Recording


# ---- protocols -----------------------------------------------------------------------------------
class Acting(Protocol):
    """Protocol of Stable-Baselines3's models and policies that act."""

    def predict(
        self, observation: Any, state: Any = ..., episode_start: Any = ..., /, *,
        deterministic: bool = ...,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:  # fmt: skip
        """Return actions for observations, and the state to pass on, None if there is none."""


class ActingPolicy(Acting, Protocol):
    """A policy whose acting tensors can be copied out, and loaded, alone.

    Tensors that only training needs, such as a critic's, are not among them.
    """

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Space of observations."""

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Space of actions."""

    def acting_state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors that acting needs, by name."""

    def load_acting_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Load all tensors of ``acting_state_dict``, none missing; others stay unchanged."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield names and values of the learned parameters."""


class RecordedPolicy(ActingPolicy, Protocol):
    """A policy whose network's activity can be recorded."""

    @property
    def carries_state(self) -> bool:
        """Whether the network's state lasts from one decision to the next."""

    def acting_network(self) -> Any:
        """Return the network that chooses actions."""

    def record(self, obs: Any, state: Any = None) -> Recording:
        """Return the acting network's activity and costs in decisions on observations."""

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise stream of a noisy encoder; without one nothing happens."""


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], kind: str) -> None:
    """Refuse tensors of a kind that have other names, shapes or dtypes than expected."""
    wrong = sorted(tensors.keys() ^ expected.keys())
    if wrong:
        raise ValueError(
            f"{kind}s do not match: {', '.join(wrong)}; expected {', '.join(expected) or 'none'}"
        )
    for name, tensor in tensors.items():
        model = expected[name]
        if (tensor.shape, tensor.dtype) != (model.shape, model.dtype):
            raise ValueError(
                f"{kind} {name}: expected shape {tuple(model.shape)} and {model.dtype}, got "
                f"{tuple(tensor.shape)} and {tensor.dtype}"
            )


# ---- policies ------------------------------------------------------------------------------------
VEC_NORMALIZE = "vec_normalize"
"""Prefix of the names of VecNormalize's statistics among tensors."""

Observation = NDArray[Any] | dict[str, NDArray[Any]]
_State = tuple[NDArray[Any], ...] | None

# These classes alone: a subclass may do anything.
_WITHOUT_EFFECT: tuple[type, ...] = (
    VecMonitor,
    VecCheckNan,
    VecVideoRecorder,
    Monitor,
    wrappers.PassiveEnvChecker,
    wrappers.OrderEnforcing,
    wrappers.TimeLimit,
    wrappers.RecordEpisodeStatistics,
    wrappers.RecordVideo,
    wrappers.RenderCollection,
    wrappers.HumanRendering,
    wrappers.AddWhiteNoise,
    wrappers.ObstructView,
    wrappers.NormalizeReward,
    vector.RecordEpisodeStatistics,
    vector.RecordVideo,
    vector.HumanRendering,
    vector.NormalizeReward,
)
# In the text of another process classes are known by name; those of rewards are found by
# ``_is_without_effect`` elsewhere.
_NAMES_WITHOUT_EFFECT = {
    *(kind.__name__ for kind in _WITHOUT_EFFECT),
    wrappers.TransformReward.__name__,
    wrappers.ClipReward.__name__,
}


class RawPolicy:
    """An inner policy behind VecNormalize, which acts on raw observations (of ``space``)."""

    def __init__(self, inner: Any, space: spaces.Space[Any], scaling: Normalisation) -> None:
        # Any: PyTorch types the attributes of a module that it does not know as tensors.
        self.inner: Any = inner
        self.observation_space = space
        self.action_space: spaces.Space[Any] = inner.action_space
        self.scaling = scaling

    def shown(self, observation: Any) -> Any:
        """Return the inner policy's view of a raw observation or a batch of them."""
        # In the space's dtypes, in which environments of a VecEnv store it.
        typed = each_array(
            lambda part, x: np.asarray(x, dtype=part.dtype), self.observation_space, observation
        )
        return self.scaling.apply(typed)

    def predict(
        self,
        observation: Any,
        state: _State = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], _State]:
        """Choose actions for raw observations, as Stable-Baselines3 defines it."""
        actions: tuple[NDArray[Any], _State] = self.inner.predict(
            self.shown(observation), state, episode_start, deterministic=deterministic
        )
        return actions

    def acting_state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors that acting needs, by name: statistics are among them."""
        statistics = prefixed(VEC_NORMALIZE, self.scaling.tensors())
        return {**self.inner.acting_state_dict(), **statistics}

    def load_acting_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Load all tensors of ``acting_state_dict``, VecNormalize's statistics among them."""
        statistics = with_prefix(VEC_NORMALIZE, tensors)
        named = prefixed(VEC_NORMALIZE, statistics)
        inner = {name: tensor for name, tensor in tensors.items() if name not in named}
        self.inner.load_acting_state_dict(inner)
        self.scaling.load(statistics)

    def program(self) -> Program:
        """Return the program that acts on raw observations."""
        return self.scaling.before(self.inner.program())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield names and values of the inner policy's learned parameters."""
        yield from self.inner.named_parameters()


class RecordableRawPolicy(RawPolicy):
    """A policy of snn_gym behind VecNormalize."""

    def record(self, obs: Any, state: Any = None) -> Any:
        """Return the acting network's activity and costs in decisions on raw observations."""
        recording = self.inner.record(self.shown(obs), state)
        counter = Counter(1)
        self.scaling.count(counter)
        return replace(recording, costs=sum_costs(counter.costs(), recording.costs))

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise stream of a noisy encoder; without one nothing happens."""
        self.inner.reseed_noise(seed)

    @property
    def carries_state(self) -> bool:
        """Whether the network's state lasts from one decision to the next."""
        return bool(self.inner.carries_state)

    def acting_network(self) -> Any:
        """Return the network that chooses actions."""
        return self.inner.acting_network()


@dataclass(frozen=True)
class Normalisation:
    """VecNormalize's arithmetic on observations, by the present statistics of its wrapper."""

    statistics: Mapping[str, RunningMeanStd]
    """By key of a Dict; under an empty name for any other space."""
    epsilon: float
    clip: float

    def apply(self, observation: Any) -> Any:
        """Return standardised observations; parts of a Dict without statistics do not change."""
        if not isinstance(observation, Mapping):
            return self._scaled(observation, "")
        return {
            **observation,
            **{key: self._scaled(observation[key], key) for key in self.statistics},
        }

    def _scaled(self, values: NDArray[Any], key: str) -> NDArray[np.float32]:
        running = self.statistics[key]
        scaled = (values - running.mean) / np.sqrt(running.var + self.epsilon)
        clipped: NDArray[np.float32] = np.clip(scaled, -self.clip, self.clip).astype(np.float32)
        return clipped

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of the statistics, by name."""
        return {
            name: torch.tensor(getattr(running, place)) for name, running, place in self._places()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the statistics by those of ``tensors``."""
        checked_statistics(tensors, self.tensors())
        for name, running, place in self._places():
            setattr(running, place, tensors[name].numpy().copy())

    def count(self, counter: Counter) -> None:
        """Count the costs of a decision."""
        for running in self.statistics.values():
            counter.scaling(NORMALISER, running.mean.size)

    def before(self, program: Program) -> Program:
        """Return a program that standardises before another one; a Dict has no program."""
        running = self.statistics[""]
        std = np.sqrt(running.var + self.epsilon).astype(np.float32).reshape(-1)
        normaliser = Normaliser(running.mean.astype(np.float32).reshape(-1), std, self.clip)
        return replace(program, normalisers=(normaliser, *program.normalisers))

    def _places(self) -> Iterator[tuple[str, RunningMeanStd, str]]:
        """Yield each statistic's name, and the object and attribute that hold it."""
        for key, running in self.statistics.items():
            for place in ("mean", "var"):
                yield (f"{place}.{key}" if key else place), running, place


def checked_statistics(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse VecNormalize statistics of other names, shapes or dtypes than expected.

    Refused too: values that are not finite, and variances or counts below 0.
    """
    check_tensors(tensors, expected, "VecNormalize statistic")
    for name, tensor in tensors.items():
        is_signed = name.split(".")[0].endswith("mean")
        if not bool(torch.isfinite(tensor).all()) or (not is_signed and bool((tensor < 0).any())):
            raise ValueError(
                f"VecNormalize's {name} holds values that no statistics have; expected finite "
                "means, and variances and counts from 0"
            )


def raw_policy(
    model_or_policy: BaseAlgorithm | Acting,
    env_id: str | gym.Env[Any, Any] | VecEnv | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """Return a policy that acts on an id's observations as a model acts in its environments.

    Args:
        model_or_policy: Stable-Baselines3 model, or anything that acts as its policies do. Of the
            environments of a bare policy nothing is known.
        env_id: Id or object that it acts in, whose own wrappers pass; the model's own if None.
            A VecEnv's wrappers are not acted in, but only those with an effect that the model has.
        env_kwargs: Arguments of the environment of that id.

    Returns:
        The policy itself if it sees raw observations, else a ``RawPolicy`` around it.

    Raises:
        ValueError: A wrapper is not carried; the message names it and the way out.
    """
    env = model_or_policy.get_env() if isinstance(model_or_policy, BaseAlgorithm) else None
    scaling = None if env is None else _normalisation(env)
    if isinstance(env_id, VecEnv) and _normalisation(env_id) not in (None, scaling):
        raise ValueError(
            "the environments are in a VecNormalize with other statistics than the model's, which "
            "are applied; pass the environments inside, env.venv"
        )
    # A model holds its policy; a policy has no such attribute.
    policy = getattr(model_or_policy, "policy", None)
    if policy is None:
        return model_or_policy
    if env is None:
        return policy
    _check_singles(env.unwrapped, env_id, dict(env_kwargs or {}))
    if scaling is None:
        return policy  # which transposes images itself
    return _behind(policy, env.unwrapped.observation_space, scaling)


def bare_policy(model_or_policy: BaseAlgorithm | Acting, purpose: str) -> Any:
    """Return a model's own policy; refuse one behind VecNormalize, which can't be ``purpose``."""
    policy = raw_policy(model_or_policy)
    if isinstance(policy, RawPolicy):
        raise ValueError(
            f"a policy behind VecNormalize is not {purpose}; train with the policy's own "
            "normalise_observations=True in its place, or with VecNormalize(norm_obs=False)"
        )
    return policy


def with_normalisation(
    policy: ActingPolicy,
    space: spaces.Space[Any],
    *,
    epsilon: float,
    clip: float,
    keys: Sequence[str] | None = None,
) -> RawPolicy:
    """Return a policy behind a new VecNormalize of the ``keys`` of a Dict, None for all."""
    parts = by_key(space)
    statistics = {key: RunningMeanStd(shape=parts[key].shape) for key in keys or parts}
    return _behind(policy, space, Normalisation(statistics, epsilon, clip))


def _behind(policy: ActingPolicy, space: spaces.Space[Any], scaling: Normalisation) -> RawPolicy:
    # Stable-Baselines3's own policies record nothing.
    kind = RecordableRawPolicy if hasattr(policy, "record") else RawPolicy
    return kind(policy, space, scaling)


def _normalisation(env: VecEnv) -> Normalisation | None:
    """Return VecNormalize's arithmetic on observations, None without; refuse other wrappers."""
    around: list[VecEnvWrapper] = []
    while isinstance(env, VecEnvWrapper):
        if type(env) not in (*_WITHOUT_EFFECT, VecNormalize, VecTransposeImage):
            raise ValueError(
                f"{type(env).__name__} stands between the environments and the policy, and is not "
                f"carried to the environment that is scored; {_way_out(type(env).__name__)}"
            )
        around.append(env)
        env = env.venv
    normalised = [x for x in around if isinstance(x, VecNormalize)]
    if len(normalised) > 1:
        raise ValueError(
            f"{len(normalised)} VecNormalize stand between the environments and the policy; one "
            "does both: VecNormalize(norm_obs=True, norm_reward=True)"
        )
    scaling = normalised[0] if normalised and normalised[0].norm_obs else None
    statistics = {} if scaling is None else dict(by_key(scaling.obs_rms))
    if scaling is None or not statistics:
        return None
    turned = any(isinstance(x, VecTransposeImage) and not x.skip for x in around)
    parts = by_key(env.observation_space)
    others = [key for key in statistics if not is_image_space(parts[key])]
    if turned and len(others) < len(statistics):
        fix = f"norm_obs_keys={others}" if others else "norm_obs=False"
        raise ValueError(
            "VecNormalize beside VecTransposeImage is not carried to the environment that is "
            f"scored, and policies scale images to [0, 1] themselves; pass {fix}"
        )
    return Normalisation(statistics, scaling.epsilon, scaling.clip_obs)


class _Chain(NamedTuple):
    """An environment and the wrappers around it that change observations or actions."""

    names: tuple[str, ...]
    """Names of the wrappers, innermost first."""
    env_id: str | None
    arguments: Mapping[str, Any] | None = None
    """Arguments of the environment; None in another process, where all arguments are unknown."""
    settings: tuple[str, ...] = ()
    """Recorded arguments of each wrapper as text."""

    def equals(self, other: _Chain) -> bool:
        """Tell whether two chains have the same wrappers, with the same arguments if known."""
        unknown = None in (self.arguments, other.arguments)
        return self.names == other.names and (unknown or self.settings == other.settings)


def _check_singles(
    env: VecEnv, env_id: str | gym.Env[Any, Any] | VecEnv | None, arguments: Mapping[str, Any]
) -> None:
    """Refuse wrappers of single environments that an id or object does not have itself."""
    if isinstance(env_id, str) and env_id.startswith(UNREGISTERED):
        return  # nothing but the object itself can make its environment again
    # Copies of an environment have the same wrappers: each kind is looked at once.
    for chain in {str(chain): chain for chain in _chains(env)}.values():
        own = _own_chains(chain, env_id, arguments)
        if chain.names and own and not any(map(chain.equals, own)):
            names = own[0].names
            # The message names the wrappers beyond those that the id has itself.
            shared = len(names) if chain.names[: len(names)] == names else 0
            beyond = chain.names[shared:] or chain.names
            raise ValueError(
                f"{', '.join(beyond)} stands between the environments and the policy, and "
                f"{env_id or chain.env_id!s:.100} "
                f"{'has it with other arguments' if names == chain.names else 'does not have it'}; "
                f"{_way_out(beyond[0])}"
            )
        if own:
            _warn_of_other_arguments(chain, own[0])


def _warn_of_other_arguments(chain: _Chain, own: _Chain) -> None:
    """Warn of a model that was trained on the same id with other arguments."""
    if own.env_id != chain.env_id or own.arguments is None or chain.arguments is None:
        return
    there, here = (
        {name: x for name, x in one.items() if not np.array_equal(x, two.get(name, two))}
        for one, two in ((chain.arguments, own.arguments), (own.arguments, chain.arguments))
    )
    if there or here:
        warnings.warn(
            f"the model was trained on {chain.env_id} with {there} and plays it here with {here}; "
            "give it the same arguments (env_kwargs) to score it where it was trained",
            stacklevel=4,
        )


def _own_chains(
    chain: _Chain, env_id: str | gym.Env[Any, Any] | VecEnv | None, arguments: Mapping[str, Any]
) -> tuple[_Chain, ...]:
    """Return the chains of an id or object to compare with ``chain``; none if nothing is compared.

    An ``env_id`` of None stands for that of the chain.
    """
    if isinstance(env_id, VecEnv):
        return tuple(_chains(env_id.unwrapped)) or (_bare(None),)
    if isinstance(env_id, gym.Env):
        return (_walked(env_id),)
    if env_id is None:
        env_id, arguments = chain.env_id, chain.arguments or {}
    if env_id is None:
        return ()  # no id makes it, so that it is the environment with its wrappers
    spec = gym.registry.get(env_id.rpartition(":")[2])
    if not chain.names or spec is None:
        return (_bare(spec, arguments),)
    # Without the checker, which is a wrapper too and would run the environment.
    env = gym.make(env_id, disable_env_checker=True, **arguments)
    env.close()
    return (_walked(env),)


def _chains(env: VecEnv) -> Iterator[_Chain]:
    """Yield the wrappers around each single environment, as far as they can be seen."""
    if isinstance(env, DummyVecEnv):
        yield from map(_walked, env.envs)
    elif isinstance(env, SubprocVecEnv):
        # As text, because arguments of wrappers may be functions, which no process can send.
        yield from map(_parsed, [] if _is_closed(env) else env.env_method("__str__"))
    elif isinstance(getattr(env, "vector_env", None), gym.vector.VectorEnv):
        yield from _chains_of_batch(env.vector_env, env.get_attr("spec")[0])  # type: ignore[attr-defined]


def _chains_of_batch(env: gym.vector.VectorEnv[Any, Any, Any], spec: Any) -> Iterator[_Chain]:
    env, around = _unwrapped(env, VectorWrapper)
    chains: Iterator[_Chain]
    if isinstance(env, SyncVectorEnv):
        chains = map(_walked, env.envs)
    elif isinstance(env, AsyncVectorEnv):
        chains = map(_parsed, [] if _is_closed(env) else env.call("__str__"))
    else:
        chains = iter([_bare(spec)])
    yield from (_within(chain, around) for chain in chains)


def _is_closed(env: SubprocVecEnv | AsyncVectorEnv) -> bool:
    """Tell whether environments in other processes have ended, and warn of unseen wrappers."""
    if env.closed:
        warnings.warn(
            "the model's environments are closed: wrappers in their processes can't be seen, and "
            "their changes of observations and actions are not carried",
            stacklevel=2,
        )
    return env.closed


def _unwrapped(env: Any, wrapper: Any) -> tuple[Any, list[Any]]:
    """Return the innermost environment, and its wrappers with an effect, innermost first."""
    around: list[Any] = []
    while isinstance(env, wrapper):
        around += [] if _is_without_effect(type(env)) else [env]
        env = env.env
    return env, around[::-1]


def _walked(env: gym.Env[Any, Any]) -> _Chain:
    env, around = _unwrapped(env, gym.Wrapper)
    return _within(_bare(env.spec), around)


def _within(chain: _Chain, around: Sequence[Any]) -> _Chain:
    """Return a chain with wrappers put around it, innermost first."""
    names = (type(wrapper).__name__ for wrapper in around)
    # Gymnasium's own wrappers record their arguments.
    saved = (vars(wrapper).get("_saved_kwargs", {}) for wrapper in around)
    texts = (str({name: _comparable(x) for name, x in given.items()}) for given in saved)
    return chain._replace(names=(*chain.names, *names), settings=(*chain.settings, *texts))


def _comparable(value: Any) -> Any:
    """Return a value whose text is that of equal arguments; objects have their class alone."""
    if inspect.isfunction(value):  # made anew with each environment
        code, cells = value.__code__, (x.cell_contents for x in value.__closure__ or ())
        return code.co_code, code.co_names, code.co_consts, [*map(_comparable, cells)]
    if isinstance(value, int | float | np.number | np.ndarray):
        return np.asarray(value, np.float64).tolist()
    return value if isinstance(value, str) else type(value).__name__


def _bare(spec: Any, more: Mapping[str, Any] | None = None) -> _Chain:
    """Return the chain of an environment without wrappers, by its spec or None."""
    arguments = {**getattr(spec, "kwargs", {}), **(more or {})}
    arguments.pop("render_mode", None)
    return _Chain((), getattr(spec, "id", None), arguments)


def _parsed(text: str) -> _Chain:
    """Return the wrappers in a text such as <TimeLimit<CartPoleEnv<CartPole-v1>>>."""
    *around, last = text.replace(">", "").split("<")[1:]
    has_id = not last.endswith(" instance")
    around = around[:-1] if has_id else around
    names = tuple(x for x in reversed(around) if x not in _NAMES_WITHOUT_EFFECT)
    return _Chain(names, last if has_id else None)


def _is_without_effect(kind: type) -> bool:
    if kind in _WITHOUT_EFFECT:
        return True
    rewarding: tuple[Any, ...] = (gym.RewardWrapper, VectorRewardWrapper)
    return any(
        issubclass(kind, base)  # and changes nothing but rewards
        and getattr(kind, "step", None) is base.step
        and getattr(kind, "reset", None) is base.reset
        for base in rewarding
    )


def _way_out(name: str) -> str:
    if name == "NormalizeObservation":
        return (
            "use the policy's own normalise_observations=True, or Stable-Baselines3's "
            "VecNormalize, which is carried"
        )
    return (
        "give gymnasium.register an id whose entry point or additional_wrappers include a "
        "gymnasium wrapper that does the same, and train on that id"
    )
