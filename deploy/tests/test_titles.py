"""Titles of strangers in C files: whatever they hold, only the comment changes."""

import re
import subprocess

import pytest
from hypothesis import example, given, settings

import snn_gym
from compiled import COMPILER, WARNINGS, needs_compiler
from snn_gym import load_pretrained
from snn_gym.zoo import load_agent_spec
from snn_gym_deploy import to_c, visit
from snn_gym_deploy.files import safe_title
from tests.hostile.test_generated_files import ATTACKS, TEXTS

BENIGN = "an agent on CartPole-v1"
_TOKENS = re.compile(
    r"""(?P<comment>/\*.*?\*/)|(?P<line>//[^\n]*)|(?P<string>"(\\.|[^"\\\n])*")|[^/"]+|.""", re.S
)


def code_of(source):
    """Return C source without comments; every comment has to end, and none is of one line."""
    kept = []
    for found in _TOKENS.finditer(source):
        assert found["line"] is None, source
        kept.append(" " if found["comment"] else found[0])
    code = "".join(kept)
    assert "/*" not in code, source
    assert "*/" not in code, source
    return code


def texts(model, folder, title, options):
    files = to_c(model, folder, title=title, **options)
    return [path.read_text() for path in (files.header, files.source, files.program)]


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    """Give agents of each kind of C source, what their export takes, and their usual files."""
    spiking = load_pretrained("ppo-lif-2-steps", "CartPole-v1")
    visits = visit(spiking, "CartPole-v1", 1)
    fixed = {"visits": visits, "fixed_point": True}
    ann = load_pretrained("ppo-mlp", "Acrobot-v1")
    straight = {**fixed, "straight_line": True}
    made = [(spiking, {}), (spiking, fixed), (spiking, straight), (ann, {})]
    made.append((ann, {"fixed_point": True}))
    folder = tmp_path_factory.mktemp("benign")
    return [(model, options, texts(model, folder, BENIGN, options)) for model, options in made]


def known(key):
    """Return a decorator that has a test tried with every attack, too."""

    def decorate(test):
        for text in ATTACKS:
            test = example(**{key: text})(test)
        return test

    return decorate


@known("title")
@settings(max_examples=5)
@given(title=TEXTS)
def test_no_title_leaves_its_comment(title, agents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    for k, (model, options, expected) in enumerate(agents):
        for one, benign in zip(
            texts(model, folder / str(k), title, options), expected, strict=True
        ):
            assert code_of(one) == code_of(benign)
            assert one.isascii()
            assert len(one.splitlines()) == len(benign.splitlines())


@needs_compiler
def test_a_compiler_takes_every_title(agents, tmp_path):
    for k, (model, options, _) in enumerate(agents):
        files = to_c(model, tmp_path / str(k), title=" ".join(ATTACKS), **options)
        words = [str(COMPILER), *WARNINGS, "-fsyntax-only", str(files.source), str(files.program)]
        subprocess.run(words, check=True)


@given(text=TEXTS)
def test_titles_have_only_allowed_letters_and_are_idempotent(text):
    title = safe_title(text)
    assert re.fullmatch(r"[A-Za-z0-9 _.,:;()/+=%'-]*", title)
    assert safe_title(title) == title


def test_titles_of_the_zoo_are_unchanged():
    for name in snn_gym.agent_ids():
        spec = load_agent_spec(name)
        assert safe_title(spec.description) == spec.description
        assert safe_title(f"lean {name} on snn/CartPole-v1") == f"lean {name} on snn/CartPole-v1"
