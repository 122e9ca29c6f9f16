"""AlexNet and VGG-16 against their papers, and how little memory their blank versions take."""

import tracemalloc

import numpy as np
import pytest

from minicnn import Tensor, models, study
from minicnn.models.chain import Chain

ALEXNET = {
    # weights and biases, output
    "conv1": (96 * (11 * 11 * 3 + 1), (55, 55, 96)),
    "pool1": (0, (27, 27, 96)),
    "conv2": (256 * (5 * 5 * 48 + 1), (27, 27, 256)),
    "pool2": (0, (13, 13, 256)),
    "conv3": (384 * (3 * 3 * 256 + 1), (13, 13, 384)),
    "conv4": (384 * (3 * 3 * 192 + 1), (13, 13, 384)),
    "conv5": (256 * (3 * 3 * 192 + 1), (13, 13, 256)),
    "pool5": (0, (6, 6, 256)),
    "fc6": (4096 * (9216 + 1), (4096,)),
    "fc7": (4096 * (4096 + 1), (4096,)),
    "fc8": (1000 * (4096 + 1), (1000,)),
}


def test_alexnet():
    model = models.alexnet(blank=True)
    summary = study.summarize(model, (1, *model.input_size))
    found = {stage.name: (stage.params, stage.output_shape[1:]) for stage in summary.stages}
    assert {name: found[name] for name in ALEXNET} == ALEXNET
    assert summary.total_params == sum(params for params, _ in ALEXNET.values()) == 60_965_224
    assert summary.total_macs == 724_406_816
    assert [stage.name for stage in summary.stages][:3] == ["conv1", "norm1", "pool1"]
    assert {row.name: row.activation for row in summary.rows if row.kind == "linear"} == {
        "fc6": "relu", "fc7": "relu", "fc8": ""
    }  # fmt: skip


def test_vgg16():
    model = models.vgg16(blank=True)
    summary = study.summarize(model, (1, *model.input_size))
    sizes, channels = (224, 112, 56, 28, 14), (64, 128, 256, 512, 512)
    macs = params = 0
    inputs = 3
    for size, filters, count in zip(sizes, channels, (2, 2, 3, 3, 3), strict=True):
        for _ in range(count):
            macs += size * size * 9 * inputs * filters
            params += 9 * inputs * filters + filters
            inputs = filters
    for fan_in, fan_out in ((7 * 7 * 512, 4096), (4096, 4096), (4096, 1000)):
        macs += fan_in * fan_out
        params += fan_in * fan_out + fan_out
    assert (summary.total_macs, summary.total_params) == (macs, params)
    assert params == 138_357_544
    assert summary.depth == 16


def test_alexnet_normalises_as_its_paper_does():
    model = models.alexnet(blank=True)
    for norm in (model.norm1, model.norm2):
        assert (norm.k, norm.size, norm.beta) == (2, 5, 0.75)
        assert norm.alpha / norm.size == pytest.approx(1e-4)
    assert (model.pool1.kernel_size, model.pool1.stride, model.dropout6.p) == (3, 2, 0.5)
    assert [getattr(model, f"conv{n}").groups for n in range(1, 6)] == [1, 2, 1, 2, 2]


@pytest.mark.parametrize("make", [models.alexnet, models.vgg16])
def test_blank_networks_take_little_memory(make):
    tracemalloc.start()
    try:
        model = make(blank=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    linear = sum(p.data.nbytes for p in model.parameters() if p.ndim == 2)
    assert linear > 200e6
    assert peak < 70e6, "the convolutions, which stay untouched; no linear weights"


def test_a_chain_that_is_not_blank_learns():
    def chain(blank):
        model = Chain(blank, np.random.default_rng(0))
        model.add_convolution("conv", 4, 6, 3, stride=2, padding=1, groups=2)
        model.pool = models.alexnet(blank=True).flatten
        model.add_linear("fc", 6 * 16, 3, None)
        model.add_dropout("dropout")
        return model

    full, blank = chain(False), chain(True)
    assert [p.shape for p in full.parameters()] == [p.shape for p in blank.parameters()]
    assert all(p.data.any() for p in full.parameters() if p.ndim > 1)
    assert not any(p.data.any() for p in blank.parameters())
    x = Tensor(np.ones((2, 8, 8, 4), np.float32))
    full(x).sum().backward()
    assert all(p.grad is not None for p in full.parameters())
    assert blank(x).shape == (2, 3)
