"""Does the reader of .cfg files make DarkNet's layers, and refuse what it cannot read with file, line, found and expected?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edensim.exceptions import NetworkError
from edensim.networks.loading import load_network
from edensim.networks.network import Layer, Network, Operator

Read = Callable[..., Network]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read sections, written without line breaks in lists."""

    def load(text: str, **sizes: int) -> Network:
        path = tmp_path / "own.cfg"
        path.write_text(text)
        return load_network(path, **sizes)

    return load


NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"


def convolution(filters: int, size: int = 3, **options: object) -> str:
    lines = [
        f"filters={filters}",
        f"size={size}",
        "stride=1",
        "pad=1",
        *(f"{key}={value}" for key, value in options.items()),
    ]
    return "[convolutional]\n" + "\n".join(lines) + "\n"


def shapes(network: Network) -> list[tuple[int, ...]]:
    return [network.tensors[layer.output].shape for layer in network.layers]


def layer(network: Network, name: str) -> Layer:
    return next(each for each in network.layers if each.name == name)


def test_convolution_with_normalization_and_activation(read: Read) -> None:
    network = read(NET + convolution(16, batch_normalize=1, activation="leaky"))
    assert [each.name for each in network.layers] == [
        "000_convolutional",
        "000_convolutional.normalization",
        "000_convolutional.leaky",
    ]
    assert network.parameters == 16 * 3 * 9 + 2 * 16
    assert shapes(network)[-1] == (1, 16, 32, 32)
    assert network.name == "own"


def test_a_convolution_is_logistic_where_nothing_is_said(read: Read) -> None:
    assert read(NET + convolution(4)).layers[-1].function == "logistic"


@pytest.mark.parametrize(
    ("size", "stride", "padding", "expected"),
    [(2, 2, None, 16), (2, 1, None, 32), (3, 2, None, 16), (3, 2, 0, 15), (5, 1, None, 32)],
)
def test_maxpool_pads_size_less_one_in_all(
    read: Read, size: int, stride: int, padding: int | None, expected: int
) -> None:
    extra = "" if padding is None else f"padding={padding}\n"
    pool = read(f"{NET}[maxpool]\nsize={size}\nstride={stride}\n{extra}").layers[0]
    total = size - 1 if padding is None else padding
    assert pool.padding[:2] == (total // 2, total // 2)
    reach = (expected - 1) * stride + size - pool.padding[0]
    assert max(reach - 32, 0) == pool.padding[2]


def test_maxpool_of_an_odd_size(read: Read) -> None:
    assert shapes(
        read("[net]\nwidth=13\nheight=13\nchannels=3\n[maxpool]\nsize=2\nstride=2\n")
    ) == [(1, 3, 7, 7)]


def test_groups(read: Read) -> None:
    network = read(
        NET + convolution(16, activation="linear") + convolution(32, groups=4, activation="linear")
    )
    assert network.tensors["001_convolutional.weight"].shape == (32, 4, 3, 3)
    assert network.macs == 32 * 32 * 9 * (16 * 3 + 32 * 4)


def test_route_counts_back_or_from_the_first_layer(read: Read) -> None:
    network = read(NET + convolution(8) + convolution(16) + "[route]\nlayers = -1, 0\n")
    assert layer(network, "002_route").inputs == (
        "001_convolutional.logistic",
        "000_convolutional.logistic",
    )
    assert shapes(network)[-1] == (1, 24, 32, 32)


def test_route_of_one_layer_moves_nothing(read: Read) -> None:
    network = read(
        NET + convolution(8) + convolution(16) + "[route]\nlayers=-2\n" + convolution(4, 1)
    )
    assert layer(network, "002_route").operator is Operator.VIEW
    assert layer(network.fused(), "003_convolutional").inputs == ("000_convolutional",)


def test_route_with_groups_takes_a_part(read: Read) -> None:
    network = read(
        NET + convolution(8) + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n" + convolution(4, 1)
    )
    assert network.tensors["001_route"].shape == (1, 4, 32, 32)


def test_shortcut_keeps_the_shape_of_the_layer_before(read: Read) -> None:
    network = read(
        NET + convolution(8) + convolution(16) + "[shortcut]\nfrom=-2\nactivation=relu\n"
    )
    assert layer(network, "002_shortcut").inputs == (
        "001_convolutional.logistic",
        "000_convolutional.logistic",
    )
    assert shapes(network)[-1] == (1, 16, 32, 32)


def test_upsample_reorg_avgpool_connected_softmax(read: Read) -> None:
    network = read(
        NET
        + "[upsample]\nstride=2\n[reorg]\nstride=4\n[avgpool]\n[connected]\noutput=10\nactivation=linear\n"
        "[dropout]\nprobability=.5\n[softmax]\ngroups=1\n"
    )
    assert shapes(network) == [
        (1, 3, 64, 64),
        (1, 48, 16, 16),
        (1, 48, 1, 1),
        (1, 48),
        (1, 10),
        (1, 10),
    ]
    assert network.parameters == 48 * 10 + 10


def test_a_convolution_behind_a_connected_layer_sees_one_place(read: Read) -> None:
    assert shapes(
        read(
            NET
            + "[connected]\noutput=10\nactivation=linear\n"
            + convolution(4, 1, activation="linear")
        )
    )[-1] == (1, 4, 1, 1)


def test_yolo_knows_its_boxes(read: Read) -> None:
    network = read(
        NET
        + convolution(21, 1, activation="linear")
        + "[yolo]\nmask=0,1,2\nnum=9\nclasses=2\nanchors=1,2, 3,4\n"
    )
    assert (network.layers[-1].operator, network.layers[-1].groups) == (Operator.DETECTION, 3)


def test_sizes_and_batch_replace_those_of_the_file(read: Read) -> None:
    network = read(NET + "batch=64\n" + convolution(4), batch=2, height=64, width=96, channels=1)
    assert network.tensors[network.input].shape == (2, 1, 64, 96)


def test_blanks_comments_and_other_names(read: Read) -> None:
    text = "# a comment\n[network]\nwidth = 32\n height= 32\nchannels =3\n\n; another\n[conv]\n filters = 8\nsize=1\n [max]\nstride=2\r\n[soft]\n"
    assert shapes(read(text))[-1] == (1, 8, 16, 16)


def test_the_first_of_two_settings_holds(read: Read) -> None:
    assert read(NET + "width=64\n" + convolution(4)).tensors["input"].shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    "lines",
    [
        "filters=18###P6",
        "filters = 18 # (classes + 1 + 4) * 3",
        "filters=+18\nfilters=4",
        "filters=\nfilters=18\ngroups=",
        "filters=18\nbinary=1\nshow_receptive_field=1",
    ],
)
def test_what_darknet_runs_means_what_darknet_makes_of_it(read: Read, lines: str) -> None:
    network = read(f"{NET}show_receptive_field=1\n[convolutional]\n{lines}\nsize=1\n")
    assert shapes(network)[-1] == (1, 18, 32, 32)
    assert network.parameters == 18 * 3 + 18


