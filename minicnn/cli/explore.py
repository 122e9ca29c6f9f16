"""`minicnn explore`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minicnn import data, models, nn, study
from minicnn.cli.checks import check_output_file, is_untrained_model
from minicnn.cli.images_of_run import load_images_of_run
from minicnn.cli.look import LIST_CLASSES
from minicnn.cli.measured_batch import seed_dropouts
from minicnn.cli.networks import INPUT_SIZE, build_network, load_network
from minicnn.cli.train import resolve_config
from minicnn.cli.users_network import is_users_network, make_image_network, run_users_network
from minicnn.cli.values import model_name, positive_number, positive_whole_number, whole_number
from minicnn.errors import UsageError
from minicnn.parallel import set_num_threads
from minicnn.tensor import Tensor, composed
from minicnn.training.config import MODELS, Config

# An untrained network looks at the embedded data set.
SHAPES = 500

SEED = 0  # of the weights of an untrained network, and of what dropout drops

EXAMPLES = """\
examples:
  minicnn explore                                  googlenet-cifar, untrained, on an embedded image
  minicnn explore runs/googlenet-cifar-cifar10-1 --index 7
  minicnn explore runs/googlenet-cifar-cifar10-1 --image cat.jpg --module inception4a
  minicnn explore googlenet-cifar --width 0.25 --out small.html
  minicnn explore my_network.py:make               a network of your own, for colour images
