"""The .cu files themselves: every kernel is compiled, for every GPU that is promised."""

import re
import shutil
import subprocess

import pytest

from minicnn.cuda.kernels import FOLDER, HEADER, KERNELS, OPTIONS, source

ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]


def test_every_file_is_listed():
    assert {path.name for path in FOLDER.glob("*.cu")} == set(KERNELS)


@pytest.mark.parametrize("file", KERNELS)
def test_every_kernel_is_listed(file):
    defined = set(re.findall(r"__global__ void (\w+)", (FOLDER / file).read_text()))
    assert {instance.partition("<")[0] for instance in KERNELS[file]} == defined


@pytest.mark.parametrize("file", KERNELS)
def test_the_header_is_put_in_its_place(file):
    text = source(file)
    assert "#include" not in text
    assert (FOLDER / HEADER).read_text() in text


@pytest.mark.parametrize("file", KERNELS)
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc, the CUDA compiler, is not installed")
def test_nvcc_compiles_every_kernel(tmp_path, file):
    """All instances, for the oldest GPU that is promised, Ampere and Hopper; and no register is spilled."""
    instances = [
        f"template __global__ void {instance}({', '.join(parameters(source(file), instance))});"
        for instance in KERNELS[file]
        if "<" in instance
    ]
    path = tmp_path / "kernels.cu"
    path.write_text(source(file) + "\n" + "\n".join(instances))
    options = [option for option in OPTIONS if option.startswith("-std")]
    for architecture in ARCHITECTURES:
        compiled = subprocess.run(
            ["nvcc", *options, "--fmad=false", "-cubin", f"-arch={architecture}", "-Xptxas", "-v", "--Werror",
             "all-warnings", "-o", str(tmp_path / "kernels.cubin"), str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert compiled.returncode == 0, compiled.stderr
        spills = [int(n) for n in re.findall(r"(\d+) bytes spill", compiled.stderr)]
        assert spills
        assert not any(spills), compiled.stderr


@pytest.mark.parametrize("file", KERNELS)
def test_nvrtc_compiles_every_kernel(file):
    """As CuPy does it, which needs no GPU."""
    compiler = pytest.importorskip("cupy.cuda.compiler", reason="CuPy is not installed")
    for architecture in ARCHITECTURES:
        program = compiler._NVRTCProgram(source(file), file, name_expressions=tuple(KERNELS[file]))
        binary, names = program.compile((*OPTIONS, f"-arch={architecture}"))
        assert len(binary) > 0
        assert set(names) == set(KERNELS[file])


def parameters(text: str, instance: str) -> list[str]:
    """Return the parameter types of an instance of a template kernel."""
    name, _, values = instance.removesuffix(">").partition("<")
    head, declared = re.search(
        rf"template <([^>]*)>\s*__global__ void {name}\(([^)]*)\)", text, re.DOTALL
    ).groups()
    names = [parameter.split()[-1] for parameter in head.split(",")]
    types = []
    for parameter in declared.split(","):
        kind = " ".join(parameter.split()[:-1])
        for template_name, value in zip(names, values.split(", "), strict=True):
            kind = re.sub(rf"\b{template_name}\b", value, kind)
        types.append(kind)
    return types
