"""Learners without gradients on control tasks: train until solved or the budget ends, evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from snn_gym import evaluate, make_agent
from snn_gym._base.config import to_mapping
from snn_gym._base.numerics import one_thread
from snn_gym.learners import GradientFreeAlgorithm
from snn_gym.learners.judging import BatchedJudge, find_observation_limits
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import load_agent_spec
from studies.dynamics.outcome import Outcome, reduced_curve
from studies.dynamics.settings import Budget

MEASURED_EPISODES = 100
"""Episodes that tell whether a task is solved."""
FIRST_MEASURING_SEED = 3_000_000_000
"""Seed of the first of them. Learners draw theirs below 2**31, and those of ``evaluate`` lie around
2,000,000,000, so that no episode serves two purposes."""


@dataclass(frozen=True)
class ControlCase:
    """A learner of the zoo on a control task."""

    env_id: str
    """The task."""
    learner: str
    """Name of a gradient-free agent of the zoo."""
    budget: Budget
    """Limits of a run."""
    solved_return: float | None = None
    """Mean return that ends a run; None to train until the budget ends."""
    hidden: int | None = None
    """Hidden neurons; the zoo's number if None."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Hyper-parameters that replace the zoo's."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that was chosen, as plain data."""
        spec = load_agent_spec(self.learner)
        network = NetworkConfig.from_dict({**spec.network_settings(self.env_id), **self._network})
        return {
            "agent": self.learner,
            "environment": self.env_id,
            "hyperparameters": to_mapping(spec.settings(self.env_id, dict(self.overrides))),
            "network": to_mapping(network),
            "budget": to_mapping(self.budget),
            "solved_return": self.solved_return,
        }

    def make(self, seed: int) -> GradientFreeAlgorithm:
        """Make the learner with fresh weights."""
        model = make_agent(self.learner, self.env_id, seed, network=self._network, **self.overrides)
        assert isinstance(model, GradientFreeAlgorithm)
        return model

    def train(self, seed: int) -> Outcome:
        """Train and evaluate one seed."""
        return self.finish(self.make(seed))

    def finish(self, model: GradientFreeAlgorithm) -> Outcome:
        """Train and evaluate a learner that ``make`` made; see ``train_controller``."""
        return train_controller(model, self.env_id, self.budget, self.solved_return)

    @property
    def _network(self) -> dict[str, Any]:
        return {} if self.hidden is None else {"hidden_sizes": [self.hidden]}


def train_controller(
    model: GradientFreeAlgorithm, env_id: str, budget: Budget, solved_return: float | None = None
) -> Outcome:
    """Train until the task is solved or the budget ends; evaluate the weights deployed then.

    A task is solved when the deployed weights' mean return over 100 fresh episodes reaches
    ``solved_return``. That is measured after an iteration in which networks reached that mean on
    the episodes that judged them, unless the deployed weights have been measured before. Measuring
    episodes judge nothing, the learner does not see them, and they are not counted; every
    measurement has its own. The final evaluation is on the public episodes of ``evaluate``.
    """
    watch = _Watch(env_id, budget, solved_return)
    with one_thread():
        model.learn(budget.steps, callback=watch, log_interval=None)
        if watch.solved is not None:
            model.weights = watch.solved.weights
    evaluation = evaluate(model, env_id)
    counts = model.num_episodes, model.num_timesteps
    if watch.solved is not None:
        counts = watch.solved.episodes, watch.solved.steps
    return Outcome(
        scores=evaluation.returns,
        episodes=counts[0],
        steps=counts[1],
        curve=reduced_curve([row for row in watch.rows if row[0] <= counts[1]]),
        solved_episodes=None if watch.solved is None else watch.solved.episodes,
        solved_steps=None if watch.solved is None else watch.solved.steps,
        measurements=watch.measurements,
        spikes_per_decision=sum(evaluation.spikes_per_decision.values()),
        synops_per_decision=sum(evaluation.synops_per_decision.values()),
    )


class _Solved:
    """When a task was solved, and by which weights."""

    def __init__(self, model: GradientFreeAlgorithm) -> None:
        self.episodes = model.num_episodes
        self.steps = model.num_timesteps
        self.weights = model.weights


class _Watch(BaseCallback):
    """Keep the learning curve, and measure whether the task is solved."""

    model: GradientFreeAlgorithm

    def __init__(self, env_id: str, budget: Budget, solved_return: float | None) -> None:
        super().__init__()
        self.rows: list[tuple[int, float]] = []
        self.solved: _Solved | None = None
        self.measurements = 0
        self._env_id = env_id
        self._budget = budget
        self._solved_return = np.inf if solved_return is None else solved_return
        self._measured: NDArray[np.float32] | None = None
        self._best = -np.inf

    def _on_training_start(self) -> None:
        env = self.model.get_env()
        assert env is not None
        limits = find_observation_limits(env, None)
        self._judge = BatchedJudge(self._env_id, self.model.population, limits)

    def _on_rollout_start(self) -> None:
        self._best = -np.inf

    def _on_step(self) -> bool:
        means = self.locals["rollouts"].returns.mean(axis=1)
        self.rows.append((self.model.num_timesteps, float(means.mean())))
        self._best = max(self._best, float(means.max()))
        return self.solved is None and self.model.num_episodes < self._budget.episodes

    def _on_rollout_end(self) -> None:
        over = (
            self.model.num_episodes > self._budget.episodes
            or self.model.num_timesteps > self._budget.steps
        )
        if over or self.solved is not None or self._best < self._solved_return:
            return
        weights = self.model.weights
        if self._measured is not None and np.array_equal(weights, self._measured):
            return
        self._measured = weights
        if self._measure(weights) >= self._solved_return:
            self.solved = _Solved(self.model)

    def _measure(self, weights: NDArray[np.float32]) -> float:
        start = FIRST_MEASURING_SEED + self.measurements * MEASURED_EPISODES
        self.measurements += 1
        seeds = range(start, start + MEASURED_EPISODES)
        return float(self._judge.play(weights[np.newaxis], seeds).returns.mean())
