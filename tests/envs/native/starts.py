"""Native tasks with given episode starts."""

from snn_gym.envs.batch import EVERY


def begin_with(task, numbers):
    """Begin an episode in every environment with its row of uniform numbers; return the spikes."""
    task.reset(seed=0)
    task._starts.take = lambda rows: numbers[rows]
    return task.begin(EVERY)
