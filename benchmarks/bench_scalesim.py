"""CPU seconds of SCALE-Sim's counts (cycles, SRAM and DRAM words) for all layers of a network, against SCALE-Sim 3.0 itself.

--peer PYTHON: a Python that has scalesim 3.0.0 with numpy < 2; it runs AlexNet's five convolutions (half a minute), whose counts must be the same.
Without it the peer's recorded figures are used.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import workloads as shared

from edensim.machines.systolic.scalesim import scalesim_counts

Layer = tuple[int, int, int, int, int]  # ifm size, kernel, channels, filters, stride

ALEXNET: list[Layer] = [
    (224, 11, 3, 96, 4),
    (27, 5, 96, 256, 1),
    (13, 3, 256, 384, 1),
    (13, 3, 384, 384, 1),
    (13, 3, 384, 256, 1),
]
MACHINES = {
    "256x256, 6144/6144/2048 kB": (256, 256, 6144, 6144, 2048),
    "12x14, 36 kB each": (12, 14, 36, 36, 36),
}
MACHINE_KEYS = ("array_height", "array_width", "ifmap_sram_kB", "filter_sram_kB", "ofmap_sram_kB")

#: CPU seconds of SCALE-Sim 3.0 (256 x 256, ws, traces off; another machine).
RECORDED_PEER_s = {"AlexNet": 33.1, "ResNet-50": 283.7}

#: What the peer runs: layers as JSON on its input, counts and CPU seconds as JSON on its output.
PEER = """
import json, sys, time, contextlib, io
from scalesim.scale_config import scale_config
from scalesim.topology_utils import topologies
from scalesim.single_layer_sim import single_layer_sim
asked = json.load(sys.stdin)
answers, begin = [], time.process_time()
for size, kernel, channels, filters, stride in asked["layers"]:
    config, topology, layer = scale_config(), topologies(), single_layer_sim()
    config.array_rows, config.array_cols, config.ifmap_sz_kb, config.filter_sz_kb, config.ofmap_sz_kb = asked["machine"]
    config.df, config.valid_conf_flag = asked["dataflow"], True
    topology.topo_arrays = [["layer", size, size, kernel, kernel, channels, filters, stride, stride, 1, 1]]
    topology.num_layers, topology.topo_load_flag = 1, True
    topology.topo_calc_hyperparams()
    with contextlib.redirect_stdout(io.StringIO()):
        layer.set_params(layer_id=0, config_obj=config, topology_obj=topology, verbose=False)
        layer.run()
        cycles, accesses = layer.get_compute_report_items()[1], layer.get_detail_report_items()[2::3]
    answers.append([int(number) for number in (cycles, *accesses)])
print(json.dumps({"counts": answers, "cpu_s": time.process_time() - begin}))
"""


def resnet50() -> list[Layer]:
    """54 layers, without padding."""
    layers: list[Layer] = [(224, 7, 3, 64, 2)]
    for size, channels, middle, filters, blocks, stride in (
        (56, 64, 64, 256, 3, 1),
        (28, 256, 128, 512, 4, 2),
        (14, 512, 256, 1024, 6, 2),
        (7, 1024, 512, 2048, 3, 2),
    ):
        for block in range(blocks):
            step = stride if block == 0 else 1
            layers += [
                (size * step, 1, filters if block else channels, middle, 1),
                (size * step, 3, middle, middle, step),
                (size, 1, middle, filters, 1),
            ]
        layers.append((size * stride, 1, channels, filters, stride))
    return [*layers, (1, 1, 2048, 1000, 1)]


def counts(
    layers: list[Layer], machine: tuple[int, ...], dataflow: str
) -> tuple[list[list[int]], float]:
    """Counts of every layer, and CPU seconds."""
    begin = time.process_time()
    answers = []
    for size, kernel, channels, filters, stride in layers:
        counted = scalesim_counts(
            ifmap_height=size,
            ifmap_width=size,
            filter_height=kernel,
            filter_width=kernel,
            channels=channels,
            filters=filters,
            stride_height=stride,
            stride_width=stride,
            dataflow=dataflow,
            **dict(zip(MACHINE_KEYS, machine, strict=True)),
        )
        answers.append(list(counted.to_dict().values()))
    return answers, time.process_time() - begin


def main() -> None:
    """Time networks, dataflows and machines; print a table."""
    options = shared.parser(__doc__, runs=5)
    options.add_argument(
        "--peer", metavar="PYTHON", help="a Python with scalesim 3.0.0 and numpy < 2"
    )
    arguments = options.parse_args()
    results: dict[str, Any] = {}
    peer = dict(RECORDED_PEER_s)
    source = "recorded"
    if arguments.peer:
        asked = json.dumps(
            {"layers": ALEXNET, "machine": MACHINES["256x256, 6144/6144/2048 kB"], "dataflow": "ws"}
        )
        answer = json.loads(
            subprocess.run(
                [arguments.peer, "-c", PEER],
                input=asked,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        peer, source = {"AlexNet": answer["cpu_s"]}, "measured"
        same = answer["counts"] == counts(ALEXNET, (256, 256, 6144, 6144, 2048), "ws")[0]
        print(f"counts of AlexNet {'are the same' if same else 'DIFFER'}")
        results["same_counts"] = same
    print(
        f"{'network':12}{'machine':30}{'dataflow':10}{'CPU s':>8}{'peer s':>9}   (best of runs; peer {source})"
    )
    for name, layers in (("AlexNet", ALEXNET), ("ResNet-50", resnet50())):
        for machine, sizes in MACHINES.items():
            for dataflow in ("ws", "os", "is"):
                counts(layers, sizes, dataflow)  # loads the compiled core
                times = [counts(layers, sizes, dataflow)[1] for _ in range(arguments.runs)]
                of_peer = peer.get(name) if machine.startswith("256") and dataflow == "ws" else None
                results[f"{name} {machine} {dataflow}"] = {"cpu_s": times, "peer_s": of_peer}
                print(
                    f"{name:12}{machine:30}{dataflow:10}{min(times):8.3f}{f'{of_peer:9.1f}' if of_peer else ''}",
                    flush=True,
                )
    shared.finish(arguments, {"benchmark": "scalesim", "figures": results})


if __name__ == "__main__":
    main()
