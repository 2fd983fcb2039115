"""Conditions of the study, and their trainings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.preprocessing import get_flattened_obs_dim

import snn_gym
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.efficiency import mean_over_steps, steps_until
from snn_gym.leaderboard.submission import curve_of
from snn_gym.learners import PPO
from snn_gym.spiking import ModuleConfig, NetworkConfig
from snn_gym.zoo.algorithms import SCHEDULES, parse_schedule
from snn_gym.zoo.build import build_agent, resolve_settings
from snn_gym.zoo.recipe import ResolvedSettings
from snn_gym.zoo.spec import load_agent_spec
from studies.gains.rivals import NORMALISED, RESIDUAL, Rival
from studies.runs import Planned

TABLE = Path(__file__).parent / "runs.jsonl"
EPISODES = 100
DEPTHS = 16, 32, 2, 8
STEPS: Mapping[str, int] = {
    "snn/CueAccumulation-v0": 120_000,
    "snn/DelayedMatchToSample-v0": 120_000,
    "snn/IntervalTiming-v0": 120_000,
    "snn/PatternDetection-v0": 120_000,
    "Acrobot-v1": 200_000,
    "Pendulum-v1": 100_000,
    "MountainCar-v0": 300_000,
}
"""Environment steps on the tasks on which step sizes are compared."""
LEVELS = tuple(
    f"snn/{task}-{level}-v0"
    for task in ("CueAccumulation", "DelayedMatchToSample")
    for level in ("medium", "hard")
)
LEVEL_STEPS = 300_000
LEVEL_SEEDS = range(5)
LEVEL_STEP_SIZES = "1", "adaptive"


USUAL_EPS, SMALL_EPS = 1e-5, 1e-20
"""Values of Adam's ``eps``: that of Stable-Baselines3, and one below all gradients."""


@dataclass(frozen=True)
class StepSize:
    """A condition of the size of steps."""

    desired_kl: float | None = None
    eps: float = USUAL_EPS
    """Number that Adam adds to the size of a gradient before it divides by that."""


STEP_SEEDS = range(52, 57)
STEP_SIZES: Mapping[str, StepSize] = {
    "1": StepSize(),
    "adaptive": StepSize(desired_kl=0.02),
    "eps": StepSize(eps=SMALL_EPS),
    "eps adaptive": StepSize(desired_kl=0.02, eps=SMALL_EPS),
}
"""Conditions by their part of a run's name."""


@dataclass(frozen=True)
class Condition:
    """One kind of training."""

    agent: str
    task: str = "CartPole-v1"
    steps: int = 100_000
    network: Mapping[str, Any] = field(default_factory=dict)
    rival: Rival | None = None
    """Network in place of the agent's; None for the agent's."""
    step_size: StepSize = STEP_SIZES["1"]


_ORTHOGONAL = Condition("ppo-lif-deep", network={"initial_weights": "orthogonal"})
STARTS: Mapping[str, Condition] = {
    "relay": Condition("ppo-lif-deep"),
    "orthogonal": _ORTHOGONAL,
    "flat surrogate": replace(_ORTHOGONAL, network={**_ORTHOGONAL.network, "surrogate_slope": 0.2}),
    "tanh": Condition("ppo-mlp-deep"),
    "residual": replace(_ORTHOGONAL, rival=RESIDUAL),
    "batch normalisation": replace(_ORTHOGONAL, rival=NORMALISED),
    "normalised gradients": replace(_ORTHOGONAL, step_size=STEP_SIZES["eps"]),
}
"""Conditions of deep networks, without their layers, by the name of weights or rival."""
LANDER_STARTS = "relay", "normalised gradients"
"""Conditions of 16 layers that are trained on LunarLander-v3, too."""
LANDER_STEPS = 1_000_000
RIVALS = "residual", "batch normalisation", "normalised gradients"
RIVAL_DEPTHS = 16, 32
"""Depths at which rivals are trained."""


@dataclass(frozen=True)
class Run:
    """One training and the evaluation of its final policy."""

    mean_return: float
    steps_until: float | None
    """Environment steps until the running return reaches the task's threshold; None for never."""
    area: float
    """Mean return of training episodes over environment steps."""


def agents_of(task: str) -> tuple[str, str]:
    """Return the spiking agent and its twin whose step sizes are compared on a task."""
    memory = task.startswith("snn/")
    return ("recurrent-ppo-lsnn", "recurrent-ppo-gru") if memory else ("ppo-lif", "ppo-mlp")


