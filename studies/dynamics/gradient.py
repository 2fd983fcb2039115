"""PPO on spiking networks with and without regulation by the network's dynamics.

Three arms with the hyper-parameters of ``ppo-lif``, of which only the regulation differs: ``off``
has none, ``dynamics`` that of ``ppo-lif-dynamics``, and ``shuffled`` the same one with every
neuron's signals sent to another neuron of its layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from snn_gym import evaluate, make_agent
from snn_gym.config import to_mapping
from snn_gym.spiking import NetworkConfig
from snn_gym.threads import one_thread
from snn_gym.zoo import load_agent_spec
from studies.dynamics.outcome import Outcome, reduced_curve

Arm = Literal["off", "dynamics", "shuffled"]

BASE_AGENT = "ppo-lif"
REGULATED_AGENT = "ppo-lif-dynamics"
THRESHOLDS = {
    "CartPole-v1": 475.0,
    "Acrobot-v1": -100.0,
    "MountainCar-v0": -120.0,
    "Pendulum-v1": -200.0,
}
"""Mean return at which a task counts as learned, by environment."""
WINDOW_EPISODES = 20
"""Training episodes whose mean is compared with the threshold."""


class EpisodeRows(BaseCallback):
    """Keep when every training episode ended, and its return."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, float]] = []
        """(environment steps of the training at its end, return) of every episode."""

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.rows.append((self.num_timesteps, float(info["episode"]["r"])))
        return True


def run_gradient_arm(arm: Arm, env_id: str, seed: int, steps: int) -> dict[str, Any]:
    """Train one arm on one task and evaluate it on 100 public episodes.

    Args:
        arm: ``off``, ``dynamics`` or ``shuffled``.
        env_id: One of ``THRESHOLDS``.
        seed: Seed of everything random, the permutation of ``shuffled`` included.
        steps: Environment steps to train; whole rollouts, so maybe a few more.

    Returns:
        Plain JSON data: the settings, every finished training episode as (environment steps of the
        training at its end, return), ``steps_to_threshold`` (None if never), and the returns and
        costs of the evaluation.

    Raises:
        ValueError: The arm or the environment is unknown.
    """
    if env_id not in THRESHOLDS:
        raise ValueError(f"environment {env_id!r} is unknown; known: {', '.join(THRESHOLDS)}")
    regulation = regulation_of(arm, seed)
    episodes = EpisodeRows()
    with one_thread():
        model = make_agent(BASE_AGENT, env_id, seed, network={"regulation": regulation})
        model.learn(steps, callback=episodes)
    evaluation = evaluate(model, env_id)
    needed = episodes_to_threshold(episodes.rows, THRESHOLDS[env_id])
    return {
        "arm": arm,
        "environment": env_id,
        "seed": seed,
        "steps": model.num_timesteps,
        "regulation": regulation,
        "episodes": [list(row) for row in episodes.rows],
        "threshold": THRESHOLDS[env_id],
        "steps_to_threshold": None if needed is None else episodes.rows[needed - 1][0],
        "evaluation": {
            "returns": list(evaluation.returns),
            "mean": evaluation.mean,
            "iqm": evaluation.iqm,
            "spikes_per_decision": evaluation.spikes_per_decision,
            "synops_per_decision": evaluation.synops_per_decision,
        },
    }


def gradient_outcome(run: Mapping[str, Any]) -> Outcome:
    """Return what the study keeps of a run.

    Args:
        run: What ``run_gradient_arm`` returned.
    """
    episodes = [(int(step), float(value)) for step, value in run["episodes"]]
    evaluation = run["evaluation"]
    return Outcome(
        scores=tuple(evaluation["returns"]),
        episodes=len(episodes),
        steps=run["steps"],
        curve=reduced_curve(episodes),
        solved_episodes=episodes_to_threshold(episodes, run["threshold"]),
        solved_steps=run["steps_to_threshold"],
        spikes_per_decision=sum(evaluation["spikes_per_decision"].values()),
        synops_per_decision=sum(evaluation["synops_per_decision"].values()),
    )


@dataclass(frozen=True)
class GradientCase:
    """One arm on one task."""

    arm: Arm
    """``off``, ``dynamics`` or ``shuffled``."""
    env_id: str
    """The task."""
    steps: int
    """Environment steps to train."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that was chosen, as plain data."""
        spec = load_agent_spec(BASE_AGENT)
        network = NetworkConfig.from_dict(spec.network_settings(self.env_id))
        regulated = load_agent_spec(REGULATED_AGENT).network["regulation"]
        return {
            "agent": BASE_AGENT,
            "arm": self.arm,
            "environment": self.env_id,
            "hyperparameters": to_mapping(spec.settings(self.env_id)),
            "network": to_mapping(network),
            "regulation": None if self.arm == "off" else dict(regulated),
            "steps": self.steps,
            "threshold": THRESHOLDS[self.env_id],
        }

    def train(self, seed: int) -> Outcome:
        """Train and evaluate one seed."""
        return gradient_outcome(run_gradient_arm(self.arm, self.env_id, seed, self.steps))


def regulation_of(arm: Arm, seed: int) -> dict[str, Any] | None:
    """Return the setting ``regulation`` of an arm's network, None for none.

    Args:
        arm: ``off``, ``dynamics`` or ``shuffled``.
        seed: Seed of the permutation of ``shuffled``.

    Raises:
        ValueError: The arm is unknown.
    """
    if arm not in get_args(Arm):
        raise ValueError(f"arm {arm!r} is unknown; known: {', '.join(get_args(Arm))}")
    if arm == "off":
        return None
    regulation: dict[str, Any] = dict(load_agent_spec(REGULATED_AGENT).network["regulation"])
    return regulation if arm == "dynamics" else {**regulation, "shuffle_seed": seed}


def episodes_to_threshold(episodes: Sequence[tuple[int, float]], threshold: float) -> int | None:
    """Return the number of episodes after which recent ones first average the threshold.

    Args:
        episodes: (environment steps at its end, return) of every episode, in order.
        threshold: Least mean return of the last ``WINDOW_EPISODES`` episodes.

    Returns:
        Episodes; None if the mean never got there.
    """
    returns = np.array([value for _, value in episodes])
    for end in range(WINDOW_EPISODES, len(returns) + 1):
        if returns[end - WINDOW_EPISODES : end].mean() >= threshold:
            return end
    return None
