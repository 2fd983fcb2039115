"""Tests of ``push`` and ``pull``, and of commands on an agent of the hub."""

import pytest

from snn_gym.cli import main
from snn_gym.plots.sharing import FILM
from snn_gym.zoo.hub import FILES, cache_folder
from tests.cli.test_cli import refused
from tests.training._runs import run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pole"
    run("ppo-lif", folder, steps=300, network={"hidden_sizes": [8]})
    return folder


def printed(capsys, *words):
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_an_agent_goes_up_and_comes_down(hub, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    out = printed(capsys, "push", trained, "ada/pole", "--episodes", 1)
    commit = hub.find("ada/pole", None)[0]
    assert out.splitlines() == [
        f"pushed: hf:ada/pole@{commit}",
        "next: snn-gym watch hf:ada/pole --save film.gif",
    ]
    assert hub.files("ada/pole").keys() & {FILM}
    out = printed(capsys, "pull", "ada/pole")
    assert out.startswith("pulled: runs/pole\nnext: snn-gym watch runs/pole --save film.gif")
    assert {x.name for x in (tmp_path / "runs/pole").iterdir()} == {*FILES}
    assert refused(capsys, "pull", "ada/pole") == (
        "snn-gym: runs/pole is not empty; name another folder\n"
    )


def test_commands_take_an_address_in_place_of_a_run(hub, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hub.commit("ada/pole", {name: (trained / name).read_bytes() for name in FILES})
    for words in (
        ("evaluate", "{}", "--episodes", 2),
        ("watch", "{}", "--save", "film.gif", "--max-steps", 12),
        ("export", "{}", "--hardware", "--episodes", 1),
        ("compare", "{}", "ppo-mlp", "--env", "CartPole-v1", "--episodes", 2),
    ):
        both = [
            printed(capsys, *(str(word).format(place) for word in words)).replace(str(place), "RUN")
            for place in (trained, "hf:ada/pole")
        ]
        assert both[0].split() == both[1].split()  # columns are as wide as names
    assert "learning_curve.png" in printed(capsys, "plot", "hf:ada/pole", "--out", "plots")


@pytest.mark.parametrize("words", [("plot",), ("lean",), ("distil",), ("submit",)])
def test_nothing_is_written_beside_downloads(hub, trained, capsys, words):
    hub.commit("ada/pole", {name: (trained / name).read_bytes() for name in FILES})
    said = refused(capsys, *words, "hf:ada/pole")
    assert said == (
        "snn-gym: an agent of the hub has no folder here; name one to write with --out\n"
    )
    (copy,) = cache_folder().glob("*/*/*")
    assert {x.name for x in copy.iterdir()} == {*FILES}


def test_refusals_are_one_line(hub, trained, tmp_path, capsys):
    assert "has no ada/pole, or it is private" in refused(capsys, "evaluate", "hf:ada/pole")
    assert "is no agent on the hub; expected USER/NAME" in refused(capsys, "evaluate", "hf:pole")
    assert "holds no saved agent" in refused(capsys, "push", tmp_path, "ada/pole", "--no-film")
