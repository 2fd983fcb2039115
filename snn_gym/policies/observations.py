"""Features extractors and normalisers for observation spaces, and checks of these spaces."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import (
    get_flattened_obs_dim,
    is_image_space,
    is_image_space_channels_first,
)
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    NatureCNN,
)
from torch import Tensor, nn

from snn_gym._base.names import check_new_name, check_subclass, did_you_mean, printable
from snn_gym._base.spaces import FlatSpikes, holds_values
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.normaliser import ObservationNormaliser

# The kernels of NatureCNN (8 by 4, 4 by 2, 3 by 1) need this many pixels a side.
_LEAST_PIXELS = 36
_KERNEL_PIXELS = 3
_SUPPORTED = (
    "Box with an axis and a value, Discrete, MultiDiscrete of one axis, MultiBinary(N), spike "
    "trains MultiBinary((T, N)), planes MultiBinary((C, H, W)), images, and a Dict of these but "
    "spike trains"
)


class SmallImageCNN(BaseFeaturesExtractor):
    """Features of images that are too small for NatureCNN.

    One convolution with 16 channels and kernels of 3 x 3 pixels, and a linear layer; both end in
    ReLUs. It is the network of MinAtar's baselines before their last layer (Young & Tian 2019,
    https://arxiv.org/abs/1903.03176).

    Args:
        observation_space: Box (C, H, W), channels first, of at least 3 x 3 pixels.
        features_dim: Number of features.
    """

    def __init__(self, observation_space: spaces.Box, features_dim: int = 128) -> None:
        super().__init__(observation_space, features_dim)
        channels, height, width = observation_space.shape
        edge = _KERNEL_PIXELS - 1
        self.cnn = nn.Sequential(nn.Conv2d(channels, 16, _KERNEL_PIXELS), nn.ReLU(), nn.Flatten())
        pixels = (height - edge) * (width - edge)
        self.linear = nn.Sequential(nn.Linear(16 * pixels, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Return features (B, F) of images (B, C, H, W), float, from 0 to 1."""
        features: Tensor = self.linear(self.cnn(observations))
        return features


EXTRACTORS: dict[str, type[BaseFeaturesExtractor]] = {
    kind.__name__: kind for kind in (FlattenExtractor, NatureCNN, SmallImageCNN, CombinedExtractor)
}
"""Features extractors by the names that files give; ``register_extractor`` adds to it."""


def register_extractor(name: str, extractor: type[BaseFeaturesExtractor]) -> None:
    """Add a features extractor that saved agents and agents' files can name.

    Files hold the name, the arguments and the weights, never code: register the extractor before
    loading a model with it.

    Args:
        name: An unused identifier, which ``features_extractor_class`` takes too.
        extractor: The class, whose ``features_extractor_kwargs`` are plain data.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: The class is no ``BaseFeaturesExtractor`` of Stable-Baselines3.

    Example:
        >>> import snn_gym
        >>> from stable_baselines3.common.torch_layers import NatureCNN
        >>> class MyCNN(NatureCNN):
        ...     pass
        >>> snn_gym.register_extractor("MyCNN", MyCNN)
    """
    check_new_name(name, "extractor", EXTRACTORS)
    check_subclass("extractor", extractor, BaseFeaturesExtractor)
    EXTRACTORS[name] = extractor


def extractor_class(given: str | type[BaseFeaturesExtractor]) -> type[BaseFeaturesExtractor]:
    """Return the class of a registered name, or a class unchanged."""
    if not isinstance(given, str):
        return given
    if given not in EXTRACTORS:
        raise ValueError(
            f"features_extractor_class: got {given!r}{did_you_mean(given, EXTRACTORS)} registered: "
            f"{', '.join(EXTRACTORS)}; one of your own is registered first, by "
            "snn_gym.register_extractor"
        )
    return EXTRACTORS[given]


def extractor_name(extractor: type[BaseFeaturesExtractor]) -> str:
    """Return the name that a features extractor was registered by; refuse any other."""
    name = next((name for name, kind in EXTRACTORS.items() if kind is extractor), None)
    if name is None:
        own = extractor.__name__
        raise ValueError(
            f"features extractor {own} is code and can't be saved as data; register it first, by "
            f"snn_gym.register_extractor({own!r}, {own}), or save its code too, by model.save"
        )
    return name


