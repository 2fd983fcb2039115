"""How far the gradient of e-prop is from that of back-propagation through time, as BPTT learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.learners import StatefulPPO
from snn_gym.zoo import make_agent
from studies.eprop.runs import AGENT, TASKS
from studies.files import read_run, write_run

SEED = 1000
"""Seed of the trainings, which stands in no table."""
SHARES = (0.0, 0.1, 0.3)
"""Shares of a training at which both gradients are taken."""
ANGLES = Path(__file__).parent / "angles.json"


@dataclass(frozen=True)
class Angle(Config):
    """Both gradients of all synapses of the actor's layer, on one rollout of the same policy."""

    env_id: str
    """Key of ``TASKS``."""
    steps: int
    """Environment steps trained before the rollout, by back-propagation through time."""
    cosine: float
    """Of the angle between the two."""
    norms: float
    """Norm of e-prop's, as a share of the other's."""


@dataclass(frozen=True)
class Angles(Config):
    """All of them."""

    angles: tuple[Angle, ...]


def measure_angles(path: Path = ANGLES) -> None:
    """Train one agent on each task, take both gradients on the way, and write the file."""
    with one_thread():
        found = [angle for env_id in TASKS for angle in _on_the_way(env_id)]
    write_run(path, Angles(tuple(found)))


def read_angles(path: Path = ANGLES) -> tuple[Angle, ...]:
    """Return the measured angles."""
    return read_run(Angles, path).angles


class AngleLog(BaseCallback):
    """Compare both gradients on the first rollout after each share of a training, then stop it."""

    def __init__(self, env_id: str) -> None:
        super().__init__()
        self.found: list[Angle] = []
        self._env_id = env_id

    def _on_step(self) -> bool:
        return len(self.found) < len(SHARES)

    def _on_rollout_end(self) -> None:
        model: Any = self.model
        before = model.num_timesteps - model.n_steps * model.n_envs
        if before >= SHARES[len(self.found)] * TASKS[self._env_id]:
            self.found.append(angle_of(model, self._env_id, before))


def _on_the_way(env_id: str) -> list[Angle]:
    log = AngleLog(env_id)
    make_agent(AGENT, env_id, SEED).learn(TASKS[env_id], callback=log)
    return log.found


def angle_of(model: StatefulPPO, env_id: str, steps: int) -> Angle:
    """Compare both gradients on the rollout that a model has just played."""
    (batch,) = model.rollout_buffer.get(None)
    full, local = (_gradient(model, batch, through) for through in (True, False))
    cosine = torch.nn.functional.cosine_similarity(full, local, dim=0)
    return Angle(env_id, steps, float(cosine), float(local.norm() / full.norm()))


def _gradient(model: StatefulPPO, batch: RolloutBufferSamples, through: bool) -> Tensor:
    """Return the policy gradient of the actor's spiking layer, flat."""
    sequences: Any = replace(batch.observations, recurrent_gradient=through)  # type: ignore[type-var]
    _, log_prob, _ = model.policy.evaluate_actions(sequences, batch.actions.long().flatten())
    parameters = list(model.policy.mlp_extractor.actor.layers.parameters())
    standard = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std() + 1e-8)
    gradients = torch.autograd.grad(-(standard * log_prob).mean(), parameters)
    return torch.cat([gradient.flatten() for gradient in gradients])
