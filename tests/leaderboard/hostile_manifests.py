"""Hostile manifests: names, keys, paths, versions, scores and JSON."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, WEIGHTS_NAME
from tests.leaderboard.helpers import Template


@dataclass(frozen=True)
class Case:
    """Hostile submission."""

    kind: str
    name: str
    code: str
    """Code of the check that is meant to refuse it."""
    write: Callable[[Template, Path], object]
    """Write it to a new folder."""

    def __str__(self):
        return f"{self.kind}: {self.name}"


def changed(kind, name, code, **changes):
    """Make a case of an honest submission with other values of top-level keys."""
    return Case(kind, name, code, lambda t, folder: t.with_manifest(**changes).write(folder))


def _text(kind, name, code, change):
    def write(template, folder):
        folder.mkdir()
        text = change(json.dumps(template.manifest))
        data = text if isinstance(text, bytes) else text.encode()
        (folder / MANIFEST_NAME).write_bytes(data)
        (folder / WEIGHTS_NAME).write_bytes(template.weights)

    return Case(kind, name, code, write)


def _score(kind, name, code, change):
    def write(template, folder):
        score = copy.deepcopy(template.manifest["score"])
        change(score)
        template.with_manifest(score=score, seed=1).write(folder)

    return Case(kind, name, code, write)


def _names():
    agents = ["ppo-lf", "ppo-lif-2", "ppo", "lif", "x", "sac-lsnn", "random-searches", "ppo-lstm"]
    for agent in [*agents, "a" * 64, "0"]:
        yield changed("unknown agent", agent[:20], "unknown-agent", agent=agent)
    environments = ["CartPole-v2", "snn/CartPole-v0", "cartpole-v1", "snn/snn-v1", "Pong-v5"]
    # The last ones exist in gymnasium or here, but the agent is not registered for them.
    elsewhere = ["LunarLander-v9", "FrozenLake-v1", "BipedalWalker-v3", "snn/BipedalWalker-v3"]
    for environment in environments + elsewhere:
        yield changed(
            "unknown environment", environment, "unknown-environment", environment=environment
        )
    keys = ["path", "policy_class", "module", "__class__", "weights", "Agent", "", "é", "episodes"]
    for key in (*keys, "hidden", "trained_again", "robustness"):
        yield changed("unknown key", repr(key), "unknown-key", **{key: "x"})
    for key in ("median", "seeds", "__proto__"):
        yield _score(
            "unknown key", f"score.{key}", "unknown-key", lambda s, k=key: s.update({k: 1})
        )


def _paths():
    tricks = [
        "../ppo-lif",
        "../../../../tmp/row",
        "ppo-lif/../../x",
        "/etc/passwd",
        "./ppo-lif",
        "~root",
        "..\\..\\x",
        "ppo-lif\0.json",
        "..",
    ]
    for trick in tricks:
        yield changed("path trick", f"agent {trick!r}", "path", agent=trick)
        yield changed("path trick", f"environment {trick!r}", "path", environment=trick)
    for trick in ("snn/../../CartPole-v1", "snn/CartPole-v1/.."):
        yield changed("path trick", f"environment {trick!r}", "path", environment=trick)
    for trick in ("ppo-lif ", "ppo-lif\n", "ppo%2flif", "PPO-LIF", "ppo-lif\u200b", "ppo\u2215lif"):
        yield changed("disguised name", repr(trick), "manifest-schema", agent=trick)
    for trick in ("snn__CartPole-v1", "snn//CartPole-v1", "snn:CartPole-v1", "os:system-v1"):
        yield changed("disguised name", repr(trick), "manifest-schema", environment=trick)


def _types():
    wrong = {
        "format": [0, 2, "1", True, None],
        "agent": [None, 1, ["ppo-lif"], {"name": "ppo-lif"}, "", "x" * 65],
        "environment": [None, 5, "", "CartPole"],
        "environment_version": ["1", 1.5, True, 0, -1],
        "seed": [-1, "0", 0.5, True, 10**9, 2_000_000_000, 10**400],
        "steps": [-1, -5, "512", 1.5, 10**13],
        "score": [None, 9.5, [], {}],
        "evaluator_version": ["1", None, 0],
        "packages": [None, ["torch"], {"torch": 2}, {"a b": "1"}, {"a": "x" * 65}],
        "weights_sha256": ["", "0" * 63, "G" * 64, "A" * 64, 0],
        "created": ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01", 20260101],
    }
    for key, values in wrong.items():
        for index, value in enumerate(values):
            yield changed(
                "wrong type or range", f"{key} {index}", "manifest-schema", **{key: value}
            )
    for key, value in (("iqm", "9"), ("mean", None), ("returns", []), ("returns", [None] * 3)):
        yield _score(
            "wrong type or range",
            f"score.{key} {value!r:.10}",
            "manifest-schema",
            lambda s, k=key, v=value: s.update({k: v}),
        )
    for key in ("agent", "score", "weights_sha256", "environment_version", "seed"):
        yield Case(
            "missing key",
            key,
            "manifest-schema",
            lambda t, folder, k=key: Template(
                {name: value for name, value in t.manifest.items() if name != k}, t.weights
            ).write(folder),
        )


def _json():
    kind, code = "malformed JSON", "manifest-json"
    yield _text(kind, "NaN", code, lambda t: t.replace('"seed": 0', '"seed": NaN'))
    yield _text(kind, "Infinity", code, lambda t: t.replace('"seed": 0', '"seed": -Infinity'))
    yield _text(
        kind, "huge integer", code, lambda t: t.replace('"seed": 0', f'"seed": {"9" * 5000}')
    )
    yield _text(
        kind, "overflow", "manifest-schema", lambda t: re.sub('"iqm": [0-9.]+', '"iqm": 1e999', t)
    )
    yield _text(kind, "key twice", code, lambda t: t[:-1] + ', "seed": 1}')
    yield _text(kind, "nested key twice", code, lambda t: t.replace('"iqm"', '"mean": 0, "iqm"'))
    yield _text(kind, "deep nesting", code, lambda _: "[" * 30_000 + "]" * 30_000)
    yield _text(kind, "deep objects", code, lambda _: '{"a":' * 10_000 + "1" + "}" * 10_000)
    yield _text(kind, "not UTF-8", code, lambda t: t.encode().replace(b"ppo", b"\xff\xfe"))
    yield _text(kind, "UTF-16", code, lambda t: t.encode("utf-16"))
    yield _text(kind, "byte order mark", code, lambda t: "\ufeff" + t)
    yield _text(kind, "empty", code, lambda _: "")
    yield _text(kind, "list", code, lambda t: f"[{t}]")
    yield _text(kind, "text after", code, lambda t: t + "{}")
    yield _text(kind, "comment", code, lambda t: "// x\n" + t)
    yield _text(kind, "cut", code, lambda t: t[:-20])
    yield _text(kind, "pickle", code, pickle.dumps)
    yield _text(kind, "YAML tag", code, lambda _: "!!python/object/apply:os.system ['true']")
    lone = '"agent": "ppo-\\ud800"'
    yield _text(
        kind, "lone surrogate", "manifest-schema", lambda t: t.replace('"agent": "ppo-lif"', lone)
    )
    spaces = MAX_MANIFEST_BYTES + 1
    yield _text("oversized file", "manifest of spaces", "file-too-large", lambda t: t.ljust(spaces))
    yield changed("oversized file", "manifest of text", "file-too-large", created="x" * spaces)
    yield changed(
        "oversized file",
        "manifest of keys",
        "file-too-large",
        packages={f"package-{k}": "1" for k in range(5000)},
    )


def _terms():
    for version in (2, 3, 10, 1000, 1_000_000):
        yield changed(
            "other environment version",
            str(version),
            "environment-version",
            environment_version=version,
        )
    for version in (1, EVALUATOR_VERSION - 1, EVALUATOR_VERSION + 1, 1000, 1_000_000):
        yield changed(
            "other evaluator version", str(version), "evaluator-version", evaluator_version=version
        )
    # 8 copies times 32 steps end at 100,096; more than that was no training within the budget.
    for steps in (100_256, 100_352, 200_000, 3_000_000, 10**12):
        yield changed("over the budget", str(steps), "budget", steps=steps)
    yield changed("wrong type or range", "steps 0 beside a recipe", "recipe", steps=0)
    for index, digest in enumerate(
        ("0" * 64, "f" * 64, "01234567" * 8, "e3b0c442" * 8, "deadbeef" * 8)
    ):
        yield changed(
            "other weights' hash", str(index), "weights-sha256", seed=1, weights_sha256=digest
        )
    # Row 0 of the template's agent and environment is in the table already.
    for name, changes in {
        "unchanged": {},
        "other steps": {"steps": 600},
        "other date": {"created": "2027-01-01T00:00:00Z"},
        "other packages": {"packages": {}},
        "other weights": {"weights_sha256": "0" * 64},
    }.items():
        yield changed("row that exists", name, "row-exists", **changes)


def _claims():
    kind = "claimed score"
    for name, change in {
        "IQM raised": lambda s: s.update(iqm=500.0),
        "IQM a little raised": lambda s: s.update(iqm=s["iqm"] * (1 + 1e-4)),
        "mean raised": lambda s: s.update(mean=s["mean"] + 1.0),
        "mean negative": lambda s: s.update(mean=-s["mean"]),
        "one return raised, IQM kept": lambda s: s["returns"].__setitem__(0, 1e6),
    }.items():
        yield _score(kind, name, "score-inconsistent", change)
    for name, change in {
        "best episode only": lambda s: s.update(returns=[max(s["returns"])]),
        "one episode left out": lambda s: s["returns"].pop(),
        "one episode more": lambda s: s["returns"].append(500.0),
        "1000 episodes": lambda s: s.update(returns=[500.0] * 1000),
        "two episodes": lambda s: s.update(returns=[500.0, 500.0], iqm=500.0, mean=500.0),
    }.items():
        yield _score(kind, name, "score-episodes", change)


def _curve(name, code, **changes):
    """Make a case of a submission with a learning curve and a recipe that logs one."""

    def write(template, folder):
        curve = {"steps": [128, 256], "returns": [20.0, 30.0], "episodes": [6, 4]}
        recipe = {**template.manifest["recipe"], "checkpoint_interval": 128}
        fields = {"curve": {**curve, "seconds": [1.0, 2.0], **changes}, "recipe": recipe}
        template.with_manifest(**{**fields, "seed": 1}).write(folder)

    return Case("learning curve", name, code, write)


def _curves():
    schema = "manifest-schema"
    long = list(range(1, 52))
    shapes = {
        "51 points": {"steps": long, "returns": long, "episodes": [1] * 51, "seconds": []},
        "no point": {"steps": [], "returns": [], "episodes": [], "seconds": []},
        "a return more": {"returns": [1.0, 2.0, 3.0]},
        "a time less": {"seconds": [1.0]},
        "steps that stand": {"steps": [128, 128]},
        "steps that fall": {"steps": [256, 128]},
        "step 0": {"steps": [0, 256]},
        "half a step": {"steps": [128, 255.5]},
        "steps as text": {"steps": ["128", "256"]},
        "a huge step": {"steps": [128, 10**400]},
        "a huge return": {"returns": [20.0, 1e13]},
        "no return": {"returns": [20.0, None]},
        "a return that is a table": {"returns": [20.0, {"x": 1}]},
        "no episode": {"episodes": [6, 0]},
        "more episodes than steps": {"episodes": [6, 251]},
        "episodes before their steps": {"episodes": [129, 1]},
        "time that falls": {"seconds": [2.0, 1.0]},
        "negative time": {"seconds": [-1.0, 2.0]},
        "endless time": {"seconds": [1.0, 1e11]},
    }
    for name, changes in shapes.items():
        yield _curve(name, schema, **changes)
    yield _curve("unknown key", "unknown-key", losses=[1.0, 2.0])
    yield _curve("goes on after the training", "curve", steps=[128, 513])
    points = {"steps": [1], "returns": [1.0], "episodes": [1], "seconds": []}
    for value in (0, "curve", [], {}, {**points, "steps": 1}):
        yield changed("learning curve", f"of another kind: {value!r:.30}", schema, curve=value)
    # The template's recipe is one call of `learn`, which logs nothing.
    yield changed("learning curve", "that nobody could train again", "curve", curve=points)


def manifest_cases():
    parts = (_names(), _paths(), _types(), _json(), _terms(), _claims(), _curves())
    return [case for part in parts for case in part]
