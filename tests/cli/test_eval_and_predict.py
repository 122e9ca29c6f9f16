"""`minicnn eval` and `minicnn predict`."""

import json
import os
import shutil

import numpy as np
import pytest

from failing_command import fails
from minicnn import Tensor, data
from minicnn.cli import main
from minicnn.cli.networks import load_network
from minicnn.training.checkpoint_file import decode, encode
from minicnn.training.newest_checkpoint import CHECKPOINT
from tiny_run import COLOURS

pytestmark = pytest.mark.usefixtures("no_curves")


def test_eval(finished, capsys):
    assert main(["eval", str(finished)]) == 0
    out = capsys.readouterr().out
    result = json.loads((finished / "result.json").read_text())
    assert "on the test split of folder (12 images)" in out
    main_line, aux1, aux2 = out.splitlines()[2:]
    assert main_line.split() == [
        "main", f"{result['test_loss']:.4f}", f"{result['test_accuracy']:.2%}", f"{result['test_top5']:.2%}",
    ]  # fmt: skip
    assert (aux1.split()[0], aux2.split()[0]) == ("aux1", "aux2")


def test_eval_of_the_validation_split(finished, capsys):
    assert main(["eval", str(finished / CHECKPOINT), "--split", "val"]) == 0
    last = json.loads((finished / "metrics.jsonl").read_text().splitlines()[-1])
    lines = capsys.readouterr().out.splitlines()
    for line, head in zip(lines[2:], ("", "_aux1", "_aux2"), strict=True):
        assert line.split()[1:3] == [f"{last[f'val{head}_loss']:.4f}", f"{last[f'val{head}_accuracy']:.2%}"]


def test_eval_without_heads(quick, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([*quick, "--no-aux", "--epochs", "1", "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["eval", str(run)]) == 0
    assert "aux" not in capsys.readouterr().out


def test_eval_on_other_classes(finished, capsys):
    line = fails(capsys, "eval", str(finished), "--data", "shapes")
    assert line == "--data: expected images of the 3 classes the network knows, got 10"


def test_eval_keeps_to_the_normalisation_of_the_run(finished, capsys, monkeypatch):
    def measure(images):
        raise AssertionError("the network has never seen images normalised in this way")

    monkeypatch.setattr("minicnn.data.Normalisation.from_images", measure)
    assert main(["eval", str(finished)]) == 0


def test_predict(finished, photos, tmp_path, capsys):
    images = [str(photos / "red" / "0.png"), str(photos / "blue" / "1.png")]
    alone = tmp_path / "alone.safetensors"  # the checkpoint is enough, without the rest of the folder
    alone.write_bytes((finished / CHECKPOINT).read_bytes())
    assert main(["predict", str(alone), *images]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[4]] == images
    for block in (lines[1:4], lines[5:8]):
        percentages, names = zip(*(line.split() for line in block), strict=True)
        values = [float(text.rstrip("%")) for text in percentages]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(100, abs=0.05)
        assert set(names) == set(COLOURS)

    network, checkpoint, _ = load_network(str(finished))
    x = checkpoint.data.normalisation.apply(np.stack([data.read_image(path, 32) for path in images]))
    logits = network.eval()(Tensor(x)).logits.numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for block, row in zip((lines[1:4], lines[5:8]), probabilities, strict=True):
        assert {name: float(text.rstrip("%")) for text, name in map(str.split, block)} == pytest.approx(
            dict(zip(COLOURS, 100 * row, strict=True)), abs=0.006
        )


def test_predict_names_the_others_if_one_image_is_bad(finished, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minicnn.cli.predict.IMAGES_AT_A_TIME", 2)
    good = [str(photos / "red" / f"{k}.png") for k in range(3)]
    (tmp_path / "bad.png").write_bytes(b"no image")
    odd = tmp_path / os.fsdecode(b"odd \xff.png")
    odd.write_bytes((photos / "red" / "0.png").read_bytes())
    bad = [str(tmp_path / name) for name in ("bad.png", "none.png")]
    assert main(["predict", str(finished), good[0], bad[0], good[1], *bad, str(odd)]) == 2
    out, err = capsys.readouterr()
    written = str(odd).encode("utf-8", "backslashreplace").decode()
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [*good[:2], written]
    lines = err.splitlines()
    assert [line.split(":")[2].strip() for line in lines] == [bad[0], *bad]
    assert all(line.startswith("minicnn: error: ") for line in lines)


def test_predict_with_the_weights_of_another_program(photos, tmp_path, capsys):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "bf16.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    line = fails(capsys, "predict", str(path), str(photos / "red" / "0.png"))
    assert line.startswith(f"{path}: a safetensors file, but not a checkpoint of minicnn's")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header["config"].update(width=1e300), "--width: expected a number above 0 and below"),
        (lambda header: header["config"].update(limit=1.5), "--limit: expected a whole number, got 1.5"),
        (lambda header: header["config"].update(width=1000.0), "its weights do not fit its own settings"),
        (lambda header: header["data"].update(class_names=["x"] * 10**5), "do not fit its own settings"),
        (lambda header: header["data"].update(class_names=[1, 2, 3]), "names of its classes are damaged"),
        (lambda header: header["data"].update(class_names="abc"), "names of its classes are damaged"),
    ],
)
def test_predict_with_a_checkpoint_that_asks_for_too_much(finished, photos, tmp_path, capsys, change, words):
    header, arrays = decode(finished / CHECKPOINT)
    del header["checksum"]
    change(header)
    path = tmp_path / "a.safetensors"
    path.write_bytes(encode(header, arrays))
    assert words in fails(capsys, "predict", str(path), str(photos / "red" / "0.png"))


def test_what_is_used_if_the_newest_checkpoint_is_damaged(finished, photos, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    content = bytearray((run / CHECKPOINT).read_bytes())
    content[-1] ^= 1
    (run / CHECKPOINT).write_bytes(content)
    for command in (["eval", str(run)], ["predict", str(run), str(photos / "red" / "0.png")]):
        assert main(command) == 0
        err = capsys.readouterr().err
        assert err.startswith(f"{run / CHECKPOINT}: damaged")
        assert err.endswith("; going back to checkpoint.previous.safetensors, after epoch 1\n")
