"""Run-length compression of features in DRAM (JSSC 2017): pairs of a 5-bit run of zeros and a level, three of 16 bits to a 64-bit word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edensim.exceptions import ConfigError
from edensim.networks.network import Operator

if TYPE_CHECKING:
    from edensim.config.models import EyerissConfig
    from edensim.networks.network import Network

RUN_BITS = 5
WORD_BITS = 64


def run_length_ratio(zero_fraction: float, level_bits: int) -> float:
    """Compressed over plain size of features whose elements are zero independently of each other; 1 where compression would not help.

    A pair stands for up to 31 zeros and the level behind them (which is zero where the run was cut): 1 + z + ... + z^31 elements on average.
    """
    longest = 1 << RUN_BITS
    elements = (
        float(longest) if zero_fraction >= 1 else (1 - zero_fraction**longest) / (1 - zero_fraction)
    )
    bits_per_pair = WORD_BITS / (WORD_BITS // (RUN_BITS + level_bits))
    return min(1.0, bits_per_pair / elements / level_bits)


def feature_ratios(network: Network, config: EyerissConfig, level_bits: int) -> dict[str, float]:
    """Size of each feature tensor in DRAM over its plain size, where it is not 1. Raises ConfigError for more zero fractions than layers.

    `zero_fractions` are of the ifm of convolution and linear layers, in order. What only goes through pooling on its way to such a layer is taken
    to have its ifm's fraction.
    """
    filtering = [
        layer
        for layer in network.layers
        if layer.operator in (Operator.CONVOLUTION, Operator.LINEAR)
    ]
    if len(config.zero_fractions) > len(filtering):
        raise ConfigError(
            f"eyeriss.zero_fractions: {len(config.zero_fractions)} values; "
            f"expected at most the {len(filtering)} convolution and linear layers of {network.name!r}"
        )
    if config.compression == "none":
        return {}
    own = {
        layer.name: fraction
        for layer, fraction in zip(filtering, config.zero_fractions, strict=False)
    }
    fractions: dict[str, float] = {}
    for layer in reversed(network.layers):
        fraction = own.get(layer.name)
        if fraction is None and layer.operator is Operator.POOLING:
            fraction = fractions.get(layer.output)
        if fraction is not None:
            fractions[layer.inputs[0]] = fraction
    used = {network.input} | {layer.output for layer in network.layers}
    return {
        name: run_length_ratio(fractions.get(name, config.zero_fraction), level_bits)
        for name in used
    }
