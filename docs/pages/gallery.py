"""The galleries of environments and agents, from TOML files, cards, spaces and rows."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pages.markdown import below_title, number, sortable, table
from pages.results import links_to
from snn_gym.envs.registry import IMPORTED, EnvironmentSpec, load_environment_spec
from snn_gym.leaderboard import TableRow, table_rows
from snn_gym.leaderboard.table import FEWEST_SEEDS
from snn_gym.zoo import AgentSpec, agent_ids, load_agent_spec

GROUPS = {
    "Classic control, Box2D and MuJoCo, seen through spikes": (
        "Tasks of gymnasium. Without `snn/` they show numbers, which the agent's network encodes; "
        "with `snn/` the environment does, and the observation is a spike train. `open loop` is "
        "what the best known actions earn that ignore observations."
    ),
    "Native tasks of spikes": (
        "Tasks of our own whose observations are spike trains by nature. Each has three levels, "
        "and its card proves what it tests: `memoryless` is what the best policy without memory "
        "earns, `oracle` what an observer earns that misses nothing in the spikes."
    ),
    "MinAtar": (
        "Five small games of Atari's kind. Objects are planes of 10 × 10 places, which are spikes "
        "as they come: `MultiBinary((C, 10, 10))`. `script` is what a hand-written policy earns, "
        "`oracle` what a search earns that plays the game on from its state."
    ),
    "A network as an environment": (
        "The state is a spiking network in training, an action moves its weights, and the reward "
        "says whether it now does its job better. Pictures show its weights, layer by layer (a row "
        "is what a neuron gets, red above 0, blue below), and the scores so far below them."
    ),
}


@dataclass(frozen=True)
class Film:
    """An episode of a trained agent, the median of its seeds, on the first seed."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Id."""
    text: str
    """What one sees."""
    extra: str | None = None
    """What has to be installed for it."""
    max_steps: int | None = None
    """Decisions shown, all without."""

    @property
    def file(self) -> str:
        """Return the name of the file under docs/images."""
        return f"film-{self.agent}-{self.task}.gif"

    @property
    def task(self) -> str:
        """Return the environment's id without what says that it shows spikes."""
        return self.environment.removeprefix("snn/")

    @property
    def command(self) -> str:
        """Return the command that makes the film."""
        cut = "" if self.max_steps is None else f" --max-steps {self.max_steps}"
        return f"snn-gym watch {self.agent} {self.environment} --save film.gif{cut}"


FILMS = (
    Film("ppo-lif", "LunarLander-v3", "it lands between the flags", "box2d"),
    Film("ppo-lif", "Acrobot-v1", "it swings up; the bands in the raster are its swings"),
    Film("sac-lif", "Pendulum-v1", "it swings up and stays upright"),
    Film("dqsn", "CartPole-v1", "one layer, 16 time steps in a decision; most neurons fire"),
    Film(
        "recurrent-ppo-lsnn",
        "snn/WaterMaze-v0",
        "it finds the hidden platform (green), is put elsewhere, and comes back by itself",
    ),
    Film(
        "recurrent-ppo-lsnn",
        "snn/EventTracking-v0",
        "an event camera follows a light; all that the network sees are the events",
    ),
    Film("ppo-lif", "Hopper-v5", "it hops on one leg", "mujoco", 100),
    Film("ppo-lif", "HalfCheetah-v5", "it runs on two legs", "mujoco", 100),
)

COST = ("Operations", "SynOps", "MACs")
NEURONS = {
    "lif": "LIF",
    "lif_box": "LIF (without synaptic current)",
    "lif_soft": "LIF (soft reset)",
    "iaf": "IAF",
    "alif": "ALIF",
}


def shown(films: Iterable[Film]) -> list[str]:
    """Return the lines that show films, with the command that makes each, two folders deep."""
    lines = []
    for film in films:
        extra = f" (with the extra `{film.extra}`)" if film.extra else ""
        alt = f"A film: {film.agent} on {film.task}, and the spikes of its network below"
        lines += [
            f"![{alt}](../images/{film.file})",
            "",
            f"*`{film.agent}` on `{film.environment}`: {film.text}.* `{film.command}`{extra}",
            "",
        ]
    return lines


