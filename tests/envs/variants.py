"""Registered ids, and the arguments for the tests of the contract."""

import pytest

import snn_gym
from snn_gym.envs.registry import load_environment_spec
from snn_gym.program.encoders import spike_encoders

SPIKING = [name for name in snn_gym.env_ids() if load_environment_spec(name).spikes is not None]
"""Gymnasium's tasks seen through spikes."""
OWN = [name for name in snn_gym.env_ids() if load_environment_spec(name).task is not None]
"""Tasks of our own."""


def _made_by(package):
    """Return the native tasks with classes in a package."""
    start = f"snn_gym.{package}."
    return [name for name in OWN if load_environment_spec(name).task.entry_point.startswith(start)]


NATIVE = _made_by("envs.native")
"""Tasks whose observations are spikes, at every level."""
NATIVE_BASES = [name for name in NATIVE if load_environment_spec(name).levels]
"""Their lowest levels."""
GAMES = _made_by("envs.minatar")
"""Games whose observations are planes of spikes."""
PLASTICITY = _made_by("envs.synapses")
"""Tasks in which a network is what is acted on."""
ANALOGUE = [name for name in OWN if name not in {*NATIVE, *GAMES, *PLASTICITY}]
"""The rest of our own, whose observations are numbers."""

_LONG_JOBS = ("snn/Plasticity-Acrobot-v0", "snn/Plasticity-MountainCar-v0")
# Jobs differ only in their scores, so two of them represent all jobs here.
_JOBS = ["snn/Plasticity-Teacher-v0", "snn/Plasticity-CartPole-v0"]
_PLASTICITY_ARGUMENTS = [
    {"features": ["action_history", "reward_history", "weight"], "history": 3},
    {"features": "all+dynamics", "renew_probe_every": 2},
    {"features": ["weight", "eligibility"], "rule": "r_stdp"},
    {"reward": "difference", "network": {"hidden_sizes": [5, 4], "time_steps": 4}},
]


def drawn(names, values):
    """Pair each name with one value in turn, so that every one is met; other pairs are slow."""
    return [
        pytest.param(name, value, marks=[] if j == k % len(values) else pytest.mark.slow)
        for k, name in enumerate(names)
        for j, value in enumerate(values)
    ]


VARIANTS = [
    *drawn(SPIKING, [{"encoder": encoder} for encoder in spike_encoders()]),
    *((name, {}) for name in OWN if name not in PLASTICITY),
    *(
        pytest.param(name, {"probe_size": 1}, marks=pytest.mark.slow if name in _LONG_JOBS else [])
        for name in PLASTICITY
    ),
    ("snn/CartPole-flat-v1", {}),
    ("snn/CueAccumulation-hard-flat-v0", {}),
    *((_JOBS[k % 2], arguments) for k, arguments in enumerate(_PLASTICITY_ARGUMENTS)),
]
"""Ids with arguments."""

every_id = pytest.mark.parametrize("env_id", snn_gym.env_ids())
every_spiking_id = pytest.mark.parametrize("env_id", SPIKING)
every_native_id = pytest.mark.parametrize("env_id", NATIVE)
every_game = pytest.mark.parametrize("env_id", GAMES)
every_plasticity_id = pytest.mark.parametrize("env_id", PLASTICITY)
every_variant = pytest.mark.parametrize(
    ("env_id", "arguments"),
    VARIANTS,
    ids=lambda x: x if isinstance(x, str) else "-".join(map(str, x)),
)


def steps_of(env_id, steps):
    """Return the number of steps to test: fewer for tasks with whole episodes per step."""
    if env_id in _LONG_JOBS:
        return 3
    return max(3, steps // 15) if env_id in PLASTICITY else steps
