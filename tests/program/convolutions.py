"""Strategies of convolutions, for Hypothesis."""

from hypothesis import strategies as st

from snn_gym.program.layers import Convolution

LAYERS = st.builds(
    Convolution,
    filters=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    pool=st.integers(1, 2),
)
