"""A run: one agent and seed, until CartPole-v1 is solved by the criterion or steps are spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.envs.stable_baselines import make_vec_env
from snn_gym.leaderboard.evaluation import evaluation_seeds
from snn_gym.zoo import make_agent
from studies.changed import CHANGED, register_changed
from studies.local import td_stdp
from studies.runs import Planned

ENV_ID = "CartPole-v1"
STEPS = 200_000
"""Environment steps after which a run that has not solved it has failed."""
WINDOW = 100
SOLVED = 475.0
"""A run is solved by ``WINDOW`` training episodes in a row whose mean return is this."""
EVALUATION_EPISODES = 100
FEWER_EPISODES = 20
"""Evaluation episodes of TD-STDP, whose inputs are drawn at each of 20 time steps."""
SEEDS = tuple(range(100, 130))
"""Seeds of the table; nothing is tuned on seeds below 1000."""
FEWER = SEEDS[:10]
"""Seeds of the baselines."""


@dataclass(frozen=True)
class Arm:
    """An agent as the study trains it."""

    agent: str | None
    """Name in the zoo; None for TD-STDP."""
    hyperparameters: dict[str, Any]
    """Hyper-parameters that differ from its file."""
    says: str
    """Label in the table."""
    seeds: tuple[int, ...] = SEEDS
    """Seeds of its runs."""


ARMS: dict[str, Arm] = {
    "random": Arm("local-actor-critic", {}, "`local-actor-critic`, random feedback"),
    "symmetric": Arm(
        "local-actor-critic", {"feedback": "symmetric"}, "the same, symmetric feedback", FEWER
    ),
    "none": Arm(
        "local-actor-critic", {"feedback": "none"}, "the same, hidden synapses do not learn", FEWER
    ),
    "r-stdp": Arm(
        "local-actor-critic",
        {"rule": "r_stdp", "feedback": "broadcast"},
        "the same, hidden synapses by R-STDP and the TD error alone",
        FEWER,
    ),
    "td-stdp": Arm(None, {}, "TD-STDP as published"),
    "ppo-lif": Arm("ppo-lif", {}, "`ppo-lif`, 8 environments at once"),
    "accept-reject": Arm("accept-reject", {}, "`accept-reject`, all episodes it judges"),
}
"""Arms by name."""


@dataclass(frozen=True)
class LocalRun(Config):
    """Result of one run."""

    arm: str
    """Key of ``ARMS``."""
    seed: int
    """Seed of weights, actions and environments."""
    steps: int
    """Environment steps of the training."""
    solved_after: int | None
    """Episodes to the end of the first window that solves the task; None for none."""
    final: float
    """Mean return of the trained agent, deterministic, in fresh episodes."""


def solved_after(returns: tuple[float, ...] | list[float]) -> int | None:
    """Return the episodes to the end of the first window that solves the task; None for none."""
    if len(returns) < WINDOW:
        return None
    means = np.convolve(returns, np.full(WINDOW, 1.0 / WINDOW), "valid")
    found = np.flatnonzero(means >= SOLVED - 1e-9)
    return int(found[0]) + WINDOW if found.size else None


class ReturnsKept(BaseCallback):
    """Keep the returns of all episodes."""

    def __init__(self) -> None:
        super().__init__()
        self.returns: list[float] = []

    def _on_step(self) -> bool:
        self.returns += [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        return True


class UntilSolved(ReturnsKept):
    """Keep the returns of all episodes, and stop where they solve the task."""

    def _on_step(self) -> bool:
        before = len(self.returns)
        super()._on_step()
        return len(self.returns) == before or solved_after(self.returns) is None


def train(arm: str, seed: int, steps: int = STEPS) -> LocalRun:
    """Train one agent and evaluate it."""
    given, log = ARMS[arm], UntilSolved()
    if given.agent is None:
        return _run_td_stdp(arm, seed, steps)
    with one_thread():
        model: BaseAlgorithm = make_agent(given.agent, ENV_ID, seed, **given.hyperparameters)
        model.learn(steps, callback=log)
        final = mean_return(model)
    return LocalRun(arm, seed, model.num_timesteps, solved_after(log.returns), final)


def _run_td_stdp(arm: str, seed: int, steps: int) -> LocalRun:
    env, agent = gym.make(ENV_ID), td_stdp.TDSTDP(np.random.default_rng(seed))
    returns: list[float] = []
    while len(returns) < td_stdp.EPISODES and sum(returns) < steps:
        first = None if returns else seed
        returns.append(td_stdp.episode(agent, env, first, learns=True))
        if solved_after(returns) is not None:
            break
    seeds = evaluation_seeds(FEWER_EPISODES)
    played = [td_stdp.episode(agent, env, x, learns=False) for x in seeds]
    env.close()
    return LocalRun(arm, seed, int(sum(returns)), solved_after(returns), float(np.mean(played)))


def play_without_exploration(
    model: BaseAlgorithm,
    episodes: int,
    changes: Mapping[str, float] | None = None,
    visited: list[NDArray[Any]] | None = None,
    env_id: str = ENV_ID,
) -> tuple[float, ...]:
    """Return the returns of fresh episodes, those of the table's first evaluation seed and on."""
    seed = evaluation_seeds(1)[0]
    if changes:
        register_changed()
        arguments = {"task": env_id, "changes": dict(changes)}
        env = make_vec_env(CHANGED, episodes, seed, env_kwargs=arguments)
    else:
        env = make_vec_env(env_id, episodes, seed, mode="batched")
    returns, running = np.zeros(episodes), np.ones(episodes, np.bool_)
    observations: Any = env.reset()
    while running.any():
        if visited is not None:
            visited.append(observations[running])
        actions, _ = model.predict(observations, deterministic=True)
        observations, rewards, dones, _ = env.step(actions)
        returns += np.where(running, rewards, 0.0)
        running &= ~dones
    env.close()
    return tuple(returns.tolist())


def mean_return(
    model: BaseAlgorithm,
    changes: Mapping[str, float] | None = None,
    visited: list[NDArray[Any]] | None = None,
    env_id: str = ENV_ID,
) -> float:
    """Return the mean return of 100 fresh episodes; see ``play_without_exploration``."""
    played = play_without_exploration(model, EVALUATION_EPISODES, changes, visited, env_id)
    return float(np.mean(played))


def learning_runs() -> Iterator[Planned]:
    """Yield the trainings of all agents."""
    for arm, given in ARMS.items():
        for seed in given.seeds:
            yield Planned(f"learning/{arm}/{seed}", partial(train, arm, seed))
