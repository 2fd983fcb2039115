"""Learners without gradients on CartPole and on a job with right answers, the Teacher job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

import snn_gym
from snn_gym import evaluate, make_agent
from snn_gym._base.config import Config, to_mapping
from snn_gym._base.numerics import one_thread
from snn_gym.envs.rollout import Observer, Rollouts
from snn_gym.envs.synapses.jobs import Judgement, Probe, SupervisedJob, teacher
from snn_gym.learners import (
    CMAES,
    AcceptReject,
    EvolutionStrategies,
    GradientFreeAlgorithm,
    RandomSearch,
    SynapseAgents,
    WinStay,
)
from snn_gym.learners.base import BatchedJudge, find_observation_limits
from snn_gym.zoo import load_agent_spec

CARTPOLE = "CartPole-v1"
TEACHER = "Teacher"
SOLVED_RETURN = 475.0
"""Mean return of 100 episodes from which CartPole-v1 counts as solved."""
EPISODES, STEPS = 15_000, 3_000_000
"""Episodes that judge weights, of old and of new ones, and environment steps of these, at most."""
JUDGEMENTS = 3_000
"""Networks that a run on the Teacher job may have judged."""
MEASURED_EPISODES = 100
"""Episodes that tell whether a task is solved."""
FIRST_MEASURING_SEED = 3_000_000_000
"""Seed of the first of them. Learners draw theirs below 2**31, and those of ``evaluate`` lie around
2,000,000,000, so that no episode serves two purposes."""


@dataclass(frozen=True)
class Result(Config):
    """Result of a run."""

    seed: int
    """Seed of everything random."""
    version: str
    """Version of the package."""
    mean: float
    """Mean return of the final policy in the public episodes, or minus the cross-entropy in nat."""
    episodes: int
    """Episodes of the training, or networks judged where there are no episodes."""
    steps: int
    """Environment steps of the training, or samples seen."""
    solved_episodes: int | None = None
    """Episodes when the task was solved; None if it was not, or on the Teacher job."""
    solved_steps: int | None = None
    """Environment steps when it was solved."""


def train_on_cartpole(
    agent: str,
    overrides: Mapping[str, Any],
    seed: int,
    episodes: int = EPISODES,
    steps: int = STEPS,
) -> Result:
    """Train until CartPole is solved or the budget ends; evaluate the weights deployed then.

    It is solved when the deployed weights' mean return over 100 fresh episodes reaches 475. That is
    measured after an iteration in which networks reached that mean on the episodes that judged
    them, unless the deployed weights have been measured before. Measuring episodes judge nothing,
    the learner does not see them, and they are not counted; every measurement has its own.
    """
    model = make_agent(agent, CARTPOLE, seed, **overrides)
    assert isinstance(model, GradientFreeAlgorithm)
    watch = _UntilSolved(episodes, steps)
    with one_thread():
        model.learn(steps, callback=watch, log_interval=None)
        if watch.solved is not None:
            model.weights = watch.solved.weights
    mean = float(np.mean(evaluate(model, CARTPOLE).returns))
    end = watch.solved
    if end is None:
        return Result(seed, snn_gym.__version__, mean, model.num_episodes, model.num_timesteps)
    counts = end.episodes, end.steps
    return Result(seed, snn_gym.__version__, mean, *counts, *counts)


class _Solved:
    """When a task was solved, and by which weights."""

    def __init__(self, model: GradientFreeAlgorithm) -> None:
        self.episodes = model.num_episodes
        self.steps = model.num_timesteps
        self.weights = model.weights


class _UntilSolved(BaseCallback):
    """Measure whether CartPole is solved, and end the training then or at the budget's end."""

    model: GradientFreeAlgorithm

    def __init__(self, episodes: int, steps: int) -> None:
        super().__init__()
        self.solved: _Solved | None = None
        self._episodes, self._steps = episodes, steps
        self._measurements = 0
        self._measured: NDArray[np.float32] | None = None
        self._best = -np.inf

    def _on_training_start(self) -> None:
        env = self.model.get_env()
        assert env is not None
        limits = find_observation_limits(env, None)
        self._judge = BatchedJudge(CARTPOLE, self.model.population, limits)

    def _on_rollout_start(self) -> None:
        self._best = -np.inf

    def _on_step(self) -> bool:
        means = self.locals["rollouts"].returns.mean(axis=1)
        self._best = max(self._best, float(means.max()))
        return self.solved is None and self.model.num_episodes < self._episodes

    def _on_rollout_end(self) -> None:
        over = self.model.num_episodes > self._episodes or self.model.num_timesteps > self._steps
        if over or self.solved is not None or self._best < SOLVED_RETURN:
            return
        weights = self.model.weights
        if self._measured is not None and np.array_equal(weights, self._measured):
            return
        self._measured = weights
        if self._measure(weights) >= SOLVED_RETURN:
            self.solved = _Solved(self.model)

    def _measure(self, weights: NDArray[np.float32]) -> float:
        start = FIRST_MEASURING_SEED + self._measurements * MEASURED_EPISODES
        self._measurements += 1
        seeds = range(start, start + MEASURED_EPISODES)
        return float(self._judge.play(weights[np.newaxis], seeds).returns.mean())


