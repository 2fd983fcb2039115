"""How far the gradient of e-prop is from that of back-propagation through time, as BPTT learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.learners import StatefulPPO
from snn_gym.zoo import make_agent
from studies.eprop.training import AGENT, TASKS
from studies.runs import Planned

SEED = 1000
"""Seed of the trainings, which stands in no table."""
SHARES = (0.0, 0.1, 0.3)
"""Shares of a training at which both gradients are taken."""


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


class AngleLog(BaseCallback):
    """Compare both gradients on the first rollout after some steps, then stop the training."""

    def __init__(self, env_id: str, after: float) -> None:
        super().__init__()
        self.found: Angle | None = None
        self._env_id, self._after = env_id, after

    def _on_step(self) -> bool:
        return self.found is None

    def _on_rollout_end(self) -> None:
        model: Any = self.model
        before = model.num_timesteps - model.n_steps * model.n_envs
        if before >= self._after and self.found is None:
            self.found = angle_of(model, self._env_id, before)


def measure(env_id: str, share: float) -> Angle:
    """Train one agent for a share of a training, and take both gradients."""
    log = AngleLog(env_id, share * TASKS[env_id])
    with one_thread():
        make_agent(AGENT, env_id, SEED).learn(TASKS[env_id], callback=log)
    assert log.found is not None  # shares are far below 1
    return log.found


def angle_runs() -> Iterator[Planned]:
    """Yield the measurements on all tasks."""
    for env_id in TASKS:
        for share in SHARES:
            yield Planned(f"angles/{env_id}/{share:g}", partial(measure, env_id, share))


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
