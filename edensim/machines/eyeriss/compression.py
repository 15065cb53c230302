"""Run-length compression of features in DRAM.

Pairs of a run of zeros (5 bits) and a level are packed into words of 64 bits, three pairs of a
16-bit level to a word (Chen et al., JSSC 2017).
"""

from edensim.config.models import EyerissConfig
from edensim.exceptions import ConfigError
from edensim.networks.network import Network, Operator

RUN_BITS = 5
WORD_BITS = 64


def run_length_ratio(zero_fraction: float, level_bits: int) -> float:
    """Return the compressed size of features over their plain size; 1 if compression does not help.

    Elements are taken to be zero independently of each other, with probability z. A pair stands for
    up to 31 zeros and the level behind them (which is zero if the run was cut): for
    1 + z + ... + z^31 elements on average.
    """
    longest = 1 << RUN_BITS
    elements = (
        float(longest) if zero_fraction >= 1 else (1 - zero_fraction**longest) / (1 - zero_fraction)
    )
    bits_per_pair = WORD_BITS / (WORD_BITS // (RUN_BITS + level_bits))
    return min(1.0, bits_per_pair / elements / level_bits)


def feature_ratios(network: Network, config: EyerissConfig, level_bits: int) -> dict[str, float]:
    """Return the size of feature tensors in DRAM over their plain size, if they are compressed.

    The configured `zero_fractions` are those of the ifm of the convolution and linear layers, in
    order. Features that only go through pooling on their way to such a layer are taken to have the
    same fraction as its ifm. Raises ConfigError if there are more fractions than layers.
    """
    products = [layer for layer in network.layers if layer.is_product]
    if len(config.zero_fractions) > len(products):
        raise ConfigError(
            f"eyeriss.zero_fractions: {len(config.zero_fractions)} values; "
            f"expected at most the {len(products)} convolution and linear layers "
            f"of {network.name!r}"
        )
    if config.compression == "none":
        return {}
    names = (layer.name for layer in products)
    configured = dict(zip(names, config.zero_fractions, strict=False))
    fractions: dict[str, float] = {}
    for layer in reversed(network.layers):
        fraction = configured.get(layer.name)
        if fraction is None and layer.operator is Operator.POOLING:
            fraction = fractions.get(layer.output)
        if fraction is not None:
            fractions[layer.inputs[0]] = fraction
    features = {network.input} | {layer.output for layer in network.layers}
    return {
        name: run_length_ratio(fractions.get(name, config.zero_fraction), level_bits)
        for name in features
    }
