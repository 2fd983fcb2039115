"""What can be known of sweeps on a cluster without one; tests/interop has one."""

from __future__ import annotations

import builtins

from snn_gym.cli import main


def test_a_missing_ray_is_one_line_and_comes_before_any_run(tmp_path, monkeypatch, capsys):
    imported = builtins.__import__

    def without_ray(name, *arguments, **options):
        if name == "ray":
            raise ImportError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[groups]]\nagents = ["ppo-mlp"]\nenvironments = ["CartPole-v1"]\nseeds = "0"\n'
    )
    places = ["--leaderboard", str(tmp_path / "board"), "--runs", str(tmp_path / "runs")]
    assert main(["sweep", str(plan), *places, "--ray", "auto"]) == 2
    assert capsys.readouterr().err == "snn-gym: --ray needs Ray; install ray 2.50 or newer\n"
    assert not list((tmp_path / "runs").iterdir())
