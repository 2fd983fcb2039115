"""Tests of user errors: every command gives one line with the error and its fix."""

import re
import sys

import matplotlib.pyplot as plt
import pytest

from snn_gym import cli
from snn_gym.cli import app, main
from tests.cli.test_cli import refused

FINISHED = "name the folder of a run that `snn-gym train` has finished, or of save_agent"
MISTAKES = [
    ("envs CartPole-v1", "unexpected extra argument(s) (CartPole-v1); see `snn-gym envs --help`"),
    ("agents ppo-lif", "unexpected extra argument(s) (ppo-lif); see `snn-gym agents --help`"),
    ("tarin ppo-lif CartPole-v1", "No such command 'tarin'. Did you mean 'train'? see `snn-gym"),
    ("--sede 1", "No such option: --sede; see `snn-gym --help`"),
    ("train ppo-lif", "train needs an agent and an environment, such as ppo-lif CartPole-v1, or"),
    ("train ppo-lif CartPole-v1 --network time_step=4", "unknown key time_step; did you mean 'tim"),
    ("train ppo-lif CartPole-v1 --set network.time_steps=4", "network is no hyper-parameter; give"),
    ("train ppo-lif CartPole-v1 --network neuron_parameters.tau_mem=2", "did you mean 'tau_mem_ms"),
    ("train ppo-lif CartPole-v1 --env-arg gravity=1", "takes no argument 'gravity'; it takes sutt"),
    ("train ppo-lif CartPole-v1 --eval-evry 1", "(Possible options: --env-arg, --eval-every)"),
    ("train ppo-lif snn/CueAccumulation-v0 --env-arg cue=3", "no argument 'cue'; did you mean 'cu"),
    ("train ppo-lif snn/Pendulum-v1 --env-arg time_step=3", "did you mean 'time_steps'? it takes "),
    ("train ppo-lif snn/Pendulum-v1 --env-arg time_steps=0", "must be a whole number from 1 to 10"),
    ("train ppo-lif Acrobot-v1 --env-arg render_mode=7", "can't be made with {'render_mode': 7}"),
    ("train ppo-mlp CartPole-v1 --seed 1 --seeds 0-4", "--seed is for one run and --seeds for sev"),
    ("train ppo-mlp CartPole-v1 --seeds x", "seeds must be a number or a range"),
    ("lean RUN --bound -1", "make_lean: bound must be above 0, got -1"),
    ("lean RUN --max-synops 0", "make_lean: max_synops must be above 0, got 0"),
    ("lean RUN --time-steps 0", "time_steps must be at least 1, got 0"),
    ("lean RUN --steps 0", "'--steps': Input should be greater than or equal to 1"),
    ("lean RUN --student cma-es", "CMAES learns without gradients, which lean needs"),
    ("lean RUN --out RUN", "is not empty; name another folder with --out"),
    ("lean RUN --out FILE", "file"),
    ("verify", "verify takes a submission's folder, or for the rows there are one of --check, "),
    ("verify --again --retrain", "verify takes a submission's folder, or for the rows there are o"),
    ("verify SUBMISSION --again", "verify takes a submission's folder, or for the rows there are "),
    ("verify --again --missing", "--agent, --env and --missing are for --retrain alone; leave "),
    ("verify --again --env CartPole-v1", "--agent, --env and --missing are for --retrain alone; "),
    ("verify --retrain --sample 100.1", "less than or equal to 100; see `snn-gym verify --help`"),
    ("train --from ppo-lif", "train --from ppo-lif needs an environment, such as CartPole-v1"),
    ("train --from lost CartPole-v1", "'lost' is neither a folder of a run nor an agent of the"),
    ("train --from EMPTY", FINISHED),
    ("train ppo-lif CartPoel-v1", "is not registered; did you mean 'CartPole-v1'?"),
    ("train CartPole-v1 dqsn", "the agent comes first: snn-gym train dqsn CartPole-v1"),
    ("train CartPole-v1 dqns", "the agent comes first: snn-gym train ppo-lif CartPole-v1"),
    ("train dqsn Pendulum-v1", "float32); agents that fit: ppo-lif, "),
    ("train ppo-lif CartPole-v1 --out FILE", "is a file; expected a folder"),
    ("train ppo-lif CartPole-v1 --network neuron=lfi", "'lfi' is unknown; did you mean 'lif'?"),
    ("train ppo-lif CartPole-v1 --network encoder=lateny", "is unknown; did you mean 'latency'?"),
    ("train ppo-lif CartPole-v1 --module lost", "install it, or run the command in the folder of"),
    ("train ppo-lif CartPole-v1 --module json.py", "leave out .py: --module json"),
    ("train ppo-lif CartPole-v1 --module odd", "invalid syntax (odd.py, line 1); mend that line"),
    ("train ppo-lif CartPole-v1 --seed x", "'--seed': Input should be a valid integer"),
    ("train ppo-lif Blackjack-v1", "Blackjack-v1 is no task of snn_gym and has no budget; say"),
    ("new agent", "Missing argument 'name'; see `snn-gym new --help`"),
    ("new env corridor", "is a word with a capital, such as Corridor; got 'corridor'"),
    ("lean nowhere", FINISHED),
    ("lean RUN --max-synops 9", "and max_synops needs spikes; leave it out, or take a spiking"),
    ("distil RUN ppo-lfi", "'ppo-lfi' is unknown; did you mean 'ppo-lif'?"),
    ("distil RUN --set bund=1", "distil: unknown key bund; did you mean 'bound'?"),
    ("smallest RUN --families lin", "family 'lin' is unknown; known: linear, relu, tanh"),
    ("smallest RUN --set size=1", "smallest: unknown key size; did you mean 'sizes'?"),
    ("smallest RUN --cost host", "'host' is unknown; known: operations, cmos45, loihi"),
    ("evaluate EMPTY", FINISHED),
    ("evaluate nowhere --episodes 100000000000000000000", "less than or equal to 1000000"),
    ("evaluate RUN --episodes 0", "greater than or equal to 1; see `snn-gym evaluate --help`"),
    ("submit nowhere", FINISHED),
    ("submit RUN --out FILE", "choose another with --out"),
    ("verify RUN --leaderboard new", "and nothing else, which `snn-gym submit` writes"),
    ("verify SUBMISSION --leaderboard FILE", "is a file; expected a folder; name another"),
    ("verify --check --leaderboard nowhere", "is no folder; expected a leaderboard; verify a row"),
    ("verify --check --leaderboard EMPTY", "results is no folder; expected a leaderboard; verify"),
    ("table --leaderboard nowhere", "is no folder; expected a leaderboard; verify a row first"),
    ("pretrained --agent ppo-lfi", "no trained agent 'ppo-lfi'; did you mean 'ppo-lif'?"),
    ("pretrained --leaderboard nowhere", "the results table is empty; train one with"),
    ("pretrained --env CartPoel-v1", "did you mean 'CartPole-v1'?"),
    ("compare ppo-lif", "Missing argument 'other'; see `snn-gym compare --help`"),
    ("compare ppo-lif ppo-mpl --env CartPole-v1", "did you mean 'ppo-mlp'?"),
    ("compare ppo-lif ppo-mlp", "agents of the table; name an environment with --env"),
    ("compare ppo-lif ppo-lif --env CartPole-v1", "ppo-lif is compared with itself; name two"),
    ("compare ppo-lif ./ppo-mlp --env CartPole-v1", "./ppo-mlp is no folder; expected two agents"),
    ("compare ppo-lif ppo-mlp --env CartPole-v9", "did you mean 'CartPole-v1'? `snn-gym pre"),
    ("compare ppo-lif ppo-mlp --env CartPole-v1 --save x.bmp", "ends in .png or .svg"),
    ("plot EMPTY", "name the folder of a run of `snn-gym train`"),
    ("plot RUN --out FILE", "is a file; expected a folder; name another"),
    ("plot RUN --format gif", "is unknown; choose from png, svg"),
    ("watch ppo-lfi CartPole-v1 --save film.gif", "did you mean 'ppo-lif'? `snn-gym pretrained`"),
    ("watch ppo-lif --save film.gif", "watch ppo-lif needs an environment"),
    ("watch EMPTY --save film.gif", "holds no saved agent"),
    ("watch runs/nothing", "'runs/nothing' is neither a folder of a run nor an agent of the zoo"),
    ("watch RUN --save film.gif --fps 51", "frames_per_second must be"),
    ("watch RUN --save absent/film.gif", "there is no folder absent; make it first"),
    ("watch RUN --save film.avi", "expected a name that ends in .gif or .mp4"),
    ("distil RUN ppo-linear --cost host", "'host' is unknown; known: operations, cmos45, loihi"),
    ("lean RUN --cost watts", "allowed values: 'synops', 'operations', 'cmos45', 'loihi'"),
    ("watch RUN Acrobot-v1 --save film.gif", "name the environment that it was trained on"),
]  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    run = folder / "run"
    words = ["--steps", "256", "--no-progress", "--out", str(run)]
    assert main(["train", "ppo-mlp", "CartPole-v1", *words]) == 0
    assert main(["submit", str(run), "--out", str(folder / "submission")]) == 0
    (folder / "empty").mkdir()
    (folder / "file").write_text("")
    names = ("run", "submission", "empty", "file")
    backend = plt.get_backend()
    plt.switch_backend("agg")  # as where there is no display
    yield {name.upper(): str(folder / name) for name in names}
    plt.switch_backend(backend)


