import copy
import pickle

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from snn_gym._base.spaces import FlatSpikes


def test_flat_spikes_equal_their_box():
    space = FlatSpikes(3, 4)
    assert (space.shape, space.dtype, space.spike_shape) == ((12,), np.float32, (3, 4))
    box = spaces.Box(0.0, 1.0, (12,), np.float32)
    assert space == box
    assert box == space
    assert batch_space(space, 5) == spaces.Box(0.0, 1.0, (5, 12), np.float32)
    assert space != spaces.Box(0.0, 2.0, (12,), np.float32)
    assert space != spaces.MultiBinary(12)
    assert space == FlatSpikes(3, 4) != FlatSpikes(4, 3)
    assert repr(space) == "FlatSpikes(3, 4)"


def test_copies_keep_the_shape_and_the_stream():
    space = FlatSpikes(2, 50, seed=1)
    space.sample()
    for same in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert type(same) is FlatSpikes
        assert same.spike_shape == (2, 50)
        assert np.array_equal(same.sample(), copy.deepcopy(space).sample())


def test_samples_are_spikes():
    space = FlatSpikes(20, 50, seed=0)
    sample = space.sample()
    assert sample in space
    assert sample.dtype == np.float32
    assert set(sample.tolist()) == {0.0, 1.0}
    assert 400 < sample.sum() < 600


def test_flattened_spikes_are_ordered_by_time_steps():
    spikes = np.array([[[0, 1], [0, 0], [1, 1]]], np.int8)
    flat = FlatSpikes(3, 2).flatten(spikes)
    assert flat.tolist() == [[0.0, 1.0, 0.0, 0.0, 1.0, 1.0]]
    assert flat.dtype == np.float32
    assert flat.flags.owndata
