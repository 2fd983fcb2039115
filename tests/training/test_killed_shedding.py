"""Tests of runs killed while shedding spikes: they equal an uninterrupted run."""

import pytest

from snn_gym._base.storage import load_tensors
from tests.marked import slow
from tests.training._runs import killed_at, results, run

pytestmark = pytest.mark.check

LEAN = {
    "latest_start": 0.35, "largest_rise": None, "updates": 40, "batch_size": 16,
    "learning_rate": 0.01, "episodes": 2, "control_rate": 0.3,
}  # fmt: skip
ROLLOUTS = {"n_envs": 4, "n_steps": 32, "batch_size": 64}
SEQUENCES = {**ROLLOUTS, "sequence_length": 16}
OFF_POLICY = {"learning_starts": 50, "batch_size": 16, "train_freq": 4, "gradient_steps": 1}
# Whole sequences of each environment have to be there.


def lean(overrides, network=(), **settings):
    """Return options of ``run`` for a small agent that sheds spikes early."""
    regulation = {"lean": {**LEAN, **settings}, "rescue_strength": 1.0}
    values = {"hidden_sizes": [8], "regulation": regulation, **dict(network)}
    return {"network": values, "hyperparameters": overrides}


def shedding_of(folder):
    """Return the names of a checkpoint's arrays of shedding."""
    tensors, _ = load_tensors(folder / "checkpoint.safetensors", max_bytes=1 << 30)
    return {name for name in tensors if name.startswith("learner.shedding.")}


LIMITED = {"max_synops": 20.0}
ANY_COST = {"bound": 1.0, "max_bound": 1.0, "tolerance": 1.0}


@pytest.mark.parametrize(
    ("agent", "env_id", "steps", "overrides", "network", "settings"),
    [
        ("ppo-lif", "CartPole-v1", 768, ROLLOUTS, {}, {"cost": "loihi", **ANY_COST}),
        ("ppo-lif", "CartPole-v1", 768, ROLLOUTS, {"decoder": "population"}, LIMITED),
        slow("ppo-lif", "CartPole-v1", 768, ROLLOUTS, {"encoder": "rate"}, {"signals": "prune"}),
        slow("ppo-lif", "CartPole-v1", 768, ROLLOUTS, {}, {"widening": 3.0, "tolerance": 1.0}),
        ("dqsn", "CartPole-v1", 640, OFF_POLICY, {}, {}),
        slow("sac-lif", "Pendulum-v1", 400, OFF_POLICY, {}, {}),
        slow("recurrent-ppo-lsnn", "snn/MaskedCartPole-v1", 1024, SEQUENCES, {}, {}),
        (
            "recurrent-ppo-lsnn", "snn/CueAccumulation-v0", 640, SEQUENCES, {},
            {"cost": "operations", **ANY_COST},
        ),
    ],
)  # fmt: skip
def test_a_run_killed_in_its_shedding_ends_bit_equal(
    agent, env_id, steps, overrides, network, settings, tmp_path
):
    changes = lean(overrides, network, **settings)
    options = {"env_id": env_id, "steps": steps, "interval": steps // 6, **changes}
    run(agent, tmp_path / "whole", **options)
    with killed_at(int(0.8 * steps)):  # learning is over after 0.35
        run(agent, tmp_path / "killed", **options)
    assert shedding_of(tmp_path / "killed")
    run(agent, tmp_path / "killed", resume=True, **options)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
