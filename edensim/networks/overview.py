"""Write tables of networks, of the layers of one network, and of where its tensors lie."""

from __future__ import annotations

from collections.abc import Container, Sequence

from edensim.networks.builder import text
from edensim.networks.layout import PRECISION_BITS, Layout, Placement, tensor_bytes
from edensim.networks.loading import load_network
from edensim.networks.network import Layer, Network, Role
from edensim.networks.zoo.registry import ENTRIES

#: Tables give sizes in 2^20 bytes and call them MB, as EDEN's tables do.
MEGABYTE = 1 << 20


def networks_overview(
    names: Sequence[str] = (),
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
) -> str:
    """Write a line for each network, or for all of the zoo if none is named."""
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
    note = (
        "layers: as executed (activations and normalizations in the layer before); "
        f"MB: weights, {MEGABYTE:,} bytes"
    )
    return "\n".join((*columns(rows, left=(0, 1, len(header) - 1)), note))


def layers_overview(
    name: str, *, batch: int = 1, height: int | None = None, width: int | None = None
) -> str:
    """Write the layers of a network as they are executed."""
    network = load_network(name, batch=batch, height=height, width=width).fused()
    rows: list[tuple[str, ...]] = [
        ("layer", "operator", "ifm", "ofm", "kernel", "stride", "groups", "parameters", "MACs")
    ]
    rows += [layer_row(network, layer) for layer in network.layers]
    return "\n".join(columns(rows, left=(0, 1, 2, 3)))


def layer_row(network: Network, layer: Layer) -> tuple[str, ...]:
    """Make the row of a layer."""
    gemm = network.gemm(layer)
    windows = layer.kernel != (1, 1) or layer.stride != (1, 1) or gemm is not None
    return (
        layer.name,
        " ".join(filter(None, (layer.operator.value, layer.function))),
        " + ".join(text(network.ifm(layer, at).shape) for at in range(len(layer.inputs))),
        text(network.tensors[layer.output].shape),
        text(layer.kernel) if windows else "",
        text(layer.stride) if windows else "",
        str(layer.groups) if layer.groups > 1 else "",
        f"{sum(network.tensors[name].elements for name in layer.weights):,}",
        f"{gemm.macs:,}" if gemm else "0",
    )


def layout_overview(layout: Layout) -> str:
    """Write where each tensor lies, and between which layers it must be there."""
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
        f"network {network.name} {text(network.tensors[network.input].shape)}, "
        f"{layout.precision}: {len(network.layers)} layers as executed, MACs {network.macs:,}",
        f"  weights {sums[Role.WEIGHTS]:,} bytes; features {sums[Role.FEATURES]:,} bytes "
        f"in {layout.end - start:,}; {layout.base_address:#x} to {layout.end:#x}, "
        f"aligned to {layout.alignment_bytes} bytes",
    ]
    return "\n".join((*lines, *(f"  {line}" for line in columns(rows, left=(0, 1, 2, 6, 7)))))


def lifetime(network: Network, placement: Placement) -> tuple[str, str]:
    """Name the first and the last layer that need a tensor where it lies; weights stay."""
    if placement.role is Role.WEIGHTS:
        return "", ""
    first, last = placement.first_layer, placement.last_layer
    start = "the start" if first < 0 else network.layers[first].name
    return start, "the end" if last >= len(network.layers) else network.layers[max(last, 0)].name


def columns(rows: Sequence[Sequence[str]], *, left: Container[int]) -> list[str]:
    """Align the cells of rows: the columns `left` to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
