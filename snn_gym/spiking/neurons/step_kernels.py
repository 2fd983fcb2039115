"""One time step of one neuron, compiled into the loops of other kernels.

The arithmetic repeats the step functions of Norse 1.1.0 (https://github.com/norse/norse,
``norse.torch.functional``) operation by operation: no fused multiply-add, no reassociation, no
branches. Each function takes constants, state and the current, and returns the membrane potential
that is compared with the threshold, whether it fires (0 or 1), and the next state.
"""

from __future__ import annotations

import numpy as np

from snn_gym.compilation import njit

Number = np.float32


@njit(cache=True, error_model="numpy", inline="always")
def lif_box_step(
    gain: Number, leak: Number, threshold: Number, reset: Number, v: Number, x: Number
) -> tuple[Number, Number, Number]:
    """Run ``dv = gain * ((x + leak) - v)``, threshold and hard reset."""
    decayed = v + gain * ((x + leak) - v)
    z = np.float32(decayed - threshold > np.float32(0.0))
    return decayed, z, (np.float32(1.0) - z) * decayed + z * reset


@njit(cache=True, error_model="numpy", inline="always")
def iaf_step(
    threshold: Number, reset: Number, v: Number, x: Number
) -> tuple[Number, Number, Number]:
    """Run ``v = v + x``, threshold and hard reset."""
    summed = v + x
    z = np.float32(summed - threshold > np.float32(0.0))
    return summed, z, (np.float32(1.0) - z) * summed + z * reset


@njit(cache=True, error_model="numpy", inline="always")
def lif_step(
    gain: Number, current_gain: Number, leak: Number, threshold: Number, reset: Number,
    v: Number, i: Number, x: Number,
) -> tuple[Number, Number, Number, Number]:  # fmt: skip
    """Run the current-based LIF: the current, ``i``, jumps by ``x`` before it drives."""
    jumped = i + x
    decayed = v + gain * ((leak - v) + jumped)
    z = np.float32(decayed - threshold > np.float32(0.0))
    after = (np.float32(1.0) - z) * decayed + z * reset
    return decayed, z, after, jumped + current_gain * jumped


@njit(cache=True, error_model="numpy", inline="always")
def alif_step(
    gain: Number, current_gain: Number, leak: Number, threshold: Number, reset: Number,
    adapt_gain: Number, v: Number, i: Number, b: Number, x: Number,
) -> tuple[Number, Number, Number, Number, Number]:  # fmt: skip
    """Run the adaptive LIF, whose threshold is ``b``: ``x`` drives from the next step on.

    What comes last is the threshold before a spike raises it.
    """
    decayed = v + gain * ((leak - v) + i)
    now = b + adapt_gain * (threshold - b)
    z = np.float32(decayed - now > np.float32(0.0))
    after = (np.float32(1.0) - z) * decayed + z * reset
    return decayed, z, after, (i + current_gain * i) + x, now