def group(spec: EnvironmentSpec) -> str:
    """Return the heading under which an environment stands."""
    first, native, games, network = GROUPS
    if spec.name.startswith("Plasticity"):
        return network
    if spec.name.startswith("MinAtar"):
        return games
    return first if spec.spikes is not None or spec.name.startswith("Masked") else native


def section(card: str, heading: str) -> str:
    """Return the first paragraph of a card's section, of its head if the heading is empty."""
    parts = re.split(r"^## (.+)$", card, flags=re.MULTILINE)
    if not heading:
        paragraphs = parts[0].split("\n\n")[2:]
    else:
        paragraphs = parts[parts.index(heading) + 1].strip().split("\n\n")
    return " ".join(paragraphs[0].split()) if paragraphs else ""


def scores(spec: EnvironmentSpec) -> str:
    """Return the reference scores of a level in one line."""
    reference = spec.reference
    named = {
        "random play": reference.random,
        "open loop": reference.open_loop,
        "script": reference.scripted,
        "memoryless": reference.memoryless,
        "oracle": reference.oracle,
        "solved": reference.solved,
    }
    return ", ".join(
        f"{name} {number(value)}" for name, value in named.items() if value is not None
    )


def best(rows: Sequence[TableRow]) -> str:
    """Return the best spiking agent and the best other one of some rows, by mean return.

    Lines that were made lean from others do not rank. Those of few seeds, or of less than half of
    the budget, count where there is no other; of equal ones that of the fewest operations does,
    which are known of lines with a seed that was trained again.
    """
    found = []
    for spiking, kind in ((True, "spiking"), (False, "ANN")):
        ranked = [x for x in rows if x.spiking == spiking and not x.derived]
        if ranked:
            top = min(ranked, key=_place)
            agent = f"[{top.agent}](../agents/{top.agent}.md)"
            budget = ", less than half of the budget" if top.short else ""
            seeds = f"{len(top.seeds)} seed{'s' * (len(top.seeds) > 1)}"
            found.append(f"{kind} {agent} {mean(top)} ({seeds}{budget})")
    return ", ".join(found) or "none yet"


def _place(row: TableRow) -> tuple[bool, bool, float, float]:
    cost = row.operations_per_decision if row.trained_again else None
    # Means that are shown alike are equal.
    score = -float(row.score(row.mean))
    return len(row.seeds) < FEWEST_SEEDS, row.short, score, math.inf if cost is None else cost


def mean(row: TableRow) -> str:
    """Return a line's mean return as pages show it."""
    return row.score(row.mean).replace("-", "−")


def facts(card: str, spec: EnvironmentSpec, rows: Sequence[TableRow]) -> str:
    """Return a table of a task's ids, spaces, reward, scores and best rows."""
    ids = dict.fromkeys([spec.base_id, *spec.registers])
    levels = [load_environment_spec(env_id) for env_id in spec.registers]
    cells = [
        ("Ids", ", ".join(f"`{env_id}`" for env_id in ids)),
        ("Action", section(card, "Action")),
        *observations(spec, section(card, "Observation")),
        ("Reward", section(card, "Reward")),
        *((f"Scores of `{level.base_id}`", scores(level)) for level in levels),
        ("Best row", best([row for row in rows if row.environment in ids])),
        ("Results", links_to(sorted({x.environment for x in rows if x.environment in ids}))),
    ]
    # A bar would end the cell.
    return table(("", ""), [(name, text.replace("|", "\\|")) for name, text in cells if text])


def picture(spec: EnvironmentSpec) -> list[str]:
    """Return the lines that show a task: films of it, else its picture."""
    ids = {spec.base_id, *spec.registers}
    films = [film for film in FILMS if film.environment in ids]
    return shown(films) or [f"![What {spec.name} shows](../images/{spec.name}.png)", ""]


def observations(spec: EnvironmentSpec, spikes: str) -> list[tuple[str, str]]:
    """Return a fact for each form of a task's observation; ``spikes`` describes its spikes."""
    if spec.spikes is None:
        return [("Observation", spikes)]
    values = f"`Box(({len(spec.spikes.low)},))`, float: the values that the channels encode"
    forms = [(f"Observation of `{env_id}`", spikes) for env_id in spec.registers]
    return [(f"Observation of `{spec.base_id}`", values), *forms]


