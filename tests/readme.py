"""Code blocks and commands of README.md and the guide, shortened for tests."""

import re
import shlex

from snn_gym._base.folders import checkout_root

ROOT = checkout_root()
GUIDE = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/guide").glob("*.md"))
PAGES = {page: (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", *GUIDE)}


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def shell(text):
    return [line for block in blocks(text, "bash") for line in block.splitlines()]


CUTS = {
    "episodes=100": "episodes=2",
    "max_steps=100": "max_steps=10",
    "steps=300": "steps=300, updates=30",  # of distil, which makes 3,000
    # TD3 learns at every step after the first 100, in large networks.
    "seed=0).learn(300)": "seed=0).learn(110)",
}


def shortened(text):
    """Cut training to a few steps, evaluation to a few episodes, and a film to a few pictures."""
    text = re.sub(r"\b\d+0_000\b", "300", text)
    for long, short in CUTS.items():
        text = text.replace(long, short)
    return text


CUT = ("--steps", "--more-steps", "50000")


def commands(text):
    """Return the words of each `snn-gym` command, with shortened trainings."""
    found = []
    for line in shell(text):
        if line.startswith("snn-gym "):
            words = shlex.split(line)[1:]
            if words[0] == "train":
                words = [word for word in words if word not in CUT]
                words += ["--steps", "300", "--no-progress"]
            elif words[0] == "watch":
                words += ["--max-steps", "10"]
            found.append(words)
    return found
