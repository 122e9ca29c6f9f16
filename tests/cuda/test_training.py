"""Training on a GPU: the losses of the CPU, exact resumption, and what is said when something is wrong."""

import gc
import json
import re
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minicnn import DeviceError, DeviceMemoryError, Tensor, nn, no_kernels, no_winograd
from minicnn import functional as F
from minicnn.backend import to_device, to_numpy
from minicnn.cli import main
from minicnn.cli.networks import load_network
from minicnn.cuda import cublas, graph
from minicnn.cuda.memory import peak_bytes
from minicnn.data import Normalisation
from minicnn.tensor import Function, no_grad
from minicnn.training import (
    Config,
    DataFacts,
    Images,
    NonFiniteLossError,
    RunFolder,
    SmallerBatches,
    evaluate,
    load_checkpoint,
    make_splits,
    overfit_one_batch,
    train,
)
from minicnn.training.state import TrainingState
from minicnn.training.step import TrainingStep

SIZE = 8
CLASSES = ("red", "green", "blue")


class SmallGoogLeNet(nn.Module):
    """An inception module between a convolution and three classifiers."""

    def __init__(self, channels=4):
        super().__init__()
        rng = np.random.default_rng(0)
        self.conv = nn.Conv2d(3, channels, 3, padding=1, activation="relu", rng=rng)
        self.norm = nn.LocalResponseNorm(alpha=1.0)
        self.inception = nn.Inception(channels, 3, 2, 4, 2, 3, 2, rng=rng)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.aux1 = nn.Linear(4 * 4 * channels, 3, rng=rng)
        self.aux2 = nn.Linear(4 * 4 * 12, 3, rng=rng)
        self.dropout = nn.Dropout(0.3, rng=rng)
        self.fc = nn.Linear(12, 3, rng=rng)

    def forward(self, x, heads=None):
        x = self.norm(self.conv(x))
        run_heads = self.training if heads is None else heads
        aux1 = self.aux1(F.flatten(F.avg_pool2d(x, 2))) if run_heads else None
        x = self.pool(self.inception(x))
        aux2 = self.aux2(F.flatten(x)) if run_heads else None
        return nn.GoogLeNetOutput(self.fc(self.dropout(F.global_avg_pool2d(x))), aux1, aux2)


