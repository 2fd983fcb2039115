"""Training that survives being killed: a resumed run ends as if it had never stopped."""

from snn_gym.training.dynamics_callback import DynamicsCallback
from snn_gym.training.run import (
    DEFAULT_CHECKPOINT_INTERVAL,
    RunSettings,
    TrainingRun,
    make_run_settings,
    read_run_settings,
    train,
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
