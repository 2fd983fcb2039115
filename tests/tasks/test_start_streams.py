import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.tasks.start_streams import StartStreams


@given(
    seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=4),
    width=st.integers(1, 5),
    data=st.data(),
)
def test_each_stream_is_that_of_its_own_generator(seeds, width, data):
    streams = StartStreams(len(seeds), width)
    everywhere = np.arange(len(seeds))
    streams.seed(seeds, everywhere)
    generators = [np.random.default_rng(seed) for seed in seeds]
    for _ in range(40):  # more than one block
        which = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=4, max_size=4)))
        which = which[which < len(seeds)]
        taken = streams.take(which)
        assert taken.shape == (width, len(which))
        for column, index in enumerate(which):
            assert np.array_equal(taken[:, column], generators[index].random(width))


def test_none_goes_on_and_a_seed_restarts_where_asked_only():
    streams = StartStreams(2, 1)
    both = np.arange(2)
    streams.seed([1, 2], both)
    first = streams.take(both)
    streams.seed([None, 2], both)
    again = streams.take(both)
    one, two = np.random.default_rng(1).random(2), np.random.default_rng(2).random(2)
    assert first.tolist() == [[one[0], two[0]]]
    assert again.tolist() == [[one[1], two[0]]]
    streams.seed([1, 2], np.array([1]))
    assert streams.take(both).tolist() == [[np.random.default_rng(1).random(3)[2], two[0]]]


def test_unseeded_streams_differ():
    assert len(set(StartStreams(8, 1).take(np.arange(8))[0].tolist())) == 8
