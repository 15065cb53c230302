"""The layers of a network as DarkNet has them, with what follows them in place."""

from dataclasses import dataclass, replace

from edensim.networks.network import NOT_POINTWISE, Layer, Network, Operator


@dataclass(frozen=True)
class Step:
    """A DarkNet layer: a layer of the network, and what follows it in place.

    `output` is the tensor behind a normalization and an activation that follow; `normalization` is
    None if the layer is not normalized.
    """

    layer: Layer
    output: str
    normalization: Layer | None = None
    activation: str = "linear"

    def takes(self, layer: Layer) -> bool:
        """Say whether an elementwise layer that reads the output belongs to this layer."""
        if self.activation != "linear":
            return False
        if layer.function == "normalization":
            return self.layer.is_product and self.normalization is None
        return layer.function not in NOT_POINTWISE and (
            self.layer.is_product
            or self.layer.operator is Operator.ADDITION
            or self.layer.function == "normalization"
        )


def steps_of(network: Network) -> list[Step]:
    """Return the layers as DarkNet has them.

    Normalization and activation belong to the product or sum before them if nobody else reads what
    lies between.
    """
    steps: list[Step] = []
    by_output: dict[str, int] = {}
    for layer in network.layers:
        source = layer.inputs[0]
        at = by_output.get(source)
        if layer.operator is Operator.VIEW and layer.function != "route":
            if at is not None:
                by_output[layer.output] = at
            continue
        is_elementwise = layer.operator is Operator.ELEMENTWISE
        is_normalization = is_elementwise and layer.function == "normalization"
        if (
            is_elementwise
            and at is not None
            and steps[at].output == source
            and network.readers[source] == 1
            and steps[at].takes(layer)
        ):
            steps[at] = replace(steps[at], output=layer.output)
            if is_normalization:
                steps[at] = replace(steps[at], normalization=layer)
            else:
                steps[at] = replace(steps[at], activation=layer.function)
        else:
            at = len(steps)
            steps.append(Step(layer, layer.output, layer if is_normalization else None))
        by_output[layer.output] = at
    return steps
