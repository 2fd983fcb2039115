"""Tests of ``snn-gym export``: C and NIR files of a stored agent."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys

import pytest

from compiled import needs_compiler
from snn_gym import load_pretrained
from snn_gym.cli import main
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program.builtin_neurons import NEURONS
from snn_gym_deploy import to_c, to_nir, to_onnx
from tests.made import build


@pytest.fixture
def registered():
    """Forget the neuron of the test."""
    yield
    NEURONS.pop("my_neuron")
    sys.modules.pop("my_neuron")


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


@needs_compiler
def test_straight_lines_and_counts_are_offered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["export", "ppo-lif-lean", "CartPole-v1", "--episodes", "1"]
    assert main([*words, "--c", "out", "--straight-line"]) == 0
    assert "in straight lines" in (tmp_path / "out" / "agent.h").read_text()
    capsys.readouterr()
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    assert main([*words, "--count", "host"]) == 0
    said = capsys.readouterr().out
    pattern = (
        r"ppo-lif-lean on CartPole-v1: [\d,.]+ instructions of a decision on host \(mean of 1,000\)"
    )
    assert re.match(pattern, said)
    assert "as fixed point in straight lines, by cc -std=c99 -O2" in said


def test_nir_export_writes_the_host_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "ppo-lif", "CartPole-v1", "--nir", "out/pole.nir"]) == 0
    assert "out/pole.nir, and the part of the host: out/pole.json" in capsys.readouterr().out
    assert sorted(x.name for x in (tmp_path / "out").iterdir()) == ["pole.json", "pole.nir"]


def test_a_new_neuron_is_exported_as_the_faq_says(tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["new", "neuron", "my_neuron"]) == 0
    importlib.import_module("my_neuron")
    policy = build(SpikingActorCriticPolicy, neuron="my_neuron")
    assert to_c(policy, tmp_path / "c").source.exists()
    with pytest.raises(ValueError, match=r"'my_neuron' has no node in NIR; .* 'lif_box' or 'lif'"):
        to_nir(policy, tmp_path / "agent.nir")
    assert to_onnx(policy, tmp_path / "agent.onnx").exists()


MISTAKES = [
    (
        "export ppo-lif CartPole-v1",
        "export needs one of --c FOLDER, --verilog FOLDER, --nir FILE, --onnx FILE, "
        "--hardware and --count TARGET, got none",
    ),
    ("export recurrent-ppo-lsnn snn/CueAccumulation-v0 --nir a.nir", "train with neuron 'lif_box'"),
    ("export ppo-lif --c new", "export ppo-lif needs an environment, such as CartPole-v1"),
    ("export ppo-mlp CartPole-v1 --c new --drop-silent", "is for spiking agents, and this is an"),
    ("export RUN --c new --count host", "--hardware and --count TARGET, got --c and --count"),
    ("export RUN --count host --parallel", "--parallel is an option of --verilog, got --count"),
    ("export RUN --nir a.nir --parallel", "--parallel is an option of --verilog, got --nir"),
    ("export ppo-mlp CartPole-v1 --verilog a --name reg", "no keyword of Verilog; such as 'agent'"),
    ("export RUN --nir a.nir --straight-line", "--straight-line is an option of --c, got --nir"),
    ("export ppo-mlp CartPole-v1 --count z80", "target 'z80' is unknown; known: host, cortex-m4"),
    ("export ppo-lif CartPole-v1 --c file", "exists already; name another place"),
]


@pytest.mark.parametrize(("line", "mends"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_user_errors_give_one_line_with_the_fix(line, mends, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert mends in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
