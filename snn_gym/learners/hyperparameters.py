"""A learner's hyper-parameters: stated once, as settings, and attributes of the learner as well."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from snn_gym.learners.settings import LearnerSettings, Limits, LocalRuleSettings

SettingsClass = type[LearnerSettings] | type[LocalRuleSettings]
"""Type of hyper-parameters."""

_OF_THE_ENVIRONMENTS = "n_envs"  # which the environments that a learner is given say themselves


def hyperparameter_names(settings_class: SettingsClass) -> tuple[str, ...]:
    """Return the names of the settings that are arguments and attributes of a learner."""
    names = (field.name for field in dataclasses.fields(settings_class))
    return tuple(name for name in names if name != _OF_THE_ENVIRONMENTS)


class Hyperparameter:
    """An attribute of a learner that is a field of its settings; setting it checks its range.

    Args:
        settings_class: Type of the settings.
        name: Name of the field.
    """

    def __init__(self, settings_class: SettingsClass, name: str) -> None:
        self._name = name
        default = getattr(settings_class, name)
        self.__doc__ = f"Field of ``{settings_class.__name__}``; {default!r} unless told otherwise."

    def __get__(self, model: Any, kind: type[Any] | None = None) -> Any:
        return self if model is None else getattr(model.settings, self._name)

    def __set__(self, model: Any, value: Any) -> None:
        model.settings = dataclasses.replace(model.settings, **{self._name: value})


def signature_with(
    constructor: Callable[..., Any], settings_class: SettingsClass
) -> inspect.Signature:
    """Return a constructor's signature with the hyper-parameters in place of its ``**kwargs``.

    Args:
        constructor: ``__init__`` of a class.
        settings_class: Type of the settings.
    """
    _, *own, _ = inspect.signature(constructor).parameters.values()  # without self and **kwargs
    keyword = inspect.Parameter.KEYWORD_ONLY
    fields = {field.name: field for field in dataclasses.fields(settings_class)}
    added = [
        inspect.Parameter(name, keyword, default=fields[name].default, annotation=fields[name].type)
        for name in hyperparameter_names(settings_class)
    ]
    return inspect.Signature([*own, *added])


def attach(kind: type[Any], settings_class: SettingsClass) -> None:
    """Make the hyper-parameters of a class of learners its attributes and show its signature.

    Args:
        kind: Class whose constructor takes them in its ``**kwargs``.
        settings_class: Type of the settings.
    """
    for name in hyperparameter_names(settings_class):
        setattr(kind, name, Hyperparameter(settings_class, name))
    kind.__signature__ = signature_with(kind.__init__, settings_class)  # which inspect looks up


def take_over_attributes(model: Any) -> None:
    """Make hyper-parameters of what ``load(path, step_size=0.5)`` wrote past the attributes.

    Args:
        model: Learner with ``settings``.
    """
    names = hyperparameter_names(type(model.settings))
    given = {name: vars(model).pop(name) for name in names if name in vars(model)}
    model.settings = dataclasses.replace(model.settings, **given)


def plain_limits(limits: tuple[Sequence[float], Sequence[float]] | None) -> Limits | None:
    """Return limits as plain numbers, which can be saved as data.

    Args:
        limits: Lower and upper limits, or None.
    """
    if limits is None:
        return None
    low, high = (tuple(float(value) for value in side) for side in limits)
    return low, high
