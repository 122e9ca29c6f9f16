"""What may be the cause of a failure, among the settings of a run, and what to try then.

A setting is only named if the run has it otherwise than the recipe `default` for its network and data, with
which the network was seen to learn; and then with the numbers of both. If none is to blame, that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from minicnn.training.config import Config, flag
from minicnn.training.recipes import find_recipe

SMALL_BATCH = 0.25  # of the usual size: so many were seen to learn at the usual rate, a 16th not
FAR_DECAY = 10  # times the default: the recipes themselves differ by less


@dataclass(frozen=True)
class Cause:
    """A setting that may be to blame.

    Attributes
    ----------
    setting : str
        Its name in `Config`.
    blame : callable
        Takes the settings of the run and the usual ones; says what is wrong with the run's, None if nothing.
    """

    setting: str
    blame: Callable[[Config, Config], str | None]


def usual_settings(config: Config) -> Config:
    """Return the settings that network and data of a run have by default.

    With batches of less than a quarter of the usual size the rate is lower in proportion: so many more steps
    are taken, each by the gradient of fewer images.

    References
    ----------
    Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.1: the linear scaling rule.

    Examples
    --------
    >>> run = Config(epochs=60, batch_size=32, lr=2.0, schedule="poly", activation="sigmoid")
    >>> usual = usual_settings(run)
    >>> usual.lr, usual.schedule, usual.activation
    (0.05, 'one-cycle', 'relu')
    >>> usual_settings(Config(epochs=60, batch_size=8, lr=0.05, schedule="poly")).lr
    0.00625
    """
    recipe = find_recipe("default", config.model, config.data)
    share = config.batch_size / recipe.batch_size
    lr = recipe.lr * share if share < SMALL_BATCH else recipe.lr
    return Config(**{**asdict(recipe), "lr": lr}, model=config.model, data=config.data)


def blamed(causes: Sequence[Cause], config: Config) -> tuple[str, ...]:
    """Say which of these settings to change and why, in the order given; nothing of those that are as usual.

    Examples
    --------
    >>> run = Config(epochs=3, batch_size=64, lr=2.0, schedule="one-cycle")
    >>> for line in blamed([INITIALISATION, HIGH_RATE, NO_CLIPPING], run):
    ...     print(line)
    try --lr 0.05: --lr 2 is 40 times the default
    try --clip-norm 2: gradient clipping is off
    """
    usual = usual_settings(config)
    return tuple(
        f"try {_as_flag(cause.setting, usual)}: {wrong}"
        for cause in causes
        if (wrong := cause.blame(config, usual))
    )


def advise(causes: Sequence[Cause], config: Config) -> tuple[str, ...]:
    """Say what to try in a run that fails, the most likely first; if no setting is to blame, where to look.

    Parameters
    ----------
    causes : sequence of Cause
        Those that the failure may have, in the order of their likelihood.
    config : Config
        Of the run.

    Examples
    --------
    >>> usual = usual_settings(Config(epochs=3, batch_size=64, lr=2.0, schedule="one-cycle"))
    >>> advise([HIGH_RATE, NO_CLIPPING], usual)[0].split(", --")[0]
    'none of the usual causes is in the settings: --lr 0.05'
    """
    return blamed(causes, config) or _look_elsewhere(config)


def _look_elsewhere(config: Config) -> tuple[str, ...]:
    in_force = ", ".join(_as_flag(setting, config) for setting in dict.fromkeys(c.setting for c in CAUSES))
    return (
        f"none of the usual causes is in the settings: {in_force}",
        "look at the data and the code: the same command with --overfit-one-batch tells whether the network "
        "can learn at all, minicnn gradcheck whether every gradient is right; then try a third of the rate, "
        f"--lr {config.lr / 3:.2g}",
    )


def _as_flag(setting: str, config: Config) -> str:
    value = getattr(config, setting)
    return f"{flag(setting)} {value:g}" if isinstance(value, float) else f"{flag(setting)} {value}"


def _times(setting: str, config: Config, usual: Config) -> str:
    ratio = getattr(config, setting) / getattr(usual, setting)
    in_words = f"{ratio:,.0f}" if 100 <= ratio < 1e6 else f"{ratio:.2g}"
    return f"{_as_flag(setting, config)} is {in_words} times the default"


def _compare_rates(config: Config, usual: Config) -> str:
    small = config.batch_size < SMALL_BATCH * usual.batch_size
    return _times("lr", config, usual) + (f" for --batch-size {config.batch_size}" if small else "")


def _blame_high_rate(config: Config, usual: Config) -> str | None:
    return _compare_rates(config, usual) if config.lr > usual.lr else None


def _blame_low_rate(config: Config, usual: Config) -> str | None:
    return f"{_compare_rates(config, usual)}, and gets nowhere soon" if config.lr < usual.lr else None


def _blame_no_clipping(config: Config, usual: Config) -> str | None:
    if config.clip_norm == 0:
        return "gradient clipping is off"
    return _times("clip_norm", config, usual) if config.clip_norm > usual.clip_norm else None


def _blame_low_clipping(config: Config, usual: Config) -> str | None:
    if not 0 < config.clip_norm < usual.clip_norm:
        return None
    return f"{_times('clip_norm', config, usual)}, and cuts steps that much shorter"


def _blame_momentum(config: Config, usual: Config) -> str | None:
    if config.momentum <= usual.momentum:
        return None
    ratio = (1 - usual.momentum) / (1 - config.momentum)
    return f"{_as_flag('momentum', config)} makes steps up to {ratio:.2g} times as long"


def _blame_no_warm_up(config: Config, usual: Config) -> str | None:
    if config.schedule == usual.schedule:
        return None
    return f"--schedule {config.schedule} begins at the full rate, {usual.schedule} at a 25th of it"


def _blame_short_warm_up(config: Config, usual: Config) -> str | None:
    if config.schedule != usual.schedule or config.warm_up >= usual.warm_up:
        return None
    return (
        f"with {_as_flag('warm_up', config)} the rate is at its highest after {config.warm_up:.0%} of the run"
    )


def _blame_activation(config: Config, usual: Config) -> str | None:
    return {
        "sigmoid": "a sigmoid passes on at most a quarter of the gradient, layer by layer",
        "tanh": "tanh is flat at both ends, a ReLU at one",
    }.get(config.activation)


def _blame_initialisation(config: Config, usual: Config) -> str | None:
    return {
        "zero": "weights that all start at zero stay equal; he draws them at random",
        "glorot": "glorot draws weights for layers without ReLUs, he for ReLUs, which halve the variance",
        "caffe": "caffe draws weights of half the variance that ReLUs need, he of all of it",
    }.get(config.initialisation)


def _blame_decay(config: Config, usual: Config) -> str | None:
    if config.weight_decay < FAR_DECAY * usual.weight_decay:
        return None
    return f"{_times('weight_decay', config, usual)}, and pulls all weights towards zero"


HIGH_RATE = Cause("lr", _blame_high_rate)
LOW_RATE = Cause("lr", _blame_low_rate)
NO_CLIPPING = Cause("clip_norm", _blame_no_clipping)
LOW_CLIPPING = Cause("clip_norm", _blame_low_clipping)
MOMENTUM = Cause("momentum", _blame_momentum)
NO_WARM_UP = Cause("schedule", _blame_no_warm_up)
SHORT_WARM_UP = Cause("warm_up", _blame_short_warm_up)
ACTIVATION = Cause("activation", _blame_activation)
INITIALISATION = Cause("initialisation", _blame_initialisation)
DECAY = Cause("weight_decay", _blame_decay)

TOO_LONG_STEPS = (HIGH_RATE, NO_CLIPPING, MOMENTUM, NO_WARM_UP, SHORT_WARM_UP)
CAUSES = (LOW_RATE, LOW_CLIPPING, *TOO_LONG_STEPS, ACTIVATION, INITIALISATION, DECAY)
