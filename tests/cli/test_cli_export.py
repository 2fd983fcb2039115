"""Tests of ``snn-gym export``: C and NIR files of a stored agent."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from snn_gym import load_pretrained
from snn_gym.cli import main
from tests.export.made import needs_compiler


@needs_compiler
def test_printed_compiler_command_builds_a_working_program(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["export", "ppo-lif", "CartPole-v1", "--c", "out", "--name", "pole"]
    assert main([*words, "--fixed-point", "--drop-silent", "--episodes", "1"]) == 0
    sizes, memory, written, following = capsys.readouterr().out.splitlines()
    assert sizes.startswith("ppo-lif on CartPole-v1: layers of ")
    assert "bytes of constants" in memory
    assert written == "written: out/pole.h, out/pole.c, out/main.c"
    command = following.removeprefix("next: ").split(",")[0]
    subprocess.run(command.split(), check=True)
    policy = load_pretrained("ppo-lif", "CartPole-v1").policy
    given = [[0.0, 0.0, 0.1, 1.0], [0.0, 0.0, -0.1, -1.0]]
    lines = "".join(f"{' '.join(map(str, x))}\n" for x in given)
    done = subprocess.run(["out/pole"], input=lines, capture_output=True, text=True, check=True)
    expected = [str(int(policy.predict(x, deterministic=True)[0])) for x in given]
    assert done.stdout.split() == expected


def test_events_need_spikes_as_inputs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "ppo-lif", "CartPole-v1", "--c", "out", "--events"]) != 0
    assert "train on spikes, or leave 'events' out" in capsys.readouterr().err


@needs_compiler
def test_straight_lines_and_counts_are_offered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["export", "ppo-lif-8", "CartPole-v1", "--episodes", "1"]
    assert main([*words, "--c", "out", "--straight-line"]) == 0
    assert "in straight lines" in (tmp_path / "out" / "agent.h").read_text()
    capsys.readouterr()
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    assert main([*words, "--count", "host"]) == 0
    said = capsys.readouterr().out
    pattern = (
        r"ppo-lif-8 on CartPole-v1: [\d,.]+ instructions of a decision on host \(mean of 1,000\)"
    )
    assert re.match(pattern, said)
    assert "as fixed point in straight lines, by cc -std=c99 -O2" in said


def test_nir_export_writes_the_host_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "ppo-lif", "CartPole-v1", "--nir", "out/pole.nir"]) == 0
    assert "out/pole.nir, and the part of the host: out/pole.json" in capsys.readouterr().out
    assert sorted(x.name for x in (tmp_path / "out").iterdir()) == ["pole.json", "pole.nir"]