def coloured(count, seed):
    """Noise in which one of three colours is a little stronger."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 200, (count, SIZE, SIZE, 3))
    images[np.arange(count), :, :, labels] += 55
    return images.astype(np.uint8), labels.astype(np.int64)


@pytest.fixture
def images():
    train_images = coloured(28, 1)
    facts = DataFacts(CLASSES, 28, 9, Normalisation.from_images(train_images[0]))
    return Images(train_images, coloured(9, 2), coloured(9, 3), facts)


@pytest.fixture
def config(gpu):
    return Config(
        epochs=2, batch_size=4, lr=0.02, schedule="one-cycle", nesterov=True, weight_decay=1e-3,
        clip_norm=1.0, average_epochs=0.5, seed=3, device=gpu,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)


def network(config, dropout=0.0, channels=4):
    made = SmallGoogLeNet(channels)
    made.dropout.p = dropout
    return made.to(config.device)


def run(config, images, path, dropout=0.0, channels=4):
    splits = make_splits(images, config, SIZE)
    folder = RunFolder.create(path, config, splits.facts)
    return train(network(config, dropout, channels), config, splits, folder), folder


def test_losses_are_those_of_the_cpu(config, images, tmp_path):
    _, on_gpu = run(config, images, tmp_path / "gpu")
    _, on_cpu = run(replace(config, device="cpu"), images, tmp_path / "cpu")
    for ours, expected in zip(on_gpu.read_metrics(), on_cpu.read_metrics(), strict=True):
        for name in ("train_loss", "train_aux1_loss", "val_loss", "val_aux2_loss"):
            assert ours[name] == pytest.approx(expected[name], rel=1e-4), name
        assert ours["train_accuracy"] == pytest.approx(expected["train_accuracy"], abs=0.08)


def test_most_steps_are_replayed(config, images, tmp_path, monkeypatch):
    forwards = []
    original = SmallGoogLeNet.forward

    def listen(self, x, heads=None):
        forwards.append(self.training)
        return original(self, x, heads)

    monkeypatch.setattr(SmallGoogLeNet, "forward", listen)
    _, folder = run(config, images, tmp_path / "run")
    assert folder.read_metrics()[-1]["step"] == 14
    assert sum(forwards) == 3, "two to warm up and one to record"


@pytest.mark.parametrize("crash_after", [3, 9])
def test_a_resumed_run_is_the_same_run(config, images, tmp_path, monkeypatch, crash_after):
    """Also where it is resumed before and after the recording; dropout and averages included."""
    _, whole = run(config, images, tmp_path / "whole", dropout=0.3)
    steps = 0

    def stop(self, *arguments):
        nonlocal steps
        steps += 1
        if steps > crash_after:
            raise KeyboardInterrupt

    splits = make_splits(images, config, SIZE)
    folder = RunFolder.create(tmp_path / "stopped", config, splits.facts)
    with monkeypatch.context() as patch:
        patch.setattr("minicnn.training.progress.Progress.after_step", stop)
        with pytest.raises(KeyboardInterrupt):
            train(network(config, 0.3), config, splits, folder)
    train(network(config, 0.3), config, splits, folder)
    ours, expected = (load_checkpoint(f.checkpoint_path) for f in (folder, whole))
    for group in ("weights", "velocity", "averages"):
        for name, array in getattr(expected, group).items():
            np.testing.assert_array_equal(getattr(ours, group)[name], array, err_msg=f"{group} of {name}")
    losses = [[row["train_loss"] for row in f.read_metrics()] for f in (folder, whole)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("steps_before", [0, 4])
def test_a_number_that_is_not_finite_is_located(config, images, tmp_path, monkeypatch, steps_before):
    """In the first step, and in one that is replayed; the weights are those of before."""
    splits = make_splits(images, config, SIZE)
    folder = RunFolder.create(tmp_path / "run", config, splits.facts)
    model = network(config)
    steps = 0

    def spoil(*arguments):
        nonlocal steps
        steps += 1
        if steps == steps_before:
            model.conv.bias.data[...] = 1.0
            model.inception.conv1x1.weight.data[...] = 3e38

    if steps_before == 0:
        steps = -1
        spoil()
    monkeypatch.setattr("minicnn.training.progress.Progress.after_step", spoil)
    with pytest.raises(
        NonFiniteLossError,
        match=rf"^the loss became \S+ at step {steps_before + 1} in epoch 1, .* \(the first of these numbers "
        r"came from conv2d in inception\.conv1x1\): training has diverged",
    ):
        train(model, config, splits, folder)
    assert all(np.isfinite(array).all() for array in model.state_dict().values())


class Attention(nn.Module):
    """Pixels that look at each other: products of stacks of matrices."""

    def forward(self, x):
        pixels = x.reshape(x.shape[0], -1, x.shape[-1])
        return x + F.matmul(F.matmul(pixels, pixels.transpose(0, 2, 1)), pixels).reshape(*x.shape) * 1e-3


class WithoutKernels(nn.Module):
    """An op's array path may call CuPy's own cuBLAS, which cannot be recorded."""

    def forward(self, x):
        with no_kernels():
            return F.local_response_norm(x)


class ReadingTheNorm(nn.Module):
    def forward(self, x):
        return x * (1 / (1 + float(abs(x.numpy()).max())))


class ReadingInTheGradient(Function):
    name = "clip"

    def forward(self, x):
        return x.copy()

    def backward(self, gy):
        return (gy * min(1.0, float(to_numpy(abs(gy).max()))),)


class ClippedGradient(nn.Module):
    def forward(self, x):
        return ReadingInTheGradient().apply(x)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (
            WithoutKernels,
            "local_response_norm in norm: NotImplementedError: calling cuBLAS API",
        ),
        (ReadingTheNorm, "norm: CUDARuntimeError: cudaErrorStreamCaptureUnsupported"),
        (ClippedGradient, "the gradient of clip in norm: CUDARuntimeError: cudaErrorStreamCapture"),
    ],
)
def test_a_step_that_cannot_be_recorded_is_run_op_by_op(
    stand_in, config, images, tmp_path, capsys, monkeypatch, layer, named
):
    """With the bits of steps that nobody tried to record, and said once."""

    def trained(name):
        model = network(config, 0.3)
        model.norm = layer()
        splits = make_splits(images, config, SIZE)
        folder = RunFolder.create(tmp_path / name, config, splits.facts)
        train(model, config, splits, folder)
        return model, folder, capsys.readouterr().out

    tried, tried_folder, said = trained("tried")
    monkeypatch.setattr(graph, "WARM_UPS", 1000)
    plain, plain_folder, plain_said = trained("plain")
    assert said.count("cannot be recorded") == 1
    (line,) = (line for line in said.splitlines() if "cannot be recorded" in line)
    assert line.startswith(f"this training step cannot be recorded as a CUDA graph, because of {named}")
    assert line.endswith("; it is run op by op instead: the same results, but slower")
    assert "recorded" not in plain_said
    for name, array in plain.state_dict().items():
        np.testing.assert_array_equal(tried.state_dict()[name], array, err_msg=name)
    losses = [[row["train_loss"] for row in f.read_metrics()] for f in (tried_folder, plain_folder)]
    assert losses[0] == losses[1]
    velocities = [load_checkpoint(f.checkpoint_path).velocity for f in (tried_folder, plain_folder)]
    for name, array in velocities[1].items():
        np.testing.assert_array_equal(velocities[0][name], array, err_msg=name)


@pytest.fixture
def small_workspace(stand_in, monkeypatch):
    monkeypatch.setattr(cublas, "WORKSPACE_BYTES", 1 << 10)
    return stand_in


def test_a_step_with_products_of_stacks_is_recorded(gpu, images, capsys):
    losses = {}
    for device in (gpu, "cpu"):
        config = Config(epochs=1, batch_size=4, lr=0.02, schedule="constant", device=device)
        model = network(config)
        model.norm = Attention()
        step = TrainingStep(model, TrainingState(model, config, steps_per_epoch=6))
        x, labels = next(make_splits(images, config, SIZE).train.epoch(0))
        losses[device] = [step(x, labels, 0, number).loss for number in range(6)]
        step.close()
    assert capsys.readouterr().out == ""  # it says so if a step cannot be recorded
    assert losses[gpu] == pytest.approx(losses["cpu"], rel=1e-4)


def test_a_full_gpu_says_which_batch_size_would_fit(small_workspace, images, tmp_path):
    import emulated_cupy

    config = Config(
        epochs=1,
        batch_size=28,
        lr=0.01,
        schedule="constant",
        seed=3,
        device=small_workspace,
        average_epochs=0.0,
    )
    with emulated_cupy.limit_memory(5 << 19):
        with pytest.raises(DeviceMemoryError) as caught:
            run(config, images, tmp_path / "full", channels=100)
        message = str(caught.value)
        fits = re.fullmatch(
            r"out of GPU memory: (the gradient of )?\w+( in [\w.]+)? asked for \d+\.\d MiB, when "
            r"\d\.\d MiB of the 2\.5 MiB on cuda:0 were taken, in a step of 28 images; "
            r"--batch-size (\d+) would fit",
            message,
        )
        assert fits, message
        del caught
        batch_size = int(fits.group(3))
        assert 4 <= batch_size < 28
        run(replace(config, batch_size=batch_size), images, tmp_path / "fits", channels=100)


def test_a_gpu_that_is_much_too_small_says_so(small_workspace, images, tmp_path):
    import emulated_cupy

    config = Config(epochs=1, batch_size=4, lr=0.01, schedule="constant", device=small_workspace)
    with (
        emulated_cupy.limit_memory(300 << 10),
        pytest.raises(DeviceMemoryError, match=r"in a step of 4 images; not even a batch of one image fits$"),
    ):
        run(config, images, tmp_path / "full", channels=100)


IN_PARTS = (
    r"out of GPU memory: \w+ in [\w.]+ asked for \d+\.\d MiB, when \d\.\d MiB of the \d\.\d MiB on cuda:0 "
    r"were taken, when evaluating {} images at once; "
    r"going on with (\d+) at once: the same results, but slower"
)


@contextmanager
def room_for(share, function):
    """Limit the stand-in's memory to what is in use and a share of what a function takes besides."""
    import cupy

    import emulated_cupy

    needed = peak_bytes(function)
    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    free, total = cupy.cuda.runtime.memGetInfo()
    with emulated_cupy.limit_memory(total - free + int(share * needed)):
        yield


