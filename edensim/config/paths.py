"""Folders of the files that come with edensim, in a checkout or in an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from edensim.exceptions import InputError

_PACKAGE = Path(__file__).resolve().parents[1]

#: A folder of the user's own configurations, searched before edensim's.
CONFIGS_VARIABLE = "EDENSIM_CONFIGS"


def configs_folder() -> Path:
    """Return the folder of edensim's configurations (`dram/`, `hardware/`, `modules/`, `runs/`).

    Raises InputError if the installation has none.
    """
    return _folder("configs")


def config_folders(kind: str) -> list[Path]:
    """Return the folders to search for configurations of a kind (`dram`, ...), in order.

    The user's folder ($EDENSIM_CONFIGS) has either the files themselves, or the same sub-folders as
    edensim's.
    """
    folders = []
    own = os.environ.get(CONFIGS_VARIABLE)
    if own:
        if not Path(own).is_dir():
            raise InputError(f"{CONFIGS_VARIABLE}={own}: not a folder")
        folders += [folder for folder in (Path(own) / kind, Path(own)) if folder.is_dir()]
    folders.append(configs_folder() / kind)
    return folders


def _folder(name: str) -> Path:
    # A wheel carries the folder inside the package, a checkout has it beside the package.
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise InputError(
        f"this installation of edensim has no {name!r} folder "
        f"(looked in {_PACKAGE} and {_PACKAGE.parent})"
    )


def standards_folder() -> Path:
    """Return the folder of the DRAM standards that come with edensim."""
    return configs_folder() / "dram"
