"""Save and load an agent as data: manifest.json and weights.safetensors, never a pickle."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import math
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, VectorizedActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import VecEnv
from torch.overrides import TorchFunctionMode

from snn_gym._base.config import (
    Config,
    Natural,
    PolicyArguments,
    RecordedAgent,
    RecordedArguments,
    RecordedId,
    from_mapping,
    path_in,
    to_mapping,
)
from snn_gym._base.names import UNREGISTERED, printable
from snn_gym._base.numerics import numerics, warn_of_threads
from snn_gym._base.spaces import FlatSpikes
from snn_gym._base.storage import (
    dump_sealed,
    dump_tensors,
    parse_tensors,
    prefixed,
    read_regular_file,
    read_sealed,
    staged,
    with_prefix,
)
from snn_gym._version import __version__
from snn_gym.envs.stable_baselines import EnvironmentLike
from snn_gym.policies.observations import extractor_name
from snn_gym.policies.raw_observations import VEC_NORMALIZE, raw_policy
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.assembly import todays_names
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.zoo.algorithms import (
    ALGORITHMS,
    SCHEDULES,
    AlgorithmName,
    Settings,
    algorithm_name,
    format_schedule,
    make_settings,
)
from snn_gym.zoo.build import (
    Identity,
    as_learned,
    as_plain_data,
    build_model,
    identify,
    make_environments,
    remember_identity,
    seed_environments,
)
from snn_gym.zoo.recipe import (
    Recipe,
    ResolvedSettings,
    Seeding,
    VecNormalizeSettings,
    extract_vec_normalize,
    load_statistics,
    processor,
    statistics_of,
    wrap_in_vec_normalize,
)

# ---- spaces as data ------------------------------------------------------------------------------
SUPPORTED_SPACES = "Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these"
# More limits than this, if all are equal, are described by one number: a manifest has no room
# for a list as long as an image.
_MOST_LIMITS = 1024


def describe_space(space: spaces.Space[Any]) -> dict[str, Any]:
    """Return a description of a space in plain JSON types; equal spaces have equal descriptions.

    Raises:
        ValueError: The space, or a part of a Dict, is of no kind in ``SUPPORTED_SPACES``.
    """
    if isinstance(space, FlatSpikes):
        return {"type": "FlatSpikes", "shape": list(space.spike_shape)}
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "shape": list(space.shape),
            "dtype": str(space.dtype),
            "low": _bounds(space.low),
            "high": _bounds(space.high),
        }
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {
            "type": "MultiDiscrete",
            "nvec": space.nvec.tolist(),
            "start": space.start.tolist(),
        }
    if isinstance(space, spaces.MultiBinary):
        return {"type": "MultiBinary", "shape": list(space.shape)}
    if isinstance(space, spaces.Dict):
        # Pairs, for features stand in the order of the keys.
        return {"type": "Dict", "spaces": [[k, describe_space(x)] for k, x in space.items()]}
    raise ValueError(f"{type(space).__name__} spaces can't be saved; expected {SUPPORTED_SPACES}")


def describes(description: Mapping[str, Any], space: spaces.Space[Any]) -> bool:
    """Tell whether a description is that of a space, also one of an earlier version."""
    # Versions before 1.1 listed all limits of images.
    short = {
        key: _shortened(x)
        for key, x in description.items()
        if key in ("low", "high") and isinstance(x, list)
    }
    return {**description, **short} == describe_space(space)


def _bounds(values: np.ndarray[Any, Any]) -> list[Any] | float | str:
    # JSON has no infinity; float() of the strings gives it back.
    flat = values.ravel().astype(float).tolist()
    return _shortened([value if math.isfinite(value) else str(value) for value in flat])


def _shortened(limits: list[Any]) -> list[Any] | float | str:
    """Return one number if all of more than ``_MOST_LIMITS`` are equal, else the limits."""
    if len(limits) <= _MOST_LIMITS or limits.count(limits[0]) < len(limits):
        return limits
    limit: float | str = limits[0]
    return limit


# ---- extract -------------------------------------------------------------------------------------
def extract_settings(model: BaseAlgorithm) -> Settings:
    """Return the hyper-parameters that would build a model again; refuse any that are code."""
    algorithm = algorithm_name(model)
    names = [field.name for field in dataclasses.fields(ALGORITHMS[algorithm].settings)]
    values = {name: getattr(model, name) for name in names if hasattr(model, name)}
    for name in SCHEDULES:
        if name in values:
            values[name] = format_schedule(values[name], name)
    if algorithm == "A2C":
        # A2C keeps these two only in the policy's arguments.
        values["use_rms_prop"] = model.policy_kwargs.get("optimizer_class") is torch.optim.RMSprop
        if values["use_rms_prop"]:
            values["rms_prop_eps"] = model.policy_kwargs["optimizer_kwargs"]["eps"]
    if "train_freq" in values:
        values["train_freq"] = _train_freq_steps(values["train_freq"])
    if values.get("target_entropy") == -np.prod(model.action_space.shape or ()):
        values["target_entropy"] = "auto"  # which SAC has replaced by this number
    if "action_noise_std" in names:
        values["action_noise_std"] = _noise_std(model.action_noise)
    return make_settings(algorithm, values, f"{algorithm} model")


def extract_policy_arguments(model: BaseAlgorithm, *, before: bool = False) -> dict[str, Any]:
    """Return a model's policy arguments, ``network`` among them, as JSON types; refuse code.

    With ``before`` they are those that the model was made with, before any neurons were shed.
    """
    arguments = dict(model.policy_kwargs)
    if _optimiser_of_the_algorithm(model):
        del arguments["optimizer_class"], arguments["optimizer_kwargs"]
    # The policy has read the first three; off-policy algorithms put use_sde, a hyper-parameter.
    module = getattr(model.policy, "module_config", None)
    if module is not None:
        kind = type(model.policy.acting_network().module).__name__  # type: ignore[operator]
        raise ValueError(
            f"network {kind} is code and can't be saved as data; convert it by "
            "snn_gym.zoo.from_module, build it of NetworkConfig with a neuron of yours "
            "(register_neuron), or keep it by model.save, whose files only you should load"
        )
    for name in ("network", "net_arch", "critic_hidden_sizes", "use_sde"):
        arguments.pop(name, None)
    if "features_extractor_class" in arguments:
        extractor = model.policy.features_extractor_class
        arguments["features_extractor_class"] = extractor_name(extractor)
    plain = as_plain_data(arguments, "policy arguments", ", or save code too, by model.save")
    # From the policy, which knows its default network.
    network: NetworkConfig = model.policy.network  # type: ignore[assignment]
    critic = getattr(model.policy, "critic_hidden_sizes", None)
    if before:
        network, critic = getattr(model, "first_sizes", None) or (network, critic)
    if critic is not None:
        plain["critic_hidden_sizes"] = list(critic)
    return {**plain, "network": network.to_dict()}


def _optimiser_of_the_algorithm(model: BaseAlgorithm) -> bool:
    """Tell whether the policy's optimiser is one that A2C or QR-DQN chose by itself."""
    algorithm, arguments = algorithm_name(model), model.policy_kwargs
    kind = arguments.get("optimizer_class")
    if algorithm == "A2C":
        return kind is torch.optim.RMSprop
    if algorithm != "QRDQN" or kind is not torch.optim.Adam:
        return False
    # As in the paper's appendix, and in sb3-contrib.
    chosen = {"eps": 0.01 / model.batch_size}  # type: ignore[attr-defined]
    return bool(arguments.get("optimizer_kwargs") == chosen)


