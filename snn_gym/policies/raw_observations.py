"""Policies over raw observations: a model's policy with the wrappers between it and an id.

A score is that of the environment that ``gym.make`` makes of an id. A model may have learned in
environments with wrappers around it. ``raw_policy`` is the one place that looks at them:

- Carried: VecNormalize and VecTransposeImage.
- Of no effect: VecMonitor, VecCheckNan, VecVideoRecorder, Monitor, and gymnasium's wrappers of
  rewards, time, checks, statistics and pictures.
- Refused by name: every other wrapper that the id does not have itself, with equal arguments.

Other arguments of the environment itself give a warning.
"""

from __future__ import annotations

import inspect
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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
from snn_gym.policies.protocols import Acting, ActingPolicy, check_tensors
from snn_gym.program.costs import NORMALISER, Counter, sum_costs
from snn_gym.program.program import Normaliser, Program

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
    """An inner policy behind ``steps``, which change raw observations (of ``space``) in order."""

    def __init__(self, inner: Any, space: spaces.Space[Any], steps: Sequence[_Step]) -> None:
        # Any: PyTorch types the attributes of a module that it does not know as tensors.
        self.inner: Any = inner
        self.observation_space = space
        self.action_space: spaces.Space[Any] = inner.action_space
        self.steps = tuple(steps)

    def shown(self, observation: Any) -> Any:
        """Return the inner policy's view of a raw observation or a batch of them."""
        # In the space's dtypes, in which environments of a VecEnv store it.
        observation = each_array(
            lambda part, x: np.asarray(x, dtype=part.dtype), self.observation_space, observation
        )
        for step in self.steps:
            observation = step.apply(observation)
        return observation

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
        tensors: dict[str, Tensor] = self.inner.acting_state_dict()
        for step in self.steps:
            tensors |= prefixed(VEC_NORMALIZE, step.tensors())
        return tensors

    def load_acting_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Load all tensors of ``acting_state_dict``, VecNormalize's statistics among them."""
        statistics = with_prefix(VEC_NORMALIZE, tensors)
        named = prefixed(VEC_NORMALIZE, statistics)
        inner = {name: tensor for name, tensor in tensors.items() if name not in named}
        self.inner.load_acting_state_dict(inner)
        for step in self.steps:
            step.load(statistics)

    def program(self) -> Program:
        """Return the program that acts on raw observations; ``ValueError`` for images."""
        program: Program = self.inner.program()
        for step in reversed(self.steps):
            program = step.before(program)
        return program

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield names and values of the inner policy's learned parameters."""
        yield from self.inner.named_parameters()


class RecordableRawPolicy(RawPolicy):
    """A policy of snn_gym behind the steps between it and raw observations."""

    def record(self, obs: Any, state: Any = None) -> Any:
        """Return the acting network's activity and costs in decisions on raw observations."""
        recording = self.inner.record(self.shown(obs), state)
        counter = Counter(1)
        for step in self.steps:
            step.count(counter)
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


class _Step:
    """A change of observations (``apply``), which ``before`` puts in front of a program."""

    @abstractmethod
    def apply(self, observation: Any) -> Any: ...

    @abstractmethod
    def before(self, program: Program) -> Program: ...

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def load(self, tensors: Mapping[str, Tensor]) -> None: ...

    def count(self, counter: Counter) -> None: ...


@dataclass(frozen=True)
class _Transposition(_Step):
    """Images with the channels first, as VecTransposeImage makes them."""

    wrapper: VecTransposeImage

    def apply(self, observation: Any) -> Any:
        return self.wrapper.transpose_observations(observation)

    def before(self, program: Program) -> Program:
        del program
        raise ValueError("images are not exported; train on a Box whose values are flattened")


