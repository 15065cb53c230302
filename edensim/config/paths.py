"""Where the files that travel with edensim are: configs/ and traces/, in a checkout or in an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from edensim.exceptions import InputError

_PACKAGE = Path(__file__).resolve().parents[1]

#: A folder of the user's own configurations, searched before edensim's.
CONFIGS_VARIABLE = "EDENSIM_CONFIGS"


def configs_folder() -> Path:
    """Folder of edensim's own configurations (`dram/`, `hardware/`, `modules/`, `runs/`).

    Raises InputError if the installation has none.
    """
    return _folder("configs")


def config_folders(kind: str) -> list[Path]:
    """Folders in which configurations of a kind (`dram`, `hardware`, ...) are looked up, first match wins.

    The user's folder ($EDENSIM_CONFIGS) holds either the files themselves or the same sub-folders as edensim's.
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
    for folder in (
        _PACKAGE / name,
        _PACKAGE.parent / name,
    ):  # a wheel carries them inside the package, a checkout beside it
        if folder.is_dir():
            return folder
    raise InputError(
        f"this installation of edensim has no {name!r} folder (looked in {_PACKAGE} and {_PACKAGE.parent})"
    )


def standards_folder() -> Path:
    """Return the folder of the DRAM standards that come with edensim."""
    return configs_folder() / "dram"
