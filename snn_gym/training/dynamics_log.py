"""Log of a spiking policy's dynamics while any Stable-Baselines3 algorithm trains it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import nn

from snn_gym._base.spaces import by_key, each_array, stacked
from snn_gym._base.storage import (
    load_tensors,
    prefixed,
    read_regular_file,
    save_tensors,
    with_prefix,
    write_text_atomic,
)
from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.raw_observations import RecordedPolicy
from snn_gym.policies.stock import StockPolicyMixin
from snn_gym.spiking import (
    Dynamics,
    Recording,
    SpikingNetwork,
    network_weights,
    relative_gradients,
)
from snn_gym.spiking.modules import ModuleNetwork
from snn_gym.zoo.build import identify, make_environments


@contextmanager
def undisturbed(policy: nn.Module) -> Iterator[None]:
    """Restore a policy's training modes and noise streams when the context ends."""
    modes = [(module, module.training) for module in policy.modules()]
    networks = [module for module, _ in modes if isinstance(module, SpikingNetwork)]
    states = [state for x in networks if (state := getattr(x, "noise_state", None)) is not None]
    copies = [state.clone() for state in states]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for state, copy in zip(states, copies, strict=True):
            state.copy_(copy)


# ---- dynamics log --------------------------------------------------------------------------------
HEADER = ("timestep", "part", "measure", "value")
_MAX_CSV_BYTES = 1 << 30
_MAX_PROBE_BYTES = 1 << 32

Observation = NDArray[Any] | dict[str, NDArray[Any]]
Row = tuple[int, str, str, float]

_OBSERVATIONS = "observation"
_WEIGHTS = "weights"


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a log; raise ``ValueError`` for any other file."""
    data = read_regular_file(path, max_bytes=_MAX_CSV_BYTES)
    try:
        header, *lines = list(csv.reader(data.decode().splitlines())) or [[]]
        if tuple(header) != HEADER:
            raise ValueError(f"its columns are {', '.join(header)}"[:80])
        return [(int(step), part, name, float(value)) for step, part, name, value in lines]
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} is no log of dynamics: expected the columns {', '.join(HEADER)}: {error}"
        ) from error


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a log as a CSV file, atomically."""
    # repr of a float is the shortest text that reads back as the same number
    lines = [f"{step},{part},{name},{value!r}" for step, part, name, value in rows]
    write_text_atomic(path, "\n".join([",".join(HEADER), *lines]) + "\n")


# ---- decisions that are played -------------------------------------------------------------------
PLAYED_TOGETHER = 4
"""Environments that are played side by side: few, so that the sequences are long."""
_SEED = 1_500_000_000
"""Seed of the environments: beyond those of training, before those of evaluations."""


