"""Check that the package in this environment is whole, and import every module of it.

Run by .ci/wheel-test with the Python of an environment that only holds the wheel.
"""

import importlib
import importlib.metadata
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from package_tree import FOLDERS, modules

files = {str(path) for path in importlib.metadata.files("minicnn") or []}
installed = {name for name in files if name.startswith("minicnn/") and "__pycache__" not in name}
expected = {
    f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
    for package, folder in FOLDERS.items()
    for path in folder.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
if installed != expected:
    sys.exit(f"missing: {sorted(expected - installed)}; not in the tree: {sorted(installed - expected)}")

for name in modules():
    module = importlib.import_module(name)
    if Path(sys.prefix) not in Path(module.__file__ or "").parents:
        sys.exit(f"{name} comes from elsewhere: {module.__file__}")
print(f"{len(installed)} files, {len(modules())} modules")
