"""Read and write energy by the data moved (`energy.data_model`), as measured on DDR3L.

The measurements and their source are in configs/modules/vampire_ddr3l.yaml. The factors multiply
the energy that IDD4R and IDD4W give. Data sheets state these currents for bits that are 0 or 1 with
equal odds, so the factors are 1 at 50 % ones and 50 % toggles. Reading ones costs more than reading
zeros; writing ones costs less.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from edensim.config import paths as resources
from edensim.config.models import EnergyConfig
from edensim.config.strict_yaml import load_yaml
from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError

#: Bytes of a measured burst; the coefficients are per byte.
_BYTES = 64


def data_factors(config: EnergyConfig, standard: Standard) -> tuple[float, float]:
    """Return how many times as much reads and writes cost as the currents say; 1 without a model.

    Raises ConfigError for a standard that the model was not measured on.
    """
    if config.data_model == "none":
        return 1.0, 1.0
    vendor = config.data_model.rpartition("-")[2]
    model = _model()
    if standard.name != model["standard"]:
        raise ConfigError(
            f"energy.data_model: {config.data_model!r} was measured on {model['standard']}; "
            f"expected 'none' for {standard.name}"
        )
    values = model["vendors"][vendor]
    standby_mA: float = values["standby_pJ"] / model["cycle_ns"] / model["vdd_V"]

    def above_standby_mA(kind: str, ones: float, toggles: float) -> float:
        moved: float = values[f"{kind}_base"] + _BYTES * (
            values[f"{kind}_ones"] * ones + values[f"{kind}_toggles"] * toggles
        )
        return moved - standby_mA

    reads, writes = (
        above_standby_mA(kind, config.ones_fraction, config.toggle_fraction)
        / above_standby_mA(kind, 0.5, 0.5)
        for kind in ("read", "write")
    )
    return reads, writes


def _model() -> dict[str, Any]:
    for folder in resources.config_folders("modules"):
        if (folder / "vampire_ddr3l.yaml").is_file():
            return _read(folder / "vampire_ddr3l.yaml")
    raise ConfigError("modules/vampire_ddr3l.yaml: this installation of edensim has no such file")


@cache
def _read(path: Path) -> dict[str, Any]:
    return load_yaml(path)[0]