def _train_freq_steps(train_freq: TrainFreq | tuple[int, str] | int) -> int:
    """Return Stable-Baselines3's ``train_freq`` in environment steps, to be saved.

    Raises:
        ValueError: It counts episodes.
    """
    if isinstance(train_freq, int):
        return train_freq
    frequency, unit = train_freq
    if TrainFrequencyUnit(unit) is not TrainFrequencyUnit.STEP:
        raise ValueError(
            f"train_freq is {frequency} {TrainFrequencyUnit(unit).value}s; expected a number of "
            "environment steps"
        )
    return frequency


def _noise_std(noise: ActionNoise | None) -> float:
    if isinstance(noise, VectorizedActionNoise):
        noise = noise.base_noise
    if noise is None:
        return 0.0
    if type(noise) is NormalActionNoise:  # a subclass may draw in another way
        stds = set(np.ravel(noise._sigma).tolist())
        if not np.any(noise._mu) and len(stds) == 1:
            return float(stds.pop())
    raise ValueError(
        f"action_noise is {noise!r}, which can't be saved as data; use NormalActionNoise with mean "
        "0 and the same standard deviation for every action value"
    )


# ---- agents as data ------------------------------------------------------------------------------
FORMAT = "snn_gym/agent/1"
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
MAX_MANIFEST_BYTES = 1 << 20
MAX_WEIGHTS_BYTES = 1 << 30

