"""Trainings that are no independent ones, or hardly any: branches, further learning, short ones.

Each leaves the tensors that acting needs in a file of its own; one whose file exists is passed
over, so that a study that was interrupted goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import FloatSchedule

from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import load_tensors, save_tensors
from snn_gym.leaderboard.manifest import MAX_WEIGHTS_BYTES
from snn_gym.training.checkpoint import restore_checkpoint
from snn_gym.training.logs import EpisodeLog
from snn_gym.training.run import SegmentCallback
from snn_gym.zoo import make_agent
from snn_gym.zoo.build import make_environments

AGENT, ENVIRONMENT = "ppo-lif", "CartPole-v1"
PAIRED_AGENT = "ppo-lif-dynamics"
STEPS = 100_000
CHECKPOINT_INTERVAL = 10_000
TRUNK_SEEDS = (700, 701)
"""Seeds of the trainings that are branched from."""
BRANCH_SEEDS = (1700, 2700)
"""Added to that of the trunk: seeds that a branch goes on with."""
BRANCH_TENTHS = (2, 4, 6, 8, 9)
"""When a branch leaves its trunk, in tenths of the training."""
FURTHER_UPDATES = (1, 2, 5, 20)
"""Updates that a stored agent is trained on for."""
SHORT_UPDATES = (0, 1, 5, 20)
"""Updates of honest trainings that are given up early."""
SHORT_SEEDS = (0, 1, 2, 3, 4)
SHORT_AGENTS = ("ppo-lif", "ppo-mlp")
UPDATE_STEPS = 256
"""Environment steps of an update of these agents."""
LEARNING_RATE = 1e-3
"""That with which the agent's training begins."""


class _KeptSegments(SegmentCallback):
    """Segments of a training each of whose checkpoints is a file of its own."""

    def __init__(self, folder: Path, *args: Any) -> None:
        self._folder = folder
        super().__init__(folder / "checkpoint", folder / "episodes.csv", *args)

    def _on_rollout_start(self) -> None:
        tenths = self.model.num_timesteps // CHECKPOINT_INTERVAL
        self._checkpoint = self._folder / f"{tenths}.checkpoint"
        super()._on_rollout_start()


def train_branches(folder: Path) -> None:
    """Train the trunks, and from some of their checkpoints branches with other seeds.

    Beside each trunk an agent is trained with the same seed that sheds spikes once it has learned:
    until then both are the same training.
    """
    for trunk in TRUNK_SEEDS:
        scratch = folder / f"trunk-{trunk}"
        scratch.mkdir(parents=True, exist_ok=True)
        _once(folder / f"branch-{trunk}-0-{trunk}.safetensors", partial(_trunk, trunk, scratch))
        _once(folder / f"paired-{trunk}.safetensors", partial(_trunk, trunk, scratch, PAIRED_AGENT))
        for tenths in BRANCH_TENTHS:
            for seed in BRANCH_SEEDS:
                _once(
                    folder / f"branch-{trunk}-{tenths}-{seed + trunk}.safetensors",
                    partial(_branch, trunk, tenths, seed + trunk, scratch),
                )


def train_further(stored: Path, folder: Path) -> None:
    """Train stored agents on, as who has only the tensors of a row would."""
    for weights in sorted(stored.glob("*.safetensors")):
        for updates in FURTHER_UPDATES:
            _once(
                folder / f"further-{weights.stem}-{updates}.safetensors",
                partial(_further, weights, updates),
            )


def train_short(folder: Path) -> None:
    """Train agents for a few updates only."""
    for agent in SHORT_AGENTS:
        for seed in SHORT_SEEDS:
            for updates in SHORT_UPDATES:
                _once(
                    folder / f"short-{agent}-{seed}-{updates}.safetensors",
                    partial(_short, agent, seed, updates),
                )


def _once(path: Path, trained: Callable[[], BaseAlgorithm]) -> None:
    if not path.exists():
        with one_thread():
            policy: Any = trained().policy
        save_tensors(path, policy.acting_state_dict())


def _trunk(seed: int, scratch: Path, agent: str = AGENT) -> BaseAlgorithm:
    model = make_agent(agent, ENVIRONMENT, seed)
    kept = scratch / agent
    kept.mkdir(exist_ok=True)
    return _learned(model, seed, partial(_KeptSegments, kept), EpisodeLog())


def _branch(trunk: int, tenths: int, seed: int, scratch: Path) -> BaseAlgorithm:
    model = make_agent(AGENT, ENVIRONMENT, trunk)
    episodes = restore_checkpoint(scratch / AGENT / f"{tenths}.checkpoint", model)
    unused = (scratch / "branch.checkpoint", scratch / "branch.csv")
    return _learned(model, seed, partial(SegmentCallback, *unused), episodes)


def _learned(
    model: BaseAlgorithm, seed: int, segments: Callable[..., SegmentCallback], episodes: EpisodeLog
) -> BaseAlgorithm:
    """Train to the end of the budget, from where the model is."""
    make_envs = partial(make_environments, ENVIRONMENT, model.n_envs, seed)
    callback = segments(episodes, seed, CHECKPOINT_INTERVAL, make_envs, "disjoint")
    left = STEPS - model.num_timesteps
    model.learn(left, callback=callback, reset_num_timesteps=model.num_timesteps == 0)
    return model


def _further(weights: Path, updates: int) -> BaseAlgorithm:
    model = make_agent(AGENT, ENVIRONMENT, int(weights.stem) + 1700)
    policy: Any = model.policy
    policy.load_acting_state_dict(load_tensors(weights, max_bytes=MAX_WEIGHTS_BYTES)[0])
    # The registered schedule ends at 0, so that the last update, or the only one, changes nothing.
    model.lr_schedule = FloatSchedule(LEARNING_RATE)
    return model.learn(updates * UPDATE_STEPS)


def _short(agent: str, seed: int, updates: int) -> BaseAlgorithm:
    model = make_agent(agent, ENVIRONMENT, seed)
    return model.learn(updates * UPDATE_STEPS) if updates else model
