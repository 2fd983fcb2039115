"""Training runs in folders: checkpoints, resuming, and logs of episodes and dynamics."""

from snn_gym.training.dynamics import DynamicsCallback
from snn_gym.training.logs import ActivityCallback, ProgressCallback
from snn_gym.training.run import TrainingRun, train
from snn_gym.training.settings import RunSettings, make_run_settings, read_run_settings
from snn_gym.zoo.recipe import DEFAULT_CHECKPOINT_INTERVAL

__all__ = [
    "DEFAULT_CHECKPOINT_INTERVAL",
    "ActivityCallback",
    "DynamicsCallback",
    "ProgressCallback",
    "RunSettings",
    "TrainingRun",
    "make_run_settings",
    "read_run_settings",
    "train",
]