def default_extractor(
    space: spaces.Space[Any], normalize_images: bool
) -> type[BaseFeaturesExtractor]:
    """Return ``CombinedExtractor`` for a Dict, a CNN that fits an image, else flattening."""
    if isinstance(space, spaces.Dict):
        return CombinedExtractor
    if is_image_space(space, normalized_image=not normalize_images):
        return SmallImageCNN if _is_small(space) else NatureCNN
    return FlattenExtractor


def _is_small(image: spaces.Space[Any]) -> bool:
    """Tell whether an image (C, H, W) has too few pixels for NatureCNN."""
    return min(image.shape[1:]) < _LEAST_PIXELS  # type: ignore[index]


def spike_steps_of(space: spaces.Space[Any], extractor: type[BaseFeaturesExtractor]) -> int | None:
    """Return T of a spike train that is flattened, None for other spaces and extractors."""
    shape = _spike_shape(space)
    return int(shape[0]) if shape is not None and extractor is FlattenExtractor else None


def with_planes(
    config: NetworkConfig, space: spaces.Space[Any], extractor: type[BaseFeaturesExtractor]
) -> NetworkConfig:
    """Return a configuration with the planes of a space that its convolutions read, flattened.

    The channels are the first axis, or the last one where it is smaller and planes are not square
    otherwise, as in (10, 10, 4) but not in (12, 10, 10). Frames of stacked planes (S, C, H, W)
    count as more of these. Other spaces and extractors, and no convolutions, change nothing.
    """
    kinds = spaces.MultiBinary | spaces.Box
    if not config.convolutions or extractor is not FlattenExtractor or not isinstance(space, kinds):
        return config
    if len(space.shape) not in (3, 4):
        return config
    *frames, first, second, third = map(int, space.shape)
    first *= math.prod(frames)
    if third < first and third != second and not frames:
        return replace(config, planes=(third, first, second), channels_last=True)
    return replace(config, planes=(first, second, third), channels_last=False)


def _spike_shape(space: spaces.Space[Any]) -> tuple[int, ...] | None:
    """Return (T, N) of a spike train, None for any other space."""
    if isinstance(space, FlatSpikes):
        return space.spike_shape
    is_train = isinstance(space, spaces.MultiBinary) and len(space.shape) == 2
    return space.shape if is_train else None


def check_observation_space(
    space: spaces.Space[Any], extractor: type[BaseFeaturesExtractor]
) -> None:
    """Refuse a space that its extractor can't take; a user's own extractor may take any."""
    if extractor not in (FlattenExtractor, NatureCNN, SmallImageCNN, CombinedExtractor):
        return  # a user's own extractor may take anything
    if not isinstance(space, spaces.Dict):
        _check_part(space, extractor, "observation space")
        return
    if extractor is not CombinedExtractor:
        raise ValueError(
            f"{extractor.__name__} can't take a Dict observation space, got {space}; leave "
            "features_extractor_class out, or use CombinedExtractor"
        )
    try:  # an empty Dict is refused as an empty name
        nn.ModuleDict(dict.fromkeys(list(space) or [""], nn.Identity()))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"the keys {list(space)} of the Dict of observations can't name modules of PyTorch: "
            f"{error.args[0]}; rename them by gymnasium.wrappers.TransformObservation"
        ) from error
    for key, part in space.items():
        name = f"observation {key!r} of the Dict"
        shape = _spike_shape(part)
        if shape is not None:
            raise ValueError(
                f"{name} is the spike train {part}, which can't be joined with values that have "
                "no time; observe the spike train alone, or flatten it to MultiBinary"
                f"({shape[0] * shape[1]}) to feed it as flags"
            )
        _check_part(part, NatureCNN if is_image_space(part) else FlattenExtractor, name)


