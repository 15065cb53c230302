"""Are SCALE-Sim's topologies read row by row, and mistakes named with their line?"""

from __future__ import annotations

from pathlib import Path

import pytest

from edensim.exceptions import NetworkError
from edensim.networks.layout import lay_out
from edensim.networks.loading import load_network
from edensim.networks.network import Network, Operator
from tests.locations import DATA

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"

GOLDEN = DATA / "scale-sim-3.0"


def read(folder: Path, text: str, **sizes: int) -> Network:
    path = folder / "own.csv"
    path.write_text(text)
    return load_network(path, **sizes)


def test_convolutions(tmp_path: Path) -> None:
    network = read(
        tmp_path,
        HEADER + "Conv1,224,224,11,11,3,96,4,\n\nConv2, 31, 31, 5, 5, 96, 256, 1,\n",
        batch=2,
    )
    assert [layer.name for layer in network.layers] == ["Conv1", "Conv2"]
    assert network.tensors["Conv1.ifm"].shape == (2, 3, 224, 224)
    assert network.tensors["Conv1"].shape == (2, 96, 54, 54)
    assert network.tensors["Conv2"].shape == (2, 256, 27, 27)
    assert network.parameters == 96 * 3 * 121 + 256 * 96 * 25
    assert network.macs == 2 * (54 * 54 * 96 * 363 + 27 * 27 * 256 * 2400)


def test_each_layer_has_an_ifm_of_its_own(tmp_path: Path) -> None:
    network = read(
        tmp_path, HEADER + "".join(f"L{i},34,34,3,3,64,64,1,\n" for i in range(20))
    ).fused()
    assert network.further_inputs == tuple(f"L{i}.ifm" for i in range(1, 20))
    weights, ifm, ofm = 64 * 64 * 9, 64 * 34 * 34, 64 * 32 * 32
    assert (
        lay_out(network, "int8").end < 20 * (weights + ofm) + 3 * ifm
    )  # ofms are results; ifms need memory one after another


def test_matrix_products(tmp_path: Path) -> None:
    network = read(tmp_path, "Layer, M, N, K,\nfc, 128, 1000, 512,\n", batch=3)
    (layer,) = network.layers
    assert layer.operator is Operator.LINEAR
    assert network.macs == 3 * 128 * 1000 * 512
    assert network.parameters == 1000 * 512


def test_depthwise_rows_have_filters_for_each_channel(tmp_path: Path) -> None:
    network = read(tmp_path, HEADER + "Conv_DP_1,10,10,3,3,32,1,1,\n")
    assert network.layers[0].groups == 32
    assert network.macs == 32 * 9 * 64


@pytest.mark.parametrize("separator", [",", "\t"])
def test_with_or_without_the_last_separator_and_a_mark(tmp_path: Path, separator: str) -> None:
    rows = [HEADER.strip().rstrip(","), "a,8,8,3,3,4,4,1"]
    text = "\ufeff" + "\r\n".join(row.replace(",", separator) for row in rows)
    assert read(tmp_path, text).macs == 36 * 36 * 4


def test_two_strides_and_equal_names(tmp_path: Path) -> None:
    header = HEADER.replace("Strides", "Stride height, Stride width")
    network = read(tmp_path, header + "a,9,9,3,3,4,4,2,3,\na,9,9,3,3,4,4,2,3,\n")
    assert [layer.name for layer in network.layers] == ["a", "a_2"]
    assert network.tensors["a"].shape == (1, 4, 4, 3)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (HEADER + "a,8,8,3,3,4,4\n", 2, "found 7 fields; expected 8"),
        (HEADER + "a,8,8,3,3,4,x,1,\n", 2, "number of filters: found 'x'; expected a whole number"),
        (
            HEADER + "a,8,8,3,3,4,4.0,1,\n",
            2,
            "number of filters: found '4.0'; expected a whole number",
        ),
        (HEADER + "b,8,8,3,3,4,4,1,\na,8,8,9,3,4,4,1,\n", 3, "the input is too small"),
        (HEADER + "a,8,8,3,3,4,4,0,\n", 2, "stride: found '0'; expected a whole number from 1"),
        (HEADER + "a,-8,8,3,3,4,4,1,\n", 2, "IFMAP height: found '-8'"),
        ("a,8,8,3,3,4,4,1,\n", 1, "expected a header"),
        ("clock,command\n1,2\n", 1, "expected the columns Layer name"),
        (
            HEADER.replace("Strides", "Strides, Sparsity") + "a,8,8,3,3,4,4,1,2:4,\n",
            2,
            "sparsity: found '2:4'; expected 1:1",
        ),
    ],
)
def test_mistakes_are_named_with_their_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    with pytest.raises(NetworkError) as refused:
        read(tmp_path, text)
    assert f"own.csv:{line}: " in str(refused.value)
    assert message in str(refused.value)


