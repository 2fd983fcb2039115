"""Training runs in folders: checkpoints, resuming, and logs of episodes and dynamics."""

from snn_gym.training.dynamics_callback import DynamicsCallback
from snn_gym.training.run import TrainingRun, train
from snn_gym.training.settings import (
    DEFAULT_CHECKPOINT_INTERVAL,
    RunSettings,
    make_run_settings,
    read_run_settings,
)

__all__ = [
    "DEFAULT_CHECKPOINT_INTERVAL",
    "DynamicsCallback",
    "RunSettings",
    "TrainingRun",
    "make_run_settings",
    "read_run_settings",
    "train",
]
