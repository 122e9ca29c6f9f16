"""GoogLeNet in TensorFlow: NHWC, the whole step as one graph. Its weights lie as minicnn's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.workloads import AUX_WEIGHT, LEARNING_RATE, MOMENTUM, Workload

TRUNK = ("3a", "3b", "pool", "4a", "aux1", "4b", "4c", "4d", "aux2", "4e", "pool", "5a", "5b")


def prepare(
    workload: Workload, weights: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray, threads: int
) -> Callable[[], Any]:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    variables = {name: tf.Variable(array) for name, array in weights.items()}
    velocities = {name: tf.Variable(tf.zeros_like(variable)) for name, variable in variables.items()}
    x, targets = tf.constant(images), tf.constant(labels)

    @tf.function
    def train(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            main, *heads = (
                tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
                for logits in googlenet(variables, x, workload.small, heads=True)
            )
            loss = main + AUX_WEIGHT * tf.add_n(heads)
        gradients = tape.gradient(loss, variables)
        for name, gradient in gradients.items():
            tf.raw_ops.ResourceApplyMomentum(
                var=variables[name].handle, accum=velocities[name].handle,
                lr=LEARNING_RATE, grad=gradient, momentum=MOMENTUM,
            )  # fmt: skip
        return loss

    @tf.function
    def infer(x: tf.Tensor) -> tf.Tensor:
        return googlenet(variables, x, workload.small, heads=False)[0]

    if workload.training:
        return lambda: float(train(x))
    return lambda: infer(x).numpy()


def googlenet(w: dict[str, tf.Variable], x: tf.Tensor, small: bool, heads: bool) -> list[tf.Tensor]:
    """Return the logits, and those of the two heads if they are to be run."""

    def conv(name: str, x: tf.Tensor, stride: int = 1, pad: int | None = None) -> tf.Tensor:
        padding = "SAME" if pad is None else [[0, 0], [pad, pad], [pad, pad], [0, 0]]
        y = tf.nn.conv2d(x, w[f"{name}.weight"], stride, padding)
        return tf.nn.relu(tf.nn.bias_add(y, w[f"{name}.bias"]))

    def linear(name: str, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.linalg.matmul(x, w[f"{name}.weight"]), w[f"{name}.bias"])

    def norm(x: tf.Tensor) -> tf.Tensor:  # here alpha is not divided by the number of channels
        return tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)

    def inception(name: str, x: tf.Tensor) -> tf.Tensor:
        return tf.concat(
            [
                conv(f"{name}.conv1x1", x),
                conv(f"{name}.conv3x3", conv(f"{name}.conv3x3_reduce", x)),
                conv(f"{name}.conv5x5", conv(f"{name}.conv5x5_reduce", x)),
                conv(f"{name}.pool_proj", tf.nn.max_pool2d(x, 3, 1, "SAME")),
            ],
            axis=3,
        )

    def head(name: str, x: tf.Tensor) -> tf.Tensor:
        x = conv(f"{name}.conv", tf.nn.avg_pool2d(x, 5, 3, "VALID"))
        x = tf.reshape(x, (x.shape[0], -1))
        return linear(f"{name}.fc2", tf.nn.relu(linear(f"{name}.fc1", x)))

    def pool(x: tf.Tensor) -> tf.Tensor:  # "SAME" pads below and to the right: the size is rounded up
        return tf.nn.max_pool2d(x, 3, 2, "SAME")

    x = norm(conv("conv1", x)) if small else norm(pool(conv("conv1", x, stride=2, pad=3)))
    x = pool(norm(conv("conv2", conv("conv2_reduce", x))))
    logits = []
    for stop in TRUNK:
        if stop == "pool":
            x = pool(x)
        elif stop.startswith("aux"):
            logits += [head(stop, x)] if heads else []
        else:
            x = inception(f"inception{stop}", x)
    return [linear("fc", tf.reduce_mean(x, axis=(1, 2))), *logits]
