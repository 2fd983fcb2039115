"""What learners of our own write to the logger, as Stable-Baselines3 names it."""

from __future__ import annotations

import sys
import time

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import safe_mean


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