@pytest.mark.parametrize(("share", "at_once"), [(0.7, 4), (0.35, 2)])
def test_an_evaluation_that_does_not_fit_is_done_in_parts(small_workspace, images, share, at_once):
    config = Config(epochs=1, batch_size=9, lr=0.01, schedule="constant", device=small_workspace)
    model, splits = network(config, channels=100), make_splits(images, config, SIZE)

    def measure(smaller=None):
        return evaluate(model, splits.val.epoch(0), heads=True, smaller=smaller)

    expected, said = measure(), []
    smaller = SmallerBatches(said.append)
    with room_for(share, measure):
        for _ in range(2):
            figures = measure(smaller)
            for head, of_head in expected.items():
                ours = figures[head]
                assert (ours.images, ours.hits, ours.top5_hits) == (9, of_head.hits, of_head.top5_hits)
                assert ours.loss == pytest.approx(of_head.loss, rel=1e-6)
    assert len(said) == 1, "it stays with the size that it has found"
    found = re.fullmatch(IN_PARTS.format(9), said[0])
    assert found, said
    assert int(found.group(1)) == smaller.most == at_once


def test_without_room_for_one_image_an_evaluation_ends(small_workspace, images):
    config = Config(epochs=1, batch_size=9, lr=0.01, schedule="constant", device=small_workspace)
    model, splits = network(config, channels=100), make_splits(images, config, SIZE)

    def measure():
        return evaluate(model, splits.val.epoch(0), heads=True)

    with (
        room_for(0.02, measure),
        pytest.raises(DeviceMemoryError, match=r"evaluating 9 images at once; not even one image fits$"),
    ):
        measure()


