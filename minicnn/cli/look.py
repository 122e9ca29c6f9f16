"""`minicnn look`."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicnn import data, study
from minicnn import functional as F
from minicnn.cli.networks import INPUT_SIZE, load_network
from minicnn.errors import UsageError
from minicnn.nn import Module
from minicnn.parallel import set_num_threads
from minicnn.study.looking.picture import LayerMap
from minicnn.tensor import Tensor, no_grad

LAYER = "inception5b"
# The last layer at each resolution, of both networks: what is fine and what is coarse.
DEPTHS = ("conv2", "inception3b", "inception4e", "inception5b")
LIST_CLASSES = 40  # if there are more, only those with a name like the one that was typed


def look_command(options: argparse.Namespace) -> int:
    """Write pictures of what a trained network sees in an image; returns the exit status."""
    if options.threads is not None:
        set_num_threads(options.threads)
    network, checkpoint, file = load_network(options.checkpoint, options.device)
    names = checkpoint.data.class_names
    asked_for = None if options.class_name is None else _find_class(names, options.class_name)
    normalisation = checkpoint.data.normalisation
    image = data.read_image(options.image, INPUT_SIZE[checkpoint.config.model])
    x = Tensor(normalisation.apply(image[None])).to(options.device)
    with no_grad():
        probabilities = F.softmax(network(x).logits).numpy()[0]
    predicted = int(probabilities.argmax())
    label = predicted if asked_for is None else asked_for

    cam = _layer_map(network, x, label, options.layer)
    depths = [_layer_map(network, x, label, layer) for layer in DEPTHS if layer != options.layer]
    gradient = study.input_gradient(network, x, label)[0]  # (H, W, 3), in logits per unit of x
    per_grey_level = gradient / np.asarray(normalisation.std, gradient.dtype)
    what = f"'{names[label]}' ({probabilities[label]:.1%})"
    look = study.Look(
        title=f"What speaks for {what} in {Path(options.image).name}",
        image=image,
        class_names=names,
        probabilities=probabilities,
        label=label,
        saliency=np.abs(per_grey_level).max(axis=2),
        cam=cam,
        other_depths=[depth for depth in depths if depth.size != cam.size],
        filters=study.first_filters(network),
    )
    written = study.draw_look(look, options.out or _folder(options.image, options.class_name))

    print(f"{options.image}, as {file} sees it:")
    for best in np.argsort(-probabilities, kind="stable")[:5]:
        print(f"  {probabilities[best]:7.2%}  {names[best]}")
    print(f"explained: {what}" + ("" if label == predicted else f"; predicted: '{names[predicted]}'"))
    print(f"pictures: {written[0]}, and one by one: {', '.join(path.name for path in written[1:])}")
    return 0


def _layer_map(network: Module, x: Tensor, label: int, layer: str) -> LayerMap:
    cam = study.grad_cam(network, x, label, layer)  # (1, h, w)
    return LayerMap(layer, cam.shape[1:], data.resize_bilinear(cam[..., None], x.shape[1:3])[0, :, :, 0])


def _find_class(names: Sequence[str], name: str) -> int:
    if name in names:
        return names.index(name)
    if len(names) <= LIST_CLASSES:
        known = f"the network knows {', '.join(names)}"
    else:
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
        known = f"near it, of {len(names)}: {', '.join(near) or 'none'}"
    raise UsageError(f"--class: there is no class '{name}'; {known}")


def _folder(image: str, class_name: str | None) -> Path:
    return Path("look") / (Path(image).stem + ("" if class_name is None else f"-{class_name}"))
