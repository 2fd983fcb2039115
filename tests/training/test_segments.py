"""Segments begin from the seed alone."""

import numpy as np
import torch

from snn_gym.training.segments import begin_segment
from snn_gym.zoo import make_agent


def test_a_segment_depends_on_seed_and_number_alone():
    def draws(seed, segment, disturb):
        model = make_agent("ppo-lif", "CartPole-v1", seed=disturb)
        for _ in range(disturb):
            model.get_env().reset()
            torch.rand(3)
            np.random.rand()  # noqa: NPY002 - Stable-Baselines3 draws from it
        begin_segment(model, seed, segment)
        return (
            model._last_obs.tobytes(),
            float(torch.rand(1)),
            float(np.random.rand()),  # noqa: NPY002
            [int(model.action_space.sample()) for _ in range(16)],
        )

    first = draws(1, 4, disturb=1)
    assert draws(1, 4, disturb=3) == first
    for seed, segment in ((1, 5), (2, 4), (4, 1)):
        other = draws(seed, segment, disturb=1)
        assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))
