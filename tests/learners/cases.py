"""Learners without gradients and with local rules, configured for fast tests on CartPole."""

from snn_gym import learners
from snn_gym.spiking import NetworkConfig

NETWORK = NetworkConfig(hidden_sizes=(16,), time_steps=8)
SMALL = NetworkConfig(hidden_sizes=(4,), time_steps=3)

CASES = {
    "RandomSearch": {"candidates": 8, "probe_episodes": 3},
    "AcceptReject": {"probe_episodes": 2},
    "WinStay": {"step_size": 1.0},
    "EvolutionStrategies": {"pairs": 4, "noise_std": 1.0, "learning_rate": 0.5},
    "CMAES": {"population_size": 8},
    "SynapseAgents": {"probe_episodes": 4, "step_size": 0.6, "exploration": 0.2},
}
"""Arguments of learners without gradients by name of the class."""
EVERY = [*CASES, "LocalActorCritic"]


def make(name, env="CartPole-v1", seed=0, network=NETWORK, **arguments):
    """Make a learner."""
    policy = "SpikingControllerPolicy" if name in CASES else "LocalActorCriticPolicy"
    arguments = {**CASES.get(name, {}), "policy_kwargs": {"network": network}, **arguments}
    return getattr(learners, name)(policy, env, seed=seed, **arguments)
