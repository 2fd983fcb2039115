"""Environment steps per second of PPO with memory: ours against sb3-contrib's RecurrentPPO."""

from __future__ import annotations

from collections.abc import Callable

import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm

import snn_gym
from benchmarks.timing import Paired, paired
from snn_gym.learners import StatefulPPO
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import load_agent_spec

TASK = "snn/CueAccumulation-v0"
ENVIRONMENTS = 64
STEPS = 36 * ENVIRONMENTS
"""Environment steps of one measured stretch: a rollout and its updates."""
_SETTINGS = {"n_steps": 36, "batch_size": 1152, "n_epochs": 6, "seed": 0, "device": "cpu"}


def _ours(spiking: bool, gated: str) -> BaseAlgorithm:
    """StatefulPPO with the network of ``recurrent-ppo-lsnn`` or a gated one of the same size."""
    network = NetworkConfig.from_dict(load_agent_spec("recurrent-ppo-lsnn").network_settings(TASK))
    return StatefulPPO(
        "StatefulActorCriticPolicy",
        snn_gym.make_vec_env(TASK, ENVIRONMENTS, seed=0),
        policy_kwargs={"network": network, "spiking_actor": spiking, "gated": gated},
        **_SETTINGS,  # type: ignore[arg-type]
    )


def _theirs() -> BaseAlgorithm:
    """RecurrentPPO with LSTMs of the same size for actor and critic, and no layers after them."""
    (size,) = load_agent_spec("recurrent-ppo-lsnn").network_settings(TASK)["hidden_sizes"]
    return RecurrentPPO(
        "MlpLstmPolicy",
        snn_gym.make_vec_env(TASK, ENVIRONMENTS, seed=0),
        policy_kwargs={"lstm_hidden_size": size, "net_arch": []},
        **_SETTINGS,  # type: ignore[arg-type]
    )


def _learner(model: BaseAlgorithm) -> Callable[[], object]:
    return lambda: model.learn(STEPS, reset_num_timesteps=False)


def measure() -> dict[str, Paired]:
    """Return timings of 2,304 training steps by name, each against RecurrentPPO."""
    torch.set_num_threads(1)
    kinds = {
        "StatefulPPO, spiking actor, GRU critic": (True, "gru"),
        "StatefulPPO, GRUs": (False, "gru"),
        "StatefulPPO, LSTMs": (False, "lstm"),
    }
    return {
        name: paired(_learner(_ours(*kind)), _learner(_theirs()), 8) for name, kind in kinds.items()
    }
