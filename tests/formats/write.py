"""Write one small file of every kind that an installed version of snn_gym saves.

    git worktree add --detach /tmp/old COMMIT
    PYTHONPATH=/tmp/old python tests/formats/write.py tests/formats/stored/NAME

The old code runs, so this uses only what versions since the first have; what one lacks is left out.
test_formats.py loads what it wrote: at a release, the files of that version are added.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import snn_gym

if __name__ == "__main__" and hasattr(snn_gym, "portable"):
    snn_gym.portable()  # before torch is loaded: version 2 submits no run of native numerics

import numpy as np
import stable_baselines3
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym.leaderboard import submit
from snn_gym.spiking import NetworkConfig
from snn_gym.training import run as training

OBSERVATIONS = 12
SMALL = {"hidden_sizes": (4,), "time_steps": 4}
RUN = {"agent": "dqsn", "env_id": "CartPole-v1", "steps": 512, "checkpoint_interval": 256}


def models() -> Iterator[tuple[str, BaseAlgorithm]]:
    """Build one small model of each algorithm that this version has."""
    few = {"buffer_size": 200, "learning_starts": 50, "batch_size": 16}
    rollout = {"n_steps": 64, "batch_size": 64}
    remembering = {**SMALL, "neuron": "alif", "recurrent": True}
    for name, algorithm, policy, env, network, arguments in (
        ("ppo", "PPO", "ActorCritic", "CartPole-v1", SMALL, rollout),
        ("dqn", "DQN", "DQN", "snn/CartPole-v1", SMALL, few),
        ("sac", "SAC", "SAC", "Pendulum-v1", SMALL, few),
        ("stateful-ppo", "StatefulPPO", "", "snn/MaskedCartPole-v1", remembering, rollout),
        ("es", "EvolutionStrategies", "", "Pendulum-v1", SMALL, {}),
        ("local", "LocalActorCritic", "", "Pendulum-v1", SMALL, {}),
    ):
        kind = getattr(stable_baselines3, algorithm, None)
        kind = kind or getattr(_package("snn_gym.learners"), algorithm, None)
        chosen: Any = kind and _policy(kind, policy)
        if chosen:
            kwargs = {"network": NetworkConfig(**network)}
            yield name, kind(chosen, env, seed=0, device="cpu", policy_kwargs=kwargs, **arguments)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


def _policy(kind: Any, policy: str) -> Any:
    if not policy:
        return next(iter(kind.policy_aliases))
    return getattr(_package("snn_gym.policies"), f"Spiking{policy}Policy", None)


def acted(model: BaseAlgorithm) -> dict[str, Any]:
    """Return observations and the actions of the model on them, from rest."""
    space = model.observation_space
    space.seed(3)
    seen = np.array([space.sample() for _ in range(OBSERVATIONS)])
    if seen.dtype == np.float32:  # some spaces reach to the limits of float32
        seen = np.random.default_rng(3).normal(size=seen.shape).astype(np.float32)
    actions, _ = model.predict(seen, deterministic=True)
    if len(np.unique(actions)) < 2:
        raise ValueError(f"{type(model).__name__} does one thing whatever it sees; train it more")
    return {"observations": seen.tolist(), "actions": actions.tolist()}


def write_agents(folder: Path) -> None:
    """Save a trained model of each kind, and the first also as Stable-Baselines3 does."""
    done = {}
    for name, model in models():
        model.learn(256)
        snn_gym.save_agent(model, folder / "agents" / name)
        done[name] = acted(model)
        if name == "ppo":
            model.save(folder / "ppo.zip")
    (folder / "actions.json").write_text(json.dumps(done, separators=(",", ":")) + "\n")


def write_runs(folder: Path) -> None:
    """Train and submit a run, and stop another training half-way."""
    finished = folder / "run"
    training.train(out=finished, tensorboard=False, **RUN)
    submit(finished, folder / "submission")

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    training.save_agent = stop  # this file marks the run as finished
    try:
        training.train(out=folder / "unfinished", tensorboard=False, **RUN)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was to be stopped")


def main() -> None:
    """Write the folder that the command line names."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_agents(folder)
    write_runs(folder)
    print(snn_gym.__version__, sum(x.stat().st_size for x in folder.rglob("*") if x.is_file()))


if __name__ == "__main__":
    main()
