"""Tests of runs killed while shedding spikes: they equal an uninterrupted run."""

import pytest

from snn_gym._base.storage import load_tensors
from tests.training._runs import killed_at, results, run

LEAN = {
    "latest_start": 0.35, "largest_rise": None, "updates": 40, "batch_size": 16,
    "learning_rate": 0.01, "episodes": 2, "control_rate": 0.3,
}  # fmt: skip
ROLLOUTS = {"n_envs": 4, "n_steps": 32, "batch_size": 64}
SEQUENCES = {**ROLLOUTS, "sequence_length": 16}
OFF_POLICY = {"learning_starts": 50, "batch_size": 16, "train_freq": 4, "gradient_steps": 1}
# Whole sequences of each environment have to be there.
RECURRENT = {**OFF_POLICY, "learning_starts": 200, "sequence_length": 8, "burn_in_steps": 2}


def lean(overrides, network=(), **settings):
    """Return options of ``run`` for a small agent that sheds spikes early."""
    regulation = {"lean": {**LEAN, **settings}, "rescue_strength": 1.0}
    values = {"hidden_sizes": [8], "regulation": regulation, **dict(network)}
    return {"network": values, "hyperparameters": overrides}


def shedding_of(folder):
    """Return the names of a checkpoint's arrays of shedding."""
    tensors, _ = load_tensors(folder / "checkpoint.safetensors", max_bytes=1 << 30)
    return {name for name in tensors if name.startswith("learner.shedding.")}


@pytest.mark.parametrize(
    ("agent", "env_id", "steps", "overrides"),
    [
        ("ppo-lif", "CartPole-v1", 1024, ROLLOUTS),
        pytest.param("a2c-lif", "CartPole-v1", 1024, {}, marks=pytest.mark.slow),
        ("dqsn", "CartPole-v1", 640, OFF_POLICY),
        pytest.param("qrdqn-lif", "CartPole-v1", 640, OFF_POLICY, marks=pytest.mark.slow),
        ("sac-lif", "Pendulum-v1", 400, OFF_POLICY),
        ("recurrent-ppo-lsnn", "snn/MaskedCartPole-v1", 1024, SEQUENCES),
        ("recurrent-dqsn", "snn/CueAccumulation-v0", 640, RECURRENT),
    ],
)
def test_a_run_killed_before_and_in_its_shedding_ends_bit_equal(
    agent, env_id, steps, overrides, tmp_path
):
    options = {"env_id": env_id, "steps": steps, "interval": steps // 8, **lean(overrides)}
    run(agent, tmp_path / "whole", **options)
    had = []
    for share in (0.3, 0.7, 0.9):  # learning is over after 0.35
        with killed_at(int(share * steps)):
            run(agent, tmp_path / "killed", resume=True, **options)
        had.append(len(shedding_of(tmp_path / "killed")) > 0)
    assert had == [False, True, True]
    run(agent, tmp_path / "killed", resume=True, **options)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def test_a_killed_run_that_sheds_neurons_with_memory_ends_bit_equal(tmp_path):
    settings = {"cost": "operations", "bound": 1.0, "max_bound": 1.0, "tolerance": 1.0}
    options = {"env_id": "snn/CueAccumulation-v0", "steps": 640, "interval": 128}
    options |= lean(SEQUENCES, **settings)
    run("recurrent-ppo-lsnn", tmp_path / "whole", **options)
    with killed_at(500):
        run("recurrent-ppo-lsnn", tmp_path / "killed", **options)
    assert shedding_of(tmp_path / "killed")
    run("recurrent-ppo-lsnn", tmp_path / "killed", resume=True, **options)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        ({}, {"max_synops": 20.0}),
        ({}, {"cost": "loihi", "bound": 5.0, "max_bound": 5.0, "tolerance": 1.0}),
        ({}, {"signals": "prune", "tolerance": 1.0}),
        ({}, {"widening": 3.0, "tolerance": 1.0}),
        ({"encoder": "rate"}, {}),
        ({"decoder": "population"}, {}),
    ],
    ids=str,
)
def test_every_mode_encoder_and_decoder_ends_bit_equal(network, settings, tmp_path):
    options = {"steps": 1024, "interval": 256, **lean(ROLLOUTS, network, **settings)}
    run("ppo-lif", tmp_path / "whole", **options)
    with killed_at(800):
        run("ppo-lif", tmp_path / "killed", **options)
    assert shedding_of(tmp_path / "killed")
    run("ppo-lif", tmp_path / "killed", resume=True, **options)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
