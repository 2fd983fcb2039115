"""Algorithms with the Stable-Baselines3 API that move spiking networks without gradients."""

from snn_gym.learners.base import GradientFreeAlgorithm, LearnerArguments

__all__ = ["GradientFreeAlgorithm", "LearnerArguments"]
