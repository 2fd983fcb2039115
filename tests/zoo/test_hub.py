"""Tests of agents on the hub: downloads by address, and refused ones."""

import sys
import time
from contextlib import suppress

import numpy as np
import pytest

import snn_gym
from snn_gym.training.record import RUN_FILE
from snn_gym.training.run import EPISODES_FILE
from snn_gym.zoo import hub as hub_module
from snn_gym.zoo.files import MANIFEST, WEIGHTS
from snn_gym.zoo.hub import FILES, cache_folder, run_folder
from tests.hub import git_blob
from tests.training._runs import run

NAME = "ada/pole"
ADDRESS = f"hf:{NAME}"
STRANGERS = {"README.md": b"# Pole", "setup.py": b"raise SystemExit", "model.zip": b"PK"}
OBSERVATIONS = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pole"
    run("ppo-lif", folder, steps=300, network={"hidden_sizes": [8]})
    return folder


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture
def pole(hub, trained):
    """Return the commit of the trained agent, in a repository with files of other kinds too."""
    return hub.commit(NAME, {**files_of(trained), **STRANGERS})


def actions(model):
    return model.predict(OBSERVATIONS, deterministic=True)[0]


def test_the_server_names_blobs_as_git_does():
    # `printf 'hello\n' | git hash-object --stdin`
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_shared_files_have_the_names_that_trainings_write():
    assert list(FILES) == [RUN_FILE, EPISODES_FILE, WEIGHTS, MANIFEST]


def test_an_agent_is_downloaded_whole_and_nothing_else_is(hub, pole, trained):
    folder = run_folder(ADDRESS)
    assert {x.name: x.read_bytes() for x in folder.iterdir()} == files_of(trained)
    asked = " ".join(path for _, path in hub.requests)
    assert MANIFEST in asked
    assert not [name for name in STRANGERS if name in asked]
    loaded = snn_gym.load_agent(folder)
    np.testing.assert_array_equal(actions(loaded), actions(snn_gym.load_agent(trained)))


def test_an_address_is_downloaded_once_for_each_commit(hub, pole, trained):
    model = snn_gym.load_agent("hf:ada/pole")
    np.testing.assert_array_equal(actions(model), actions(snn_gym.load_agent(trained)))
    hub.requests.clear()
    assert run_folder("hf:ada/pole") == cache_folder() / NAME / pole
    assert [path for _, path in hub.requests] == ["/api/models/ada/pole"]
    hub.requests.clear()
    snn_gym.load_agent(f"hf:ada/pole@{pole}")
    assert hub.requests == []


def test_a_revision_names_an_older_agent(hub, pole, tmp_path):
    newer = snn_gym.make_agent("ppo-mlp", "CartPole-v1", seed=1)
    folder = snn_gym.save_agent(newer, tmp_path / "newer")
    hub.commit(NAME, {name: (folder / name).read_bytes() for name in (MANIFEST, WEIGHTS)})
    assert snn_gym.load_agent("hf:ada/pole").seed == 1
    assert snn_gym.load_agent(f"hf:ada/pole@{pole}").seed == 7


