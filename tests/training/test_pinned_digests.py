"""Digests of the weights of small trainings: a change of weights requires an edit here.

Other processors and libraries round differently. The result of fixed arithmetic is pinned too, and
the test is skipped if that result differs.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

import snn_gym
from snn_gym._base.numerics import one_thread

ARITHMETIC = "733b7b07adafc35a"
"""Digest of `arithmetic` where the digests below were made."""


def digest(tensors):
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def arithmetic():
    """Products of the sizes that trainings have, and the functions that they call."""
    generator = np.random.default_rng(0)
    results = []
    for rows, inner, columns in ((1, 4, 64), (8, 64, 64), (64, 128, 3), (256, 64, 64)):
        left, right = (
            torch.from_numpy(generator.normal(size=size).astype(np.float32))
            for size in ((rows, inner), (inner, columns))
        )
        product = (left @ right).requires_grad_()
        # numpy's own library makes the products of networks that spike
        results.append(torch.from_numpy(np.matmul(left.numpy(), right.numpy())))
        value = (product.tanh() + torch.sigmoid(product)).exp().log_softmax(-1).mean()
        (gradient,) = torch.autograd.grad(value + (product**2).mean().sqrt(), product)
        results += [product, gradient, left.sum(0)]
    results.append(torch.linalg.qr(results[1].detach().reshape(8, 8))[1])
    return results


@pytest.mark.parametrize(
    ("agent", "env_id", "steps", "seeding", "weights"),
    [
        ("ppo-lif", "CartPole-v1", 1024, "disjoint", "ebdbfb6486dfeb0a"),
        ("recurrent-ppo-lsnn", "snn/CueAccumulation-v0", 4096, "disjoint", "991efff6fdd954c6"),
        ("es", "CartPole-v1", 3000, "disjoint", "61d1cc53e106ba16"),
        # As in results that were trained before seeding was a choice.
        ("ppo-lif", "CartPole-v1", 1024, "consecutive", "25a60189f986175d"),
    ],
)
def test_trained_weights_have_the_pinned_digest(agent, env_id, steps, seeding, weights):
    with one_thread():
        here = digest(arithmetic())
        if here != ARITHMETIC:
            pytest.skip(
                f"numpy {np.__version__} and torch {torch.__version__} round otherwise on this "
                f"processor ({torch.backends.cpu.get_cpu_capability()}): {here}, not {ARITHMETIC}"
            )
        model = snn_gym.make_agent(agent, env_id, seed=0, seeding=seeding)
        model.learn(steps)
    assert digest(model.policy.parameters()) == weights
