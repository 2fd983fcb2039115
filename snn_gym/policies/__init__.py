"""Stable-Baselines3 policies on spiking networks."""

from snn_gym.policies.actor_critic import SpikingActorCriticPolicy
from snn_gym.policies.dqn import SpikingDQNPolicy

__all__ = ["SpikingActorCriticPolicy", "SpikingDQNPolicy"]