_PACKAGES = ("gymnasium", "norse", "numba", "numpy", "stable_baselines3", "torch")


@dataclass(frozen=True)
class AgentManifest(Config):
    """Content of manifest.json of a saved agent."""

    format: Literal["snn_gym/agent/1"]
    agent: RecordedAgent | None
    """Agent of the zoo; None for a model made by hand."""
    algorithm: AlgorithmName
    policy: str
    policy_kwargs: PolicyArguments
    """Arguments of the policy; ``network`` holds every setting of the network."""
    environment: RecordedId
    environment_kwargs: RecordedArguments
    observation_space: dict[str, Any]
    """Description by ``describe_space``."""
    action_space: dict[str, Any]
    hyperparameters: dict[str, Any]
    num_timesteps: Natural
    """Environment steps trained."""
    seed: int | None
    versions: dict[str, str]
    """Versions of the packages that wrote it."""
    weights_sha256: str
    """SHA-256 of weights.safetensors, hexadecimal."""
    seeding: Seeding = "consecutive"
    """How the environments' random streams follow from the seed; older files do not say."""
    parent_sha256: str | None = None
    """SHA-256 of the weights of the agent that this one was made lean or goes on from, or None."""
    recipe: Recipe | None = None
    """Recipe that trains the same weights again; None where it is not known."""
    vec_normalize: VecNormalizeSettings | None = None
    """VecNormalize around the environments, with statistics beside the weights; None for none."""

    def _check(self) -> None:
        fitting = ALGORITHMS[self.algorithm].policy
        if self.policy != fitting:
            raise ValueError(f"{self.algorithm} needs the policy {fitting}, got {self.policy}")


def save_agent(
    model: BaseAlgorithm, path: str | os.PathLike[str], *, recipe: Recipe | None = None
) -> Path:
    """Save an agent's policy and settings as data, without code or pickles.

    The statistics of a VecNormalize around its environments are saved too, and images are
    transposed again on loading; wrappers of rewards and time limits are not saved.

    Optimisers, a learned weight of the entropy and a replay buffer aren't saved: training that
    continues from here starts them afresh. Use ``snn-gym train --resume`` to continue exactly.

    Args:
        model: An agent of the zoo, or a stock algorithm with one of our policies.
        path: Folder to create; an agent saved there before is replaced.
        recipe: Recipe that trains the same weights again. With None it is that of one call of
            ``learn`` on the CPU for a model of ``make_agent`` or ``make_lean``, the folder's recipe
            for a model that was loaded and not trained on, and none for any other model.

    Returns:
        The folder.

    Raises:
        TypeError: It is no model but, say, a policy.
        ValueError: The model can't be described as plain data, a weight is not finite, or its
            environments have a wrapper that would be lost; the message says why.
    """
    identity = identify(model)
    raw_policy(model, identity.environment, identity.environment_kwargs)  # or refuse
    weights = dump_weights(model)
    manifest = _describe(model, hashlib.sha256(weights).hexdigest(), recipe)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    # The manifest comes last and alone makes the folder an agent: a process killed in between
    # leaves none, and never an old manifest beside new weights.
    # A full disk shows before the earlier agent is touched.
    with (
        staged(folder / WEIGHTS, weights) as put_weights,
        staged(folder / MANIFEST, dump_sealed(to_mapping(manifest))) as put_manifest,
    ):
        (folder / MANIFEST).unlink(missing_ok=True)
        put_weights()
        put_manifest()
    return folder


