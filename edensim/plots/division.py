"""Take the figures of one run apart by bank, tensor or partition, each part a point of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from edensim.exceptions import InputError, nearest
from edensim.plots.points import Point, Points

#: What each kind of picture can be taken apart by, and the key that a result needs for it.
DIVISIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "energy": {"tensor": "energy_by_tensor_pJ", "partition": "energy_by_partition_pJ"},
    "exposure": {
        "bank": "exposure.by_bank",
        "tensor": "exposure.by_tensor",
        "partition": "exposure.by_partition",
    },
}
#: Most parts whose energy is drawn; a large network has more tensors.
MOST_PARTS: Final = 40
#: Which runs have each kind of part.
_MISSING: Final = {
    "tensor": "a network's run, or a native trace whose requests name tensors, counts them",
    "bank": "a run outside specification counts them",
    "partition": "a run outside specification, or with partitions, counts them",
}


def divide(points: Points, kind: str, by: str) -> Points:
    """Return the parts of one run as named points.

    Raises InputError for several runs, a kind that is not taken apart so, and a result without
    such parts.
    """
    known = DIVISIONS.get(kind)
    if known is None:
        raise InputError(f"--by: only for --kind {' and '.join(DIVISIONS)}, not for {kind!r}")
    if by not in known:
        raise InputError(
            f"--by {by}: {kind} is taken apart by {', '.join(known)}{nearest(by, known)}"
        )
    row = points.only_run(f"--by {by}")
    take_apart = _energies if kind == "energy" else _banks if by == "bank" else _exposures
    parts = dict(take_apart(row, known[by]))
    if not parts:
        raise InputError(f"{points.origin}: {points.names[0]} holds no {known[by]}: {_MISSING[by]}")
    return replace(points, rows=tuple(parts.values()), names=tuple(parts))


def _energies(row: Point, key: str) -> Iterator[tuple[str, Point]]:
    """Yield the name and the energy of each part."""
    common = {name: value for name, value in row.items() if not name.startswith("energy_pJ.")}
    by_part: dict[str, dict[str, Any]] = {}
    for name, value in row.items():
        if name.startswith(f"{key}."):  # KEY.PART.LEAF; only parts may have dots in their names
            part, _, leaf = name.removeprefix(f"{key}.").rpartition(".")
            by_part.setdefault(_title(part), {})[leaf] = value
    for part, leaves in _largest(by_part).items():
        yield part, {**common, **{f"energy_pJ.{leaf}": value for leaf, value in leaves.items()}}


def _banks(row: Point, key: str) -> Iterator[tuple[str, Point]]:
    """Yield the name and the exposure of each bank that was read."""
    common, by_channel = _without_exposure(row), row.get(key) or []
    for channel, banks in enumerate(by_channel):
        prefix = f"channel {channel} " if len(by_channel) > 1 else ""
        for bank, counts in enumerate(banks):
            if any(counts):
                yield f"{prefix}bank {bank}", {**common, "exposure.counts": counts}


def _exposures(row: Point, key: str) -> Iterator[tuple[str, Point]]:
    """Yield the name and the exposure of each tensor or partition that was read."""
    for name, counts in row.items():
        if name.startswith(f"{key}.") and isinstance(counts, list) and any(counts):
            part = name.removeprefix(f"{key}.").removesuffix(".counts")
            exposure = {"exposure.counts": counts}
            too_soon = row.get(f"{key}.{part}.out_of_specification")
            if too_soon is not None:
                exposure["exposure.out_of_specification"] = too_soon
            yield _title(part), {**_without_exposure(row), **exposure}


def _without_exposure(row: Point) -> dict[str, Any]:
    whole_run = ("exposure.counts", "exposure.out_of_specification")
    return {name: value for name, value in row.items() if name not in whole_run}


def _title(part: str) -> str:
    return f"tensor {part}" if part.isdecimal() else part


def _largest(parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parts that take most energy, in their order, and the others as one."""
    if len(parts) <= MOST_PARTS:
        return parts
    largest = set(sorted(parts, key=lambda name: -parts[name]["total"])[: MOST_PARTS - 1])
    others: dict[str, float] = {}
    for name, leaves in parts.items():
        if name not in largest:
            for leaf, value in leaves.items():
                others[leaf] = others.get(leaf, 0.0) + value
    shown = {name: leaves for name, leaves in parts.items() if name in largest}
    return {**shown, f"{len(parts) - len(largest)} others": others}