def test_a_comma_at_the_end_of_layers_is_layer_0(read: Read) -> None:
    text = NET + convolution(4) + convolution(8) + "[route]\nlayers = -1, -2"
    assert shapes(read(text + "\n"))[-1] == (1, 12, 32, 32)
    network = read(text + ",\n")
    assert shapes(network)[-1] == (1, 16, 32, 32)
    assert network.layers[-1].inputs[2] == network.layers[-1].inputs[1]


def test_sections_that_pass_average_and_reorganize(read: Read) -> None:
    text = NET + convolution(4, activation="linear") + "[empty]\n[local_avg]\nsize=2\nstride=2\n"
    assert shapes(read(text + "[reorg3d]\nstride=2\n")) == [
        (1, 4, 32, 32),
        (1, 4, 16, 16),
        (1, 16, 8, 8),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            "[net]\nwidth=32\nheight=32\nchannels=3\n[convolutionl]\n",
            5,
            "unknown section; did you mean 'convolutional'?",
        ),
        (NET + "[convolutional]\nfilter=3\n", 6, "filter: unknown key; did you mean 'filters'?"),
        (
            NET + "[convolutional]\nfilters=three\n",
            6,
            "filters: found 'three'; expected a whole number",
        ),
        (
            NET + "[convolutional]\nfilters=1.5\n",
            6,
            "filters: found '1.5'; expected a whole number",
        ),
        (NET + "[convolutional]\nfilters=0\n", 6, "filters: found 0; expected 1 or more"),
        (NET + "[convolutional]\nfilters=99999999999\n", 6, "expected a number of 32 bits"),
        (NET + "[convolutional]\nfilters=0x8\n", 6, "filters: found '0x8'; expected a whole"),
        (NET + "[convolutional]\nfilters=1e1\n", 6, "filters: found '1e1'; expected a whole"),
        (NET + f"[convolutional]\nfilters={'9' * 5000}\n", 6, "expected a number of 32 bits"),
        (
            NET + "[convolutional]\nfilters=3\nactivation=leeky\n",
            7,
            "activation: found 'leeky'; expected one of",
        ),
        (
            NET + "[convolutional]\nfilters=4\ngroups=3\n",
            5,
            "groups = 3 does not divide its 3 input channels and 4 filters",
        ),
        (NET + "[convolutional]\nfilters=4\nsize=64\n", 5, "the input is too small"),
        (NET + "[maxpool]\nsize=64\npadding=0\n", 5, "the input is too small"),
        (
            NET + "[convolutional]\nfilters=4\nfilt",
            7,
            "found 'filt'; expected `[section]` or `key=value`",
        ),
        (NET + "[convolutional\n", 5, "expected `[section]`"),
        (NET + "[route]\nlayers=-1\n", 6, "layers: found -1; expected a layer before this one"),
        (
            NET + convolution(4) + "[route]\nlayers=-1,1\n",
            11,
            "found 1; expected a layer before this one",
        ),
        (
            NET + convolution(4) + "[maxpool]\nsize=2\nstride=2\n[route]\nlayers=-1,0\n",
            13,
            "which differ beside dimension 1",
        ),
        (
            NET + convolution(4) + "[route]\nlayers=-1\ngroups=2\ngroup_id=2\n",
            13,
            "group_id: found 2; expected less than groups = 2",
        ),
        (NET + convolution(4) + "[shortcut]\nactivation=linear\n", 10, "needs `from=...`"),
        (
            NET + convolution(4) + "[yolo]\nmask=0,1\nclasses=3\nnum=2\n",
            10,
            "reads 4 channels (000_convolutional.logistic); expected 16",
        ),
        (NET + "[reorg]\nstride=5\n", 6, "stride: found 5; expected one that divides"),
        (NET + convolution(4, antialiasing=1), 10, "antialiasing: cannot be simulated"),
        ("[convolutional]\nfilters=4\n", 1, "stands first; expected [net]"),
        ("width=32\n[net]\n", 1, "before any section; expected `[net]` first"),
        ("[net]\nwidth=32\nheight=32\n[convolutional]\n", 1, "needs `channels=...`"),
        (
            "[net]\nwidth=wide\nheight=32\nchannels=3\n[convolutional]\n",
            2,
            "width: found 'wide'; expected a whole number",
        ),
        (NET + "[net]\nwidth=32\n", 5, "stands a second time; expected layers"),
        (NET + "[\0]\n", 5, "is not text"),
    ],
)
def test_mistakes_are_named_with_their_line(read: Read, text: str, line: int, message: str) -> None:
    with pytest.raises(NetworkError) as refused:
        read(text)
    assert f"own.cfg:{line}: " in str(refused.value)
    assert message in str(refused.value)


