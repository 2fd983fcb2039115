"""The function that makes the PettingZoo environment, where PettingZoo is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from snn_gym.spiking.config import NetworkConfig
from snn_gym.synapses.core import HORIZON, PlasticityCore
from snn_gym.synapses.jobs import Job

if TYPE_CHECKING:
    from snn_gym.synapses.parallel import PlasticityParallelEnv


def plasticity_parallel_env(
    job: str | Job,
    network: NetworkConfig | Mapping[str, Any] | None = None,
    horizon: int = HORIZON,
    **settings: Any,
) -> PlasticityParallelEnv:
    """Make a PettingZoo ``ParallelEnv`` in which every synapse of a network is an agent.

    With one seed it does what ``gym.make`` of the job does: same moves, same rewards.

    Args:
        job: The job, or its name: ``Teacher``, ``XOR``, ``Digits``, ``CartPole``, ``Acrobot``,
            ``MountainCar``.
        network: What the network is made of; the job's default if None.
        horizon: Moves after which an episode is truncated.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed, or the network has more than 500 synapses, for
            which ``PlasticityVecEnv`` is there.
        gymnasium.error.DependencyNotInstalled: PettingZoo, or a package that the job needs, is
            absent.
    """
    try:
        from snn_gym.synapses.parallel import PlasticityParallelEnv
    except ModuleNotFoundError as error:
        raise gym.error.DependencyNotInstalled(
            "plasticity_parallel_env needs PettingZoo, which is not installed; install it with: "
            'pip install "snn-gym[multiagent]"'
        ) from error
    return PlasticityParallelEnv(PlasticityCore(job, 1, network, **settings), horizon)