def _check_part(
    space: spaces.Space[Any], extractor: type[BaseFeaturesExtractor], name: str
) -> None:
    if not holds_values(space, flag_axes=3) or (isinstance(space, spaces.Box) and not space.shape):
        raise ValueError(
            f"{name} {printable(str(space), 100)} is not supported; supported: {_SUPPORTED}; use "
            "FlattenObservation or TransformObservation of gymnasium.wrappers, or a "
            "features_extractor_class of your own"
        )
    check_start(space, name)
    if extractor is NatureCNN and _is_small(space):
        raise ValueError(
            f"{name} is an image of {space.shape}, channels first; NatureCNN needs at least "
            f"{_LEAST_PIXELS} x {_LEAST_PIXELS} pixels: leave features_extractor_class out, or, in "
            "a Dict, enlarge it by gymnasium.wrappers.TransformObservation"
        )
    if extractor is not SmallImageCNN:
        return
    assert isinstance(space, spaces.Box), "only a Box is an image"
    if not is_image_space_channels_first(space) or min(space.shape[1:]) < _KERNEL_PIXELS:
        raise ValueError(
            f"{name} is an image of {space.shape}; SmallImageCNN needs the channels first, which "
            "Stable-Baselines3 reorders in environments alone, and at least "
            f"{_KERNEL_PIXELS} x {_KERNEL_PIXELS} pixels: use TransformObservation or "
            "FlattenObservation of gymnasium.wrappers, or a features_extractor_class of your own"
        )


def check_extractor_arguments(
    space: spaces.Space[Any], extractor: type[BaseFeaturesExtractor], arguments: Mapping[str, Any]
) -> None:
    """Refuse arguments that a features extractor does not take."""
    known = inspect.signature(extractor).parameters
    unknown = sorted(arguments.keys() - known.keys())
    if not unknown or any(x.kind is inspect.Parameter.VAR_KEYWORD for x in known.values()):
        return
    fix = "leave features_extractor_kwargs out"
    if extractor is FlattenExtractor and isinstance(space, spaces.Box) and len(space.shape) == 3:
        fix += (
            "; images are uint8 values from 0 to 255, or, with normalize_images=False, other "
            "values with the channels first"
        )
    raise ValueError(
        f"{extractor.__name__}, which observations {space} pass, takes no argument "
        f"{', '.join(unknown)}; {fix}"
    )


def check_start(space: spaces.Space[Any], name: str) -> None:
    """Refuse a discrete space that does not start at 0, as Stable-Baselines3 assumes."""
    # Stable-Baselines3 would encode and store such values as other ones.
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete) and np.any(space.start != 0):
        raise ValueError(
            f"{name} {space} starts at {space.start}, and Stable-Baselines3 counts from 0; shift "
            "it by gymnasium.wrappers.TransformObservation or TransformAction"
        )


def make_normaliser(
    space: spaces.Space[Any],
    extractor: type[BaseFeaturesExtractor],
    extractor_arguments: dict[str, Any],
    normalize_images: bool,
) -> ObservationNormaliser | None:
    """Return a normaliser of features that are flattened Boxes, not images; None without any."""
    # One-hots, flags, images and spikes are not standardised, nor features of a user's extractor.
    if extractor is FlattenExtractor:
        values = isinstance(space, spaces.Box) and not is_image_space(space)
        analogue = values and _spike_shape(space) is None
        return ObservationNormaliser(get_flattened_obs_dim(space)) if analogue else None
    if extractor is not CombinedExtractor or not isinstance(space, spaces.Dict):
        return None
    columns: list[int] = []
    start = 0
    for part in space.values():
        if is_image_space(part, normalized_image=not normalize_images):
            start += extractor_arguments.get("cnn_output_dim", 256)
            continue
        end = start + get_flattened_obs_dim(part)
        columns += range(start, end) if isinstance(part, spaces.Box) else ()
        start = end
    return PartialNormaliser(columns) if columns else None


class PartialNormaliser(ObservationNormaliser):
    """Normaliser of the features at some positions; all others pass unchanged."""

    columns: Tensor

    def __init__(self, columns: list[int]) -> None:
        super().__init__(len(columns))
        # Follows from the observation space, hence not saved.
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, observations: Tensor) -> Tensor:
        """Return features (B, F), float, of which those at ``columns`` are standardised."""
        standardised = super().forward(observations[:, self.columns])
        return observations.index_copy(1, self.columns, standardised)