class _JobSpaces(gym.Env[NDArray[np.float32], np.int64]):
    """Spaces of a job, as the environment that a learner reads before it judges."""

    def __init__(self, job: SupervisedJob) -> None:
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (job.input_size,), np.float32)
        self.action_space = gym.spaces.Discrete(job.output_size)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return an observation of zeros, which nobody acts on."""
        super().reset(seed=seed, options=options)
        return np.zeros(self.observation_space.shape or (), np.float32), {}


class _OnTeacher(GradientFreeAlgorithm):
    """A learner whose networks are judged on the Teacher job instead of on episodes.

    A judged network counts as one episode, the samples of the whole set as environment steps.
    """

    job = teacher()
    probe = np.arange(job.probe_size)

    def judge(
        self,
        weights: NDArray[np.float32],
        seeds: object = None,
        observer: Observer | None = None,
    ) -> Rollouts:
        """Judge networks (P, W) on the whole set; see ``GradientFreeAlgorithm.judge``."""
        del seeds, observer
        return self._counted(self.job.judge(self.population, weights, self.probe))

    def _counted(self, judged: Judgement) -> Rollouts:
        rollouts = Rollouts(judged.scores[:, np.newaxis], judged.network_steps[:, np.newaxis])
        self.num_timesteps += rollouts.steps
        self._episode_num += judged.scores.size
        if self._callback is not None:
            self._callback.update_locals({"rollouts": rollouts})
            self._stopped |= not self._callback.on_step()
        return rollouts


class _SynapseAgentsOnTeacher(_OnTeacher, SynapseAgents):
    """Synapse agents that see the job's own measures of local dynamics."""

    def _judge_networks(self, weights: NDArray[np.float32], probes: Probe) -> Judgement:
        del probes
        judged = self.job.judge(
            self.population, weights, self.probe, measure=self.sees_dynamics, rule=self.seen_rule
        )
        self._counted(judged)
        return judged


_ON_TEACHER: dict[str, type[_OnTeacher]] = {
    "synapse-agents": _SynapseAgentsOnTeacher,
    **{
        name: type(f"_{kind.__name__}OnTeacher", (_OnTeacher, kind), {})
        for name, kind in {
            "random-search": RandomSearch,
            "accept-reject": AcceptReject,
            "win-stay": WinStay,
            "es": EvolutionStrategies,
            "cma-es": CMAES,
        }.items()
    },
}


def train_on_teacher(
    agent: str, overrides: Mapping[str, Any], seed: int, judgements: int = JUDGEMENTS
) -> Result:
    """Train until a number of networks has been judged; score the weights deployed then."""
    values = to_mapping(load_agent_spec(agent).settings(CARTPOLE, dict(overrides)))
    del values["n_envs"]  # which the environment says itself
    model = _ON_TEACHER[agent](
        "SpikingControllerPolicy",
        _JobSpaces(_OnTeacher.job),
        seed=seed,
        policy_kwargs={"network": _OnTeacher.job.network},
        **values,
    )
    with one_thread():
        steps = judgements * model.probe.size
        model.learn(steps, callback=_UntilJudged(judgements), log_interval=None)
        score = model.job.judge(model.population, model.weights[np.newaxis], model.probe).scores
    counts = model.num_episodes, model.num_timesteps
    return Result(seed, snn_gym.__version__, float(score[0]), *counts)


class _UntilJudged(BaseCallback):
    """End a training after a number of judged networks."""

    model: GradientFreeAlgorithm

    def __init__(self, judgements: int) -> None:
        super().__init__()
        self._judgements = judgements

    def _on_step(self) -> bool:
        return self.model.num_episodes < self._judgements
