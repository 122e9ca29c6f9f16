"""Who may import whom, read from the import statements themselves.

The engine is a stack of layers (docs: errors, random, shapes, backend, parallel <- tensor <- ops <-
functional <- nn <- models <- cli), and what stands beside it (data, optim, training, study, ...) takes
any Module. A unit is what stands right under minicnn/: a module or a folder.
"""

import ast
import configparser
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from package_tree import ROOT, modules

BASE = {"errors", "random", "shapes", "backend", "buffers", "parallel", "cuda", "file_lock"}
ENGINE = BASE | {"tensor", "ops", "functional", "nn"}

# Everything a unit may import from other units; inside a unit everything goes, as long as it is no cycle.
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "doctor": {"errors"},
    "backend": BASE | {"doctor"},
    "tensor": BASE,
    "anomaly": BASE | {"tensor"},
    "ops": BASE | {"tensor"},
    "functional": {"ops"},
    "nn": BASE | {"tensor", "functional"},
    "cost": set(),
    "profiling": BASE | {"tensor", "cost"},
    "models": ENGINE - {"ops"},
    "data": BASE,
    "optim": BASE | {"tensor", "nn"},
    "gradient_check": ENGINE | {"op_cases"},
    "op_cases": ENGINE,
    "training": ENGINE | {"anomaly", "data", "optim", "profiling"},
    "study": ENGINE | {"cost", "gradient_check", "op_cases"},
    "cli": ENGINE | {"data", "optim", "gradient_check", "op_cases", "training", "study", "models", "doctor"},
}

# Too slow to load for somebody who only wants a Tensor: imported by the functions that need them.
HEAVY = {"PIL", "cupy", "matplotlib", "safetensors", "tqdm", "urllib"}
DISTRIBUTIONS = {"PIL": "Pillow"}  # where the two names differ


# Written the way users write, because users are given copies of them.
USERS_FILES = "minicnn.study.exercises.wrong."


class Import(NamedTuple):
    """One imported module, where, and whether the statement runs when the importing module is loaded."""

    importer: str
    module: str
    line: int
    at_load: bool


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def import_statements(
    node: ast.AST, at_load: bool = True
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_load
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from import_statements(child, at_load and not later and not is_type_checking(child))


def imports_of(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node, at_load in import_statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            base = node.module or ""
            if node.level:
                anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*anchor, base]).removesuffix(".")
            inner = [f"{base}.{alias.name}" for alias in node.names]
            targets = [target if target in known else base for target in inner]
        for target in targets:
            yield Import(name, target, node.lineno, at_load)


@functools.cache
def all_imports() -> list[Import]:
    known = modules()
    return [found for name, path in known.items() for found in imports_of(name, path, known)]


def unit(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def inside(module: str) -> bool:
    return module.split(".")[0] == "minicnn"


def test_every_unit_has_a_layer():
    units = {unit(name) for name in modules()} - {"", "__main__"}
    assert units == set(MAY_IMPORT)


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_layers(name):
    allowed = MAY_IMPORT[name] | {name}
    wrong = [
        f"{found.importer}:{found.line} imports {found.module}"
        for found in all_imports()
        if unit(found.importer) == name
        and inside(found.module)
        and unit(found.module) not in allowed
        and not found.importer.startswith(USERS_FILES)
    ]
    assert not wrong, f"{name} may import {sorted(MAY_IMPORT[name])}"


def test_files_for_users_import_what_users_import():
    found = {i.module for i in all_imports() if i.importer.startswith(USERS_FILES) and inside(i.module)}
    assert found == {"minicnn", "minicnn.functional"}
    imported = {i.module for i in all_imports() if not i.importer.startswith(USERS_FILES)}
    assert not any(module.startswith(USERS_FILES) for module in imported)


def test_no_cycles():
    """A module that waits for a module that waits for it: what minicnn/__init__.py gathers aside."""
    needs: dict[str, set[str]] = {name: set() for name in modules() if name != "minicnn"}
    for found in all_imports():
        if found.importer in needs and found.module in needs and found.importer != found.module:
            needs[found.importer].add(found.module)
    while ready := {name for name, needed in needs.items() if not needed & needs.keys()}:
        for name in ready:
            del needs[name]
    assert not needs, "these modules import each other, or something that does"


def test_heavy_libraries_are_imported_where_they_are_used():
    wrong = [
        f"{found.importer}:{found.line} imports {found.module}"
        for found in all_imports()
        if found.at_load and found.module.split(".")[0] in HEAVY
    ]
    assert not wrong


def test_third_party_libraries_are_declared():
    configuration = configparser.ConfigParser()
    configuration.read(ROOT / "setup.cfg")
    declared = {line.split()[0] for line in configuration["options"]["install_requires"].split("\n")[1:]}
    imported = {found.module.split(".")[0] for found in all_imports()} - sys.stdlib_module_names - {"minicnn"}
    needed = {DISTRIBUTIONS.get(name, name) for name in imported - {"cupy"}}
    assert needed == declared


def loaded_by(statement: str) -> set[str]:
    """Names of the modules in memory after a statement in a fresh interpreter."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(list(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(output.stdout))


def test_import_is_light():
    loaded = loaded_by("import minicnn")
    assert "minicnn.tensor" in loaded
    assert not {name.split(".")[0] for name in loaded} & (HEAVY - {"urllib"})
    assert "urllib.request" not in loaded
    assert not {unit(name) for name in loaded if inside(name)} & {"models", "study", "training", "cli"}


def test_models_and_study_load_when_asked_for():
    assert "minicnn.models" in loaded_by("import minicnn; minicnn.models")
    assert "minicnn.study" in loaded_by("from minicnn import study")


def test_importing_starts_no_thread():
    program = "import threading, minicnn, minicnn.models, minicnn.cli; print(threading.active_count())"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "1"