def test_layers_that_cannot_be_simulated_are_all_named(read: Read) -> None:
    with pytest.raises(
        NetworkError, match=r"cannot simulate: \[rnn\] on line 5, \[lstm\] on line 7"
    ):
        read(NET + "[rnn]\noutput=3\n[lstm]\noutput=3\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"[net]\nwidth=8\nheight=8\nchannels=1\n", "has no layers"),
        (b"\xff\xfe\x00", "is not text"),
    ],
)
def test_files_that_are_no_networks(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.cfg"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=message):
        load_network(path)


def test_folders_are_no_networks(tmp_path: Path) -> None:
    (tmp_path / "folder.cfg").mkdir()
    with pytest.raises(NetworkError, match="is a folder"):
        load_network(tmp_path / "folder.cfg")


@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov3"])
def test_the_zoo_names_its_layers_as_the_reader_does(read: Read, name: str) -> None:
    """The first layers, written down again as a .cfg file: the same names, shapes and weights."""
    stride = 1 if name == "yolov3" else 2
    first = convolution(32 if name == "yolov3" else 16, batch_normalize=1, activation="leaky")
    second = (
        convolution(64, batch_normalize=1, activation="leaky").replace("stride=1", "stride=2")
        if stride == 1
        else "[maxpool]\nsize=2\nstride=2\n"
    )
    network = read("[net]\nwidth=416\nheight=416\nchannels=3\n" + first + second)
    assert load_network(name, height=416, width=416).layers[: len(network.layers)] == network.layers
