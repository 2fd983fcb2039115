"""What every call of ``learn`` does in learners of our own: it sets up, and logs."""

from __future__ import annotations

import sys
import time

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import safe_mean


def set_up_learning(
    model: BaseAlgorithm,
    total_timesteps: int,
    callback: MaybeCallback,
    tb_log_name: str | None,
    reset_num_timesteps: bool,
    progress_bar: bool,
) -> tuple[int, BaseCallback]:
    """Set up a call of ``learn``, whose arguments these are.

    Args:
        model: The learner.
        total_timesteps: Environment steps.
        callback: Callbacks, in any form.
        tb_log_name: Name of the run for TensorBoard; the class's name if None.
        reset_num_timesteps: Whether steps and episodes are counted from 0.
        progress_bar: Whether to show a progress bar.

    Returns:
        Environment steps at which it ends, and one callback.

    Raises:
        ValueError: There is nothing to spend.
    """
    if total_timesteps < 1:
        raise ValueError(f"total_timesteps must be at least 1, got {total_timesteps}")
    name = tb_log_name or type(model).__name__
    return model._setup_learn(total_timesteps, callback, reset_num_timesteps, name, progress_bar)


def log_progress(model: BaseAlgorithm) -> None:
    """Write the means of the last episodes and the counters to a model's logger.

    Args:
        model: Model that is learning.
    """
    seconds = max((time.time_ns() - model.start_time) / 1e9, sys.float_info.epsilon)
    episodes = model.ep_info_buffer or ()
    if episodes:
        model.logger.record("rollout/ep_rew_mean", safe_mean([x["r"] for x in episodes]))
        model.logger.record("rollout/ep_len_mean", safe_mean([x["l"] for x in episodes]))
    steps = model.num_timesteps - model._num_timesteps_at_start
    model.logger.record("time/episodes", model._episode_num, exclude="tensorboard")
    model.logger.record("time/fps", int(steps / seconds))
    model.logger.record("time/time_elapsed", int(seconds), exclude="tensorboard")
    model.logger.record("time/total_timesteps", model.num_timesteps, exclude="tensorboard")
    model.logger.dump(step=model.num_timesteps)