def play_decisions(
    policy: SpikingPolicy, env: VecEnv, decisions: int, normaliser: VecNormalize | None = None
) -> tuple[Observation, tuple[NDArray[np.float32]]]:
    """Play a stateful policy deterministically, always from the same starts.

    ``decisions`` is rounded up to the same number in each environment. A normaliser is applied to
    the observations. Returns these observations (decisions, ...), or a Dict's arrays by key, and
    the state (decisions, S) before each. The environments are reseeded and stepped.
    """
    training = policy.training
    env.seed(_SEED)
    seen, states = [], []
    observations, starts = env.reset(), np.ones(env.num_envs, dtype=np.bool_)
    rest = policy.acting_network().rest_state(env.num_envs).detach().cpu().numpy()
    state = rest
    for _ in range(-(-decisions // env.num_envs)):
        shown = observations if normaliser is None else normaliser.normalize_obs(observations)  # type: ignore[arg-type]
        state = np.where(starts[:, np.newaxis], rest, state)
        # Copies: environments may reuse the arrays that they returned.
        seen.append(each_array(np.array, shown))
        states.append(state)
        actions, after = policy.predict(shown, (state,), deterministic=True)  # type: ignore[arg-type]
        assert after is not None  # of a stateful policy
        (state,) = after
        observations, _, starts, _ = env.step(actions)
    policy.train(training)
    return each_array(lambda *x: np.concatenate(x), *seen), (np.concatenate(states),)


# ---- callback ------------------------------------------------------------------------------------
DYNAMICS_FILE = "dynamics.csv"
PROBE_FILE = "dynamics_probe.safetensors"
_NOISE_SEED = 0


class DynamicsCallback(BaseCallback):
    """Log the dynamics of the policy's network, recorded on a batch of observations.

    Of a stateless policy the batch is the first ``probe_size`` observations of the training. It is
    measured when it is complete, at the start of the first rollout after every ``every``
    environment steps, and at the end. So rows differ by the network, never by the observations or
    a noisy encoder's noise.

    A stateful policy is measured at the same moments, and before its first step. For that it plays
    sequences in separate environments, deterministically and always from the same starts; every
    decision is recorded with its state, as in an evaluation.

    ``relative_change`` is that of the weights since the first row. Recording draws no random
    numbers and changes neither the policy nor its normaliser nor a noisy encoder's stream.

    The numbers of ``Dynamics.summary`` go to the model's logger as ``dynamics/LAYER/MEASURE``, and
    to FOLDER/dynamics.csv, one row for each (environment steps, layer or connection, measure,
    value). The observations and the first weights are stored beside it. Resumed training
    (``reset_num_timesteps=False`` on a model that has taken steps) goes on with the folder's log,
    without rows from later steps. In a list of callbacks put this one before one that saves
    checkpoints.

    Args:
        every: Environment steps between rows, at least 1.
        folder: Folder of the files, made if missing; None for the logger alone.
        probe_size: Observations in the batch, at least 1; a stateful policy plays a multiple of 4.
            Short decisions need many: ``Dynamics`` leaves out measures of too few spikes.

    Raises:
        ValueError: A number is below 1. Training raises it for a policy that does not spike.
    """

    def __init__(
        self, every: int, folder: str | Path | None = None, *, probe_size: int = 256
    ) -> None:
        super().__init__()
        for name, value in (("every", every), ("probe_size", probe_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._every = every
        self._folder = None if folder is None else Path(folder)
        self._probe_size = probe_size
        self._probe: list[dict[str, NDArray[Any]]] = []
        """First observations of the training, each an array by key."""
        self._first_weights: dict[str, NDArray[Any]] = {}
        """Weights by connection at the first row."""
        self._rows: list[Row] = []
        self._envs: VecEnv | None = None
        """Environments that a stateful policy plays in."""

    def _on_training_start(self) -> None:
        self._check_policy()
        if self._policy.carries_state:
            self._envs = self._make_environments()
        done = self.model.num_timesteps
        if done == 0:
            self._rows, self._probe = [], []
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            if (self._folder / DYNAMICS_FILE).exists():
                self._rows = read_rows(self._folder / DYNAMICS_FILE)
            if done > 0 and (self._folder / PROBE_FILE).exists():
                self._read_probe(self._folder / PROBE_FILE)
        self._rows = [row for row in self._rows if done > 0 and row[0] <= done]
        if not self._rows:
            self._first_weights = {}
        if self._folder is not None:
            write_rows(self._folder / DYNAMICS_FILE, self._rows)

    def _check_policy(self) -> None:
        policy = self.model.policy
        name = type(policy).__name__
        if not isinstance(policy, SpikingPolicy | StockPolicyMixin):
            raise ValueError(f"{name} can't be recorded; use a policy of snn_gym.policies")
        if acting_spiking_network(policy) is None:
            raise ValueError(
                f"this {name} does not spike, so there are no dynamics to log; train a spiking "
                "policy, or leave out the DynamicsCallback"
            )

    @property
    def _policy(self) -> SpikingPolicy:
        policy = self.model.policy
        assert isinstance(policy, SpikingPolicy)  # was checked at the start
        return policy

    def _make_environments(self) -> VecEnv:
        identity = identify(self.model)
        envs = make_environments(
            identity.environment, PLAYED_TOGETHER, None, identity.environment_kwargs
        )
        if envs.observation_space != self.model.observation_space:
            envs.close()
            raise ValueError(
                f"{identity.environment} shows {envs.observation_space}, but the model sees "
                f"{self.model.observation_space}: a stateful policy is measured while it plays, so "
                "register the wrapped environment, or leave out the DynamicsCallback"
            )
        return envs

    def _on_rollout_start(self) -> None:
        timestep = self.model.num_timesteps
        if self._collecting:
            # A checkpoint may follow, from which a resumed training collects the rest.
            self._write_probe()
        elif not self._rows:
            self._log(timestep)
            self._write_probe()
        elif timestep // self._every > self._last_timestep // self._every:
            self._log(timestep)

    def _on_step(self) -> bool:
        if self._collecting:
            if "new_obs" not in self.locals:
                raise ValueError(
                    f"{type(self.model).__name__} shows its callbacks no observations (new_obs) to "
                    "measure the dynamics on; leave out the DynamicsCallback, or --dynamics"
                )
            seen = by_key(self.locals["new_obs"])
            count = min(len(next(iter(seen.values()))), self._probe_size - len(self._probe))
            self._probe += [{key: np.array(x[k]) for key, x in seen.items()} for k in range(count)]
            if len(self._probe) == self._probe_size:
                self._log(self.num_timesteps)
                self._write_probe()
        return True

    @property
    def _collecting(self) -> bool:
        return self._envs is None and len(self._probe) < self._probe_size

    def _on_training_end(self) -> None:
        if not self._collecting and self.model.num_timesteps > self._last_timestep:
            self._log(self.model.num_timesteps)
        if self._envs is not None:
            self._envs.close()

    @property
    def _last_timestep(self) -> int:
        return self._rows[-1][0] if self._rows else 0

    def _log(self, timestep: int) -> None:
        network = acting_spiking_network(self._policy)
        assert network is not None  # was checked at the start
        recording = self._record(self._policy, network)
        own = network if isinstance(network, SpikingNetwork) else None  # a module's are its own
        if own is not None and not self._first_weights:
            self._first_weights = network_weights(own)
        dynamics = Dynamics(
            recording,
            own,
            older_weights=self._first_weights or None,
            gradients=None if own is None else relative_gradients(own),
        )
        for key, value in dynamics.summary().items():
            self.logger.record(f"dynamics/{key}", value)
            part, measure = key.split("/")
            self._rows.append((timestep, part, measure, value))
        if self._folder is not None:
            write_rows(self._folder / DYNAMICS_FILE, self._rows)

    def _record(self, policy: SpikingPolicy, network: SpikingNetwork | ModuleNetwork) -> Recording:
        """Record the policy on the probe, or as it plays, always with the same encoder's noise."""
        with undisturbed(policy):
            network.reseed_noise(_NOISE_SEED)
            batch: tuple[Any, ...]
            if self._envs is None:
                batch = (stacked(self._probe),)
            else:
                normaliser = self.model.get_vec_normalize_env()
                batch = play_decisions(policy, self._envs, self._probe_size, normaliser)
                network.reseed_noise(_NOISE_SEED)
            recording: Recording = policy.record(*batch)
        return recording

    def _write_probe(self) -> None:
        if self._folder is not None and (self._probe or self._first_weights):
            seen = by_key(stacked(self._probe)) if self._probe else {}
            tensors = {**prefixed(_OBSERVATIONS, seen), **prefixed(_WEIGHTS, self._first_weights)}
            save_tensors(self._folder / PROBE_FILE, tensors)

    def _read_probe(self, path: Path) -> None:
        tensors, _ = load_tensors(path, max_bytes=_MAX_PROBE_BYTES)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        seen = with_prefix(_OBSERVATIONS, arrays)
        counts = {len(x) for x in seen.values()}
        if len(counts) > 1:
            raise ValueError(f"{path} holds no observations of a log of dynamics")
        self._probe = [
            {key: x[k] for key, x in seen.items()} for k in range(max(counts, default=0))
        ]
        self._first_weights = with_prefix(_WEIGHTS, arrays)


def acting_spiking_network(policy: RecordedPolicy) -> SpikingNetwork | ModuleNetwork | None:
    """Return the network that chooses a policy's actions, None if it does not spike."""
    network = policy.acting_network()
    is_module = isinstance(network, ModuleNetwork) and bool(network.spiking)
    return network if is_module or isinstance(network, SpikingNetwork) else None
