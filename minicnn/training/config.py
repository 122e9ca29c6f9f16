"""The settings of a run: resolved from recipe and flags, checked, and kept in config.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from minicnn.backend import device_index
from minicnn.cuda.products import PRECISIONS
from minicnn.data import CIFAR10_MD5, CIFAR10_URL
from minicnn.errors import CheckpointError, DeviceError, UsageError
from minicnn.nn.layers import Activation
from minicnn.training.recipes import SCHEDULES, Recipe

MODELS = ("googlenet-cifar", "googlenet")
DATA = ("shapes", "cifar10", "folder")
ACTIVATIONS = ("relu", "sigmoid", "tanh")
INITIALISATIONS = ("he", "glorot", "caffe", "zero")

# What numbers of channels and steps are counted from: far beyond any memory, and far below overflow.
TOO_LARGE = 1e5

# By annotation; the rest, such as Activation, is checked as a choice.
TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "True or False"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "text"),
}

# Settings that older runs do not have; they were made as if by the default.
ADDED_LATER = {"matmul_precision"}

# Where and how fast a run is computed, but not what comes out: may change when it is resumed.
CHANGEABLE_ON_RESUME = ("threads", "data_dir", "data_url", "data_md5")


@dataclass(frozen=True, kw_only=True)
class Config(Recipe):
    """All settings of a run; equal configs give equal results, whatever the number of threads.

    Attributes
    ----------
    recipe : str
        Name of the recipe the settings started from.
    data, data_dir : str, str or None
        Data set, and the folder it is read from.
    data_url, data_md5 : str
        Where CIFAR-10 is downloaded from if no folder is given, and the checksum of the archive.
    limit : int or None
        Use only the first so many training images.
    val_fraction : float
        Share of the training images held back for validation.
    model, activation, aux
        Network, its non-linearity, and whether it has the auxiliary heads.
    seed : int
        Decides initialisation, split, order, augmentation and dropout.
    device, threads : str, int or None
        Where it runs; None threads: as many as there are cores.
    matmul_precision : str
        See `set_float32_matmul_precision`; it matters on a GPU only.

    Raises
    ------
    UsageError
        If a setting is out of range; the message names its flag.
    """

    recipe: str = "default"
    data: str = "shapes"
    data_dir: str | None = None
    data_url: str = CIFAR10_URL
    data_md5: str = CIFAR10_MD5
    limit: int | None = None
    val_fraction: float = 0.1
    model: str = "googlenet-cifar"
    activation: Activation = "relu"
    aux: bool = True
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    matmul_precision: str = "highest"

    def __post_init__(self) -> None:
        for setting in fields(self):
            _check_type(setting.name, getattr(self, setting.name), str(setting.type))
        _check_choice("data", self.data, DATA)
        _check_choice("model", self.model, MODELS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("activation", self.activation, ACTIVATIONS)
        _check_choice("initialisation", self.initialisation, INITIALISATIONS)
        _check_choice("matmul_precision", self.matmul_precision, PRECISIONS)
        try:
            device_index(self.device)
        except DeviceError as error:
            raise UsageError(f"--{error}") from None
        for name in ("epochs", "batch_size", "step_epochs", "patience"):
            _check_at_least_one(name, getattr(self, name))
        for name in ("limit", "threads"):
            if getattr(self, name) is not None:
                _check_at_least_one(name, getattr(self, name))
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"--seed: expected a whole number from 0 to 2**64 - 1, got {self.seed}")
        for name in ("lr", "step_factor", "poly_power", "bias_lr_factor"):
            _check_range(name, getattr(self, name), above=0.0)
        for name in ("weight_decay", "clip_norm", "aux_weight"):
            _check_range(name, getattr(self, name), at_least=0.0)
        _check_range("width", self.width, above=0.0, below=TOO_LARGE)
        _check_range("average_epochs", self.average_epochs, at_least=0.0, below=TOO_LARGE)
        for name in ("momentum", "warm_up"):
            _check_range(name, getattr(self, name), at_least=0.0, below=1.0)
        _check_range("val_fraction", self.val_fraction, above=0.0, below=1.0)
        if self.nesterov and self.momentum == 0.0:
            raise UsageError(
                "--nesterov looks ahead along the velocity: expected a --momentum above 0, got 0"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a dictionary that JSON can hold; what is trained on what comes first."""
        settings = asdict(self)
        recipe = {field.name for field in fields(Recipe)}
        return dict(sorted(settings.items(), key=lambda item: item[0] in recipe))

    @classmethod
    def from_json(cls, settings: Mapping[str, Any], where: str) -> Config:
        """Read what `to_json` gave; `where` is the file that errors name."""
        names = {field.name for field in fields(cls)}
        if odd_names := (set(settings) ^ names) - (ADDED_LATER - set(settings)):
            odd = ", ".join(sorted(odd_names))
            raise CheckpointError(f"{where}: its settings are not those of this version of minicnn: {odd}")
        try:
            return cls(**settings)
        except UsageError as error:
            raise CheckpointError(f"{where}: a setting is not what it should be: {error}") from None


def flag(name: str) -> str:
    """Return the command line flag that sets a setting.

    Examples
    --------
    >>> flag("batch_size")
    '--batch-size'
    """
    return "--" + name.replace("_", "-")


def describe(config: Config) -> str:
    """Name network and data of a run in a few words.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> from minicnn.training.recipes import find_recipe
    >>> describe(Config(**asdict(find_recipe("default", "googlenet-cifar", "shapes"))))
    'googlenet-cifar (width 0.25) on shapes'
    """
    width = f" (width {config.width:g})" if config.model == "googlenet-cifar" else ""
    return f"{config.model}{width} on {config.data}"


def _check_type(name: str, value: object, annotation: str) -> None:
    kind, _, optional = annotation.partition(" | ")
    if kind not in TYPES or (optional and value is None):
        return
    types, expected = TYPES[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and kind != "bool"):
        raise UsageError(f"{flag(name)}: expected {expected}, got {value!r}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{flag(name)}: expected one of {', '.join(choices)}, got {value!r}")


def _check_at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{flag(name)}: expected a whole number of at least 1, got {value}")


def _check_range(
    name: str, value: float, above: float = -math.inf, at_least: float = -math.inf, below: float = math.inf
) -> None:
    if not (math.isfinite(value) and above < value < below and value >= at_least):
        limits = [
            text
            for text, limit in (
                (f"above {above:g}", above),
                (f"at least {at_least:g}", at_least),
                (f"below {below:g}", below),
            )
            if math.isfinite(limit)
        ]
        raise UsageError(f"{flag(name)}: expected a number {' and '.join(limits)}, got {value:g}")
