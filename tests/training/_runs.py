"""Short training runs."""

from contextlib import contextmanager

import pytest

from snn_gym.training import train
from snn_gym.training.run import SegmentCallback

STEPS = 900
INTERVAL = 300
FEW_UPDATES = {
    "dqsn": {"gradient_steps": 16},
    "ppo-mlp": {"n_steps": 16, "desired_kl": 1.0},
    "sac-lif": {"train_freq": 8, "gradient_steps": 1},
    "td3-lif-pt": {
        "train_freq": 16,
        "gradient_steps": 3,
        "learning_starts": 50,
        "batch_size": 16,
        "buffer_size": 500,
        "proxy_steps": 2,
    },
}
"""Settings of learners that make an update for each step otherwise."""
RESULTS = ("episodes.csv", "manifest.json", "weights.safetensors")


def run(agent, out, *, env_id="CartPole-v1", steps=STEPS, interval=INTERVAL, **options):
    options = {"tensorboard": False, "seed": 7, **options}
    return train(agent, env_id, out=out, steps=steps, checkpoint_interval=interval, **options)


def results(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


class Killed(BaseException):
    """Stand-in for a signal, which the tested code does not catch."""


@contextmanager
def killed_at(step):
    """Kill training at an environment step."""
    original = SegmentCallback._on_step

    def on_step(self):
        if self.num_timesteps >= step:
            raise Killed
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentCallback, "_on_step", on_step)
        with pytest.raises(Killed):
            yield