def tiles(cards: Mapping[str, str], specs: Sequence[EnvironmentSpec]) -> list[str]:
    """Return a grid of pictures that lead to the pages of some environments."""
    lines = ["::::{grid} 2 2 3 3", ":gutter: 2", ""]
    for spec in specs:
        title = cards[task_page(spec)].splitlines()[0]
        name, _, text = title.removeprefix("# ").partition(": ")
        lines += [
            f":::{{grid-item-card}} {name}",
            f":img-top: ../images/{spec.name}.png",
            f":img-alt: What {spec.name} shows",
            f":link: {spec.name}",
            ":link-type: doc",
            "",
            text,
            ":::",
        ]
    return [*lines, "::::", ""]


def environments_page(cards: Mapping[str, str], specs: Sequence[EnvironmentSpec]) -> str:
    """Return the gallery of environments."""
    lines = [
        "# Environments",
        "",
        "Every environment is made by `gymnasium.make`, many at once by `snn_gym.make_vec_env`. "
        "Its page has the whole description, the arguments and the sources, and leads to all "
        "results where there are any.",
        "",
    ]
    for heading, text in GROUPS.items():
        lines += [f"## {heading}", "", text, ""]
        lines += tiles(cards, [spec for spec in specs if group(spec) == heading])
    return "\n".join(lines)


def network_in_words(spec: AgentSpec) -> str:
    """Return an agent's network in a few words."""
    hidden = spec.network.get("hidden_sizes")
    if hidden == []:
        return "linear"
    sizes = "-".join(map(str, hidden)) if hidden else "by task"
    if not spec.acts_in_spikes:
        return f"{sizes} artificial units"
    neuron = NEURONS[spec.network.get("neuron", "lif")]
    steps = spec.network.get("time_steps")
    recurrent = "recurrent " if spec.network.get("recurrent") else ""
    return f"{sizes} {recurrent}{neuron} neurons" + (
        f", {steps} time step{'s' * (steps != 1)}" if steps else ""
    )


def agent_page(card: str, spec: AgentSpec, rows: Sequence[TableRow]) -> str:
    """Return an agent's page: how to use it, its card, its rows, and last how it was tuned."""
    head, *parts = re.split(r"^(?=## )", card, flags=re.MULTILINE)
    title, first, *rest = head.split("\n\n", 2)
    tuned = [part for part in parts if part.startswith("## How it was tuned")]
    others = [part for part in parts if part not in tuned]
    sections = [title, first, usage(spec, rows), *rest, *others, agent_part(spec, rows), *tuned]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def usage(spec: AgentSpec, rows: Sequence[TableRow]) -> str:
    """Return the lines that load and train an agent on the first task it has a row of."""
    own = [row for row in rows if row.agent == spec.name]
    example = own[0].environment if own else next(iter(spec.environments), "CartPole-v1")
    folder = f"runs/{spec.name}"
    train = f"snn-gym train {spec.name} {example} --seed 0 --out {folder}"
    load = f'model = snn_gym.load_pretrained("{spec.name}", "{example}")'
    lines = ["```python", "import snn_gym", "", load, "```", ""] if own else []
    return "\n".join([*lines, "```bash", train, f"snn-gym evaluate {folder}", "```"])


def agent_part(spec: AgentSpec, rows: Sequence[TableRow]) -> str:
    """Return what stands under an agent's card: films, its rows with their costs."""
    own = [row for row in rows if row.agent == spec.name]
    films = [film for film in FILMS if film.agent == spec.name]
    lines = ["## At work", "", *shown(films)] if films else []
    lines += ["## Results and costs", ""]
    if not own:
        return "\n".join([*lines, "No row of the results table yet.", ""])
    cells = [
        (
            links_to([row.environment]),
            str(len(row.seeds)),
            mean(row),
            *(row.cost_cell(cost(value)) for value in costs(row)),
        )
        for row in own
    ]
    lines += [sortable(table(("Environment", "Seeds", "Mean return", *COST), cells)), ""]
    text = (
        "Costs are those of a decision, means over seeds; [the results](../results/index.md) say "
        "how they are counted."
    )
    return "\n".join([*lines, text, ""])