LAYOUT = "Layer name, IFMAP Height Intraline Factor, IFMAP Width Intraline Factor,\n"


@pytest.mark.parametrize(
    ("columns", "row", "ifm", "ofm"),
    [
        ("Strides, Batch Size", "1, 4", (4, 8, 17, 18), (4, 6, 15, 14)),
        ("Strides, Batch", "1, 4", (4, 8, 17, 18), (4, 6, 15, 14)),
        ("Stride height, Stride width", "2, 1", (1, 8, 17, 18), (1, 6, 8, 14)),
        ("Stride H, Stride W", "2, 1", (1, 8, 17, 18), (1, 6, 8, 14)),
        ("stride_w, strides", "1, 2", (1, 8, 17, 18), (1, 6, 8, 14)),
        ("Strides, Padding", "1, 1", (1, 8, 17, 18), (1, 6, 17, 16)),
        ("Strides, Pad H, Pad W", "1, 1, 2", (1, 8, 17, 18), (1, 6, 17, 18)),
        ("Strides, # groups", "1, 2", (1, 8, 17, 18), (1, 6, 15, 14)),
        ("Strides, Dilation, Groups", "1, 2, 2", (1, 8, 17, 18), (1, 6, 13, 10)),
    ],
)
def test_columns_have_names(
    tmp_path: Path, columns: str, row: str, ifm: tuple[int, ...], ofm: tuple[int, ...]
) -> None:
    header = "Layer, num_filter, Channel, Filter H, Filter Width, ifmap_w, IFM Height, "
    network = read(tmp_path, f"{header}{columns},\na,6,8,3,5,18,17,{row},\n")
    assert network.tensors["a.ifm"].shape == ifm
    assert network.tensors["a"].shape == ofm


@pytest.mark.parametrize(
    "text",
    [
        "Layer,M,N,K,\nfc,64,32,16,\n",
        "Layer, K, N, M\nfc, 16, 32, 64\n",
        "L;M;N;K\nfc;64;32;16\n",
        "# attention\n\nLayer,M,N,K,\n# first\n\nfc,64,32,16, # last\n",
        '\ufeffLayer,"M","N","K",\r\n"fc, first",64,32,16,\r\n\r\n',
        "Layer,Batch,M,N,K\nfc,1,64,32,16\n",
    ],
)
def test_matrix_products_however_written(tmp_path: Path, text: str) -> None:
    network = read(tmp_path, text)
    (layer,) = network.layers
    assert (network.macs, network.parameters) == (64 * 32 * 16, 32 * 16)
    assert network.tensors[layer.output].shape == (1, 64, 32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAYOUT + "a,1,1,\n", "own.csv:1: is a layout file of SCALE-Sim"),
        (HEADER.replace("Strides", "Strides, Epochs"), "own.csv:1: column 'Epochs' is not known"),
        (HEADER.replace("Strides", "Strides, Stride"), "two columns for stride"),
        (HEADER + "a,8,8,3,3,4,4,1,5,\n", "own.csv:2: found 9 fields; expected 8"),
        (HEADER.replace("Strides", "Strides, Batch") + "a,8,8,3,3,4,4,1,\n", "own.csv:2: found 8"),
        ("Layer,M,N,K\nfc,1e3,1,1\n", "own.csv:2: M: found '1e3'; expected a whole number"),
        ("# nothing\n", "has no lines but comments"),
    ],
)
def test_nothing_is_ignored(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(NetworkError) as refused:
        read(tmp_path, text)
    assert message in str(refused.value)


def test_what_has_no_layers_or_no_other_size(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="a header and no layers"):
        read(tmp_path, HEADER)
    with pytest.raises(NetworkError, match="height = 5: a topology states the size of each layer"):
        read(tmp_path, HEADER + "a,8,8,3,3,4,4,1,\n", height=5)


@pytest.mark.parametrize(
    ("name", "layers", "macs"), [("alexnet", 5, 801_320_064), ("resnet18", 21, 1_438_384_832)]
)
def test_golden_topologies(name: str, layers: int, macs: int) -> None:
    network = load_network(GOLDEN / f"{name}.csv")
    assert (len(network.layers), network.macs) == (layers, macs)
