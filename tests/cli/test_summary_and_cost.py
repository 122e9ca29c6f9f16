"""`minicnn summary` and `minicnn cost`: what they print, for our networks and the user's."""

import csv
import io
import json
import re
import sys

import pytest

from minicnn.cli import main
from package_tree import ROOT

NETWORKS = """
from minicnn import nn

def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))

def vectors():
    return nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10))

def grouped():
    return nn.Sequential(nn.Conv2d(6, 4, 3, groups=2))

class Own(nn.Module):
    input_size = (8, 6, 2)
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
    def forward(self, x):
        return self.conv(x)

ready = Own()
number = 3

def broken():
    raise KeyError("no luck")

class Failing(nn.Module):
    def forward(self, x):
        raise KeyError("no such layer")

class Unwritten(nn.Module):
    def forward(self, x):
        raise NotImplementedError

class Three(nn.Module):
    def forward(self, x):
        return 3

class Sized(nn.Module):
    input_size = 32

def nothing():
    return None
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "networks.py").write_text(NETWORKS)
    (tmp_path / "bad.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("networks", None)


def prints(capsys, *arguments: str) -> str:
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def fails(capsys, *arguments: str) -> str:
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    (line,) = captured.err.splitlines()
    assert line.startswith("minicnn: error: ")
    return line


# ---- summary ----


def test_the_table_and_its_details(capsys):
    stages = prints(capsys, "summary", "googlenet")
    assert "conv5x5_reduce" not in stages
    assert "27 43 59 43" in stages
    assert max(map(len, stages.splitlines())) <= 118
    details = prints(capsys, "summary", "googlenet_cifar", "--width", "0.25", "--details")
    assert "conv5x5_reduce" in details
    assert "cols KiB" in details


def test_formats(capsys):
    found = list(csv.DictReader(io.StringIO(prints(capsys, "summary", "alexnet", "--format", "csv"))))
    assert sum(int(line["params"]) for line in found) == 60_965_224
    found = list(
        csv.DictReader(io.StringIO(prints(capsys, "summary", "alexnet", "--details", "--format", "csv")))
    )
    assert found[0]["layer"] == "conv1"
    assert prints(capsys, "summary", "alexnet", "--format", "markdown").startswith("| stage | kind |")
    found = json.loads(prints(capsys, "summary", "vgg16", "--format", "json"))
    assert found["total_params"] == 138_357_544


def test_the_batch_is_for_the_memory(capsys):
    one, four = (
        json.loads(prints(capsys, "summary", "alexnet", "--batch-size", n, "--format", "json"))
        for n in ("1", "4")
    )
    assert one["total_macs"] == four["total_macs"]
    for a, b in zip(one["layers"], four["layers"], strict=True):
        assert b["activation_bytes"] == 4 * a["activation_bytes"]


def test_the_certificate(capsys):
    text = prints(capsys, "summary", "googlenet", "--compare", "paper")
    assert "params 3 of 12, ops 10 of 12" in text
    found = json.loads(prints(capsys, "summary", "googlenet", "--compare", "paper", "--format", "json"))
    assert sum(not entry["agrees"] for entry in found["rows"]) == 11
    lines = prints(capsys, "summary", "googlenet", "--compare", "paper", "--format", "csv").splitlines()
    assert lines[0] == "row,column,ours,paper,verdict,why,count"
    markdown = prints(capsys, "summary", "googlenet", "--compare", "paper", "--format", "markdown")
    assert markdown.startswith("| row | column |")


@pytest.mark.parametrize(
    ("source", "flags", "words"),
    [
        ("networks.py:small", ["--input-size", "28"], "Sequential, input 28x28x1;"),
        ("networks:small", ["--input-size", "28"], "Sequential, input 28x28x1;"),
        ("{folder}/networks.py:small", ["--input-shape", "28x28x1"], "Sequential, input 28x28x1;"),
        ("networks.py:vectors", [], "Sequential, input 784;"),
        ("networks.py:grouped", [], "Sequential, input 224x224x6;"),
        ("networks.py:Own", [], "Own, input 8x6x2;"),
        ("networks.py:Own", ["--input-size", "9"], "Own, input 9x9x2;"),
        ("networks.py:ready", [], "Own, input 8x6x2;"),
        ("minicnn.models:googlenet_cifar", [], "GoogLeNet, input 32x32x3;"),
        ("minicnn.nn:GlobalAvgPool2d", [], "GlobalAvgPool2d, input 224x224x3;"),
    ],
)
def test_networks_of_ones_own(folder, capsys, source, flags, words):
    assert prints(capsys, "summary", source.format(folder=folder), *flags).startswith(words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("vgg", "argument MODEL: invalid choice: 'vgg' (choose from googlenet, googlenet-cifar,"),
        ("nothing.py:small", "nothing.py: there is no such file"),
        ("networks.py:large", "networks.py: there is no large in it"),
        ("networks.py:", "networks.py: there is no name after the colon in it"),
        ("bad.py:small", "bad.py: importing it failed: ZeroDivisionError: division by zero"),
        ("no.such:small", "no.such: importing it failed: ModuleNotFoundError: No module named 'no'"),
        (":small", "'': importing it failed: ValueError: Empty module name"),
        ("networks.py:number", "networks.py:number: expected a Module or what makes one, got int"),
        ("networks.py:broken", "networks.py:broken: calling it failed: KeyError: 'no luck'"),
        ("networks.py:nothing", "networks.py:nothing: expected it to return a minicnn Module, got NoneType"),
        ("networks.py:Failing", "networks.py:Failing: its forward failed: KeyError: 'no such layer'"),
        ("networks.py:Unwritten", "networks.py:Unwritten: its forward failed: NotImplementedError"),
        ("networks.py:Three", "networks.py:Three: its forward ran no op of minicnn: there is nothing"),
        ("networks.py:Sized", "Sized.input_size: expected (H, W, C), got 32"),
        ("googlenet --batch-size 99999999999999999999", "error: 99999999999999999999 inputs of 224x224x3"),
        ("googlenet --input-size 99999999999", "error: 1 inputs of 99999999999x99999999999x3 are more"),
        ("minicnn.nn:Inception", "calling it failed: TypeError: "),
        ("networks.py:small", "(in 2); the input was 224x224x1, --input-shape takes another"),
        ("networks.py:small --input-shape 28x28x3", "conv2d: x: expected 1 channels"),
        ("networks.py:small --input-shape 28x", "argument --input-shape: expected a whole number, got ''"),
        ("networks.py:small --input-size 28 --input-shape 28", "not allowed with argument"),
        ("networks.py:small --width 2", "--width: only googlenet-cifar can be scaled; networks.py:small is"),
        ("networks.py:vectors --compare paper", "on 224x224x3 images, not about this Sequential"),
        ("googlenet-cifar --compare paper", "it has no pool1"),
        ("googlenet --compare paper --input-size 256", "its input is 256x256x3"),
        ("googlenet --compare lecture", "argument --compare: invalid choice: 'lecture'"),
        ("googlenet --compare paper --details", "--details: does not go together with --compare"),
        ("googlenet --format xml", "argument --format: invalid choice: 'xml'"),
    ],
)  # fmt: skip
def test_bad_input_to_summary(folder, capsys, arguments, words):
    assert words in fails(capsys, "summary", *arguments.split())


# ---- cost ----


def test_all_worked_cases(capsys):
    text = prints(capsys, "cost")
    for count in (
        "112,896,000", "5,268,480", "120,422,400", "2,408,448", "10,035,200", "12,443,648", "854,196,224",
        "271,351,808", "86,704,128", "51,380,224", "50,176,000", "6,998,552", "60,965,224", "138,357,544",
    ):  # fmt: skip
        assert count in text
    assert "358M is a misprint" in text
    assert max(map(len, text.splitlines())) <= 112


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        ("conv --size 28 --channels 192 --filters 32 --kernel 5 --reduce 16", "120,422,400 12,443,648"),
        ("conv --size 14 --channels 480 --filters 48", "112,896,000"),
        ("module", "854,196,224 271,351,808"),
        ("module --size 14 --reduce 32 16 --filters 1 2 3 --projection 5 --channels 7",
         f"{14 * 14 * 7 * (1 + 18 + 75):,} {14 * 14 * (7 + 7 * 48 + 9 * 64 + 25 * 48 + 35):,}"),
        ("pooling", "51,380,224"),
        ("pooling --size 2 --channels 3 --outputs 5", "60"),
        ("classifier --classes 10", "501,760 10,240"),
        ("stack --kernel 7 --size 10 --channels 2", f"{100 * 49 * 4:,} {100 * 27 * 4:,}"),
        ("networks", "15,470,264,320"),
    ],
)  # fmt: skip
def test_one_question(capsys, arguments, counts):
    words = prints(capsys, "cost", *arguments.split()).split()
    assert set(counts.split()) <= set(words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("weight", "invalid choice: 'weight'"),
        ("conv --size 0", "argument --size: expected a whole number of at least 1, got 0"),
        ("module --filters 1 2", "argument --filters: expected 3 arguments"),
        ("stack --kernel 4", "sees an odd number of pixels from 3 on, not 4"),
        ("conv --kernels 4", "unrecognized arguments: --kernels 4"),
    ],
)
def test_bad_input_to_cost(capsys, arguments, words):
    assert words in fails(capsys, "cost", *arguments.split())


@pytest.mark.parametrize("command", ["summary", "cost"])
def test_examples_in_the_help_work(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    examples = re.findall(rf"^  minicnn ({command}.*?)(?:   .*)?$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) > 5
    for example in examples:
        if "my_networks" not in example and "package.module" not in example:
            assert main(example.split()) == 0, example
            capsys.readouterr()


# ---- what the documentation quotes ----


def quoted_commands():
    for page in ("docs/looking/summary.md", "docs/studying.md", "docs/googlenet.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for block in re.findall(r"^```\n\$ minicnn ((?:summary|cost)[^\n]*)\n(.*?)^```$", text, re.M | re.S):
            yield pytest.param(*block, id=f"{page}: {block[0]}")


@pytest.mark.parametrize(("command", "quote"), list(quoted_commands()))
def test_quoted_output(command, quote, capsys):
    """A line of three dots stands for lines left out."""
    found = prints(capsys, *command.split())
    start = 0
    for passage in re.split(r"^\.\.\.\n", quote, flags=re.MULTILINE):
        place = found.find(passage, start)
        assert place >= 0, f"minicnn {command} does not print this:\n{passage}"
        start = place + len(passage)
