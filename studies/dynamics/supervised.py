"""The learners of control tasks on a job with right answers, which needs no episodes.

A job's probe takes the place of an episode: networks are judged on all samples of the set, and a
judged network counts as one episode, its samples as environment steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from snn_gym._base.config import to_mapping
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
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import load_agent_spec
from studies.dynamics.outcome import Outcome, reduced_curve


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
    """A learner whose networks are judged on the Teacher job instead of on episodes."""

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


class _RandomSearch(_OnTeacher, RandomSearch):
    pass


class _AcceptReject(_OnTeacher, AcceptReject):
    pass


class _WinStay(_OnTeacher, WinStay):
    pass


class _EvolutionStrategies(_OnTeacher, EvolutionStrategies):
    pass


class _CMAES(_OnTeacher, CMAES):
    pass


class _SynapseAgents(_OnTeacher, SynapseAgents):
    """Synapse agents that see the job's own measures of local dynamics."""

    def _judge_networks(self, weights: NDArray[np.float32], probes: Probe) -> Judgement:
        del probes
        judged = self.job.judge(
            self.population, weights, self.probe, measure=self.sees_dynamics, rule=self.seen_rule
        )
        self._counted(judged)
        return judged


_LEARNERS: dict[str, type[_OnTeacher]] = {
    "synapse-agents": _SynapseAgents,
    "random-search": _RandomSearch,
    "accept-reject": _AcceptReject,
    "win-stay": _WinStay,
    "es": _EvolutionStrategies,
    "cma-es": _CMAES,
}


@dataclass(frozen=True)
class TeacherCase:
    """A learner of the zoo on the Teacher job."""

    learner: str
    """Name of a gradient-free agent of the zoo."""
    judgements: int
    """Networks that a run may have judged."""
    hidden: int | None = None
    """Hidden neurons; the job's number if None."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Hyper-parameters that replace the zoo's on CartPole."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that was chosen, as plain data."""
        return {
            "agent": self.learner,
            "job": _OnTeacher.job.name,
            "hyperparameters": self._hyperparameters,
            "network": to_mapping(self._network),
            "judgements": self.judgements,
        }

    def make(self, seed: int) -> GradientFreeAlgorithm:
        """Make the learner with fresh weights."""
        values = self._hyperparameters
        del values["n_envs"]  # which the environment says itself
        return _LEARNERS[self.learner](
            "SpikingControllerPolicy",
            _JobSpaces(_OnTeacher.job),
            seed=seed,
            policy_kwargs={"network": self._network},
            **values,
        )

    def train(self, seed: int) -> Outcome:
        """Train and score one seed."""
        return self.finish(self.make(seed))

    def finish(self, model: GradientFreeAlgorithm) -> Outcome:
        """Train and score a learner that ``make`` made; see ``train_on_teacher``."""
        return train_on_teacher(model, self.judgements)

    @property
    def _hyperparameters(self) -> dict[str, Any]:
        spec = load_agent_spec(self.learner)
        return to_mapping(spec.settings("CartPole-v1", dict(self.overrides)))

    @property
    def _network(self) -> NetworkConfig:
        network = _OnTeacher.job.network
        if self.hidden is None:
            return network
        return NetworkConfig.from_dict({**to_mapping(network), "hidden_sizes": [self.hidden]})


def train_on_teacher(model: GradientFreeAlgorithm, judgements: int) -> Outcome:
    """Train until a number of networks has been judged; score the weights deployed then."""
    assert isinstance(model, _OnTeacher)
    watch = _Watch(judgements)
    with one_thread():
        model.learn(judgements * model.probe.size, callback=watch, log_interval=None)
        score = model.job.judge(model.population, model.weights[np.newaxis], model.probe).scores
    return Outcome(
        scores=(float(score[0]),),
        episodes=model.num_episodes,
        steps=model.num_timesteps,
        curve=reduced_curve(watch.rows),
    )


class _Watch(BaseCallback):
    """Keep the learning curve, and end the training."""

    model: GradientFreeAlgorithm

    def __init__(self, judgements: int) -> None:
        super().__init__()
        self.rows: list[tuple[int, float]] = []
        self._judgements = judgements

    def _on_step(self) -> bool:
        scores = self.locals["rollouts"].returns
        self.rows.append((self.model.num_timesteps, float(scores.mean())))
        return self.model.num_episodes < self._judgements
