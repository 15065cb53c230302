"""Networks as tables of text: what the zoo holds, the layers of one network, and where its tensors lie in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edensim.networks.builder import text
from edensim.networks.layout import PRECISION_BITS, Layout, Placement, tensor_bytes
from edensim.networks.loading import load_network
from edensim.networks.network import Layer, Network, Role
from edensim.networks.zoo.registry import ENTRIES

#: Bytes of what tables call MB, as in EDEN's.
MEGABYTE = 1 << 20


def networks_overview(
    names: Sequence[str] = (),
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
) -> str:
    """A line for each network (all of the zoo where none is named). Raises NetworkError."""
    header = (
        "name",
        "input",
        "layers",
        "parameters",
        "MACs",
        *(f"{precision} MB" for precision in PRECISION_BITS),
        "",
    )
    rows = [header]
    for name in names or ENTRIES:
        network = load_network(name, batch=batch, height=height, width=width)
        weights = (
            f"{tensor_bytes(network.parameters, precision) / MEGABYTE:.2f}"
            for precision in PRECISION_BITS
        )
        title = ENTRIES[name].title if name in ENTRIES else ""
        shape = text(network.tensors[network.input].shape)
        rows.append(
            (
                network.name,
                shape,
                str(len(network.fused().layers)),
                f"{network.parameters:,}",
                f"{network.macs:,}",
                *weights,
                title,
            )
        )
    note = f"layers: as executed (activations and normalizations in the layer before); MB: weights, {MEGABYTE:,} bytes"
    return "\n".join((*columns(rows, left=(0, 1, len(header) - 1)), note))


def layers_overview(
    name: str, *, batch: int = 1, height: int | None = None, width: int | None = None
) -> str:
    """The layers of a network as executed. Raises NetworkError."""
    network = load_network(name, batch=batch, height=height, width=width).fused()
    rows: list[tuple[str, ...]] = [
        ("layer", "operator", "ifm", "ofm", "kernel", "stride", "groups", "parameters", "MACs")
    ]
    rows += [layer_row(network, layer) for layer in network.layers]
    return "\n".join(columns(rows, left=(0, 1, 2, 3)))


def layer_row(network: Network, layer: Layer) -> tuple[str, ...]:
    """What a table says of a layer."""
    gemm = network.gemm(layer)
    windows = layer.kernel != (1, 1) or layer.stride != (1, 1) or gemm is not None
    return (
        layer.name,
        " ".join(filter(None, (layer.operator.value, layer.function))),
        " + ".join(text(network.tensors[name].shape) for name in layer.inputs),
        text(network.tensors[layer.output].shape),
        text(layer.kernel) if windows else "",
        text(layer.stride) if windows else "",
        str(layer.groups) if layer.groups > 1 else "",
        f"{sum(network.tensors[name].elements for name in layer.weights):,}",
        f"{gemm.macs:,}" if gemm else "0",
    )


def layout_overview(layout: Layout) -> str:
    """Every tensor with its bytes, where it lies, and the layers between which it must be there."""
    network = layout.network
    rows: list[tuple[str, ...]] = [
        ("tensor", "role", "shape", "address", "end", "bytes", "from", "to")
    ]
    for placement in sorted(
        layout.placements,
        key=lambda p: (p.role is Role.FEATURES, p.address if p.role is Role.WEIGHTS else p.index),
    ):
        place = (f"{placement.address:#x}", f"{placement.end:#x}", f"{placement.size_bytes:,}")
        shape = text(network.tensors[placement.name].shape)
        rows.append(
            (placement.name, placement.role.value, shape, *place, *lifetime(network, placement))
        )
    sums = {
        role: sum(placement.size_bytes for placement in layout.placements if placement.role is role)
        for role in Role
    }
    start = max(
        (placement.end for placement in layout.placements if placement.role is Role.WEIGHTS),
        default=layout.base_address,
    )
    lines = [
        f"network {network.name} {text(network.tensors[network.input].shape)}, {layout.precision}: {len(network.layers)} layers as executed, "
        f"MACs {network.macs:,}",
        f"  weights {sums[Role.WEIGHTS]:,} bytes; features {sums[Role.FEATURES]:,} bytes in {layout.end - start:,}; "
        f"{layout.base_address:#x} to {layout.end:#x}, aligned to {layout.alignment_bytes} bytes",
    ]
    return "\n".join((*lines, *(f"  {line}" for line in columns(rows, left=(0, 1, 2, 6, 7)))))


def lifetime(network: Network, placement: Placement) -> tuple[str, str]:
    """First and last layer that needs a tensor where it lies: weights stay."""
    if placement.role is Role.WEIGHTS:
        return "", ""
    first, last = placement.first_layer, placement.last_layer
    start = "the start" if first < 0 else network.layers[first].name
    return start, "the end" if last >= len(network.layers) else network.layers[max(last, 0)].name


def columns(rows: Sequence[Sequence[str]], *, left: Iterable[int]) -> list[str]:
    """Rows with their columns below each other; `left` are those that start on the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    kept = set(left)
    return [
        "  ".join(
            cell.ljust(width) if column in kept else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
