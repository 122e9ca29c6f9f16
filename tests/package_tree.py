"""The modules of the package as they lie in the checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = {"minicnn": ROOT / "minicnn", "minicnn.models": ROOT / "models"}


def modules() -> dict[str, Path]:
    """Give the file of every module by the module's import name, packages included."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            inner = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *inner]).removesuffix(".__init__")] = path
    return found


def packages() -> dict[str, Path]:
    """Give every folder with modules in it by its import name."""
    return {
        ".".join([package, *path.parent.relative_to(folder).parts]): path.parent
        for package, folder in FOLDERS.items()
        for path in sorted(folder.rglob("*.py"))
    }