def test_a_validation_that_does_not_fit_beside_the_recorded_step(small_workspace, images, tmp_path, capsys):
    import emulated_cupy

    config = Config(
        epochs=2, batch_size=9, lr=0.01, schedule="constant", seed=3, device=small_workspace,
        average_epochs=0.0,
    )  # fmt: skip
    _, free = run(config, images, tmp_path / "free", channels=100)
    assert "evaluating" not in capsys.readouterr().out
    with emulated_cupy.limit_memory(2300 << 10):
        _, full = run(config, images, tmp_path / "full", channels=100)
    said = [line for line in capsys.readouterr().out.splitlines() if "evaluating" in line]
    assert len(said) == 1
    assert re.fullmatch(IN_PARTS.format(9), said[0]), said
    for ours, expected in zip(full.read_metrics(), free.read_metrics(), strict=True):
        assert ours["train_loss"] == expected["train_loss"]
        assert ours["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-6)
        assert ours["val_accuracy"] == expected["val_accuracy"]


def test_one_batch_is_learned_by_heart(gpu, images):
    config = Config(epochs=1, schedule="constant", device=gpu, batch_size=6, augment=False, lr=0.01)
    x, labels = next(make_splits(images, config, SIZE).train.epoch(0))
    said = []
    assert overfit_one_batch(network(config), x, labels, 3, lr=0.02, max_steps=150, say=said.append)
    assert said[-1].startswith("Yes: it learned 6 images by heart")


def test_tensors_on_different_devices_are_named(gpu):
    x, w = Tensor(np.ones((1, 4, 4, 2), np.float32)), Tensor(np.ones((3, 3, 2, 2), np.float32))
    with pytest.raises(
        DeviceError, match=r"^conv2d: expected tensors on one device, got cuda:0 and cpu; use .to"
    ):
        F.conv2d(x.to(gpu), w)
    with pytest.raises(DeviceError, match=r"^add: expected tensors on one device, got cpu and cuda:0"):
        x + x.to(gpu)
    with pytest.raises(
        DeviceError, match=r"^cross_entropy: expected tensors on one device, got cpu and cuda:0"
    ):
        F.cross_entropy(Tensor([[0.0, 1.0]]), to_device(np.array([0]), gpu))


def test_a_gradient_on_another_device_is_named(gpu):
    y = Tensor([1.0], requires_grad=True) * 2
    with pytest.raises(DeviceError, match=r"^backward: gradient: expected it on cpu, got cuda:0; use .to"):
        y.backward(Tensor([1.0]).to(gpu))
    z = Tensor(to_device(np.ones(1, np.float32), gpu), requires_grad=True) * 2
    with pytest.raises(DeviceError, match=r"^backward: gradient: expected it on cuda:0, got cpu; use .to"):
        z.backward(Tensor([1.0]))


# ---- the command line ----


def test_the_commands(stand_in, tmp_path, capsys):
    folder = tmp_path / "run"
    for place, name in enumerate(CLASSES):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, image in enumerate(coloured(5, place)[0]):
            Image.fromarray(image).save(tmp_path / "photos" / name / f"{number}.png")
    quick = ["--data", "folder", "--data-dir", str(tmp_path / "photos"), "--width", "0.02", "--epochs", "1"]
    quick += ["--batch-size", "4", "--val-fraction", "0.2"]
    assert (
        main(["train", "--device", "cuda:1", *quick, "--matmul-precision", "high", "--out", str(folder)]) == 0
    )
    result = json.loads((folder / "result.json").read_text())
    for device in ("cuda", "cpu"):
        assert main(["eval", str(folder), "--device", device]) == 0
        assert f"{result['test_loss']:.4f}" in capsys.readouterr().out
    assert main(["train", "--resume", str(folder)]) == 0
    assert "is finished" in capsys.readouterr().out
    picture = tmp_path / "photos" / "red" / "0.png"
    answers = []
    for device in ("cuda", "cpu"):
        assert main(["predict", str(folder), str(picture), "--device", device]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]


def test_eval_and_predict_on_a_full_gpu(small_workspace, tmp_path, capsys):
    folder, photos = tmp_path / "run", tmp_path / "photos"
    for place, name in enumerate(CLASSES):
        (photos / name).mkdir(parents=True)
        for number, image in enumerate(coloured(40, place)[0]):
            Image.fromarray(image).save(photos / name / f"{number}.png")
    quick = ["--data", "folder", "--data-dir", str(photos), "--width", "0.02", "--epochs", "1"]
    assert main(["train", *quick, "--batch-size", "24", "--out", str(folder)]) == 0
    capsys.readouterr()
    loaded, _, _ = load_network(str(folder), "cuda")
    x = Tensor(np.zeros((24, 32, 32, 3), np.float32)).to("cuda")

    def classify():
        with no_grad():
            loaded(x)

    pictures = map(str, sorted(photos.glob("*/*.png")))
    for command in (["eval", str(folder)], ["predict", str(folder), *pictures]):
        assert main([*command, "--device", "cuda"]) == 0
        expected, said = capsys.readouterr()
        assert said == ""
        with room_for(0.35, classify):
            assert main([*command, "--device", "cuda"]) == 0
        answered, said = capsys.readouterr()
        assert re.fullmatch(IN_PARTS.format(r"\d+"), said.strip()), said
        assert answered == expected


@pytest.mark.parametrize("command", ["train --limit 64 --out {}", "eval {}", "predict {} x.png"])
def test_without_a_gpu_the_commands_say_what_the_doctor_finds(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minicnn.doctor.gpu_problem", lambda index: f"there is no GPU {index}; get one")
    arguments = command.format(tmp_path / "run").split()
    assert main([*arguments, "--device", "cuda:7"]) == 2
    assert capsys.readouterr().err == 'minicnn: error: --device "cuda:7": there is no GPU 7; get one\n'
    assert not (tmp_path / "run").exists()


def test_a_profile_is_of_the_cpu(capsys):
    assert main(["train", "--device", "cuda", "--profile"]) == 2
    assert capsys.readouterr().err == (
        "minicnn: error: --profile measures ops on the CPU; it does not go together with --device cuda\n"
    )


def changes(step, model, state):
    """Name what a user may do between two steps."""
    return {
        "weights replaced": lambda: setattr(model.conv.weight, "data", model.conv.weight.data * 0.5),
        "weights loaded": lambda: model.load_state_dict({n: a * 0.5 for n, a in model.state_dict().items()}),
        "velocities loaded": lambda: state.optimizer.load_state_dict(state.optimizer.state_dict()),
        "a parameter frozen": lambda: setattr(model.conv.weight, "requires_grad", False),
        "momentum": lambda: setattr(state.optimizer, "momentum", 0.5),
        "rate": lambda: setattr(state.optimizer, "lr_factor", 0.1),
        "dropout": lambda: setattr(model.dropout, "p", 0.0),
    }


@pytest.mark.parametrize("change", changes(None, None, None))
def test_a_recorded_step_notices_what_has_changed(gpu, images, change):
    losses = {}
    for device in (gpu, "cpu"):
        config = Config(
            epochs=1, batch_size=4, lr=0.02, schedule="constant", clip_norm=1.0, nesterov=False, device=device
        )
        model = network(config)
        state = TrainingState(model, config, steps_per_epoch=7)
        step = TrainingStep(model, state)
        x, labels = next(make_splits(images, config, SIZE).train.epoch(0))
        losses[device] = []
        for number in range(8):
            if number == 5:
                changes(step, model, state)[change]()
            losses[device].append(step(x, labels, 0, number).loss)
        step.close()
    assert losses[gpu] == pytest.approx(losses["cpu"], rel=1e-4)


@pytest.mark.parametrize("without", [no_winograd, no_kernels])
def test_a_step_is_recorded_again_with_other_algorithms(stand_in, images, without):
    """A replay, in which no layer is called, would go on with the old ones."""
    config = Config(epochs=1, batch_size=4, lr=0.02, schedule="constant", device=stand_in)
    model = network(config)
    step = TrainingStep(model, TrainingState(model, config, steps_per_epoch=9))
    x, labels = next(make_splits(images, config, SIZE).train.epoch(0))
    forward, runs = model.conv.forward, []
    model.conv.forward = lambda t: (runs.append(0), forward(t))[1]
    counts = []
    for number in range(6):
        with without() if number == 5 else nullcontext():
            step(x, labels, 0, number)
        counts.append(len(runs))
    step.close()
    assert graph.WARM_UPS == 2
    assert counts == [1, 2, 3, 3, 3, 4]


def test_after_training_dropout_is_as_it_was(gpu, images):
    config = Config(epochs=1, batch_size=4, lr=0.02, schedule="constant", device=gpu)
    model = network(config, dropout=0.5)
    before = model.dropout.rng
    step = TrainingStep(model, TrainingState(model, config, steps_per_epoch=7))
    x, labels = next(make_splits(images, config, SIZE).train.epoch(0))
    step(x, labels, 0, 0)
    step.close()
    assert model.dropout.rng is before
    first, second = (model(Tensor(x)).logits.numpy() for _ in range(2))
    assert (first != second).any()


def test_the_watch_sees_the_same_there(config, images, tmp_path):
    """It looks between recorded steps, op by op; what it finds is what is found on the CPU."""
    seen = {}
    for device in (config.device, "cpu"):
        config = replace(config, device=device)
        splits = make_splits(images, config, SIZE)
        folder = RunFolder.create(tmp_path / device, config, splits.facts)
        model = network(config, dropout=0.3)
        model.inception.conv3x3.bias.data[...] = -100.0
        train(model, config, splits, folder)
        seen[device] = [
            json.loads(line) for line in (folder.path / "findings.jsonl").read_text().splitlines()
        ]
    ours, expected = seen.values()
    assert [(f["step"], f["kind"], list(f["where"])) for f in ours] == [
        (f["step"], f["kind"], list(f["where"])) for f in expected
    ]
    assert (ours[0]["kind"], ours[0]["where"]["inception.conv3x3"]) == ("dead ReLUs", 1.0)
