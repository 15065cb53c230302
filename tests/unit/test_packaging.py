"""Does the wheel carry everything?"""

from __future__ import annotations

import configparser

import pytest

import edensim
from tests.locations import ROOT


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_package_is_listed(setup: configparser.ConfigParser) -> None:
    listed = set(setup["options"]["packages"].split())
    code = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "edensim").rglob("*.py")
    }
    data = {
        f"edensim.{'.'.join(path.parent.relative_to(ROOT).parts)}"
        for path in (ROOT / "configs").rglob("*.yaml")
    } | {"edensim.traces"}
    assert listed - {"edensim.configs"} == code | data
    assert set(setup["options.package_data"]) >= data


def test_the_changelog_knows_the_version() -> None:
    assert f"## {edensim.__version__}" in (ROOT / "CHANGELOG.md").read_text()
