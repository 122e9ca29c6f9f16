"""`minicnn look`: its files, its words, and its one line for everything that is wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor, data, study
from minicnn.cli import main
from minicnn.cli.networks import build_network, load_network
from minicnn.cli.train import resolve_config
from minicnn.training.checkpoint import Checkpoint, DataFacts, save_checkpoint
from minicnn.training.newest_checkpoint import CHECKPOINT

NAMES = ("red", "green", "blue")
FILES = {f"{name}.png" for name in ("look", "image", "classes", "saliency", "grad_cam", "filters", "depths")}


def make_run(folder, names=NAMES):
    """A network that was never trained: enough to look into."""
    config = resolve_config({"width": 0.05})
    facts = DataFacts(names, 10, 2, data.Normalisation((120.0, 110.0, 100.0), (60.0, 40.0, 50.0)))
    weights = build_network(config, len(names)).state_dict()
    folder.mkdir()
    save_checkpoint(Checkpoint(config, facts, 1, 10, weights), folder / CHECKPOINT)
    return str(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "noise.jpg"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 48, 3)).astype(np.uint8)).save(path)
    return str(path)


@pytest.fixture
def drawn(monkeypatch):
    """What would be drawn, and where."""
    calls = []
    monkeypatch.setattr(
        study, "draw_look", lambda look, folder: (calls.append((look, folder)), [Path(folder)])[1]
    )
    return calls


def fails(capsys, *arguments):
    assert main(["look", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line.removeprefix("minicnn: error: ")


def test_pictures(run, image, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minicnn.study.looking.picture.DPI", 40)
    monkeypatch.chdir(tmp_path)
    assert main(["look", run, image]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "pictures: look/noise/look.png, and one by one: image.png, " in out
    assert {path.name for path in (tmp_path / "look" / "noise").iterdir()} == FILES
    assert main(["predict", run, image]) == 0
    assert out.splitlines()[1:4] == capsys.readouterr().out.splitlines()[1:]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_is_computed_from_the_network(run, image, drawn, name, capsys):
    layer = "inception4b.conv1x1"
    assert main(["look", run, image, "--class", name, "--layer", layer, "--out", "there"]) == 0
    ((look, folder),) = drawn
    assert folder == "there"
    network, checkpoint, _ = load_network(run)
    pixels = data.read_image(image, 32)
    x = checkpoint.data.normalisation.apply(pixels[None])
    label = NAMES.index(name)
    assert (look.explained, look.title.split("(")[0]) == (name, f"What speaks for '{name}' ")
    np.testing.assert_array_equal(look.image, pixels)

    per_grey_level = study.input_gradient(network, x, label)[0] / (60, 40, 50)
    np.testing.assert_allclose(look.saliency, np.abs(per_grey_level).max(axis=2), rtol=1e-5)
    cam = study.grad_cam(network, x, label, layer)
    assert (look.cam.layer, look.cam.size) == (layer, (8, 8))
    np.testing.assert_array_equal(look.cam.values, data.resize_bilinear(cam[..., None], 32)[0, :, :, 0])
    others = {depth.layer: depth.size for depth in look.other_depths}
    assert others == {"conv2": (32, 32), "inception3b": (16, 16), "inception5b": (4, 4)}
    np.testing.assert_array_equal(look.filters, study.first_filters(network))

    logits = network(Tensor(x)).logits.numpy()[0]
    np.testing.assert_allclose(look.probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)
    predicted = NAMES[logits.argmax()]
    said = f"explained: '{name}' ({look.probabilities[label]:.1%})"
    assert (said if name == predicted else f"{said}; predicted: '{predicted}'") in capsys.readouterr().out


def test_saliency_is_the_slope_over_grey_levels(run, image, drawn):
    """One grey level more, in one colour of the most salient pixel, without any gradient."""
    main(["look", run, image, "--class", "red"])
    look = drawn[0][0]
    network, checkpoint, _ = load_network(run)
    network.astype(np.float64)
    i, j = np.unravel_index(look.saliency.argmax(), look.saliency.shape)

    def logit(pixels):
        normalisation = checkpoint.data.normalisation
        x = (pixels - np.array(normalisation.mean)) / np.array(normalisation.std)
        return network(Tensor(x[None])).logits.numpy()[0, 0]

    slopes = []
    for colour in range(3):
        up, down = look.image.astype(np.float64), look.image.astype(np.float64)
        up[i, j, colour] += 1e-4
        down[i, j, colour] -= 1e-4
        slopes.append((logit(up) - logit(down)) / 2e-4)
    assert max(map(abs, slopes)) == pytest.approx(look.saliency.max(), rel=1e-3)


def test_pictures_of_other_classes_do_not_replace_those_of_the_prediction(run, image, drawn):
    assert main(["look", run, image, "--class", "blue"]) == 0
    assert drawn[0][1].as_posix() == "look/noise-blue"


def test_bad_input(run, image, drawn, tmp_path, capsys):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    assert fails(capsys, str(tmp_path / "none"), image).endswith("there is no such checkpoint or folder")
    assert "neither a checkpoint nor the folder of a run" in fails(capsys, str(tmp_path), image)
    assert fails(capsys, run, "nothing.png").startswith(
        "nothing.png: expected an image file, but there is no"
    )
    assert fails(capsys, run, str(text)).startswith(f"{text}: expected an image, cannot read it")
    line = fails(capsys, run, image, "--layer", "incepton5b")
    assert "there is no 'incepton5b' in the network; near it: inception5b, " in line
    assert "whose output are maps" in fails(capsys, run, image, "--layer", "fc")
    assert "'aux1' runs no op in evaluation mode" in fails(capsys, run, image, "--layer", "aux1")
    line = fails(capsys, run, image, "--class", "rde")
    assert line == "--class: there is no class 'rde'; the network knows red, green, blue"
    assert drawn == []


def test_of_many_classes_those_with_like_names_are_listed(image, drawn, tmp_path, capsys):
    run = make_run(tmp_path / "run", tuple(f"kind of animal {n}" for n in range(60)))
    line = fails(capsys, run, image, "--class", "kind of animl 31")
    assert line.startswith("--class: there is no class 'kind of animl 31'; near it, of 60: kind of animal 31")
    assert line.count("animal") == 5


def test_a_folder_that_cannot_be_made(run, image, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    line = fails(capsys, run, image, "--out", str(tmp_path / "file" / "folder"))
    assert line == f"{tmp_path / 'file' / 'folder'}: Not a directory"


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["look", "--help"])
    assert stop.value.code == 0
    assert "examples:\n  minicnn look" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["look {} {}", "predict {} {}", "flow {}", "explore {}"])
def test_weights_that_are_not_finite_are_refused(run, image, tmp_path, command, capsys):
    """Every command that reads a network would go on to explain or plot NaN."""
    checkpoint = load_network(run)[1]
    checkpoint.weights["conv2.weight"][0, 0, 0, 0] = np.nan
    (tmp_path / "run").mkdir()
    save_checkpoint(checkpoint, tmp_path / "run" / CHECKPOINT)
    assert main(command.format(tmp_path / "run", image).split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "conv2.weight holds numbers that are not finite" in error
