"""The folder of a run: never written over, and read with care."""

import json

import pytest

from minicnn.errors import CheckpointError, UsageError
from minicnn.training import Checkpoint, RunFolder
from minicnn.training.records import keep_records, read_records


@pytest.fixture
def run(tmp_path, config, images) -> RunFolder:
    return RunFolder.create(tmp_path / "runs" / "a", config, images.facts)


def test_config_comes_back(run, config, images):
    assert RunFolder.open(run.path).read_config() == (config, images.facts)


def test_an_existing_run_is_never_written_over(run, config, images):
    before = (run.path / "config.json").read_text()
    with pytest.raises(UsageError, match=r"already holds a run .*minicnn train --resume"):
        RunFolder.create(run.path, config, images.facts)
    assert (run.path / "config.json").read_text() == before


def test_an_empty_folder_will_do(tmp_path, config, images):
    RunFolder.create(tmp_path, config, images.facts)
    assert (tmp_path / "config.json").exists()


def test_a_file_will_not_do(tmp_path, config, images):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot make a run folder"):
        RunFolder.create(tmp_path / "file", config, images.facts)


def test_no_run_there(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder"):
        RunFolder.open(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"it has no config.json"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"class_names": 3}', "[" * 10**5, "1" + "0" * 5000])
def test_damaged_config(run, text):
    (run.path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config.json: "):
        run.read_config()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("lr", 10**400), ("limit", 2.5), ("class_names", 3), ("normalisation", None), ("normalisation", {})],
)
def test_a_damaged_setting_is_said_with_its_file(run, setting, value):
    path = run.path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), setting: value}))
    with pytest.raises(CheckpointError, match=rf"^{path}: (?!.*config.json)"):
        run.read_config()


def test_metrics(run, config, images):
    assert run.read_metrics() == []
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 4')
    assert run.read_metrics() == [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}]
    checkpoint = Checkpoint(config, images.facts, 2, 6, {})  # as of an earlier version, without lines
    assert run.keep_metrics(checkpoint) == run.read_metrics() == [{"epoch": 1}, {"epoch": 2}]
    (run.path / "metrics.jsonl").write_text('{"epoch": 1}\n[\n')
    with pytest.raises(CheckpointError, match="line 2 is not JSON"):
        run.read_metrics()
    checkpoint.metrics = [{"epoch": 1, "val_loss": 0.1 + 0.2}, {"epoch": 2}]
    assert run.keep_metrics(checkpoint) == run.read_metrics() == checkpoint.metrics
    assert run.keep_metrics(None) == run.read_metrics() == []


def test_a_damaged_recording_says_how_to_go_on(tmp_path):
    path = tmp_path / "findings.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n')
    assert keep_records(path, lambda step: step < 2) == read_records(path) == [{"step": 1}]
    path.write_text("garbage\n")
    with pytest.raises(
        CheckpointError, match=r"line 1 is not JSON; nothing depends .*: move it away to go on$"
    ):
        keep_records(path, lambda step: True)


def test_what_a_power_cut_leaves_of_the_last_lines_is_left_out(run):
    run.append_metrics({"epoch": 1})
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(bytes(30) + b"1}\n")
    assert run.read_metrics() == [{"epoch": 1}]


def test_result(run):
    assert run.read_result() is None
    run.write_result({"test_accuracy": 0.5})
    assert run.read_result() == {"test_accuracy": 0.5}
    (run.path / "result.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"result.json: damaged"):
        run.read_result()


def test_no_checkpoint_yet(run):
    assert run.load_checkpoint() == (None, None)


@pytest.mark.parametrize("left", ["checkpoint.safetensors", "checkpoint.previous.safetensors", "result.json"])
def test_what_is_left_of_another_run_is_not_gone_on_from(tmp_path, config, images, left):
    (tmp_path / left).write_text("")
    with pytest.raises(UsageError, match=f"holds the {left} of another run; take another folder$"):
        RunFolder.create(tmp_path, config, images.facts)
    assert not (tmp_path / "config.json").exists()
