"""The result of a mapping: which data lie at which operating points, and what that brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edensim._version import __version__
from edensim.config.loading import resolved
from edensim.config.models import RunConfig
from edensim.files import save_text
from edensim.results.data_frame import data_frame
from edensim.results.run_result import RunResult
from edensim.results.summary import less_or_more

if TYPE_CHECKING:
    import pandas as pd

#: Fields that JSON has as they are, in their order.
_PLAIN: Final = (
    "network module precision objective algorithm fine costs comparison metadata notes"
).split()


@dataclass(frozen=True)
class DramMapping:
    """Operating points for a network's data.

    Attributes
    ----------
    network, module : str
        The network, and the DRAM module whose bits fail.
    precision, objective, algorithm : str
        How data are stored, what is minimized, and how.
    fine : bool
        Whether data items have operating points of their own.
    items : Mapping
        Tolerable BER, bytes, VDD, tRCD and BER of each data item.
    partitions : tuple of Mapping
        Name, operating point, rows, bytes and items of each partition.
    points : tuple of Mapping
        The operating points that there were to choose among, with BER, energy and time.
    costs : Mapping
        Cost of the assignment by each algorithm, and the bound that proves the exact one.
    comparison : Mapping
        Energy saved and speedup over the nominal operating point.
    metadata : Mapping
        Sizes of the memory controller's tables.
    run : RunResult
        The network's run at the mapped operating points.
    config : RunConfig
        The configuration of this run.
    notes : Mapping
        Remarks, points that were left out, and assumptions of the module.
    """

    network: str
    module: str
    precision: str
    objective: str
    algorithm: str
    fine: bool
    items: Mapping[str, Mapping[str, Any]]
    partitions: tuple[Mapping[str, Any], ...]
    points: tuple[Mapping[str, Any], ...]
    costs: Mapping[str, float | None]
    comparison: Mapping[str, float]
    metadata: Mapping[str, Any]
    run: RunResult
    config: RunConfig
    notes: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as --json writes them."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "items": {name: dict(item) for name, item in self.items.items()},
            "partitions": [dict(partition) for partition in self.partitions],
            "points": [dict(point) for point in self.points],
            "run": self.run.to_dict(),
            "config": resolved(self.config),
            "version": __version__,
            "seed": self.config.seed,
        }

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table with a row per data item."""
        return data_frame([{"item": name, **item} for name, item in self.items.items()])

    def summary(self) -> str:
        """Return a few lines of text."""
        kind = f"fine, {self.algorithm}" if self.fine else "coarse"
        lines = [
            f"{self.network} at {self.precision} on {self.module}: {kind} mapping for least "
            f"{self.objective}"
        ]
        for part in self.partitions:
            vdd, trcd = _named(part["vdd_V"], "V"), _named(part["trcd_ns"], "ns")
            lines.append(
                f"{part['name']:<14} VDD {vdd}, tRCD {trcd}, BER {part['ber']:.3g}: "
                f"{len(part['items'])} items, {part['bytes']:,} bytes"
            )
        lines += [
            f"energy         {self.run.energy_pJ.total / 1e9:,.3f} mJ, "
            f"{less_or_more(self.comparison['energy_saved'])} than at the nominal point",
            f"time           {self.run.time_ns / 1e3:,.3f} us, "
            f"{self.comparison['speedup']:.4f} times as fast",
        ]
        greedy, exact = self.costs.get("greedy"), self.costs.get("exact")
        if self.fine and greedy is not None and exact is not None:
            lines.append(
                f"greedy         costs {max(0.0, greedy / exact - 1):.3%} more than the optimum"
            )
        lines.append(
            f"controller     {self.metadata['total_bytes']} bytes of tables, "
            f"{self.metadata['bounding_cycles']} cycle a load for bounds"
        )
        lines += [f"note           {remark}" for remark in self.notes.get("said", ())]
        return "\n".join(lines)

    def save_config(self, path: Path) -> None:
        """Write the mapped run for `edensim simulate`: what differs from the defaults, as YAML."""
        import yaml

        values = _without_defaults(resolved(self.config), resolved(RunConfig()))
        save_text(path, yaml.safe_dump(values, sort_keys=False, width=150))


def _without_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a configuration that differ from the defaults."""
    changed: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            if section := _without_defaults(value, defaults.get(key, {})):
                changed[key] = section
        elif key not in defaults or value != defaults[key]:
            changed[key] = _plain(value)
    return changed


def _plain(value: Any) -> Any:
    """Return lists for tuples, and mappings without what is not set."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return value


def _named(value: float | None, unit: str) -> str:
    return "nominal" if value is None else f"{value:g} {unit}"
