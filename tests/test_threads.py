"""One thread, for torch and for numpy's products, and as many as before afterwards."""

import subprocess
import sys

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


SAVED = """
import tempfile, warnings
import snn_gym
model = snn_gym.make_agent("ppo-mlp", "CartPole-v1", n_steps=8, n_envs=1, batch_size=8).learn(8)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        snn_gym.save_agent(model, tempfile.mkdtemp())
print(*(str(x.message) for x in caught if "threads" in str(x.message)), sep="\\n")
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_recipe_of_several_threads_warns_once_and_says_how_to_mend_it(threads):
    code = f"import torch; torch.set_num_threads({threads})\n{SAVED}"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    if threads == 1:
        assert said == ""
    else:
        assert said.startswith("torch runs on 2 threads")
        assert "OMP_NUM_THREADS=1" in said
        assert len(said.splitlines()) == 1