def refuse():
    """Return the message of a refused download, which is one line and leaves nothing."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the caller looks at the message
        run_folder(ADDRESS)
    assert "\n" not in str(refused.value)
    assert not [x for x in cache_folder().rglob("*") if x.is_file()]
    return str(refused.value)


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (WEIGHTS, flipped, "is not the file that manifest.json was written for"),
        (WEIGHTS, lambda data: b"\x80\x04." + data, "is a pickle, which is never loaded"),
        (WEIGHTS, lambda _: None, "there is no weights.safetensors in it"),
        (MANIFEST, lambda data: data.replace(b'"seed": 7', b'"seed": 8'), "was changed after"),
        (MANIFEST, lambda data: data + b" " * (1 << 20), "expected at most 1048576"),
        (MANIFEST, lambda _: None, "there is no manifest.json in it"),
    ],
)
def test_a_repository_of_other_files_is_refused(hub, pole, file, change, message):
    hub.commit(NAME, {file: change(hub.files(NAME)[file])})
    said = refuse()
    assert message in said
    assert said.startswith("hf:ada/pole")


@pytest.mark.parametrize("file", [WEIGHTS, MANIFEST])
def test_bytes_that_differ_from_the_listed_digest_are_refused(hub, pole, file):
    hub.swapped[file] = flipped(hub.files(NAME)[file])
    said = refuse()
    assert said.startswith(f"hf:ada/pole: {file} is not the file that the hub lists")


def test_a_file_of_another_length_is_refused(hub, pole):
    hub.swapped[WEIGHTS] = b"short"
    assert "is not the file that the hub lists" in refuse()
    hub.swapped[WEIGHTS] = bytes(1 << 20)
    assert "has more than the" in refuse()


def endless(status=200):
    """Return an answer without end, which notes how much of it was taken."""

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        try:
            while handler.hub.sent < 1 << 30:
                handler.wfile.write(bytes(1 << 20))
                handler.hub.sent += 1 << 20
        except OSError:  # nobody takes more
            pass

    return answer


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("part", ["/api/models/", f"/resolve/{'{commit}'}/{MANIFEST}", "/cdn/"])
def test_an_endless_answer_is_not_read_to_its_end(hub, pole, part, status):
    hub.sent = 0
    hub.hostile[part.format(commit=pole)] = endless(status)
    assert refuse().startswith(("hf:ada/pole", hub.endpoint))
    assert hub.sent < 1 << 26


def dripping(head):
    """Return an answer of single bytes without end: of its head, or of its body."""

    def answer(handler):
        handler.close_connection = True
        write = handler.wfile.write
        with suppress(OSError):  # nobody takes more
            write(b"HTTP/1.1 200 OK\r\nX: " + (b"" if head else b"x\r\n\r\n"))
            for _ in range(400):
                write(b"x")
                time.sleep(0.05)

    return answer


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("part", ["/api/models/", "/cdn/"])
def test_an_answer_that_drips_is_given_up(hub, pole, part, head, monkeypatch):
    monkeypatch.setattr(hub_module, "_PATIENCE_S", 0.3)
    hub.hostile[part] = dripping(head)
    began = time.monotonic()
    assert "failed (" in refuse()
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://localhost/x", "//", "http://[", ""])
def test_a_redirect_to_no_web_server_is_refused(hub, pole, place):
    hub.hostile["/resolve/"] = lambda handler: handler.answer(302, Location=place)
    refuse()


def test_redirects_without_end_are_refused(hub, pole):
    hub.hostile["/resolve/"] = lambda handler: handler.answer(302, Location=handler.path)
    assert "failed (" in refuse()


@pytest.mark.parametrize("length", ["7", "999999999", "-1", "x"])
def test_a_wrong_length_is_refused(hub, pole, length):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", length)
        handler.end_headers()
        handler.wfile.write(b"{}" * 50)
        handler.close_connection = True

    hub.hostile["/resolve/"] = answer
    refuse()


TAKEN = {"rfilename": MANIFEST, "size": 10, "blobId": "0" * 40}


@pytest.mark.parametrize(
    "said",
    [
        b"[]", b"{", b"null", b"[" * 100_000, {"sha": "0" * 40},
        {"sha": "0" * 40, "siblings": None}, {"sha": "0" * 40, "siblings": [1]},
        {"sha": "0" * 40, "siblings": [{"rfilename": {}}]},
        {"sha": "0" * 40, "siblings": [{**TAKEN, "size": "10"}]},
        {"sha": "0" * 40, "siblings": [{**TAKEN, "size": -1}]},
        {"sha": "0" * 40, "siblings": [{**TAKEN, "lfs": {}}]},
        {"sha": "0" * 40, "siblings": [{**TAKEN, "lfs": 5}]},
        {"sha": "../../x", "siblings": [TAKEN, {**TAKEN, "rfilename": WEIGHTS}]},
        {"sha": "0" * 40, "siblings": [{**TAKEN, "rfilename": f"../../{MANIFEST}"}]},
        {"sha": "0" * 40, "siblings": [{**TAKEN, "rfilename": f"/tmp/{MANIFEST}"}]},
    ],
)  # fmt: skip
def test_a_forged_list_of_files_is_refused(hub, pole, tmp_path, said):
    hub.hostile["/api/models/"] = lambda handler: handler.answer(200, said)
    refuse()
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "token"}


def test_a_servers_words_steer_no_terminal(hub, pole):
    hub.hostile["/api/models/"] = lambda handler: handler.answer(
        403, X_Error_Message="\x1b]0;stolen\x07 \x9b2J"
    )
    said = refuse()
    assert "stolen" in said
    assert said.isprintable()


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ImportError, match=r'pip install -e "\.\[hub\]"'):
        snn_gym.load_agent("hf:ada/pole")


def test_the_digest_of_a_cached_agent_is_checked_again(hub, pole):
    weights = run_folder("hf:ada/pole") / WEIGHTS
    weights.write_bytes(flipped(weights.read_bytes()))
    with pytest.raises(ValueError, match="their SHA-256 differ"):
        snn_gym.load_agent("hf:ada/pole")
