import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from snn_gym.program.encoders import (
    DeltaEncoder,
    LatencyEncoder,
    PopulationEncoder,
    RateEncoder,
    make_encoder,
)

REGULAR = RateEncoder("regular")
UNIT = st.floats(0, 1, width=32)
SPIKE_ENCODERS = [
    RateEncoder("poisson"), REGULAR, LatencyEncoder(), PopulationEncoder(),
    PopulationEncoder(neurons_per_dimension=3, width=0.5, timing="poisson"), DeltaEncoder(),
    DeltaEncoder(threshold=0.25),
]  # fmt: skip
every_spike_encoder = pytest.mark.parametrize("encoder", SPIKE_ENCODERS, ids=repr)


def intensities():
    return arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=5), elements=UNIT)


def encode(encoder, values, time_steps=8, previous=None):
    """Encode a list of values; return the spikes of each channel as a list."""
    values = np.array(values, np.float32)
    given_previous = None if previous is None else np.array(previous, np.float32)
    return encoder.encode(values, time_steps, previous=given_previous).T.astype(int).tolist()


def noise_and_previous(encoder, intensity, time_steps=4, seed=0):
    generator = np.random.default_rng(seed)
    shape = (time_steps, *intensity.shape[:-1], encoder.channels(intensity.shape[-1]))
    noise = generator.random(shape, dtype=np.float32)
    return {"noise": noise, "previous": generator.random(intensity.shape, dtype=np.float32)}


@given(
    encoder=st.sampled_from(SPIKE_ENCODERS), intensity=intensities(),
    time_steps=st.integers(1, 12), seed=st.integers(0, 9),
)  # fmt: skip
def test_arrays_and_tensors_give_equal_spikes(encoder, intensity, time_steps, seed):
    more = noise_and_previous(encoder, intensity, time_steps, seed)
    spikes = encoder.encode(intensity, time_steps, **more)
    assert spikes.shape == more["noise"].shape
    assert spikes.dtype == np.float32
    assert set(np.unique(spikes)) <= {0.0, 1.0}
    tensors = {name: torch.from_numpy(values) for name, values in more.items()}
    tensor_spikes = encoder.encode(torch.from_numpy(intensity), time_steps, **tensors)
    assert tensor_spikes.dtype == torch.float32
    assert np.array_equal(tensor_spikes.numpy(), spikes)


@given(encoder=st.sampled_from(SPIKE_ENCODERS), intensity=intensities())
def test_a_batch_is_encoded_row_by_row(encoder, intensity):
    more = noise_and_previous(encoder, intensity)
    whole, first = encoder.encode(intensity, 4, **more), (0,) * (intensity.ndim - 1)
    noise, previous = more["noise"][(slice(None), *first)], more["previous"][first]
    row = encoder.encode(intensity[first], 4, noise=noise, previous=previous)
    assert np.array_equal(whole[(slice(None), *first)], row)


@every_spike_encoder
def test_values_beyond_the_limits_are_clipped(encoder):
    beyond, limits = np.array([[-7.0, 1.5, np.inf], [0.0, 1.0, 1.0]], np.float32)
    more = noise_and_previous(encoder, limits)
    clipped = encoder.encode(limits, 4, **more)
    assert np.array_equal(encoder.encode(beyond, 4, **more), clipped)


def test_regular_rate_by_hand():
    # floor(t x) for t = 0 .. 8 grows at: x = 1/2: 2, 4, 6, 8; x = 1/3: 3, 6
    assert encode(REGULAR, [0.0, 0.5, 1 / 3, 1.0]) == [
        [0, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 1, 0, 1], [0, 0, 1, 0, 0, 1, 0, 0], [1] * 8
    ]  # fmt: skip


@given(rate=UNIT, time_steps=st.integers(1, 64))
def test_regular_rate_gives_the_floor_of_steps_times_intensity(rate, time_steps):
    spikes = REGULAR.encode(np.array([rate], np.float32), time_steps)
    assert spikes.sum() == math.floor(np.float32(time_steps) * np.float32(rate))