@dataclass(frozen=True)
class _Normalisation(_Step):
    """VecNormalize's arithmetic on observations, by the present statistics of its wrapper."""

    statistics: Mapping[str, RunningMeanStd]
    """By key of a Dict; under an empty name for any other space."""
    epsilon: float
    clip: float

    def apply(self, observation: Any) -> Any:
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
        return {
            name: torch.tensor(getattr(running, place)) for name, running, place in self._places()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        checked_statistics(tensors, self.tensors())
        for name, running, place in self._places():
            setattr(running, place, tensors[name].numpy().copy())

    def count(self, counter: Counter) -> None:
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
    steps = [] if env is None else _steps(env)
    if isinstance(env_id, VecEnv):
        _check_normalised_alike(_steps(env_id), steps)
    # A model holds its policy; a policy has no such attribute.
    policy = getattr(model_or_policy, "policy", None)
    if policy is None:
        return model_or_policy
    if env is None:
        return policy
    _check_singles(env.unwrapped, env_id, dict(env_kwargs or {}))
    return _behind(policy, env.unwrapped.observation_space, steps) if steps else policy


def bare_policy(model_or_policy: BaseAlgorithm | Acting, purpose: str) -> Any:
    """Return a model's own policy; refuse one behind VecNormalize, which can't be ``purpose``."""
    policy = raw_policy(model_or_policy)
    if not isinstance(policy, RawPolicy):
        return policy
    if any(isinstance(step, _Normalisation) for step in policy.steps):
        raise ValueError(
            f"a policy behind VecNormalize is not {purpose}; train with the policy's own "
            "normalise_observations=True in its place, or with VecNormalize(norm_obs=False)"
        )
    return policy.inner  # policies of Stable-Baselines3 transpose images themselves


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
    return _behind(policy, space, [_Normalisation(statistics, epsilon, clip)])


def _behind(policy: ActingPolicy, space: spaces.Space[Any], steps: Sequence[_Step]) -> RawPolicy:
    # Stable-Baselines3's own policies record nothing.
    kind = RecordableRawPolicy if hasattr(policy, "record") else RawPolicy
    return kind(policy, space, steps)


def _steps(env: VecEnv) -> list[_Step]:
    """Return the changes of observations, the environments' side first; refuse other wrappers."""
    steps: list[_Step] = []
    normalised = 0
    while isinstance(env, VecEnvWrapper):
        if type(env) is VecNormalize:
            normalised += 1
            statistics = dict(by_key(env.obs_rms)) if env.norm_obs else {}
            if statistics:
                steps.append(_Normalisation(statistics, env.epsilon, env.clip_obs))
        elif type(env) is VecTransposeImage:
            if not env.skip:  # as it is for images with the channels first
                steps.append(_Transposition(env))
        elif type(env) not in _WITHOUT_EFFECT:
            raise ValueError(
                f"{type(env).__name__} stands between the environments and the policy, and is not "
                f"carried to the environment that is scored; {_way_out(type(env).__name__)}"
            )
        env = env.venv
    if normalised > 1:
        raise ValueError(
            f"{normalised} VecNormalize stand between the environments and the policy; one does "
            "both: VecNormalize(norm_obs=True, norm_reward=True)"
        )
    return steps[::-1]


class _Chain(NamedTuple):
    """An environment and the wrappers around it that change observations or actions."""

    names: tuple[str, ...]
    """Names of the wrappers, innermost first."""
    env_id: str | None
    arguments: Mapping[str, Any]
    settings: tuple[str, ...] | None
    """Recorded arguments of each wrapper as text; None in another process, where arguments of the
    environment are unknown too."""


def _check_normalised_alike(given: Sequence[_Step], own: Sequence[_Step]) -> None:
    """Refuse environments in a VecNormalize whose statistics are not those of the model's."""
    normalised = [step for step in given if isinstance(step, _Normalisation)]
    if any(step not in own for step in normalised):
        raise ValueError(
            "the environments are in a VecNormalize with other statistics than the model's, which "
            "are applied; pass the environments inside, env.venv"
        )


def _check_singles(
    env: VecEnv, env_id: str | gym.Env[Any, Any] | VecEnv | None, arguments: Mapping[str, Any]
) -> None:
    """Refuse wrappers of single environments that an id or object does not have itself."""
    if isinstance(env_id, str) and env_id.startswith(UNREGISTERED):
        return  # nothing but the object itself can make its environment again
    # Copies of an environment have the same wrappers: each kind is looked at once.
    for chain in {str(chain): chain for chain in _chains(env)}.values():
        own = _own_chains(chain, env_id, arguments)
        if (
            chain.names
            and own
            and not any(
                x.names == chain.names
                and (None in (x.settings, chain.settings) or x.settings == chain.settings)
                for x in own
            )
        ):
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
    there, here = (
        {
            name: value
            for name, value in one.items()
            if name != "render_mode" and not np.array_equal(value, two.get(name, two))
        }
        for one, two in ((chain.arguments, own.arguments), (own.arguments, chain.arguments))
    )
    if (
        own.env_id == chain.env_id
        and None not in (own.settings, chain.settings)
        and (there or here)
    ):
        warnings.warn(
            f"the model was trained on {chain.env_id} with {there} and plays it here with {here}; "
            "give it the same arguments (env_kwargs) to score it where it was trained",
            stacklevel=4,
        )


def _own_chains(
    chain: _Chain, env_id: str | gym.Env[Any, Any] | VecEnv | None, arguments: Mapping[str, Any]
) -> tuple[_Chain, ...]:
    """Return the chains of an id or object, seen as ``chain`` is; none where nothing is compared.

    An ``env_id`` of None stands for that of the chain.
    """
    if isinstance(env_id, VecEnv):
        return tuple(_chains(env_id.unwrapped)) or (_bare(None),)
    if isinstance(env_id, gym.Env):
        return (_parsed(str(env_id)) if chain.settings is None else _walked(env_id),)
    made = (chain.env_id, chain.arguments) if env_id is None else (env_id, arguments)
    if made[0] is None:
        return ()  # no id makes it, so that it is the environment with its wrappers
    bare = _bare(gym.registry.get(made[0].rpartition(":")[2]))
    if not chain.names or bare.env_id is None:
        return (bare._replace(arguments={**bare.arguments, **made[1]}),)
    # Without the checker, which is a wrapper too and would run the environment.
    env = gym.make(made[0], disable_env_checker=True, **made[1])
    env.close()
    return _own_chains(chain, env, {})


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


def _bare(spec: Any) -> _Chain:
    """Return the chain of an environment without wrappers, by its spec or None."""
    arguments = getattr(spec, "kwargs", {})
    return _Chain(
        (),
        getattr(spec, "id", None),
        {x: y for x, y in arguments.items() if x != "render_mode"},
        (),
    )


def _within(chain: _Chain, around: Sequence[Any]) -> _Chain:
    """Return a chain with wrappers put around it, innermost first."""
    names = (*chain.names, *(type(wrapper).__name__ for wrapper in around))
    # Gymnasium's own wrappers record their arguments.
    texts = (
        str({name: _comparable(x) for name, x in vars(wrapper).get("_saved_kwargs", {}).items()})
        for wrapper in around
    )
    settings = None if chain.settings is None else (*chain.settings, *texts)
    return chain._replace(names=names, settings=settings)


def _comparable(value: Any) -> Any:
    """Return a value whose text is that of equal arguments; objects have their class alone."""
    if inspect.isfunction(value):  # made anew with each environment
        code, cells = value.__code__, (x.cell_contents for x in value.__closure__ or ())
        return code.co_code, code.co_names, code.co_consts, [*map(_comparable, cells)]
    if isinstance(value, int | float | np.number | np.ndarray):
        return np.asarray(value, np.float64).tolist()
    return value if isinstance(value, str) else type(value).__name__


def _parsed(text: str) -> _Chain:
    """Return the wrappers in a text such as <TimeLimit<CartPoleEnv<CartPole-v1>>>."""
    *around, last = text.replace(">", "").split("<")[1:]
    has_id = not last.endswith(" instance")
    around = around[:-1] if has_id else around
    names = tuple(x for x in reversed(around) if x not in _NAMES_WITHOUT_EFFECT)
    return _Chain(names, last if has_id else None, {}, None)


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
