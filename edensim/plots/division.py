"""One run's figures taken apart: by bank, tensor or partition, each part a point of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from edensim.exceptions import InputError, nearest
from edensim.plots.points import Point, Points

#: What each kind of picture can be taken apart by, and what a result has to hold for it.
DIVISIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "energy": {"tensor": "energy_by_tensor_pJ", "partition": "energy_by_partition_pJ"},
    "exposure": {
        "bank": "exposure.by_bank",
        "tensor": "exposure.by_tensor",
        "partition": "exposure.by_partition",
    },
}
#: Parts whose energy is drawn; a large network has more tensors than that.
MOST_PARTS: Final = 40
#: Why a result may lack a part.
_MISSING: Final = {
    "tensor": "a network's run, or a native trace whose requests name tensors, counts them",
    "bank": "a run outside specification counts them",
    "partition": "a run outside specification, or with partitions, counts them",
}


def divide(points: Points, kind: str, by: str) -> Points:
    """The parts of one run as points, named. Raises InputError for several runs, a kind that is not taken apart so, and a result without parts."""
    known = DIVISIONS.get(kind)
    if known is None:
        raise InputError(f"--by: only for --kind {' and '.join(DIVISIONS)}, not for {kind!r}")
    if by not in known:
        raise InputError(
            f"--by {by}: {kind} is taken apart by {', '.join(known)}{nearest(by, known)}"
        )
    if len(points) != 1:
        raise InputError(
            f"{points.origin}: --by {by}: {len(points)} points; expected one run (--where KEY=VALUE picks it)"
        )
    parts = dict(_parts(points.rows[0], kind, by, known[by]))
    if not parts:
        raise InputError(f"{points.origin}: {points.names[0]} holds no {known[by]}: {_MISSING[by]}")
    return replace(points, rows=tuple(parts.values()), names=tuple(parts))


def _parts(row: Point, kind: str, by: str, key: str) -> Iterator[tuple[str, Point]]:
    """Name and point of each part."""
    if kind == "energy":
        kept = {name: value for name, value in row.items() if not name.startswith("energy_pJ.")}
        for name, values in _largest(_nested(row, key)).items():
            yield name, {**kept, **{f"energy_pJ.{part}": value for part, value in values.items()}}
        return
    kept = {
        name: value
        for name, value in row.items()
        if name not in ("exposure.counts", "exposure.out_of_specification")
    }
    if by == "bank":
        for channel, banks in enumerate(row.get(key) or []):
            for bank, counts in enumerate(banks):
                if any(counts):
                    name = (
                        f"bank {bank}" if len(row[key]) == 1 else f"channel {channel} bank {bank}"
                    )
                    yield name, {**kept, "exposure.counts": counts}
        return
    for name, values in row.items():
        if name.startswith(f"{key}.") and isinstance(values, list) and any(values):
            part = name.removeprefix(f"{key}.").removesuffix(".counts")
            too_soon = row.get(f"{key}.{part}.out_of_specification")
            yield (
                (f"tensor {part}" if part.isdecimal() else part),
                {
                    **kept,
                    "exposure.counts": values,
                    **({} if too_soon is None else {"exposure.out_of_specification": too_soon}),
                },
            )


def _largest(parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those that take most energy, in their order, and the others as one."""
    if len(parts) <= MOST_PARTS:
        return parts
    kept = set(sorted(parts, key=lambda name: -parts[name]["total"])[: MOST_PARTS - 1])
    others: dict[str, float] = {}
    for name in (
        name for name in parts if name not in kept
    ):  # in one order, so that the sum is the same each time
        for leaf, value in parts[name].items():
            others[leaf] = others.get(leaf, 0.0) + value
    return {
        **{name: values for name, values in parts.items() if name in kept},
        f"{len(parts) - len(kept)} others": others,
    }


def _nested(row: Point, key: str) -> dict[str, dict[str, Any]]:
    """{part: {leaf: value}} of the flat keys `KEY.PART.LEAF`; parts may have dots in their names, leaves have none."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in row.items():
        if name.startswith(f"{key}."):
            part, _, leaf = name.removeprefix(f"{key}.").rpartition(".")
            found.setdefault(f"tensor {part}" if part.isdecimal() else part, {})[leaf] = value
    return found
