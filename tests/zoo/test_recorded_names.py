"""Tests of names in files: environments and neurons, and no imported code."""

import json
import shutil
import sys

import gymnasium as gym
import pytest

import snn_gym
from snn_gym.cli import main
from snn_gym.program.builtin_neurons import NEURONS, LIFBox, LIFBoxParameters
from tests.edits import edit_json
from tests.policies.identity import refused

PAYLOAD = "payload:CartPole-v1"
TRAIN = ("train", "ppo-lif", "CartPole-v1", "--steps", "256", "--no-progress")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "run"
    assert main([*TRAIN, "--out", str(run)]) == 0
    return run


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """Module that writes a marker file on import."""
    mark = tmp_path / "it-ran"
    (tmp_path / "payload.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    return mark


def with_payload(run, folder, **changes):
    """Copy a run and change the environment in its files."""
    shutil.copytree(run, folder)
    for name in ("manifest.json", "run.json"):
        content = json.loads((folder / name).read_text())
        edit_json(folder / name, **{key: changes[key] for key in changes if key in content})
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": PAYLOAD},
        {"environment_kwargs": {"base_id": PAYLOAD}, "environment": "snn/CartPole-v1"},
        {"environment_kwargs": {"wrapped": [{"env": PAYLOAD}]}},
    ],
)
def test_load_agent_imports_no_module_from_a_manifest(changes, trained, marker, tmp_path):
    folder = with_payload(trained, tmp_path / "run", **changes)
    with pytest.raises(ValueError, match="'payload:CartPole-v1', which names a module"):
        snn_gym.load_agent(folder)
    assert not marker.exists()
    assert "payload" not in sys.modules


@pytest.mark.parametrize(
    "words",
    ["evaluate RUN", "plot RUN", "submit RUN --out OUT", f"{' '.join(TRAIN)} --out RUN --resume"],
)
def test_commands_import_no_module_from_a_run(words, trained, marker, tmp_path, capsys):
    folder = with_payload(trained, tmp_path / "run", environment=PAYLOAD)
    places = {"RUN": str(folder), "OUT": str(tmp_path / "out")}
    assert main([places.get(word, word) for word in words.split()]) == 2
    assert "names a module" in capsys.readouterr().err
    assert not marker.exists()


def test_verify_imports_no_module_from_a_submission(trained, marker, tmp_path, capsys):
    folder = tmp_path / "submission"
    folder.mkdir()
    manifest = json.loads((trained / "manifest.json").read_text()) | {"environment": PAYLOAD}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    shutil.copy(trained / "weights.safetensors", folder)
    assert main(["verify", str(folder), "--leaderboard", str(tmp_path / "board")]) == 2
    assert not marker.exists()


def test_loading_an_unregistered_environment_names_the_fix(trained, tmp_path):
    folder = with_payload(trained, tmp_path / "run", environment="Qxqxqxqxqxqxqx-v0")
    message = "'Qxqxqxqxqxqxqx-v0' is not registered: import the package that registers it first"
    with refused(message, gym.error.NameNotFound):
        snn_gym.load_agent(folder)
    # The caller's own environments need no id.
    env = snn_gym.load_agent(trained).get_env()
    assert snn_gym.load_agent(folder, env=env).get_env() is env


def test_loading_an_unregistered_neuron_names_the_fix(tmp_path):
    class OwnParameters(LIFBoxParameters):
        pass

    class Own(LIFBox):
        Parameters = OwnParameters

    NEURONS["own"] = Own
    try:
        model = snn_gym.make_agent("ppo-lif", "CartPole-v1", network={"neuron": "own"})
        folder = snn_gym.save_agent(model, tmp_path)
    finally:
        del NEURONS["own"]
    message = "neuron 'own' is unknown; .*: import the package that registers it first"
    with refused(message):
        snn_gym.load_agent(folder)
