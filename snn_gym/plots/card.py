"""Card of a model for notebooks: task, network, costs and learning curve as HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.markup import Attribute, Markup, element, joined
from snn_gym.leaderboard.evaluation import latest_evaluation
from snn_gym.plots.run import averaged_episodes, learning_curve
from snn_gym.plots.style import agent_colours
from snn_gym.training.logs import present_costs, read_episodes
from snn_gym.training.run import EPISODES_FILE
from snn_gym.zoo.identity import Identity, identify


def model_card(model: BaseAlgorithm) -> str | None:
    """Describe a model with one of our policies as HTML; a notebook shows it for the model.

    The model and its environments do not change. The card has returns and costs of the latest
    ``evaluate`` since it learned, else costs in the present states of its environments, and the
    learning curve of its last episodes, else of the run or row that it was loaded from.

    Args:
        model: Model of ``make_agent``, ``load_agent`` or ``load_pretrained``, or of
            Stable-Baselines3.

    Returns:
        HTML without scripts and references to other files; None for another policy.
    """
    if not hasattr(model.policy, "acting_state_dict"):
        return None
    try:
        identity = identify(model)
    except ValueError:  # an environment without an id
        identity = Identity(None, f"observations {model.observation_space}")
    return element(
        "div",
        element("b", identity.agent or type(model).__name__),
        f" on {identity.environment}",
        *(f", {key}={value!r}" for key, value in identity.environment_kwargs.items()),
        element(
            "p",
            f"{type(model).__name__} with {type(model.policy).__name__}, {model.num_timesteps:,} "
            f"steps trained, {'no seed' if model.seed is None else f'seed {model.seed}'}",
        ),
        element(
            "div",
            _network(model),
            _curve(model, identity),
            style="display:flex;flex-wrap:wrap;gap:1.5em",
        ),
        _costs(model),
        style="max-width:60em",
    )


_HEIGHT, _COLUMN, _CURVE, _MOST_POINTS = 120, 96, 260, 200  # in pixels but for the last
_DOTS = np.array([-3.0, -2, -1, 1, 2, 3])
_TEXT: dict[str, Attribute] = {"fill": "currentColor", "font_size": 11}


def _network(model: BaseAlgorithm) -> Markup:
    """Return the drawing of the acting network, nothing if it is no ``Program``."""
    try:
        program = model.policy.program()  # type: ignore[operator]
    except ValueError:  # of parts that have no form outside of PyTorch
        return Markup()
    layers = [
        (program.inputs, "channels" if program.spike_input else "observations"),
        *((layer.size, _kind(layer)) for layer in program.layers),
        (len(program.head.biases), "actions"),
    ]
    # Of each layer the heights of its dots; a gap in the middle stands for all left out.
    heights = [
        _HEIGHT / 2 + 15.0 * (_DOTS if size > len(_DOTS) else np.arange(size) - (size - 1) / 2)
        for size, _ in layers
    ]
    colours = ["currentColor", agent_colours({"": program.spiking})[""]]
    synapses, parts = list[str](), list[Markup]()
    for k, (size, kind) in enumerate(layers):
        x, fill = _COLUMN * k + _COLUMN // 2, colours[0 < k < len(layers) - 1]
        before = heights[k - 1] if k else []
        synapses += [f"M{x - _COLUMN} {a:g}L{x} {b:g}" for a in before for b in heights[k]]
        parts += [element("circle", cx=x, cy=float(y), r=4, fill=fill) for y in heights[k]]
        parts += [
            element("text", text, x=x, y=y, text_anchor="middle", **_TEXT)
            for y, text in ((_HEIGHT + 14, f"{size:,}"), (_HEIGHT + 28, kind))
        ]
    return _figure(
        "Network" + f", {program.time_steps:,} time steps a decision" * program.spiking,
        ", ".join(f"{size:,} {kind}" for size, kind in layers),
        _COLUMN * len(layers),
        element("path", d="".join(synapses), stroke="currentColor", opacity="0.2"),
        *parts,
    )


def _kind(layer: Any) -> str:
    """Return the name of a layer's units, with a mark if they are recurrent."""
    units = next(filter(None, (getattr(layer, x, None) for x in ("neuron", "activation", "gates"))))
    name = getattr(units, "__name__", units)
    return f"{name} ↻" if getattr(layer, "recurrent", None) is not None else f"{name}"


def _curve(model: BaseAlgorithm, identity: Identity) -> Markup:
    """Return the drawing of the learning curve, nothing for a model without episodes."""
    recent = [episode["r"] for episode in model.ep_info_buffer or ()]
    history, axis = identity.history or ((), ()), "over {:,.0f} environment steps"
    if recent:
        history, axis = (np.arange(1.0, len(recent) + 1), recent), "over the last {:,.0f} episodes"
    elif isinstance(history, Path):
        file = history / EPISODES_FILE
        history = read_episodes(file) if file.exists() else ((), ())
    # The points of a row are means already.
    window = 1 if identity.history is history else averaged_episodes(len(history[1]))
    steps, returns = learning_curve(np.array(history[0]), np.array(history[1]), window)
    if len(steps) < 2:
        return Markup()
    low, high = float(returns.min()), float(returns.max())
    y = _HEIGHT - (_HEIGHT - 10) * (returns - low) / max(high - low, 1e-9)
    chosen = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).astype(int))
    return _figure(
        f"Mean return {axis.format(steps[-1])}",
        f"from {low:,.4g} to {high:,.4g}",
        _CURVE + 60,
        element("path", d=f"M0 0V{_HEIGHT + 4}H{_CURVE}", stroke="currentColor", opacity="0.4"),
        element(
            "polyline",
            points=" ".join(f"{_CURVE * steps[k] / steps[-1]:.1f},{y[k]:.1f}" for k in chosen),
            stroke="#D55E00",
            stroke_width=2,
        ),
        element("text", f"{high:,.4g}", x=_CURVE + 6, y=14, **_TEXT),
        element("text", f"{low:,.4g}", x=_CURVE + 6, y=_HEIGHT + 4, **_TEXT),
    )


def _figure(caption: str, words: str, width: int, *parts: Markup) -> Markup:
    """Return a drawing above its caption."""
    return element(
        "figure",
        element(
            "svg",
            *parts,
            viewBox=f"0 0 {width} {_HEIGHT + 34}",
            width=width,
            fill="none",
            role="img",
            aria_label=f"{caption}: {words}",
            style="max-width:100%",
        ),
        element("figcaption", caption),
        style="margin:0",
    )


def _costs(model: BaseAlgorithm) -> Markup:
    """Return the costs of a decision in words, and the whole table folded."""
    evaluation = latest_evaluation(model)
    costs = evaluation or present_costs(model)
    if costs is None:
        return element("p", "Costs: not counted yet; snn_gym.evaluate counts them.")
    before = (
        "In the present states of its environments"
        if evaluation is None
        else f"Mean return {evaluation.mean:,.2f} in {len(evaluation.returns):,} episodes of "
        f"{evaluation.env_id}"
    )
    return joined(
        [
            element("p", f"{before}, {costs.in_words()}."),
            element("details", element("summary", "All costs"), Markup(costs._repr_html_())),
        ]
    )
