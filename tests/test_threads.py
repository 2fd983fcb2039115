"""One thread, for torch and for numpy's products, and as many as before afterwards."""

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from snn_gym.threads import one_thread


def counts():
    """Return how many threads torch has, and each library of products."""
    products = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    assert products  # numpy's
    return torch.get_num_threads(), products


def test_torch_and_numpy_have_one_thread_meanwhile():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2, user_api="blas"):
            found = counts()
            with one_thread():
                threads, products = counts()
                assert threads == 1
                assert set(products) == {1}
            assert counts() == found
            with pytest.raises(ValueError, match="on purpose"), one_thread():
                raise ValueError("on purpose")
            assert counts() == found
    finally:
        torch.set_num_threads(before)