@pytest.mark.parametrize(("line", "mends"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_user_errors_give_one_line_with_the_fix(line, mends, places, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "odd.py").write_text("def odd(:\n")
    said = refused(capsys, *(places.get(word, word) for word in line.split()))
    assert mends in said
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["odd.py"]


def test_every_command_has_an_error_case():
    callbacks = [x.callback for x in app.registered_commands]
    names = {x.__name__ for x in callbacks if x.__module__.startswith("snn_gym.")}
    assert names == {line.split()[0] for line, _ in MISTAKES} - {"tarin", "--sede"}


@pytest.mark.parametrize("words", ["export ppo-lif CartPole-v1 --c new", "submit-nir a.nir"])
def test_a_command_that_is_not_installed_names_the_command_that_installs_it(
    words, capsys, monkeypatch
):
    own = [x for x in app.registered_commands if x.callback.__module__.startswith("snn_gym.")]
    monkeypatch.setattr(app, "registered_commands", own)
    monkeypatch.setattr(cli, "entry_points", lambda group: ())
    said = refused(capsys, *words.split())
    assert "comes with snn-gym-deploy, which is not installed" in said
    assert "pip install -e deploy" in said


def test_help_of_eighty_columns_shows_whole_names_of_options(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert {"--checkpoint-interval", "--more-steps"} <= set(re.findall(r"--[a-z-]+", shown))