def test_poisson_spikes_where_noise_is_below_the_intensity():
    noise = np.array([[0.0, 0.49], [0.49, 0.5], [0.999, 0.51]], np.float32)
    intensity = np.array([0.5, 0.5], np.float32)
    spikes = RateEncoder("poisson").encode(intensity, 3, noise=noise)
    assert spikes.tolist() == [[1, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_poisson_rate_is_within_binomial_bounds(rate):
    trials = 20_000
    noise = np.random.default_rng(7).random((trials, 1), dtype=np.float32)
    count = RateEncoder("poisson").encode(np.array([rate], np.float32), trials, noise=noise).sum()
    assert abs(count - trials * rate) <= 4 * math.sqrt(trials * rate * (1 - rate))


def test_latency_by_hand():
    # step floor((1 - x) * 4 + 1/2) for T = 5
    spikes = np.array(encode(LatencyEncoder(), [1.0, 0.75, 0.6, 0.1, 0.0], time_steps=5))
    assert spikes.sum(axis=1).tolist() == [1, 1, 1, 1, 1]
    assert spikes.argmax(axis=1).tolist() == [0, 1, 2, 4, 4]


@given(low=UNIT, high=UNIT, time_steps=st.integers(1, 30))
def test_latency_is_one_spike_and_never_later_for_more(low, high, time_steps):
    low, high = sorted((low, high))
    spikes = LatencyEncoder().encode(np.array([low, high], np.float32), time_steps)
    assert spikes.sum(axis=0).tolist() == [1, 1]
    assert spikes[:, 1].argmax() <= spikes[:, 0].argmax()


def test_population_by_hand():
    # 3 neurons, centres 0, 1/2, 1, sigma 1/2: activities exp(-2 d^2) = 1, 0.6065, 0.1353
    spikes = np.array(encode(PopulationEncoder(neurons_per_dimension=3), [0.0, 0.5]))
    assert spikes.sum(axis=1).tolist() == [8, 4, 1, 4, 8, 4]


@given(neuron=st.integers(0, 9), width=st.floats(0.3, 2.0))
def test_population_peaks_at_its_centre_and_is_symmetric(neuron, width):
    encoder = PopulationEncoder(neurons_per_dimension=10, width=width)
    centre = np.array([neuron / 9], np.float32)
    counts = encoder.encode(centre, 64).sum(axis=0)
    # in float32 the centre itself may be one rounding off: 63 of 64 spikes
    assert counts[neuron] >= 63
    assert counts.argmax() == neuron
    mirrored = encoder.encode(1 - centre, 64).sum(axis=0)
    assert np.abs(counts - mirrored[::-1]).max() <= 1


def test_population_resolves_one_percent_of_the_range():
    values = np.linspace(0, 1, 100_001, dtype=np.float32)[:, np.newaxis]
    codes = PopulationEncoder().encode(values, 8)
    borders = np.flatnonzero((codes[:, 1:] != codes[:, :-1]).any(axis=(0, 2)))
    assert len(borders) + 1 == 369
    assert np.diff(borders, prepend=0, append=100_000).max() <= 1_010


def test_delta_by_hand():
    encoder = DeltaEncoder(threshold=0.125)
    spikes = encode(encoder, [0.5, 0.5, 0.5], 4, previous=[0.25, 0.5, 1.0])
    # +2 thresholds, no change, -4 thresholds; ON and OFF of each value side by side
    silent = [0, 0, 0, 0]
    assert spikes == [[1, 1, 0, 0], silent, silent, silent, silent, [1, 1, 1, 1]]


@given(now=UNIT, before=UNIT, threshold=st.floats(0.001, 1))
def test_delta_spikes_on_the_side_of_the_change_only(now, before, threshold):
    after, earlier = (np.array([x, before], np.float32) for x in (now, before))
    on, off, *unchanged = DeltaEncoder(threshold).encode(after, 8, previous=earlier).sum(axis=0)
    assert on == 0 or (off == 0 and now > before)
    assert off == 0 or now < before
    assert unchanged == [0, 0]


@every_spike_encoder
def test_bad_input_is_refused(encoder):
    noise = np.zeros((4, encoder.channels(2)), np.float32)
    good = np.array([0.1, 0.2], np.float32)
    with pytest.raises(ValueError, match="intensity holds NaN"):
        encoder.encode(np.array([0.1, np.nan], np.float32), 4, noise=noise, previous=good)
    with pytest.raises(ValueError, match="time_steps must be at least 1, got 0"):
        encoder.encode(good, 0, noise=noise, previous=good)
    with pytest.raises(ValueError, match="intensity must have at least one axis"):
        encoder.encode(np.array(0.5, np.float32), 4, noise=noise, previous=good)


@every_spike_encoder
def test_noise_and_previous_are_demanded_where_needed(encoder):
    good = np.array([0.1, 0.2], np.float32)
    noise = np.zeros((4, encoder.channels(2)), np.float32)
    if encoder.needs_noise:
        with pytest.raises(ValueError, match=r"needs noise: pass uniform numbers \(4, "):
            encoder.encode(good, 4, previous=good)
        with pytest.raises(ValueError, match=r"noise has shape \(3, .*expected \(4, "):
            encoder.encode(good, 4, noise=noise[:3], previous=good)
    elif encoder.needs_previous:
        with pytest.raises(ValueError, match="needs previous: pass the intensity"):
            encoder.encode(good, 4)
        with pytest.raises(ValueError, match=r"previous has shape \(1,\), expected \(2,\)"):
            encoder.encode(good, 4, previous=good[:1])
        with pytest.raises(ValueError, match="previous holds NaN"):
            encoder.encode(good, 4, previous=good * np.float32(np.nan))
    else:
        assert encoder.encode(good, 4).shape == (4, encoder.channels(2))


@pytest.mark.parametrize(("name", "parameters", "message"), [
    ("rte", {}, r"'rte' is unknown; did you mean 'rate'\? known encoders: constant, rate, lat"),
    ("rate", {"timng": "regular"}, r"'rate': unknown key timng; did you mean 'timing'\? allow"),
    ("latency", {"x": 1}, "encoder 'latency': unknown key x; allowed keys: none"),
    ("rate", {"timing": "odd"}, "got 'odd' .*; allowed values: 'poisson', 'regular'"),
    ("population", {"neurons_per_dimension": 1}, "must be at least 2, got 1"),
    ("population", {"width": 0.0}, "width must be above 0, got 0.0"),
    ("population", {"width": math.inf}, "width must be finite, got inf"),
    ("delta", {"threshold": 0}, "threshold must be above 0 and at most 1, got 0.0"),
    ("delta", {"threshold": math.nan}, "threshold must be finite, got nan"),
])  # fmt: skip
def test_wrong_names_and_parameters_are_named(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        make_encoder(name, parameters)
