"""Tests of pushed agents: their files, their card and its recipe, and refused ones."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

import snn_gym
from snn_gym.plots.sharing import CARD, FILM
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.zoo import read_manifest
from snn_gym.zoo.files import MANIFEST, WEIGHTS
from snn_gym.zoo.hub import FILES, run_folder
from tests.hub import READER
from tests.training._runs import run

yaml = pytest.importorskip("yaml", reason="PyYAML, which huggingface_hub brings, is not installed")
NAME = "ada/pole"
CHANGES = {
    "hyperparameters": {"gamma": 0.9, "target_kl": 0.5},
    "network": {"hidden_sizes": [8], "time_steps": 4},
}
EPISODES = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pole"
    run("ppo-lif", folder, steps=300, **CHANGES)
    return folder


@pytest.fixture(scope="module")
def evaluation(trained):
    return snn_gym.evaluate(snn_gym.load_agent(trained), "CartPole-v1", EPISODES)


def push(folder, **options):
    return snn_gym.push(folder, NAME, **{"episodes": EPISODES, "film": False, **options})


def card_of(hub):
    """Return metadata and text of the card."""
    _, metadata, text = hub.files(NAME)[CARD].decode().split("---\n", 2)
    return yaml.safe_load(metadata), text


@pytest.mark.check
def test_a_pushed_run_is_on_the_hub_with_its_film(hub, trained):
    address = push(trained, film=True)
    files = hub.files(NAME)
    assert files.keys() == {*FILES, CARD, FILM, ".gitattributes"}
    assert all(files[name] == (trained / name).read_bytes() for name in FILES)
    with Image.open(io.BytesIO(files[FILM])) as pictures:
        assert pictures.n_frames > 1
    assert FILM in card_of(hub)[1]
    assert address == f"hf:ada/pole@{hub.find(NAME, 'main')[0]}"
    again = snn_gym.load_agent(address)
    before = snn_gym.load_agent(trained)
    for name, tensor in before.policy.state_dict().items():
        np.testing.assert_array_equal(tensor, again.policy.state_dict()[name])


def test_the_card_has_the_hubs_metadata_and_whole_costs(hub, trained, evaluation):
    push(trained)
    metadata, text = card_of(hub)
    assert metadata["library_name"] == "snn_gym"
    assert metadata["pipeline_tag"] == "reinforcement-learning"
    assert {"reinforcement-learning", "spiking-neural-network", "CartPole-v1"} <= {
        *metadata["tags"]
    }
    (index,) = metadata["model-index"]
    (result,) = index["results"]
    assert index["name"] == "ppo-lif"
    assert result["dataset"] == {"name": "CartPole-v1", "type": "CartPole-v1"}
    metrics = {metric["type"]: metric["value"] for metric in result["metrics"]}
    mean, spread = np.mean(evaluation.returns), np.std(evaluation.returns)
    assert metrics == {"mean_reward": f"{mean:.2f} +/- {spread:.2f}"}
    for name, column in COST_COLUMNS.items():
        assert f"| {column.heading} | {evaluation.total(name):,.2f} |" in text
    assert f"{EPISODES} episodes" in text
    assert 'snn_gym.load_agent("hf:ada/pole")' in text


def test_an_agent_without_spikes_says_so(hub, tmp_path):
    model = snn_gym.load_pretrained("ppo-mlp", "CartPole-v1")
    push(snn_gym.save_agent(model, tmp_path / "mlp"))
    metadata, text = card_of(hub)
    assert "spiking-neural-network" not in metadata["tags"]
    assert "An agent that does not spike" in text


def test_files_of_an_earlier_push_do_not_stay(hub, trained, tmp_path):
    push(trained, film=True)
    model = snn_gym.load_pretrained("ppo-mlp", "CartPole-v1")
    push(snn_gym.save_agent(model, tmp_path / "mlp"))
    assert hub.files(NAME).keys() == {MANIFEST, WEIGHTS, CARD, ".gitattributes"}
    assert snn_gym.load_agent("hf:ada/pole").seed == model.seed


def test_a_private_repository_is_asked_for(hub, trained):
    push(trained, private=True)
    assert NAME in hub.private


def test_a_missing_renderer_is_said_and_the_agent_pushed(hub, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.warns(UserWarning, match=r"^no film is pushed: pygame is not installed"):
        push(trained, film=True)
    assert not hub.files(NAME).keys() & {FILM}
    assert "Film" not in card_of(hub)[1]


def test_refused_pushes_are_one_line_and_make_no_repository(hub, trained, tmp_path, monkeypatch):
    def refused(folder=trained, name=NAME):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the caller looks at the message
            snn_gym.push(folder, name, film=False, episodes=1)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "expected USER/NAME" in refused(name="pole")
    assert refused(name="ada/pole@v1") == "push writes to the newest commit; leave out @v1"
    assert "holds no saved agent" in refused(tmp_path)
    monkeypatch.setenv("HF_TOKEN", READER)
    assert "(403 You don't have the rights); set HF_TOKEN to a token that may" in refused()
    monkeypatch.delenv("HF_TOKEN")
    assert refused().startswith(
        f"no token for {hub.endpoint}; run `hf auth login`, or set HF_TOKEN"
    )
    monkeypatch.setenv("HF_TOKEN", READER)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "hf:ada/pole: the connection to http://127.0.0.1:1 failed" in refused()
    assert hub.repositories == {}


def test_the_manifest_on_the_hub_is_the_runs(hub, trained):
    push(trained)
    assert read_manifest(run_folder(f"hf:{NAME}")) == read_manifest(trained)
