"""One thread, for torch and for numpy's products, and as many as before afterwards."""

import subprocess
import sys

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from snn_gym._base.numerics import one_thread


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


SAVED = """
import tempfile, warnings
import snn_gym, torch
model = snn_gym.make_agent("ppo-mlp", "CartPole-v1", n_steps=8, n_envs=1, batch_size=8).learn(8)
for threads in (1, 2):
    torch.set_num_threads(threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            snn_gym.save_agent(model, tempfile.mkdtemp())
    print(threads, *(str(x.message) for x in caught if "threads" in str(x.message)), sep=": ")
"""


def test_a_recipe_of_several_threads_warns_once_and_says_how_to_mend_it():
    done = subprocess.run([sys.executable, "-c", SAVED], capture_output=True, text=True, check=True)
    one, several = done.stdout.splitlines()
    assert one == "1"
    assert several.startswith("2: torch runs on 2 threads")
    assert several.count("OMP_NUM_THREADS=1") == 1
