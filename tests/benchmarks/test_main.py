"""The command line of the benchmarks."""

from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.registry import EXPERIMENTS


def test_the_list_names_everything():
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    assert all(f"  {name}: " in result.output for name in EXPERIMENTS)


def test_a_run_and_its_report(tmp_path):
    out = str(tmp_path / "speed.json")
    common = ["--out", out]
    measured = CliRunner().invoke(
        app,
        [
            "run",
            "--quick",
            "--only",
            "environments-CartPole-v1",
            *common,
            "--scratch",
            str(tmp_path),
        ],
    )
    assert measured.exit_code == 0, measured.output
    assert "SyncVectorEnv" in measured.output
    reported = CliRunner().invoke(app, ["report", *common, "--docs", str(tmp_path)])
    assert reported.exit_code == 0, reported.output
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "| batched |" in page
    assert "the figures are rough" in page