"""


class Subject(NamedTuple):
    """A network with an image to look at."""

    network: nn.Module
    title: str
    aux_weight: float
    class_names: tuple[str, ...]
    image: np.ndarray  # (1, H, W, 3), normalised
    image_title: str
    label: int | None


def add_explore_flags(parser: argparse.ArgumentParser) -> None:
    """Add everything that `minicnn explore` understands."""
    parser.add_argument(
        "subject", metavar="RUN|MODEL", nargs="?", default="googlenet-cifar",
        help=f"folder of a run, checkpoint file, or untrained {', '.join(MODELS)}, file.py:factory or "
        "package.module:factory (default: googlenet-cifar)",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--image", metavar="FILE", help="an image of your own; its loss is that of --label")
    what.add_argument(
        "--index", metavar="N", type=whole_number,
        help="which test image of the run's data set; untrained: which embedded image (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--label", metavar="NAME",
        help="the class that the loss asks for (default: the true one; with --image the predicted one)",
    )  # fmt: skip
    parser.add_argument(
        "--module", metavar="NAME", help="begin where the walk enters this module, e.g. inception4a or 4a"
    )
    parser.add_argument(
        "--out", metavar="FILE", default="explore.html", help="the page to write (default: explore.html)"
    )
    parser.add_argument(
        "--width", metavar="W", type=positive_number,
        help="scale of an untrained googlenet-cifar's channel counts (default: 1)",
    )  # fmt: skip
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the data (default: the run's)")
    parser.add_argument(
        "--threads", metavar="N", type=positive_whole_number,
        help="threads to use; results do not depend on it (default: the cores this process may use)",
    )  # fmt: skip


def explore_command(options: argparse.Namespace) -> int:
    """Write a page on which one steps backward through a network; returns the exit status."""
    if options.threads is not None:
        set_num_threads(options.threads)
    check_output_file("--out", options.out)
    is_users = is_users_network(options.subject)
    if is_users:
        subject = _users(options)
    elif is_untrained_model(options.subject):
        subject = _untrained(options)
    else:
        subject = _trained(options)
    network = subject.network
    module = _module_named(network, options.module)

    seed_dropouts(network, SEED)
    image = Tensor(subject.image, requires_grad=True)  # so that the walk goes on to the pixels
    with composed():
        out = run_users_network(subject.title, network, image) if is_users else network.train()(image)
        if not np.isfinite(out.logits.numpy()).all():
            raise UsageError(f"{subject.title}: its logits are not finite, so no gradient is")
        predicted = int(out.logits.numpy()[0].argmax())
        names, label = subject.class_names, subject.label
        if out.logits.shape[1] != len(names):  # a network of the user's, for other classes
            names, label = tuple(map(str, range(out.logits.shape[1]))), None
        label = _label(options.label, names, predicted if label is None else label)
        loss = models.total_loss(out, np.array([label]), subject.aux_weight)
    file = study.explore(
        loss,
        options.out,
        title=f"Backprop through {subject.title}",
        subtitle=f"{subject.image_title}; the loss asks for '{names[label]}', the network says "
        f"'{names[predicted]}'; training mode, with dropout",
        module=module,
    )
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    print(f"wrote {file} ({size}): open it in a browser, press ? for help")
    return 0


def _trained(options: argparse.Namespace) -> Subject:
    if options.width is not None:
        raise UsageError("--width: a trained network has the width it was trained with")
    network, checkpoint, _ = load_network(options.subject)
    config, facts = checkpoint.config, checkpoint.data
    size = INPUT_SIZE[config.model]
    if options.image is not None:
        if options.data_dir is not None:
            raise UsageError("--data-dir: with --image no data set is read")
        pixels, label, title = data.read_image(options.image, size), None, Path(options.image).name
    else:
        config, images_of_run = load_images_of_run(checkpoint, None, options.data_dir)
        images, labels = images_of_run.test
        index = _index(options.index, len(images), f"test images of {config.data}")
        pixels, label = _enlarged(images[index], size), int(labels[index])
        title = f"test image {index} of {config.data}"
    if checkpoint.step_of_epoch:
        trained = f"{config.model}, trained up to {checkpoint.place}"
    else:
        trained = f"{config.model}, trained for {checkpoint.epoch} epoch{'s' * (checkpoint.epoch != 1)}"
    image = facts.normalisation.apply(pixels[None])
    return Subject(network, trained, config.aux_weight, facts.class_names, image, title, label)


def _untrained(options: argparse.Namespace) -> Subject:
    model = model_name(options.subject)
    config = resolve_config({"model": model, "width": options.width or 1.0, "seed": SEED})
    network = build_network(config, len(data.SHAPE_CLASS_NAMES))
    return _on_an_embedded_image(
        options, network, f"{model}, untrained", INPUT_SIZE[model], config.aux_weight
    )


def _users(options: argparse.Namespace) -> Subject:
    if options.width is not None:
        raise UsageError(f"--width: it is {options.subject} that decides how wide its network is")
    network, size = make_image_network(options.subject)
    return _on_an_embedded_image(options, network, options.subject, size, Config.aux_weight)


def _on_an_embedded_image(
    options: argparse.Namespace, network: nn.Module, network_title: str, size: int, aux_weight: float
) -> Subject:
    """Show an untrained network an image of the embedded data set, or the user's."""
    if options.data_dir is not None:
        raise UsageError("--data-dir: only a trained network has a data set; use --image for a picture")
    images, labels = data.load_shapes(SHAPES, seed=0)
    normalisation = data.Normalisation.from_images(images)
    if options.image is not None:
        pixels, label, title = data.read_image(options.image, size), None, Path(options.image).name
    else:
        index = _index(options.index, len(images), "embedded images")
        pixels, label, title = _enlarged(images[index], size), int(labels[index]), f"embedded image {index}"
    image = normalisation.apply(pixels[None])
    return Subject(network, network_title, aux_weight, data.SHAPE_CLASS_NAMES, image, title, label)


def _index(index: int | None, count: int, what: str) -> int:
    index = 0 if index is None else index
    if not 0 <= index < count:
        raise UsageError(f"--index: there are {count:,} {what}: expected 0 to {count - 1}, got {index}")
    return index


def _label(name: str | None, names: tuple[str, ...], otherwise: int) -> int:
    if name is None:
        return otherwise
    if name not in names:
        known = ", ".join(names) if len(names) <= LIST_CLASSES else f"{names[0]}, {names[1]}, ... {names[-1]}"
        raise UsageError(f"--label: expected one of {known}, got '{name}'")
    return names.index(name)


def _module_named(network: nn.Module, name: str | None) -> str | None:
    """Return the name of an outermost module; of an inception module "4a" is enough, as tables have it."""
    known = [child for child, _ in network.children()]
    if name is None or name in known:
        return name
    if f"inception{name}" in known:
        return f"inception{name}"
    raise UsageError(f"--module: expected one of {', '.join(known) or '(there are none)'}; got '{name}'")


def _enlarged(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape[0] == size:
        return image
    larger = data.resize_bilinear(image[None].astype(np.float32), size)[0]
    return larger.round().clip(0, 255).astype(np.uint8)
