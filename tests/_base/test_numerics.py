"""Tests of the OpenBLAS kernel setting and of single-threaded arithmetic."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from snn_gym._base import numerics
from snn_gym._base.numerics import one_thread

ROOT = Path(__file__).parents[2]


@cache
def used(code: str, **variables: str) -> str:
    """Return the output of a new interpreter with the given environment variables."""
    inherited = {name: x for name, x in os.environ.items() if name not in numerics.PORTABLE}
    environment = {**inherited, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


KERNELS = "from snn_gym._base.numerics import kernels; print(kernels())"
FIRST = f"import snn_gym; {KERNELS}"
LATE = f"import numpy; {FIRST}"


@pytest.fixture(scope="module")
def left_alone() -> str:
    """Give the kernels that OpenBLAS selects on this machine."""
    kernels = used(LATE)
    if kernels == "None":
        pytest.skip("numpy multiplies by another library than OpenBLAS")
    return kernels


@pytest.mark.skipif(not numerics._has_avx2(), reason="the processor is not known to have AVX2")
def test_openblas_kernels_are_set_before_numpy_is_loaded(left_alone: str) -> None:
    assert used(FIRST) == numerics.KERNELS
    assert used(LATE) == left_alone


def test_user_setting_is_kept(left_alone: str) -> None:
    del left_alone
    variables = {numerics.VARIABLE: "Sandybridge"}
    printed = used(f"{FIRST}; import os; print(os.environ['{numerics.VARIABLE}'])", **variables)
    assert printed.splitlines()[-1] == "Sandybridge"


@pytest.mark.parametrize(("machine", "flags", "expected"), [
    ("x86_64", "flags\t\t: fpu avx avx2\n", True),
    ("x86_64", "flags\t\t: fpu avx avx2 fma\n", True),
    ("x86_64", "flags\t\t: fpu avx avx2x\n", False),
    ("aarch64", "flags\t\t: avx2\n", False),
])  # fmt: skip
def test_processors_with_avx2_are_recognised(
    machine: str, flags: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(numerics.platform, "machine", lambda: machine)
    monkeypatch.setattr(numerics, "_PROCESSOR", tmp_path / "cpuinfo")
    assert numerics._has_avx2() is expected
    monkeypatch.setattr(numerics, "_PROCESSOR", tmp_path / "missing")
    assert not numerics._has_avx2()


CHOSEN = "import snn_gym; from snn_gym._base.numerics import numerics"


def refusal(code: str, **variables: str) -> str:
    environment = {name: x for name, x in os.environ.items() if name not in numerics.PORTABLE}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr.splitlines()[-1]


@pytest.mark.skipif(not numerics._has_avx2(), reason="portable numerics need AVX2")
def test_portable_numerics_are_chosen_before_torch_and_refused_after_it() -> None:
    assert used(f"{CHOSEN}; snn_gym.portable(); print(numerics())") == "portable"
    late = refusal("import torch, snn_gym; snn_gym.portable()")
    assert "torch was loaded before and may have computed; call snn_gym.portable() before" in late
    assert all(f"{name}={x}" in late for name, x in numerics.PORTABLE.items())
    other = refusal("import snn_gym; snn_gym.portable()", MKL_CBWR="AVX2")
    assert "MKL_CBWR is 'AVX2' in the environment, not 'COMPATIBLE'; unset it" in other


def test_processes_get_the_variables_of_their_numerics() -> None:
    for kind in ("portable", "native"):
        with numerics.variables_of(kind):
            assert all((x in os.environ) == (kind == "portable") for x in numerics.PORTABLE)


@pytest.mark.check
def test_recipes_record_the_kernels() -> None:
    recipe = "from snn_gym.zoo.recipe import processor; print(processor().get('openblas'))"
    assert used(f"import snn_gym; {recipe}") == used(FIRST)


def thread_counts() -> tuple[int, set[int]]:
    """Return the thread counts of torch and of numpy's BLAS libraries."""
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    return torch.get_num_threads(), set(pools)


def test_thread_counts_are_restored_after_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2, user_api="blas"):
            counts = thread_counts()
            with suppress(KeyError), one_thread():
                assert thread_counts() == (1, {1})
                raise KeyError
            assert thread_counts() == counts
    finally:
        torch.set_num_threads(before)


SAVED = """
import snn_gym, tempfile, torch, warnings
model = snn_gym.make_agent("ppo-mlp", "CartPole-v1", n_steps=8, n_envs=1, batch_size=8).learn(8)
for threads in (1, 2):
    torch.set_num_threads(threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            snn_gym.save_agent(model, tempfile.mkdtemp())
    print(threads, *(str(x.message) for x in caught if "again gets" in str(x.message)), sep=": ")
"""


def test_a_recipe_of_several_threads_warns_once_with_a_fix() -> None:
    before = torch.get_num_threads()
    numerics._warn_of_order.cache_clear()
    torch.set_num_threads(2)
    try:
        with pytest.warns(UserWarning, match="torch runs on 2 threads.*OMP_NUM_THREADS=1"):
            numerics.warn_of_threads()
        with warnings.catch_warnings(action="error"):
            numerics.warn_of_threads()  # not again
    finally:
        torch.set_num_threads(before)
