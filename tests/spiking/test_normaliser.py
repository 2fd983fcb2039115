"""Tests of the observation normaliser: exact statistics, applied at the start of a rollout."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.spiking.normaliser import ObservationNormaliser
from tests.spiking.strategies import normal


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 99))
def test_statistics_equal_all_accumulated_data(size, batches, seed):
    normaliser = ObservationNormaliser(size)
    data = normal(seed, sum(batches), size, scale=3.0, shift=10.0)
    with normaliser.accumulating():
        for batch in data.split(batches):
            assert torch.equal(normaliser(batch), batch.clamp(-5.0, 5.0))
    normaliser.updates_started()
    normaliser.rollout_started()
    if len(data) > 1:
        torch.testing.assert_close(normaliser.mean, data.mean(0), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(normaliser.std, data.std(0, correction=0), rtol=1e-4, atol=1e-4)


def test_standardises_and_clips_by_hand():
    normaliser = ObservationNormaliser(1, clip=2.0)
    with normaliser.accumulating():
        normaliser(torch.tensor([[1.0], [3.0]]))  # mean 2, standard deviation 1
    normaliser.updates_started()
    normaliser.rollout_started()
    assert normaliser(torch.tensor([[2.0], [3.5], [9.0], [-9.0]])).flatten().tolist() == [
        0.0, 1.5, 2.0, -2.0,
    ]  # fmt: skip


def test_statistics_change_only_at_a_new_rollout_after_updates():
    normaliser = ObservationNormaliser(2)
    data = normal(0, 50, 2, scale=4.0)
    normaliser(data)
    assert normaliser.count.item() == 0  # acting does not accumulate
    with normaliser.accumulating():
        normaliser(data)
    normaliser.rollout_started()  # no updates since: still the same rollout
    assert torch.equal(normaliser.std, torch.ones(2))
    normaliser.updates_started()
    assert torch.equal(normaliser.std, torch.ones(2))  # the updates see the rollout's normaliser
    normaliser.rollout_started()
    assert not torch.equal(normaliser.std, torch.ones(2))
    applied = normaliser.std.clone()
    with normaliser.accumulating():
        normaliser(10 * data)
    normaliser.rollout_started()
    assert torch.equal(normaliser.std, applied)


def test_constant_values_are_centred_and_not_amplified():
    normaliser = ObservationNormaliser(1)
    with normaliser.accumulating():
        normaliser(torch.full((10, 1), 7.0))
    normaliser.updates_started()
    normaliser.rollout_started()
    assert normaliser(torch.tensor([[7.5]])).item() == 0.5


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**-50, 2.0**20])
def test_the_unit_of_a_value_does_not_matter(unit):
    data = normal(0, 40, 3, shift=2.0)
    plain, scaled = ObservationNormaliser(3), ObservationNormaliser(3)
    for normaliser, values in ((plain, data), (scaled, unit * data)):
        with normaliser.fitting():
            normaliser(values)
    # Powers of two change no bit of the significand.
    assert torch.equal(scaled(unit * data), plain(data))
    assert plain(data).std(0).min() > 0.9


def test_values_below_the_numbers_of_float32_do_not_divide_by_zero():
    normaliser = ObservationNormaliser(1)
    data = torch.tensor([[0.0], [1e-45]])  # the least number above 0
    with normaliser.fitting():
        normaliser(data)
    assert normaliser(data).isfinite().all()


def test_rounding_of_a_large_constant_is_no_variance():
    normaliser = ObservationNormaliser(1)
    with normaliser.fitting():
        for _ in range(2_000):
            normaliser(torch.full((1, 1), 50000.1))
    assert normaliser(torch.tensor([[50000.5]])).item() == pytest.approx(0.4, abs=4e-3)
