"""Numerics of the commands: portable by default, native where somebody asks for them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from snn_gym._base.numerics import PORTABLE, why_not_portable
from snn_gym.cli import main

TRAIN = [
    "train", "ppo-mlp", "CartPole-v1", "--steps", "256", "--set", "n_steps=32", "--no-progress",
]  # fmt: skip


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    if why_not_portable() is not None:
        pytest.skip(f"numerics are not portable here: {why_not_portable()}")
    for name, value in PORTABLE.items():  # they are as before after the test
        monkeypatch.setenv(name, value)


def recorded(run: Path) -> str:
    text = (run / "manifest.json").read_text(encoding="utf-8")
    found: str = json.loads(text)["recipe"]["numerics"]
    return found


def test_training_is_portable_by_default_and_a_run_keeps_its_numerics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert main([*TRAIN, "--out", str(one)]) == 0
    assert main([*TRAIN, "--out", str(other), "--numerics", "native"]) == 0
    assert (recorded(one), recorded(other)) == ("portable", "native")
    capsys.readouterr()
    for name, value in PORTABLE.items():
        os.environ[name] = value
    resume = [*TRAIN, "--out", str(other), "--resume"]
    assert main(resume) == 0  # it has ended
    (other / "manifest.json").unlink()
    assert main(resume) == 2
    refused = capsys.readouterr().err
    assert "holds a run with numerics 'native', not 'portable'" in refused
    assert "--numerics native" in refused


def test_another_value_of_a_variable_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    assert main([*TRAIN, "--out", str(tmp_path / "run")]) == 0
    error = capsys.readouterr().err
    assert "numerics are native: MKL_CBWR is 'AVX2' in the environment" in error
    assert recorded(tmp_path / "run") == "native"
