"""Tests of start and noise streams, against one generator per environment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.envs.batch import EVERY, NoiseStreams, StartStreams, byte_rate


def bytes_one_by_one(seed, width, rows):
    """Return the rows of a stream: words of the generator, each row from a new word."""
    generator = np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(1,)))
    words = -(-width // 8)
    taken = []
    for _ in range(rows):
        row = [int(generator.random_raw()).to_bytes(8, "little") for _ in range(words)]
        taken.append(np.frombuffer(b"".join(row), np.uint8)[:width])
    return np.array(taken)


@settings(max_examples=15)
@given(
    width=st.one_of(st.integers(1, 40), st.sampled_from([320, 5000, 40_000])),
    size=st.integers(1, 4),
    seed=st.integers(0, 2**40),
    data=st.data(),
)
def test_noise_equals_a_separate_generator_per_environment(width, size, seed, data):
    streams = NoiseStreams(size, width)
    streams.seed([seed + index for index in range(size)], np.arange(size))
    rows = 70 if width <= 320 else 6
    expected = [bytes_one_by_one(seed + index, width, rows) for index in range(size)]
    used = np.zeros(size, np.int64)
    while used.max() < rows:
        picked = data.draw(st.integers(1, 2**size - 1)) if rows < 70 else None
        which = np.flatnonzero([picked is None or picked >> index & 1 for index in range(size)])
        taken = streams.take(EVERY if len(which) == size else which)
        assert (taken.shape, taken.dtype) == ((len(which), width), np.uint8)
        for index, row in zip(which, taken, strict=True):
            assert np.array_equal(row, expected[index][used[index]])
        used[which] += 1


def test_reseeding_a_part_keeps_the_other_noise_streams():
    streams = NoiseStreams(3, 11)
    streams.seed([1, 2, 3], np.arange(3))
    streams.take(EVERY)
    # environment 0 is not named, environment 1 goes on, environment 2 starts again
    streams.seed([9, None, 7], np.array([1, 2]))
    taken = streams.take(np.array([2, 0, 1]))
    assert np.array_equal(taken[0], bytes_one_by_one(7, 11, 1)[0])
    assert np.array_equal(taken[1], bytes_one_by_one(1, 11, 2)[1])
    assert np.array_equal(taken[2], bytes_one_by_one(2, 11, 2)[1])


BYTES = {0.0: 0, 1 / 256: 1, 0.0019: 0, 0.002: 1, 0.01: 3, 0.2: 51, 0.5: 128, 255 / 256: 255}


@pytest.mark.parametrize(("probability", "threshold"), [*BYTES.items(), (0.9979, 255)])
def test_rates_are_rounded_to_the_nearest_byte(probability, threshold):
    assert byte_rate(probability) == threshold
    every = np.arange(256, dtype=np.uint8)
    assert (every < np.uint8(threshold)).sum() == threshold


@pytest.mark.parametrize("probability", [-0.01, 0.999, 1.0, 5.0])
def test_rates_out_of_range_are_refused(probability):
    with pytest.raises(ValueError, match=rf"must be in \[0, 255/256\], got {probability}$"):
        byte_rate(probability)


@settings(max_examples=15)
@given(
    seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=4),
    width=st.integers(1, 5),
    data=st.data(),
)
def test_start_streams_equal_separate_generators(seeds, width, data):
    streams = StartStreams(len(seeds), width)
    everywhere = np.arange(len(seeds))
    streams.seed(seeds, everywhere)
    generators = [np.random.default_rng(seed) for seed in seeds]
    for _ in range(40):  # more than one block
        which = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=4, max_size=4)))
        which = which[which < len(seeds)]
        taken = streams.take(which)
        assert taken.shape == (len(which), width)
        for numbers, index in zip(taken, which, strict=True):
            assert np.array_equal(numbers, generators[index].random(width))


def test_seed_none_continues_and_a_seed_restarts_a_stream():
    streams = StartStreams(2, 1)
    both = np.arange(2)
    streams.seed([1, 2], both)
    first = streams.take(both)
    streams.seed([None, 2], both)
    again = streams.take(both)
    one, two = np.random.default_rng(1).random(2), np.random.default_rng(2).random(2)
    assert first.tolist() == [[one[0]], [two[0]]]
    assert again.tolist() == [[one[1]], [two[0]]]
    streams.seed([1, 2], np.array([1]))
    assert streams.take(both).tolist() == [[np.random.default_rng(1).random(3)[2]], [two[0]]]


def test_unseeded_streams_differ():
    assert len(set(StartStreams(8, 1).take(np.arange(8))[:, 0].tolist())) == 8