def dump_weights(model: BaseAlgorithm) -> bytes:
    """Return weights.safetensors: weights and VecNormalize's statistics; refuse any not finite."""
    state = {**full_state(model.policy), **prefixed(VEC_NORMALIZE, statistics_of(model))}
    finite_or_raise(state, "the model")
    return dump_tensors(state)


def read_manifest(path: str | os.PathLike[str]) -> AgentManifest:
    """Read the manifest of a saved agent.

    Args:
        path: Folder that ``save_agent`` wrote.

    Raises:
        ValueError: There is none, it was changed since, or it does not fit the schema.
    """
    advice = "a run that `snn-gym train` has finished, or of save_agent"
    file = Path(path) / MANIFEST
    manifest = read_sealed(AgentManifest, file, "saved agent", advice, MAX_MANIFEST_BYTES)
    return _without_paths(manifest)


def _without_paths(manifest: AgentManifest) -> AgentManifest:
    """Return a manifest whose environment, if a path is among its arguments, no id makes again.

    Such an environment would open a file that a stranger chose.
    """
    if not path_in(manifest.environment_kwargs):
        return manifest
    return replace(
        manifest,
        environment=f"{UNREGISTERED}{manifest.environment}",
        environment_kwargs={},
        recipe=None,
    )


class NetworkRoom(TorchFunctionMode):
    """Refuses to build a network with far more numbers than the file that is to fill it has.

    A file can ask for any size; without this the memory is full before shapes are compared.
    """

    def __init__(self, numbers: int, where: str) -> None:
        super().__init__()
        # Target networks may be built twice, and initial weights need some room beside them.
        self._numbers, self._where, self._left = numbers, where, 2 * numbers + (1 << 20)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count the numbers of new tensors, which take no memory until they are filled."""
        result = func(*args, **(kwargs or {}))
        if func in (torch.empty, torch.zeros, torch.ones):
            self._left -= result.numel()
            if self._left < 0:
                raise ValueError(
                    f"{self._where} asks for a network with many more numbers than the "
                    f"{self._numbers:,} of the weights beside it; copy both files again"
                )
        return result


def load_agent(
    path: str | os.PathLike[str], env: EnvironmentLike | None = None, *, device: str = "cpu"
) -> BaseAlgorithm:
    """Load a saved agent: it predicts as before and can go on learning.

    Args:
        path: Folder that ``save_agent`` wrote, or ``hf:USER/NAME`` or ``hf:USER/NAME@REVISION``,
            an agent of the Hugging Face hub.
        env: Environments to learn on, if they should not be made from the recorded id: what
            ``make_agent`` takes. If the agent has a VecNormalize, they are wrapped in it and must
            not be in one already.
        device: PyTorch device, as in ``make_agent``, whatever it was trained on.

    Raises:
        ValueError: The folder or the hub holds no saved agent, a file is damaged, the environment's
            spaces or the weights do not fit, or the environments bring another VecNormalize.
        gymnasium.error.Error: The recorded environment is not registered, or needs a package that
            is absent.
    """
    from snn_gym.zoo.hub import run_folder  # which imports this module

    folder = run_folder(path)
    manifest = read_manifest(folder)
    where = str(folder / MANIFEST)
    settings = make_settings(manifest.algorithm, manifest.hyperparameters, where)
    arguments = dict(manifest.policy_kwargs)
    arguments["network"] = NetworkConfig.from_dict(arguments.get("network", {}))
    weights = read_weights(folder, manifest)
    with _naming(where):
        if env is None:
            recorded = manifest.environment, settings.n_envs, manifest.seed
            made = make_environments(*recorded, manifest.environment_kwargs)
        else:
            made = make_environments(env, settings.n_envs, manifest.seed)
        if manifest.vec_normalize is not None:
            made = wrap_in_vec_normalize(made, manifest.vec_normalize)
        made = as_learned(made)
        _check_spaces(manifest, made, where)
        algorithm, seed = manifest.algorithm, manifest.seed
        with NetworkRoom(sum(tensor.numel() for tensor in weights.values()), where):
            model = build_model(algorithm, arguments, settings, made, seed=seed, device=device)
    # They are not the policy's, and are stored beside its weights.
    statistics = with_prefix(VEC_NORMALIZE, weights)
    for name in prefixed(VEC_NORMALIZE, statistics):
        del weights[name]
    load_state(model.policy, weights, str(folder / WEIGHTS))
    load_statistics(model, statistics)
    # Not set_training_mode: that would tell the normaliser that a rollout begins.
    model.policy.train(False)
    model.num_timesteps = manifest.num_timesteps
    remember_identity(
        model,
        Identity(
            manifest.agent,
            manifest.environment,
            manifest.environment_kwargs,
            manifest.seeding,
            manifest.parent_sha256,
            recipe=manifest.recipe,
            history=folder,
        ),
    )
    seed_environments(made, manifest.seed, manifest.seeding)
    return model


def load_agent_in(path: str | os.PathLike[str], env_id: str | None) -> BaseAlgorithm:
    """Load a saved agent in its own environment, or in ``env_id`` if that is not registered here.

    Raises:
        ValueError, gymnasium.error.Error: As in ``load_agent``.
    """
    own = env_id is None or read_manifest(path).environment in gym.registry
    return load_agent(path, None if own else env_id)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Turn errors of building a model into a one-line ``ValueError`` that names the file."""
    try:
        yield
    # It holds arguments of other libraries' classes, which hardly check them and fail in many ways.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RuntimeError,
        TypeError,
    ) as error:
        raise ValueError(
            f"{where} says what can't be built ({type(error).__name__}: "
            f"{printable(str(error), 300)}); expected what save_agent wrote"
        ) from error


