"""What setup.cfg promises agrees with the tree, and the parts of the package a user meets first."""

import configparser
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from package_tree import ROOT, packages


@pytest.fixture(scope="module")
def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_package_is_listed(configuration):
    listed = configuration["options"]["packages"].split()
    assert set(listed) == set(packages())
    assert listed == sorted(listed)


@pytest.mark.parametrize("name", sorted(packages()))
def test_every_package_has_an_init(name):
    assert (packages()[name] / "__init__.py").is_file()


def test_data_files_are_packaged(configuration):
    patterns = configuration["options.package_data"]["minicnn"].split()
    assert "py.typed" in patterns
    for path in (ROOT / "minicnn").rglob("*"):
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            inside = path.relative_to(ROOT / "minicnn")
            assert any(inside.match(pattern) for pattern in patterns), f"no pattern packages {inside}"


def test_extras(configuration):
    extras = configuration["options.extras_require"]
    expected = {"test", "lint", "docs", "notebook", "parity", "browser", "mutants", "cuda12", "cuda13"}
    assert set(extras) == expected
    assert "torch == 2.13.0" in extras["parity"]
    assert extras["cuda12"].strip() == "cupy-cuda12x[ctk] >= 14"
    assert extras["cuda13"].strip() == "cupy-cuda13x[ctk] >= 14"


def test_users_install_neither_pytorch_nor_cupy(configuration):
    required = configuration["options"]["install_requires"].lower()
    assert "torch" not in required
    assert "cupy" not in required
    for line in required.split("\n")[1:]:
        assert ">=" in line, f"no lower bound: {line}"


def test_licence():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def test_versions_of_python_agree(configuration):
    with open(ROOT / "pyproject.toml", "rb") as file:
        ruff = tomllib.load(file)["tool"]["ruff"]
    assert configuration["options"]["python_requires"] == ">=3.11"
    assert configuration["mypy"]["python_version"] == "3.11"
    assert ruff["target-version"] == "py311"


def test_models_are_importable_from_anywhere(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    output = subprocess.run(
        [sys.executable, "-c", "import minicnn.models; print(minicnn.models.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert Path(output.strip()).name == "__init__.py"