def plan() -> Iterator[Planned]:
    """Yield all registered trainings, by names such as ``depth/16/relay/0``."""
    conditions = {**_of_depths(), **_of_lander(), **_of_step_sizes(), **_of_levels()}
    for name, condition in conditions.items():
        yield Planned(name, partial(trained, condition, int(name.rpartition("/")[2])))


def _of_depths() -> dict[str, Condition]:
    """Return the conditions of deep networks by name of the training."""
    conditions: dict[str, Condition] = {}
    for depth in DEPTHS:
        for start, condition in STARTS.items():
            if start in RIVALS and depth not in RIVAL_DEPTHS:
                continue
            deep = replace(condition, network={**condition.network, "hidden_sizes": (64,) * depth})
            more = depth == DEPTHS[0] and start in ("relay", "orthogonal")
            conditions |= {
                f"depth/{depth}/{start}/{seed}": deep for seed in range(10 if more else 5)
            }
    return conditions


def _of_lander() -> dict[str, Condition]:
    """Return the conditions of 16 layers on LunarLander-v3 by name of the training."""
    return {
        f"lander/{start}/{seed}": replace(STARTS[start], task="LunarLander-v3", steps=LANDER_STEPS)
        for seed in range(5)
        for start in LANDER_STARTS
    }


def _of_step_sizes() -> dict[str, Condition]:
    """Return the conditions of step sizes by name of the training."""
    return {
        f"steps/{task}/{agent}/{name}/{seed}": Condition(agent, task, steps, step_size=step_size)
        for name, step_size in STEP_SIZES.items()
        for seed in STEP_SEEDS
        for task, steps in STEPS.items()
        for agent in agents_of(task)
    }


def _of_levels() -> dict[str, Condition]:
    """Return the conditions of levels of memory tasks by name of the training."""
    return {
        f"levels/{level}/{agent}/{name}/{seed}": Condition(
            agent, level, LEVEL_STEPS, step_size=STEP_SIZES[name]
        )
        for seed in LEVEL_SEEDS
        for level in LEVELS
        for agent in agents_of(level)
        for name in LEVEL_STEP_SIZES
    }


class _Episodes(BaseCallback):
    """Environment steps and returns at the ends of training episodes."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[int] = []
        self.returns: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.ends.append(self.num_timesteps)
                self.returns.append(float(info["episode"]["r"]))
        return True


def built(condition: Condition, seed: int, resolved: ResolvedSettings) -> BaseAlgorithm:
    """Return the model of a condition before training, with the resolved settings of its agent."""
    if condition.rival is None:
        return build_agent(condition.agent, condition.task, seed, resolved)
    settings = dict(resolved.hyperparameters)
    env = snn_gym.make_vec_env(condition.task, settings.pop("n_envs"), seed=seed)
    config = NetworkConfig.from_dict(resolved.network)
    module = partial(condition.rival, config, get_flattened_obs_dim(env.observation_space))
    network = ModuleConfig(module, config.time_steps, sequence=True)
    return PPO(
        "SpikingPolicy",
        env,
        policy_kwargs={**resolved.policy_kwargs, "network": network},
        seed=seed,
        device="cpu",
        **settings | {name: parse_schedule(settings[name]) for name in SCHEDULES},
    )


def trained(condition: Condition, seed: int) -> Run:
    """Train an agent and evaluate it."""
    resolved = resolve_settings(load_agent_spec(condition.agent), condition.task, condition.network)
    step_size = condition.step_size
    settings = {**resolved.hyperparameters, "desired_kl": step_size.desired_kl}
    policy = {**resolved.policy_kwargs, "optimizer_kwargs": {"eps": step_size.eps}}
    resolved = replace(resolved, hyperparameters=settings, policy_kwargs=policy)
    episodes = _Episodes()
    model = built(condition, seed, resolved).learn(condition.steps, callback=episodes)
    found = snn_gym.evaluate(model, condition.task, episodes=EPISODES)
    curve = curve_of(episodes.ends, episodes.returns, condition.steps)
    assert curve is not None  # episodes of these tasks are short
    threshold = load_environment_spec(condition.task).reference.threshold
    until = steps_until(curve.steps, curve.returns, curve.episodes, threshold)
    area = mean_over_steps(curve.steps, curve.returns)
    return Run(found.mean, None if math.isinf(until) else until, area)
