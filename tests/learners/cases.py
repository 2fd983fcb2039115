"""Every learner without gradients, set up to learn CartPole in seconds."""

from __future__ import annotations

from typing import Any

from snn_gym import learners
from snn_gym.learners import GradientFreeAlgorithm
from snn_gym.spiking import NetworkConfig

POLICY = "SpikingControllerPolicy"
NETWORK = NetworkConfig(hidden_sizes=(16,), time_steps=8)
SMALL = NetworkConfig(hidden_sizes=(4,), time_steps=3)

CASES: dict[str, dict[str, Any]] = {
    "RandomSearch": {"candidates": 8, "probe_episodes": 3},
    "AcceptReject": {"probe_episodes": 2, "early_rejection": True},
    "WinStay": {"step_size": 1.0, "lose": "reverse"},
    "EvolutionStrategies": {"pairs": 4, "noise_std": 1.0, "learning_rate": 0.5},
    "CMAES": {"population_size": 8},
    "SynapseAgents": {"probe_episodes": 4, "step_size": 0.6, "exploration": 0.2},
}
"""Arguments by name of the class."""


def make(
    name: str,
    env: Any = "CartPole-v1",
    seed: int | None = 0,
    network: Any = NETWORK,
    **arguments: Any,
) -> GradientFreeAlgorithm:
    """Make a learner."""
    kind = getattr(learners, name)
    kwargs = {**CASES[name], **arguments}
    model: GradientFreeAlgorithm = kind(
        POLICY, env, seed=seed, policy_kwargs={"network": network}, **kwargs
    )
    return model
