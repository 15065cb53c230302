"""What a configuration can say: its sections, their keys, kinds, ranges and defaults. `edensim.config` reads files into them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
#: Some of a level's nodes: [0, 1, 2, 5] or "0-2,5".
Indices = tuple[Annotated[int, msgspec.Meta(ge=0, le=10**9)], ...] | str


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any part of a configuration."""


class PartitionConfig(Section, frozen=True, kw_only=True):
    """Banks with an operating point of their own. What is not set is the module's; channels, ranks and banks not named are all of them."""

    name: str | None = None  # in results; None: partition NUMBER
    channels: Indices | None = None
    ranks: Indices | None = None
    banks: Indices | None = None  # in their rank, bank group after bank group
    rows: Indices | None = None  # known, so that it can be refused in words: a timing class belongs to a bank
    vdd_V: PositiveFloat | None = None
    trcd_ns: PositiveFloat | None = None
    trp_ns: PositiveFloat | None = None
    tras_ns: PositiveFloat | None = None
    twr_ns: PositiveFloat | None = None


class ChangeConfig(Section, frozen=True, kw_only=True):
    """A new operating point of the whole module (its partitions keep theirs) during a run. What is not set stays as it was."""

    at_cycle: Positive
    settling_ns: Annotated[float, msgspec.Meta(ge=0, le=10**9)] = 0.0  # no command is issued meanwhile
    vdd_V: PositiveFloat | None = None
    trcd_ns: PositiveFloat | None = None
    trp_ns: PositiveFloat | None = None
    tras_ns: PositiveFloat | None = None
    twr_ns: PositiveFloat | None = None


class DramConfig(Section, frozen=True, kw_only=True):
    """What the memory is, and its operating point. `timings` say what the device is specified for, `..._ns` and `vdd_V` what it is run at."""

    standard: str = "DDR4"
    organization: str | None = None  # None: the standard's default
    speed_bin: str | None = None
    channels: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    ranks: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    timings: dict[str, Annotated[int, msgspec.Meta(ge=0, le=10**6)]] = {}
    mode: Literal["approximate", "safe"] = "approximate"  # timings as asked, or as long as the cells need at that VDD
    vdd_V: PositiveFloat | None = None
    trcd_ns: PositiveFloat | None = None
    trp_ns: PositiveFloat | None = None
    tras_ns: PositiveFloat | None = None
    twr_ns: PositiveFloat | None = None
    trefi_ns: PositiveFloat | None = None
    partitions: tuple[PartitionConfig, ...] = ()
    changes: tuple[ChangeConfig, ...] = ()


class ControllerConfig(Section, frozen=True, kw_only=True):
    """How the memory is scheduled."""

    scheduler: Literal["frfcfs", "frfcfs-row-hit", "fcfs"] = "frfcfs"
    row_policy: Literal["open", "closed", "capped"] = "open"
    row_cap: Positive = 4
    refresh: Literal["all-bank", "per-bank", "none"] = "all-bank"
    address_mapping: str = "RoBaRaCoCh"
    read_queue: Annotated[int, msgspec.Meta(ge=1, le=512)] = 32
    write_queue: Annotated[int, msgspec.Meta(ge=1, le=512)] = 32
    write_high_watermark: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.8
    write_low_watermark: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    power_down: Literal["none", "idle"] = "none"  # idle: a rank without requests powers down
    power_down_idle_cycles: Positive = 64
    power_down_exit_ns: PositiveFloat = 7.5  # tXP; JEDEC asks for 6 to 7.5 ns in DDR3, DDR4 and LPDDR3


class SourceConfig(Section, frozen=True, kw_only=True):
    """How requests reach the memory. None picks what the trace format says."""

    kind: Literal["saturating", "timed", "core"] | None = None
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 4000.0
    issue_width: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    window: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128
    mshr: Annotated[int, msgspec.Meta(ge=1, le=512)] = 16
    llc_kB: Positive = 2048
    llc_ways: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    llc_latency_cycles: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 47
    instructions: Positive | None = None  # None: the trace once


class EnergyConfig(Section, frozen=True, kw_only=True):
    """How counts become energy."""

    voltage_law: Literal["linear", "quadratic", "array"] = "linear"
    io_pJ_per_bit: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None  # None: what the standard's interface takes (edensim.energy.io)
    data_model: Literal["none", "vampire-A", "vampire-B", "vampire-C"] = "none"  # read and write energy by what is read and written
    ones_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5  # of the bits moved
    toggle_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5  # of the bits moved that differ from the burst before


class LayoutConfig(Section, frozen=True, kw_only=True):
    """Where a network's tensors lie in memory."""

    alignment_bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 30)] = 64
    base_address: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] = 0
    reuse: bool = True  # features share memory where their lifetimes do not overlap


class TpuConfig(Section, frozen=True, kw_only=True):
    """A systolic array (TPU-like by default; any size and dataflow)."""

    mode: Literal["overlap", "scalesim"] = "overlap"
    dataflow: Literal["ws", "os", "is"] = "ws"
    array_height: Positive = 256
    array_width: Positive = 256
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 700.0
    ifmap_sram_kB: Positive = 8192
    filter_sram_kB: Positive = 8192
    ofmap_sram_kB: Positive = 8192


class EyerissConfig(Section, frozen=True, kw_only=True):
    """A row-stationary array."""

    array_height: Positive = 12
    array_width: Positive = 14
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 200.0
    buffer_kB: Positive = 108


class GpuConfig(Section, frozen=True, kw_only=True):
    """Streaming multiprocessors behind a sectored L2 cache."""

    sms: Positive = 28
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 1417.0
    l2_kB: Positive = 3072


class CpuConfig(Section, frozen=True, kw_only=True):
    """Cores with three levels of cache. `library`: whose loops the network runs as."""

    library: Literal["darknet", "blocked", "direct"] = "blocked"
    cores: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 4000.0
    issue_width: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    window: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128
    mshr: Annotated[int, msgspec.Meta(ge=1, le=512)] = 16
    l1_kB: Positive = 32
    l2_kB: Positive = 512
    l3_kB: Positive = 8192
    prefetch: Literal["none", "stream"] = "stream"


class RunConfig(Section, frozen=True, kw_only=True):
    """One run."""

    trace: str | None = None
    trace_format: str | None = None
    frontend: Literal["cpu", "gpu", "eyeriss", "tpu"] | None = None  # None: a trace
    network: str | None = None  # a name of the zoo, or a file (.cfg, .onnx, .csv)
    precision: Literal["int4", "int8", "int16", "fp32"] = "int8"
    batch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 1
    input_height: Positive | None = None  # None: the network's
    input_width: Positive | None = None
    dram: DramConfig = DramConfig()
    controller: ControllerConfig = ControllerConfig()
    source: SourceConfig = SourceConfig()
    energy: EnergyConfig = EnergyConfig()
    layout: LayoutConfig = LayoutConfig()
    cpu: CpuConfig = CpuConfig()
    gpu: GpuConfig = GpuConfig()
    eyeriss: EyerissConfig = EyerissConfig()
    tpu: TpuConfig = TpuConfig()
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
