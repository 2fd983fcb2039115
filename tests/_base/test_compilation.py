"""Tests of compiled code with a missing, damaged or shared cache."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import caching

from snn_gym._base import compilation

SOURCE = """
from snn_gym._base.compilation import njit


@njit(cache=True, error_model="numpy")
def summed(values):
    total = values[0] * 0
    for value in values:
        total += value
    return total


@njit(cache=True, error_model="numpy")
def halved(value):
    return value / 2
"""
FLOATS, INTS = np.array([0.5, 0.25]), np.array([3, 4])
ROOT = Path(__file__).parents[2]
FIRST = """
import numpy, snn_gym
from snn_gym.program.compiled import decide_spiking
agent = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0)
action, _ = agent.predict(numpy.full(4, 0.1, numpy.float32), deterministic=True)
print(snn_gym.__file__, int(action), sum(decide_spiking.stats.cache_hits.values()))
"""


@pytest.fixture(autouse=True)
def no_named_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")


def load(folder: Path) -> Any:
    """Import the module as a new process would."""
    file = folder / "toy.py"
    if not file.exists():
        file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("toy", file)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hits(function: Any) -> int:
    return sum(function.stats.cache_hits.values())


def cache_file(folder: Path, ending: str) -> Path:
    (file,) = (folder / "__pycache__").glob(f"toy.summed-*.{ending}")
    return file


def halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("ending", "damage"),
    [
        ("nbi", lambda _: b""),
        ("nbc", halve),
        ("nbi", lambda x: x[:-1]),
        ("nbc", lambda x: b"\x00" * len(x)),
        ("nbc", lambda _: b"no pickle"),
    ],
    ids=["empty", "half", "one byte short", "zeros", "text"],
)
def test_damaged_code_is_compiled_anew(
    tmp_path: Path, ending: str, damage: Callable[[bytes], bytes]
) -> None:
    assert load(tmp_path).summed(FLOATS) == 0.75
    file = cache_file(tmp_path, ending)
    file.write_bytes(damage(file.read_bytes()))
    again = load(tmp_path)
    assert again.summed(FLOATS) == 0.75
    assert hits(again.summed) == 0
    later = load(tmp_path)
    assert later.summed(FLOATS) == 0.75
    assert hits(later.summed) == 1


def test_cached_code_for_other_argument_types_is_not_run(tmp_path: Path) -> None:
    for name, values in (("floats", FLOATS), ("ints", INTS)):
        (tmp_path / name).mkdir()
        load(tmp_path / name).summed(values)
    # As two processes leave it that compile at once: one's index, the other's code.
    shutil.copy(cache_file(tmp_path / "floats", "nbc"), cache_file(tmp_path / "ints", "nbc"))
    again = load(tmp_path / "ints")
    total = again.summed(INTS)
    assert (total, type(total)) == (7, int)
    assert hits(again.summed) == 0
    later = load(tmp_path / "ints")
    assert later.summed(INTS) == 7
    assert hits(later.summed) == 1


CALLING = """
from snn_gym._base.compilation import njit
from {called} import halved


@njit(cache=True, error_model="numpy")
def summed(values):
    return halved(values.sum())
"""
INTRINSIC = """
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _halve(_, value):
    def generate(_context, builder, _signature, args):
        return builder.fdiv(args[0], ir.Constant(ir.DoubleType(), 2.0))

    return types.float64(types.float64), generate


halved = intrinsic(_halve)
"""


@pytest.mark.parametrize(
    ("source", "other"),
    [
        (SOURCE, SOURCE.replace("value / 2", "value / 10")),
        (INTRINSIC, INTRINSIC.replace("2.0", "10.0")),
    ],
    ids=["compiled", "intrinsic"],
)
def test_code_is_stale_when_a_function_of_another_file_has_changed(
    source: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    called = f"called_{tmp_path.name.replace('-', '_')}"
    (tmp_path / "toy.py").write_text(CALLING.format(called=called))

    def run(source: str) -> tuple[float, int]:
        (tmp_path / f"{called}.py").write_text(source)
        sys.modules.pop(called, None)
        importlib.invalidate_caches()
        summed = load(tmp_path).summed
        return summed(FLOATS), hits(summed)

    assert run(source) == (0.375, 0)
    assert run(other) == (0.075, 0)
    monkeypatch.setattr(Path, "write_text", lambda *_: 0)  # the file stays unchanged
    assert run("") == (0.075, 1)


def refuse(*_: Any, **__: Any) -> None:
    raise PermissionError("read-only")


def test_missing_cache_folder_gives_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilation._warn_of_no_cache.cache_clear()
    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", refuse)
    with pytest.warns(RuntimeWarning, match="set NUMBA_CACHE_DIR to a writable folder") as caught:
        toy = load(tmp_path)
    assert toy.summed(FLOATS) == 0.75
    assert toy.halved(3.0) == 1.5
    assert len(caught) == 1
    assert not list((tmp_path / "__pycache__").glob("*.nb*"))


def test_code_runs_if_the_folder_can_no_longer_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilation._warn_of_no_cache.cache_clear()
    toy = load(tmp_path)
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", refuse)
    with pytest.warns(RuntimeWarning, match="set NUMBA_CACHE_DIR"):
        assert toy.summed(FLOATS) == 0.75


def start(root: Path, environment: dict[str, str], **arguments: Any) -> subprocess.Popen[str]:
    """Start a process that makes an agent, decides once, and prints package, action and hits."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    inherited.pop("NUMBA_CACHE_DIR", None)
    return subprocess.Popen(
        [sys.executable, "-c", FIRST],
        env={**inherited, "PYTHONPATH": str(root), **environment},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **arguments,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    printed, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    return printed.split()[-3:], complaints


@pytest.mark.slow
def test_two_processes_compile_at_once(tmp_path: Path) -> None:
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first = [outcome(x)[0] for x in [start(ROOT, environment) for _ in range(2)]]
    compiled = {file.name for file in tmp_path.rglob("*.nb[ic]")}
    assert compiled
    package, action, loaded = outcome(start(ROOT, environment))[0]
    assert [x[:2] for x in first] == [[package, action]] * 2
    assert loaded == "1"
    assert {file.name for file in tmp_path.rglob("*.nb[ic]")} == compiled


@pytest.mark.slow
def test_read_only_package_acts_without_a_home_folder(tmp_path: Path) -> None:
    root = tmp_path / "installed"
    shutil.copytree(
        ROOT / "snn_gym", root / "snn_gym", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in ("agents", "envs"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "pyproject.toml", root)
    # Rights don't stop root: where a folder would have to be made stands a file.
    for file in list(root.rglob("*.py")):
        (file.parent / "__pycache__").touch()
    (home := tmp_path / "home").touch()
    (package, _, loaded), complaints = outcome(start(root, {"HOME": str(home)}))
    assert package == str(root / "snn_gym" / "__init__.py")
    assert loaded == "0"
    assert complaints.count("set NUMBA_CACHE_DIR to a writable folder") == 1
    assert not list(tmp_path.rglob("*.nb[ic]"))