def costs(row: TableRow) -> tuple[float | None, float | None, float | None]:
    """Return operations, SynOps and MACs of a decision, None where an agent has none."""
    return row.operations_per_decision, row.synops_per_decision, row.macs_per_decision


def cost(value: float | None) -> str:
    """Return a cost as a cell shows it."""
    return "–" if value is None else f"{value:,.0f}"


def twin_in_words(spec: AgentSpec, rows: Sequence[TableRow]) -> str:
    """Return an agent's twin as results have it: none of what was made lean from other agents."""
    own = [row for row in rows if row.agent == spec.name]
    if own and all(row.derived for row in own):
        origins = sorted({row.origin for row in own if row.origin is not None})
        made = ", ".join(f"[{name}]({name}.md)" for name in origins)
        return f"– (made from {made})" if made else "–"
    return f"[{spec.twin}]({spec.twin}.md)" if spec.twin else "–"


def agents_page(specs: Sequence[AgentSpec], rows: Sequence[TableRow]) -> str:
    """Return the gallery of agents."""
    lines = [
        "# Agents",
        "",
        "An agent of the zoo is a folder of settings: algorithm, network, hyper-parameters for "
        "each task. `snn_gym.make_agent(name, env_id)` makes one, `snn-gym train` trains it, and "
        "`snn_gym.load_pretrained(name, env_id)` loads one that was trained for the results table.",
        "",
    ]
    for heading, spikes, classes in (
        ("Spiking, trained by gradients", True, ("gradient",)),
        ("Spiking, trained without gradients", True, ("local", "evolutionary")),
        ("Spiking, trained elsewhere", True, (IMPORTED,)),
        ("ANNs", False, ("gradient",)),
    ):
        chosen = [
            spec for spec in specs if spec.acts_in_spikes == spikes and spec.budget_class in classes
        ]
        cells = [
            (
                f"[{spec.name}]({spec.name}.md)",
                html.escape(spec.description, quote=False).replace("|", "\\|"),
                network_in_words(spec),
                twin_in_words(spec, rows),
                str(sum(row.agent == spec.name for row in rows)),
            )
            for spec in chosen
        ]
        if not cells:
            continue
        head = ("Agent", "What it is", "Network", "Twin", "Environments with rows")
        lines += [f"## {heading}", "", table(head, cells), ""]
    lines += ["## At work", ""]
    lines += [
        "Films of agents of the results table, each the median of its seeds in the first episode "
        "that `watch` plays, and the command that makes it:",
        "",
        *shown(FILMS),
    ]
    return "\n".join(lines)


def gallery_pages(root: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Return the galleries, and the pages of agents and environments, by path on the site.

    Args:
        root: The folder that holds the results table.
        cards: Texts of the cards by path on the site.
    """
    rows, tasks = table_rows(root / "leaderboard"), all_tasks(root)
    agents = [load_agent_spec(name) for name in agent_ids()]
    pages = {f"agents/{spec.name}.md": spec for spec in agents}
    return {
        "environments/index.md": environments_page(cards, tasks),
        "agents/index.md": agents_page(agents, rows),
        **{page: agent_page(cards[page], spec, rows) for page, spec in pages.items()},
        **{task_page(spec): with_facts(cards[task_page(spec)], spec, rows) for spec in tasks},
    }


def task_page(spec: EnvironmentSpec) -> str:
    """Return the path of an environment's page."""
    return f"environments/{spec.name}.md"


def with_facts(card: str, spec: EnvironmentSpec, rows: Sequence[TableRow]) -> str:
    """Return a task's card with pictures and facts below its title."""
    return below_title(card, "\n".join([*picture(spec), facts(card, spec, rows)]))


def all_tasks(root: Path) -> list[EnvironmentSpec]:
    """Return the descriptions of all tasks, in the order of their cards."""
    return [
        load_environment_spec(f"snn/{card.stem}") for card in sorted((root / "envs").glob("*.md"))
    ]
