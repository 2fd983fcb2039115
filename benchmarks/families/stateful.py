"""Environment steps per second of PPO with memory: ours and sb3-contrib's RecurrentPPO."""

from __future__ import annotations

import importlib.util

from stable_baselines3.common.base_class import BaseAlgorithm

import snn_gym
from benchmarks.families.ppo import learner, rates
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, faster
from snn_gym.learners import StatefulPPO
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import load_agent_spec

TASK = "snn/CueAccumulation-v0"
ENVIRONMENTS = 64
STEPS = 36 * ENVIRONMENTS
"""Environment steps of one measured stretch: a rollout and its updates."""
SPIKING, GRU, LSTM = "StatefulPPO, spiking", "StatefulPPO, GRUs", "StatefulPPO, LSTMs"
RECURRENT = "RecurrentPPO"
_SETTINGS = {"n_steps": 36, "batch_size": 1152, "n_epochs": 6, "seed": 0, "device": "cpu"}
_NAME = "stateful"


def _ours(spiking: bool, gated: str) -> BaseAlgorithm:
    """Return StatefulPPO with the network of ``recurrent-ppo-lsnn`` or a gated one of its size."""
    network = NetworkConfig.from_dict(load_agent_spec("recurrent-ppo-lsnn").network_settings(TASK))
    return StatefulPPO(
        "StatefulActorCriticPolicy",
        snn_gym.make_vec_env(TASK, ENVIRONMENTS, seed=0),
        policy_kwargs={"network": network, "spiking_actor": spiking, "gated": gated},
        **_SETTINGS,  # type: ignore[arg-type]
    )


def _theirs() -> BaseAlgorithm:
    """Return RecurrentPPO with LSTMs of the same size for actor and critic, no layers behind."""
    from sb3_contrib import RecurrentPPO  # which need not be installed

    (size,) = load_agent_spec("recurrent-ppo-lsnn").network_settings(TASK)["hidden_sizes"]
    return RecurrentPPO(
        "MlpLstmPolicy",
        snn_gym.make_vec_env(TASK, ENVIRONMENTS, seed=0),
        policy_kwargs={"lstm_hidden_size": size, "net_arch": []},
        **_SETTINGS,  # type: ignore[arg-type]
    )


def _run(effort: Effort) -> Readings:
    models = {SPIKING: _ours(True, "gru"), GRU: _ours(False, "gru"), LSTM: _ours(False, "lstm")}
    missing = {}
    if importlib.util.find_spec("sb3_contrib") is None:
        missing[RECURRENT] = "sb3-contrib is not installed"
    else:
        models[RECURRENT] = _theirs()
    contenders = {name: learner(model, STEPS) for name, model in models.items()}
    note = "Seconds of one environment step; the spiking actor has a GRU as critic."
    return Readings(rates(contenders, STEPS, effort), missing=missing, notes=(note,))


EXPERIMENTS = (
    Experiment(_NAME, f"PPO with memory, {TASK}, {ENVIRONMENTS} environments, 64 units", _run),
)
MEASUREMENTS = tuple(
    Measurement(
        f"{_NAME}-{name}",
        _NAME,
        f"environment steps/s, {contender}",
        RECURRENT,
        "×",
        faster(contender, RECURRENT),
        *bars,
    )
    for name, contender, bars in (
        ("spiking", SPIKING, (2.0, 3.0)),
        ("gru", GRU, (None, None)),
        ("lstm", LSTM, (None, None)),
    )
)
