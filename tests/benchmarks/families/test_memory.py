"""Held memory of a pass whose saved tensors are known."""

import pytest
import torch
from torch import nn

from benchmarks.families import memory


def test_one_saved_number_is_four_bytes():
    if not memory._RESET_PEAK.exists():
        pytest.skip("resident memory is read from Linux's /proc")
    weights = nn.Parameter(torch.zeros(memory.TIME_STEPS * sum(memory.SIZES)))
    x = torch.zeros(memory.BATCH, 4)
    # of a product small factors are saved, and of exp what it gives
    held, peak = memory.bytes_of(lambda x: (x[:, :1] * weights).exp(), x)
    assert held == pytest.approx(4.0, rel=0.05)
    assert peak > 7.9
