"""numpy's products take the same kernels on all processors, unless somebody asked for others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snn_gym._base import numerics as openblas

ROOT = Path(__file__).parents[2]


def used(code: str, **variables: str) -> str:
    """Return what a fresh interpreter prints, which has no such variable but those given."""
    kept = {name: x for name, x in os.environ.items() if name != openblas.VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


KERNELS = "from snn_gym._base.numerics import kernels; print(kernels())"
FIRST = f"import snn_gym; {KERNELS}"
LATE = f"import numpy; {FIRST}"


@pytest.fixture(scope="module")
def left_alone() -> str:
    """Return the kernels that OpenBLAS takes here by itself."""
    found = used(LATE)
    if found == "None":
        pytest.skip("numpy multiplies by another library than OpenBLAS")
    return found


@pytest.mark.skipif(not openblas._has_avx2(), reason="the processor is not known to have AVX2")
def test_the_package_chooses_them_before_numpy_is_loaded(left_alone: str) -> None:
    assert used(FIRST) == openblas.KERNELS
    # Once it is loaded nothing can be chosen any more.
    assert used(LATE) == left_alone


def test_what_the_user_set_stays(left_alone: str) -> None:
    del left_alone
    variables = {openblas.VARIABLE: "Sandybridge"}
    printed = used(f"{FIRST}; import os; print(os.environ['{openblas.VARIABLE}'])", **variables)
    assert printed.splitlines()[-1] == "Sandybridge"


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "flags\t\t: fpu avx avx2\n", True),
        ("x86_64", "flags\t\t: fpu avx avx2 fma\n", True),
        ("x86_64", "flags\t\t: fpu avx avx2x\n", False),
        ("aarch64", "flags\t\t: avx2\n", False),
    ],
)
def test_only_processors_that_say_so_have_avx2(
    machine: str, flags: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(openblas.platform, "machine", lambda: machine)
    monkeypatch.setattr(openblas, "_PROCESSOR", tmp_path / "cpuinfo")
    assert openblas._has_avx2() is expected
    monkeypatch.setattr(openblas, "_PROCESSOR", tmp_path / "missing")
    assert not openblas._has_avx2()


WRITTEN = """
import warnings
from snn_gym.training import make_run_settings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for seed in range(2):
        make_run_settings("ppo-mlp", "CartPole-v1", seed=seed)
print(*(str(x.message) for x in caught if "OpenBLAS" in str(x.message)), sep="\\n")
"""
SAVED = """
import tempfile, warnings
model = snn_gym.make_agent("ppo-mlp", "CartPole-v1", n_steps=8, n_envs=1, batch_size=8).learn(8)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        snn_gym.save_agent(model, tempfile.mkdtemp())
print(*(str(x.message) for x in caught if "OpenBLAS" in str(x.message)), sep="\\n")
"""


@pytest.mark.parametrize("first", ["numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_a_recipe_under_other_kernels_warns_once_and_says_how_to_mend_it(
    first: str, left_alone: str
) -> None:
    if left_alone == openblas.KERNELS or not openblas._has_avx2():
        pytest.skip(f"OpenBLAS takes {left_alone} here by itself")
    written = SAVED if first == "torch" else WRITTEN
    (line,) = used(f"import {first}, snn_gym\n{written}").splitlines()
    assert f"by OpenBLAS's {left_alone} kernels and not by those of Haswell" in line
    assert "import snn_gym before numpy and torch, or set OPENBLAS_CORETYPE=Haswell" in line
    asked = {openblas.VARIABLE: openblas.KERNELS}
    assert used(f"import {first}, snn_gym\n{WRITTEN}", **asked) == ""


@pytest.mark.slow
def test_a_recipe_under_the_chosen_kernels_does_not_warn() -> None:
    assert used(f"import snn_gym, numpy, torch\n{WRITTEN}") == ""
    assert used(f"import numpy, snn_gym\n{WRITTEN}", **{openblas.VARIABLE: "Sandybridge"}) == ""


def test_recipes_say_which_were_used() -> None:
    recipe = "from snn_gym.zoo.recipe import processor; print(processor().get('openblas'))"
    assert used(f"import snn_gym; {recipe}") == used(FIRST)
