"""Short training runs for the tests."""

from snn_gym.training import train
from snn_gym.training.run import SegmentCallback

STEPS = 1600
INTERVAL = 300
FEW_UPDATES = {
    "dqsn": {"gradient_steps": 16},
    "qrdqn-lif": {"gradient_steps": 16},
    "sac-lif": {"train_freq": 8, "gradient_steps": 1},
}
"""Settings of learners that make an update for each step otherwise."""
RESULTS = ("episodes.csv", "manifest.json", "weights.safetensors")


def run(agent, out, *, env_id="CartPole-v1", steps=STEPS, interval=INTERVAL, **options):
    options = {"tensorboard": False, "seed": 7, **options}
    return train(agent, env_id, out=out, steps=steps, checkpoint_interval=interval, **options)


def results(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


class Killed(BaseException):
    """Stands for a signal: nothing in the code under test catches it."""


def kill_at(monkeypatch, step):
    """Make training stop dead at an environment step, once."""
    original = SegmentCallback._on_step

    def on_step(self):
        if self.num_timesteps >= step:
            monkeypatch.setattr(SegmentCallback, "_on_step", original)
            raise Killed
        return original(self)

    monkeypatch.setattr(SegmentCallback, "_on_step", on_step)
