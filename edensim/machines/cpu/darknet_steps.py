"""A network's layers as DarkNet has them: what follows in place belongs to the layer before it."""

from __future__ import annotations

from dataclasses import dataclass

from edensim.networks.network import NOT_POINTWISE, Layer, Network, Operator


@dataclass(frozen=True)
class Step:
    """A DarkNet layer: a layer of the network with the normalization and the activation that follow in place."""

    layer: Layer
    output: str
    normalized: bool = False
    normalization: Layer | None = None
    activation: str = "linear"


def steps_of(network: Network) -> list[Step]:
    """Layers as DarkNet has them: normalization and activation belong to the product or sum before them where nobody else reads in between."""
    steps: list[Step] = []
    by_output: dict[str, int] = {}
    for layer in network.layers:
        at = by_output.get(layer.inputs[0])
        if layer.operator is Operator.VIEW and layer.function != "route":
            if at is not None:
                by_output[layer.output] = at
            continue
        before = steps[at] if at is not None else None
        if (
            layer.operator is Operator.ELEMENTWISE
            and before is not None
            and before.output == layer.inputs[0]
            and network.readers[layer.inputs[0]] == 1
        ):
            weighted = before.layer.operator in (Operator.CONVOLUTION, Operator.LINEAR)
            plain = before.activation == "linear"
            if layer.function == "normalization" and weighted and plain and not before.normalized:
                steps[at] = Step(before.layer, layer.output, True, layer)  # type: ignore[index]
                by_output[layer.output] = at  # type: ignore[assignment]
                continue
            takes = (
                weighted
                or before.layer.operator is Operator.ADDITION
                or before.layer.function == "normalization"
            )
            if (
                layer.function not in NOT_POINTWISE
                and layer.function != "normalization"
                and takes
                and plain
            ):
                steps[at] = Step(  # type: ignore[index]
                    before.layer,
                    layer.output,
                    before.normalized,
                    before.normalization,
                    layer.function,
                )
                by_output[layer.output] = at  # type: ignore[assignment]
                continue
        normalized = layer.operator is Operator.ELEMENTWISE and layer.function == "normalization"
        by_output[layer.output] = len(steps)
        steps.append(Step(layer, layer.output, normalized, layer if normalized else None))
    return steps
