"""Training runs in folders: checkpoints, resuming, and logs of episodes and dynamics."""

from snn_gym.training.dynamics_log import DynamicsCallback
from snn_gym.training.logs import ProgressCallback
from snn_gym.training.record import Training, make_training, read_training
from snn_gym.training.run import TrainingRun, train
from snn_gym.zoo.recipe import DEFAULT_CHECKPOINT_INTERVAL

__all__ = [
    "DEFAULT_CHECKPOINT_INTERVAL",
    "DynamicsCallback",
    "ProgressCallback",
    "Training",
    "TrainingRun",
    "make_training",
    "read_training",
    "train",
]