def load_state(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Load a module's whole state; refuse other names, shapes or dtypes, and NaN or infinity.

    Names of older versions are accepted.
    """
    # PyTorch's own load_state_dict would convert element types without a word.
    state, tensors = full_state(module), todays_names(tensors)
    missing, unknown = sorted(state.keys() - tensors.keys()), sorted(tensors.keys() - state.keys())
    if missing or unknown:
        counts = ((missing, "missing"), (unknown, "unknown"))
        told = (f"{len(x)} {word}, such as {x[0]!r}" for x, word in counts if x)
        raise ValueError(
            f"{where}: tensors do not fit the network: {'; '.join(told)}; expected those of the "
            "same agent and sizes"
        )
    for name, tensor in state.items():
        given = tensors[name]
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            raise ValueError(
                f"{where}: tensor {name!r} has shape {tuple(given.shape)} and {given.dtype}; "
                f"expected {tuple(tensor.shape)} and {tensor.dtype}"
            )
        if _not_finite(given):
            raise ValueError(
                f"{where}: tensor {name!r} holds values that are NaN or infinite, which nothing is "
                "saved with; copy the file again"
            )
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:  # in several lines
        raise ValueError(f"{where}: {' '.join(str(error).split())}") from error


def finite_or_raise(tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise ``ValueError``, naming ``where`` and the tensor, for an infinite or NaN weight."""
    for name, tensor in tensors.items():
        if _not_finite(tensor):
            raise ValueError(
                f"{where} has weights that are not finite, in {name!r}, and is not saved; training "
                "diverged: lower learning_rate or max_grad_norm"
            )


def _not_finite(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


def package_versions() -> dict[str, str]:
    """Return the versions, by name, of snn_gym, Python and the packages that a result needs."""
    return {"snn_gym": __version__, "python": platform.python_version(), **_installed_versions()}


@functools.cache
def _installed_versions() -> dict[str, str]:
    """Return the versions of ``_PACKAGES``; finding them reads files, milliseconds each time."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _recipe_of(model: BaseAlgorithm, identity: Identity) -> Recipe | None:
    if model._total_timesteps == 0:  # it has not learned since it was built or loaded
        return identity.recipe
    if not identity.fresh and identity.parent is None:
        return None
    if model.device.type != "cpu":  # whose sums nobody repeats to the bit
        return None
    if identity.fresh and _learned_repeatedly(model):
        return None  # steps of one call would undercount
    warn_of_threads()
    return Recipe(
        steps=model._total_timesteps,
        checkpoint_interval=None,
        versions=package_versions(),
        processor=processor(),
        numerics=numerics(),
        parent=identity.parent,
    )


def settings_of(model: BaseAlgorithm, *, before: bool = False) -> ResolvedSettings:
    """Return a model's settings; ``before`` as for ``extract_policy_arguments``."""
    arguments = extract_policy_arguments(model, before=before)
    return ResolvedSettings(
        algorithm=algorithm_name(model),
        hyperparameters=to_mapping(extract_settings(model)),
        network=arguments.pop("network"),
        policy_kwargs=arguments,
        vec_normalize=extract_vec_normalize(model),
    )


def _learned_repeatedly(model: BaseAlgorithm) -> bool:
    """Return whether ``learn`` was certainly called more than once."""
    if model._num_timesteps_at_start > 0 or getattr(model, "learn_calls", 1) > 1:
        return True
    # Stable-Baselines3 counts steps from 0 in each call, but updates over all calls.
    return getattr(model, "_n_updates", 0) > _most_updates(model)


def _most_updates(model: BaseAlgorithm) -> float:
    """Return the largest number of updates that one call of ``learn``, the last, can have made.

    Updates count as in Stable-Baselines3: epochs of an on-policy algorithm, else gradient steps.
    Return infinity where no largest number is known.
    """
    if isinstance(model, OnPolicyAlgorithm):
        rollouts = -(-model._total_timesteps // (model.n_steps * model.n_envs))
        return rollouts * getattr(model, "n_epochs", 1)
    frequency = getattr(model, "train_freq", None)
    if isinstance(model, OffPolicyAlgorithm) and isinstance(frequency, TrainFreq):
        if frequency.unit is not TrainFrequencyUnit.STEP:
            return math.inf
        collected = frequency.frequency * model.n_envs
        rollouts = 1 + max(0, model.num_timesteps - model.learning_starts) // collected
        steps = model.gradient_steps
        return rollouts * (collected if steps < 0 else steps)
    return math.inf


def _describe(model: BaseAlgorithm, weights_sha256: str, recipe: Recipe | None) -> AgentManifest:
    algorithm = algorithm_name(model)
    identity = identify(model)
    recipe = recipe or _recipe_of(model, identity)
    arguments = extract_policy_arguments(model)
    normalise = extract_vec_normalize(model)
    if recipe is not None and extract_policy_arguments(model, before=True) != arguments:
        recipe = replace(recipe, settings=settings_of(model, before=True))
    mapping = {
        "format": FORMAT,
        "agent": identity.agent,
        "algorithm": algorithm,
        "policy": ALGORITHMS[algorithm].policy,
        "policy_kwargs": arguments,
        "environment": identity.environment,
        "environment_kwargs": identity.environment_kwargs,
        "observation_space": describe_space(model.observation_space),
        "action_space": describe_space(model.action_space),
        "hyperparameters": to_mapping(extract_settings(model)),
        "num_timesteps": model.num_timesteps,
        "seed": model.seed,
        "versions": package_versions(),
        "weights_sha256": weights_sha256,
        "seeding": identity.seeding,
        "parent_sha256": identity.parent_sha256,
        "recipe": None if recipe is None else to_mapping(recipe),
        "vec_normalize": None if normalise is None else to_mapping(normalise),
    }
    return _without_paths(from_mapping(AgentManifest, mapping, MANIFEST))


def read_weights(folder: Path, manifest: AgentManifest) -> dict[str, torch.Tensor]:
    """Read the tensors of a saved agent; refuse a file with another digest than its manifest's."""
    data = read_regular_file(folder / WEIGHTS, max_bytes=MAX_WEIGHTS_BYTES)
    tensors, _ = parse_tensors(data, where=str(folder / WEIGHTS))
    if hashlib.sha256(data).hexdigest() != manifest.weights_sha256:
        raise ValueError(
            f"{folder / WEIGHTS} is not the file that {MANIFEST} was written for: their SHA-256 "
            "differ; copy both files again"
        )
    return tensors


def _check_spaces(manifest: AgentManifest, env: VecEnv, where: str) -> None:
    for name in ("observation_space", "action_space"):
        expected, space = getattr(manifest, name), getattr(env, name)
        if not describes(expected, space):  # an id may have changed since
            raise ValueError(
                f"{where}: {name} of {manifest.environment} was {expected} and is now "
                f"{describe_space(space)}; pass the environments it was trained on as env"
            )
