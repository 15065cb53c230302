"""Registries: members that are built in, members of other packages, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edensim.config.plugins import (
    ERROR_MODELS,
    MACHINES,
    SCHEDULERS,
    STANDARDS,
    TRACE_FORMATS,
    Registry,
)
from edensim.exceptions import ConfigError
from edensim.tracefiles.formats import Format


def install(folder: Path, package: str, entry_points: str, code: str) -> None:
    """Lay a package out in `folder` as pip does."""
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def fruits(tmp_path, monkeypatch):
    """A registry of numbers with one built-in member, and a folder to install packages in."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Registry("edensim.fruits", "fruit", {"pi": "math:pi"}), tmp_path
    for module in ("plum_pack", "prune_pack"):
        sys.modules.pop(module, None)


def test_built_in_members_are_found_without_reading_entry_points():
    code = (
        "import sys\n"
        "from edensim.config.plugins import Registry\n"
        "print(Registry('edensim.fruits', 'fruit', {'pi': 'math:pi'}).load('pi', float))\n"
        "assert 'importlib.metadata' not in sys.modules\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("3.14159")


def test_a_member_of_another_package_is_found(fruits):
    registry, folder = fruits
    install(
        folder,
        "plum-pack",
        "[edensim.fruits]\nplum = plum_pack:Plums.best",
        "class Plums:\n    best = 1.5\n",
    )
    assert registry.load("plum", float) == 1.5
    assert registry.names() == ["pi", "plum"]
    assert registry.find("plum").package == "plum-pack 1.0"


def test_an_unknown_name_lists_what_is_there(fruits):
    registry, _ = fruits
    with pytest.raises(
        ConfigError,
        match=r"^dish.fruit: expected one of pi, found the text 'pie'; did you mean 'pi'\?",
    ):
        registry.find("pie", "dish.fruit")
    with pytest.raises(ConfigError, match=r"^fruit: expected one of pi, found the text 'pie'"):
        registry.load("pie")


@pytest.mark.parametrize(
    ("entry_points", "code", "message"),
    [
        ("plum = plum_pack:plum", "plum = 'text'", "expected a float, found an object of type str"),
        ("plum = plum_pack:prune", "plum = 1.5", "cannot be imported: AttributeError"),
        ("plum = plum_pack:plum", "import no_such_module", "cannot be imported: ModuleNotFoundError"),
        ("pi = plum_pack:plum", "plum = 1.5", "edensim has a member of that name"),
    ],
)  # fmt: skip
def test_a_bad_plugin_is_refused_with_its_package(fruits, entry_points, code, message):
    registry, folder = fruits
    install(folder, "plum-pack", f"[edensim.fruits]\n{entry_points}", code)
    with pytest.raises(ConfigError, match=message) as refusal:
        registry.load("plum", float)
    assert "package plum-pack 1.0" in str(refusal.value)


def test_two_packages_with_one_name_are_refused(fruits):
    registry, folder = fruits
    for package in ("plum-pack", "prune-pack"):
        install(
            folder,
            package,
            f"[edensim.fruits]\nplum = {package.replace('-', '_')}:plum",
            "plum = 1.5",
        )
    with pytest.raises(
        ConfigError, match=r"package p\w+-pack 1.0: package p\w+-pack 1.0 brings the same name"
    ):
        registry.names()


@pytest.mark.parametrize(
    "registry",
    [STANDARDS, ERROR_MODELS, MACHINES, TRACE_FORMATS, SCHEDULERS],
    ids=lambda registry: registry.group,
)
def test_references_of_built_in_members_lead_somewhere(registry):
    for name in registry.builtin:
        if registry is TRACE_FORMATS:
            assert registry.load(name, Format).name == name
        else:
            assert callable(registry.load(name))
