"""Arms of the study, and their trainings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
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
from studies.gains.rivals import Rival
from studies.runs import Planned, Runs

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
STEP_ARMS: Mapping[str, tuple[float, float | None]] = {
    "1": (1.0, None),
    "3": (3.0, None),
    "held": (1.0, 0.02),
}
"""Factor of the zoo's step sizes, and divergence (nat) at which updates are held, by arm."""


@dataclass(frozen=True)
class Arm:
    """One kind of training."""

    agent: str
    task: str = "CartPole-v1"
    steps: int = 100_000
    network: Mapping[str, Any] = field(default_factory=dict)
    rival: Rival | None = None
    """Network in place of the agent's; None for the agent's."""
    optimiser: Mapping[str, Any] | None = None
    """Arguments of Adam; None for the agent's."""
    step: tuple[float, float | None] = (1.0, None)
    """See ``STEP_ARMS``."""


STARTS: Mapping[str, Arm] = {
    "relay": Arm("ppo-lif-deep"),
    "plain": Arm("ppo-lif-deep-plain"),
    "flat surrogate": Arm("ppo-lif-deep-plain", network={"surrogate_slope": 0.2}),
    "tanh": Arm("ppo-mlp-deep"),
    "residual": Arm("ppo-lif-deep-plain", rival=Rival(residual=True)),
    "batch normalisation": Arm("ppo-lif-deep-plain", rival=Rival(normalised=True)),
    # Adam divides every gradient by its size, but for what is added to that, 1e-5 by default.
    "normalised gradients": Arm("ppo-lif-deep-plain", optimiser={"eps": 1e-20}),
}
"""Arms of deep networks, but for their layers, by the name of what a network starts with."""
RIVALS = "residual", "batch normalisation", "normalised gradients"
"""Those that are trained with 16 layers alone."""


@dataclass(frozen=True)
class Run:
    """One training and the evaluation of its final policy."""

    mean_return: float
    steps_until: float | None
    """Environment steps until the running return reaches the task's threshold; None for never."""
    area: float
    """Mean return of training episodes over environment steps."""
    divergence: float | None = None
    """Median over updates of the policy's divergence (nat); None in the first 35 runs."""


def agents_of(task: str) -> tuple[str, str]:
    """Return the spiking agent and its twin whose step sizes are compared on a task."""
    memory = task.startswith("snn/")
    return ("recurrent-ppo-lsnn", "recurrent-ppo-gru") if memory else ("ppo-lif", "ppo-mlp")


def plan() -> Iterator[Planned]:
    """Yield all registered trainings, by names such as ``depth/16/relay/0``."""
    for depth in DEPTHS:
        for start, arm in STARTS.items():
            if start in RIVALS and depth != DEPTHS[0]:
                continue
            deep = replace(arm, network={**arm.network, "hidden_sizes": (64,) * depth})
            seeds = range(10 if depth == DEPTHS[0] and start in ("relay", "plain") else 5)
            for seed in seeds:
                yield Planned(f"depth/{depth}/{start}/{seed}", partial(trained, deep, seed))
    for seed in range(50, 56):
        for task, steps in STEPS.items():
            for agent in agents_of(task):
                for name, step in STEP_ARMS.items():
                    # Those of seeds 50 to 54 were registered first, the held ones on fresh seeds.
                    if (seed, name) in ((50, "held"), (55, "3")):
                        continue
                    arm = Arm(agent, task, steps, step=step)
                    yield Planned(
                        f"steps/{task}/{agent}/{name}/{seed}", partial(trained, arm, seed)
                    )


class _Episodes(BaseCallback):
    """Environment steps and returns at the ends of training episodes, and updates' divergence."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[int] = []
        self.returns: list[float] = []
        self.divergences: list[float] = []

    def _on_rollout_end(self) -> None:
        # Those of the last update, which are dumped next.
        if "train/approx_kl" in self.logger.name_to_value:
            self.divergences.append(float(self.logger.name_to_value["train/approx_kl"]))

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.ends.append(self.num_timesteps)
                self.returns.append(float(info["episode"]["r"]))
        return True


def multiplied(step_size: Any, factor: float) -> Any:
    """Return a step size, or the name of its schedule, times a factor."""
    if isinstance(step_size, str):
        kind, _, number = step_size.rpartition("_")
        return f"{kind}_{float(number) * factor:g}"
    return step_size * factor


def built(arm: Arm, seed: int, resolved: ResolvedSettings) -> BaseAlgorithm:
    """Return the model of an arm before training, with the resolved settings of its agent."""
    if arm.rival is None:
        return build_agent(arm.agent, arm.task, seed, resolved)
    settings = dict(resolved.hyperparameters)
    env = snn_gym.make_vec_env(arm.task, settings.pop("n_envs"), seed=seed)
    config = NetworkConfig.from_dict(resolved.network)
    module = partial(arm.rival, config, get_flattened_obs_dim(env.observation_space))
    network = ModuleConfig(module, config.time_steps, sequence=True)
    return PPO(
        "SpikingPolicy",
        env,
        policy_kwargs={**resolved.policy_kwargs, "network": network},
        seed=seed,
        device="cpu",
        **settings | {name: parse_schedule(settings[name]) for name in SCHEDULES},
    )


def trained(arm: Arm, seed: int) -> Run:
    """Train an agent and evaluate it."""
    resolved = resolve_settings(load_agent_spec(arm.agent), arm.task, arm.network)
    settings = dict(resolved.hyperparameters)
    factor, desired_kl = arm.step
    settings["learning_rate"] = multiplied(settings["learning_rate"], factor)
    if desired_kl is not None:
        settings["desired_kl"] = desired_kl
    resolved = replace(resolved, hyperparameters=settings)
    if arm.optimiser is not None:
        policy = {**resolved.policy_kwargs, "optimizer_kwargs": arm.optimiser}
        resolved = replace(resolved, policy_kwargs=policy)
    episodes = _Episodes()
    model = built(arm, seed, resolved).learn(arm.steps, callback=episodes)
    found = snn_gym.evaluate(model, arm.task, episodes=EPISODES)
    curve = curve_of(episodes.ends, episodes.returns, arm.steps)
    assert curve is not None  # episodes of these tasks are short
    threshold = load_environment_spec(arm.task).reference.threshold
    until = steps_until(curve.steps, curve.returns, curve.episodes, threshold)
    area = mean_over_steps(curve.steps, curve.returns)
    divergence = float(np.median(episodes.divergences))
    return Run(found.mean, None if math.isinf(until) else until, area, divergence)


def read(prefix: str) -> list[Run]:
    """Read the trainings that were made below a prefix of their names."""
    return Runs(TABLE).read(Run, prefix)
