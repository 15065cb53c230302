"""Which edits make compiled code stale, and what is loaded from the cache folder?

The tests of the cache run a small kernel in processes of their own.
"""

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edensim.kernels.compile import imported_modules, read_sources, source_digest

CHANNEL = "edensim.kernels.sources.open_loop"
COMPILING = "edensim: compiling"
QUANTIZE = """
import numpy as np
from edensim.kernels.cells.quantization import quantize_8
integers = np.zeros(3, np.int8)
quantize_8(np.array([-1, 0.25, 9], np.float32), integers, np.array([100, -128, 127], np.float32))
print(integers.tolist())
"""


def edited(name: str) -> dict[str, bytes]:
    sources = read_sources()
    return {**sources, name: sources[name] + b"\n# edited"}


@pytest.mark.parametrize(
    "name",
    [
        CHANNEL,
        "edensim.kernels.controller.scheduler",
        "edensim.kernels.controller.channel",
        "edensim.kernels.compile",
        "edensim.kernels.object_cache",
        "edensim.vocabulary",
    ],
)
def test_edits_that_an_entry_depends_on_change_its_digest(name):
    assert source_digest(edited(name), CHANNEL) != source_digest(read_sources(), CHANNEL)


def test_other_edits_leave_it_alone():
    parser = "edensim.kernels.parsing.trace_lines"
    assert source_digest(edited(parser), CHANNEL) == source_digest(read_sources(), CHANNEL)
    assert source_digest(edited(CHANNEL), parser) == source_digest(read_sources(), parser)


def test_kernels_import_in_the_one_way_that_the_digest_understands():
    for name, source in read_sources().items():
        modules = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("edensim") for alias in node.names), name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, name
                if node.module.startswith("edensim"):
                    modules |= {node.module}
                    modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        assert imported_modules(source) >= modules, name


