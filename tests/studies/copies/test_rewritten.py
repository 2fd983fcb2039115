"""Rewritten networks act as before, by playing both; noise has its size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.copies.rewritten import (
    attacks,
    noisy,
    permuted,
    rescaled,
    restated,
    sharpened,
    shifted,
    turned,
    ulps,
)
from tests.studies.copies.made import STEPS, answers, random_network


@pytest.mark.parametrize(("kind", "rewriting"), [
    ("tanh", permuted),
    ("tanh", turned),
    ("tanh", restated),
    ("relu", rescaled),
    ("recurrent", permuted),
    ("gru", permuted),
    ("gru", restated),
])  # fmt: skip
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_answers_stay(kind, rewriting, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, kind, 3, 5, 4)
    copy = rewriting(network, rng)
    observations = rng.standard_normal((STEPS, 3))
    before = answers(network, kind, observations)
    np.testing.assert_allclose(answers(copy, kind, observations), before, rtol=1e-6, atol=1e-9)
    assert any(
        not np.allclose(a.inward, b.inward)
        for a, b in zip(network.layers, copy.layers, strict=True)
    )


@pytest.mark.parametrize("rewriting", [shifted, sharpened])
def test_the_best_action_stays(rewriting):
    rng = np.random.default_rng(0)
    network = random_network(rng, "tanh", 3, 5, 4)
    observations = rng.standard_normal((50, 3))
    before, after = (answers(x, "tanh", observations) for x in (network, rewriting(network, rng)))
    np.testing.assert_array_equal(before.argmax(1), after.argmax(1))
    assert not np.allclose(before, after)


def test_ulps_are_the_smallest_steps_of_float32():
    rng = np.random.default_rng(0)
    network = random_network(rng, "gru", 3, 5, 4)
    for a, b in zip(network.layers, ulps(network, rng).layers, strict=True):
        a32, b32 = a.inward.astype(np.float32), b.inward.astype(np.float32)
        np.testing.assert_array_equal(np.nextafter(a32, np.float32(np.inf)), b32)


def test_noise_has_its_size():
    rng = np.random.default_rng(0)
    network = random_network(rng, "tanh", 50, 60, 4)
    first, changed = (x.layers[0].inward for x in (network, noisy(0.01)(network, rng)))
    assert np.std(changed - first) == pytest.approx(0.01 * first.std(), rel=0.1)


def test_attacks_keep_the_behaviour_of_the_agent():
    rng = np.random.default_rng(0)
    logits, action = (random_network(rng, "relu", 3, 5, outputs) for outputs in (2, 1))
    fitting = {x.name for x in attacks() if x.fits("sac-mlp", action)}
    assert "scales of ReLU units" in fitting
    assert not fitting & {"shift of logits", "scale of logits", "signs of tanh units"}
    assert "shift of logits" in {x.name for x in attacks() if x.fits("dqn-mlp", logits)}