def quantize(
    folder: Path | str, cwd: Path | None = None, code: str = QUANTIZE, **environment: str
) -> str:
    """Run the kernel with a cache folder; what the process wrote on standard error."""
    variables = {**os.environ, "EDENSIM_CACHE": str(folder)}
    variables.pop("EDENSIM_COMPILER", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**variables, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[-100, 25, 127]\n"
    return done.stderr


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A folder that holds the kernel, compiled."""
    folder = tmp_path_factory.mktemp("compiled") / "cache"
    assert COMPILING in quantize(folder)
    return folder


@pytest.fixture
def cache(compiled, tmp_path):
    """A copy of it, with the object file."""
    subprocess.run(["cp", "-a", compiled, tmp_path / "cache"], check=True)
    (file,) = (tmp_path / "cache").glob("*/*.o")
    return tmp_path / "cache", file


def test_cache_is_private_to_its_user_and_spares_compiling(cache):
    folder, file = cache
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600
    assert quantize(folder) == ""
    assert [path for path in folder.rglob("*") if path.is_file()] == [file]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda data: data[:-1], id="one byte short"),
        pytest.param(lambda data: data + b"\0", id="one byte long"),
        pytest.param(lambda data: data[:900] + b"\xff" * 64 + data[964:], id="damaged code"),
        pytest.param(lambda data: b"x" + data[1:], id="damaged header"),
        pytest.param(lambda data: data.partition(b"\n")[2], id="of an older version"),
        pytest.param(lambda data: os.urandom(5000), id="noise"),
    ],
)
def test_damaged_object_is_compiled_again(cache, damage):
    folder, file = cache
    intact = file.read_bytes()
    file.write_bytes(damage(intact))
    assert quantize(folder).startswith(COMPILING)
    assert len(file.read_bytes()) == len(intact)
    assert quantize(folder) == ""


def test_object_under_the_name_of_another_is_not_loaded(cache):
    folder, file = cache
    file.rename(file.with_name(file.name.replace("quantize_8", "quantize_16")))
    code = QUANTIZE.replace("quantize_8", "quantize_16").replace("int8", "int16")
    assert quantize(folder, code=code).startswith(COMPILING)


@pytest.mark.parametrize(("which", "mode"), [("root", 0o777), ("folder", 0o770), ("file", 0o702)])
def test_nothing_is_loaded_that_others_can_write(cache, tmp_path, which, mode):
    folder, file = cache
    {"root": folder, "folder": file.parent, "file": file}[which].chmod(mode)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    warning = quantize(folder, TMPDIR=str(temporary))
    assert COMPILING in warning
    if which != "file":
        assert warning.count(f"cache folder {folder}") == 1
        assert "chmod" in warning
        (private,) = temporary.glob("edensim-*")
        assert private.stat().st_mode & 0o777 == 0o700
        assert COMPILING not in quantize(folder, TMPDIR=str(temporary))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("which", ["root", "folder", "file"])
def test_nothing_is_loaded_that_others_own(cache, tmp_path, which):
    folder, file = cache
    os.chown({"root": folder, "folder": file.parent, "file": file}[which], 12345, 12345)
    assert COMPILING in quantize(folder, TMPDIR=str(tmp_path))


def test_link_in_the_place_of_an_object_is_not_followed(cache, tmp_path):
    folder, file = cache
    elsewhere = file.rename(tmp_path / "object.o")
    file.symlink_to(elsewhere)
    assert COMPILING in quantize(folder)


def test_cache_that_cannot_be_made_does_not_stop_a_run(tmp_path):
    file = tmp_path / "file"
    file.touch()
    warning = quantize(file / "cache", TMPDIR=str(tmp_path))
    assert f"cache folder {file / 'cache'}" in warning
    assert COMPILING not in quantize(file / "cache", TMPDIR=str(tmp_path))


def test_run_without_any_folder_compiles_in_memory(tmp_path):
    file = tmp_path / "file"
    file.touch()
    (tmp_path / f"edensim-{os.geteuid()}").touch()
    for _ in range(2):
        warning = quantize(file, TMPDIR=str(tmp_path))
        assert "no cache folder can be used" in warning
        assert COMPILING in warning


def test_cache_that_cannot_be_written_does_not_stop_a_run(tmp_path):
    # A folder in the place of the object file stops even root from writing it.
    quantize(tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*/*.o")
    file.unlink()
    file.mkdir()
    assert "cannot be kept" in quantize(tmp_path / "cache")


@pytest.mark.parametrize("home", [None, "", "~", "somewhere"])
def test_folder_is_absolute_whatever_home_is(tmp_path, home):
    code = (
        "from edensim.kernels.object_cache import _roots\n"
        "for root in _roots(): assert root.is_absolute(), root"
    )
    variables = {"TMPDIR": str(tmp_path), "XDG_CACHE_HOME": "relative"}
    if home is not None:
        variables["HOME"] = home
    path = os.pathsep.join(["", *sys.path]).strip(os.pathsep)
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path, **variables}, cwd=work, check=True
    )
    assert not list(work.iterdir())


def test_relative_cache_folder_is_taken_from_the_working_folder(tmp_path):
    quantize("cache", cwd=tmp_path)
    assert list((tmp_path / "cache").glob("*/*.o"))


def test_processes_at_once_compile_without_disturbing_each_other(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        assert all(COMPILING in warning for warning in pool.map(quantize, [tmp_path / "cache"] * 2))
    assert [path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [".o"]
    assert quantize(tmp_path / "cache") == ""


def test_public_compiler_keeps_its_code_in_the_cache_folder(tmp_path):
    folder = tmp_path / "cache"
    assert quantize(folder, EDENSIM_COMPILER="public").startswith(COMPILING)
    (data,) = folder.rglob("*.nbc")
    assert quantize(folder, EDENSIM_COMPILER="public") == ""
    data.write_bytes(data.read_bytes()[:-100])
    assert quantize(folder, EDENSIM_COMPILER="public").startswith(COMPILING)
    assert quantize(folder, EDENSIM_COMPILER="public") == ""


def test_version_of_numba_without_the_inner_interface_uses_the_public_one(tmp_path):
    code = f"import numba.core.compiler_machinery as m\ndel m.register_pass\n{QUANTIZE}"
    assert "public one is used" in quantize(tmp_path / "cache", code=code)
    assert list((tmp_path / "cache").rglob("*.nbc"))
