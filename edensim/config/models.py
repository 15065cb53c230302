"""What a configuration can say: its sections, and the types, ranges and defaults of their keys.

`edensim.config.loading` reads files into them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from edensim.config.validation import Positive, PositiveFloat, Section

#: Some of a level's nodes: [0, 1, 2, 5] or "0-2,5".
Indices = tuple[Annotated[int, msgspec.Meta(ge=0, le=10**9)], ...] | str


class PointConfig(Section, frozen=True, kw_only=True):
    """Knobs of an operating point, as `edensim.config.knobs` lists them."""

    vdd_V: PositiveFloat | None = None
    trcd_ns: PositiveFloat | None = None
    trp_ns: PositiveFloat | None = None
    tras_ns: PositiveFloat | None = None
    twr_ns: PositiveFloat | None = None


class ModulePointConfig(PointConfig, frozen=True, kw_only=True):
    """Knobs of the module's operating point; only the whole module has a refresh interval."""

    trefi_ns: PositiveFloat | None = None


class PartitionConfig(PointConfig, frozen=True, kw_only=True):
    """Banks with an operating point of their own.

    A knob that is not set is the module's. If channels, ranks or banks are not set, all are meant.
    """

    name: str | None = None  # in results; None: partition NUMBER
    channels: Indices | None = None
    ranks: Indices | None = None
    banks: Indices | None = None  # in their rank, bank group after bank group
    rows: Indices | None = None  # of each of the banks, such as "0-8191"; None: whole banks


class ChangeConfig(ModulePointConfig, frozen=True, kw_only=True):
    """A new operating point of the module, but not of its partitions, in the middle of a run.

    A knob that is not set stays as it was.
    """

    at_cycle: Positive
    #: No command is issued for this time after the change.
    settling_ns: Annotated[float, msgspec.Meta(ge=0, le=10**9)] = 0.0


class DramConfig(ModulePointConfig, frozen=True, kw_only=True):
    """The memory and its operating point.

    `timings` say what the device is specified for; the knobs say what it is run at.
    """

    standard: str = "DDR4"
    organization: str | None = None  # None: the standard's default
    speed_bin: str | None = None
    channels: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    ranks: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    timings: dict[str, Annotated[int, msgspec.Meta(ge=0, le=10**6)]] = {}
    #: Timings as requested, or as long as the cells need at that VDD.
    mode: Literal["approximate", "safe"] = "approximate"
    partitions: tuple[PartitionConfig, ...] = ()
    changes: tuple[ChangeConfig, ...] = ()


class ControllerConfig(Section, frozen=True, kw_only=True):
    """How the memory is scheduled."""

    scheduler: str = "frfcfs"  # a name in edensim.config.plugins.SCHEDULERS
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
    power_down_exit_ns: PositiveFloat = (
        7.5  # tXP; JEDEC asks for 6 to 7.5 ns in DDR3, DDR4 and LPDDR3
    )
    self_refresh_idle_cycles: Positive | None = (
        None  # a rank idle for so long, its banks closed, refreshes itself; None: never
    )


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
    io_pJ_per_bit: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = (
        None  # None: what the standard's interface takes (edensim.energy.io)
    )
    data_model: Literal["none", "vampire-A", "vampire-B", "vampire-C"] = (
        "none"  # read and write energy by what is read and written
    )
    ones_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5  # of the bits moved
    toggle_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = (
        0.5  # of the bits moved that differ from the burst before
    )


class ErrorsConfig(Section, frozen=True, kw_only=True):
    """Bit errors, either of a fitted module at the operating point or of an error model at a rate.

    If none of them is set, no bit fails.
    """

    module: str | None = None  # a name in configs/modules/ or a file
    model: str | None = None  # a name in edensim.config.plugins.ERROR_MODELS
    ber: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # of `model`
    exposure: Literal["every_access", "elapsed"] = (
        "every_access"  # each read is at risk, or only those sooner after ACT than their cells need
    )
    temp_C: Annotated[float, msgspec.Meta(gt=-273.15, lt=200)] | None = (
        None  # None: that of the module's data
    )
    beyond_data: bool = False  # extrapolate beyond the module's data
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = (
        None  # of the places of weak cells; None: the module's
    )


class LayoutConfig(Section, frozen=True, kw_only=True):
    """Where a network's tensors lie in memory."""

    alignment_bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 30)] = 64
    base_address: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] = 0
    reuse: bool = True  # features share memory where their lifetimes do not overlap
    #: Tensors with an address of their own, as TENSOR@ADDRESS (bytes); `edensim map` writes them.
    pinned: tuple[str, ...] = ()


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
    accumulators_kB: Positive = 4096  # sums of 32 bits, beside the ofm's buffer
    weight_fifo: Annotated[int, msgspec.Meta(ge=1, le=63)] = (
        4  # tiles of weights fetched ahead, as many as filter_sram_kB holds
    )
    #: Features that fit half of the feature buffers stay there until they are read. If not set, all
    #: features go through DRAM.
    keep_features: bool = False


class EyerissConfig(Section, frozen=True, kw_only=True):
    """A row-stationary array behind a global buffer; the chip of JSSC 2017 by default.

    Words are what processing elements and their networks handle.
    """

    array_height: Positive = 12
    array_width: Positive = 14
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 200.0
    buffer_kB: Positive = 108
    filter_buffer_kB: Positive = 8  # of it, for filters on their way to the array
    word_bits: Annotated[int, msgspec.Meta(ge=4, le=64)] = (
        16  # of an element in the buffer, if its precision has no more
    )
    filter_spad_words: Positive = 224  # of each PE
    ifmap_spad_words: Positive = 12
    psum_spad_words: Positive = 24
    filter_words_per_cycle: Positive = 4  # from the buffer to the array
    ifmap_words_per_cycle: Positive = 1
    psum_words_per_cycle: Positive = 4  # in, and as many out
    objective: Literal["balanced", "traffic"] = (
        "balanced"  # of the mapping: least DRAM traffic x cycles, or traffic first
    )
    weight_order: Literal["passes", "rows"] = (
        "passes"  # in DRAM: as the array takes them, each pass's in one run; or filter after filter
    )
    compression: Literal["none", "rlc"] = "none"  # of features in DRAM
    zero_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0  # of features, for compression
    zero_fractions: tuple[
        Annotated[float, msgspec.Meta(ge=0, le=1)], ...
    ] = ()  # of the ifm of the first convolution and linear layers, in order
    outstanding: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = (
        0  # reads on their way at once; 0: what the queues hold
    )


class GpuConfig(Section, frozen=True, kw_only=True):
    """Streaming multiprocessors (SMs) behind a sectored L2 cache.

    The default is a GP102 (Titan X, Pascal): 24 slices of L2 with 64 sets of 16 lines each.
    """

    sms: Positive = 28
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 1417.0
    flops_per_cycle: Positive = (
        256  # of an SM at FP32; int16 twice, int8 and int4 four times as many
    )
    l2_kB: Positive = 3072
    l2_ways: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    l2_bytes_per_cycle: Positive = 768  # a sector of 32 bytes from each slice
    l2_latency_cycles: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 216  # of a hit
    shared_kB: Positive = 96  # of an SM; its registers, warps and thread blocks likewise
    registers_kB: Positive = 256
    warps: Positive = 64
    blocks: Positive = 32
    tile_m: Positive | None = (
        None  # filters of a thread block; None: chosen for each layer (edensim.machines.gpu.tiling)
    )
    tile_n: Positive | None = None  # output positions of a thread block
    tile_k: Positive = 8  # 32-bit words of depth at each step
    stages: Annotated[int, msgspec.Meta(ge=2, le=16)] = (
        2  # tiles in shared memory: 2 is double buffering
    )
    split_k: Positive | None = None  # thread blocks that share the depth of an output; None: chosen
    weights: Literal["packed", "rows"] = (
        "packed"  # as the steps of a product take them: step after step; or filter after filter
    )
    launch_cycles: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 0  # before each kernel


class CpuConfig(Section, frozen=True, kw_only=True):
    """Cores with three levels of cache.

    `library` says whose loops the network runs as; DarkNet computes in float at every precision.
    """

    library: Literal["darknet", "blocked", "direct"] = "blocked"
    cores: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 4000.0
    issue_width: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    window: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128
    mshr: Annotated[int, msgspec.Meta(ge=1, le=512)] = 16
    vector_bits: Literal[32, 64, 128, 256, 512] = 256
    l1_kB: Positive = 32
    l1_ways: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    l1_latency_cycles: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 2
    l2_kB: Positive = 512
    l2_ways: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    l2_latency_cycles: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 4  # beyond the first level's
    l3_kB: Positive = 8192  # of each core; all cores share the sum
    l3_ways: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    l3_latency_cycles: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 6  # beyond the second level's
    prefetch: Literal["none", "stream"] = "stream"
    prefetch_streams: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    prefetch_depth: Annotated[int, msgspec.Meta(ge=1, le=63)] = 8
    sampling: Literal["periodic", "exact"] = (
        "periodic"  # walk some turns of long loops and extrapolate, or walk all
    )


class EdenConfig(Section, frozen=True, kw_only=True):
    """What `edensim eden` does to a trained network: boosting, characterization and mapping."""

    network: str | None = None  # as `edensim evaluate` names them; None: the run's `network`
    data: str = "digits"
    weights: str | None = None  # None: trained here (digits only)
    drop: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.01  # of accuracy, that is accepted
    rounds: Annotated[int, msgspec.Meta(ge=0, le=100)] = (
        3  # of boosting, at most; 0: the network as it is
    )
    epochs: Positive = 10  # of each round
    raise_by: Annotated[float, msgspec.Meta(gt=1, le=1000)] = (
        3.0  # a round's target BER, over what is tolerated before it
    )
    train_images: Positive | None = None  # of the training split; None: all
    test_images: Positive | None = None
    repeats: Positive = 5  # memories (seeds) that accuracies are means of
    fine: bool = False  # a tolerable BER, and a place, for each data item; else one for all
    fine_epochs: Annotated[int, msgspec.Meta(ge=0, le=1000)] = (
        0  # of retraining after each round in which items' BERs are raised
    )
    partitions: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 4  # that a fine mapping may make
    objective: Literal["energy", "time", "energy-delay"] = "energy"
    algorithm: Literal["greedy", "exact"] = "greedy"
    bounding: Literal["zero", "saturate", "off"] = "zero"
    vdd_V: tuple[
        PositiveFloat, ...
    ] = ()  # operating points to choose among; empty: what the module's data cover
    trcd_ns: tuple[PositiveFloat, ...] = ()


class RunConfig(Section, frozen=True, kw_only=True):
    """One run."""

    trace: str | None = None
    trace_format: str | None = None
    #: What becomes of addresses of real programs: refuse those beyond the memory, take them modulo
    #: its capacity, move the lowest page to 0, or give pages of the memory at their first touch.
    trace_addresses: Literal["refuse", "wrap", "offset", "pages"] = "refuse"
    trace_page_KiB: Literal[4, 2048] = 4  # size of the pages of `offset` and `pages`
    frontend: str | None = None  # a name in edensim.config.plugins.MACHINES; None: a trace
    network: str | None = None  # a name of the zoo, or a file (.cfg, .onnx, .csv, .json)
    precision: Literal["int4", "int8", "int16", "fp32"] = "int8"
    batch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 1
    input_height: Positive | None = None  # None: the network's
    input_width: Positive | None = None
    baselines: tuple[Literal["nominal", "ideal"], ...] = (
        "nominal",
        "ideal",
    )  # what a machine's run is set beside; ideal: nominal with tRCD = 0
    dram: DramConfig = DramConfig()
    controller: ControllerConfig = ControllerConfig()
    source: SourceConfig = SourceConfig()
    energy: EnergyConfig = EnergyConfig()
    errors: ErrorsConfig = ErrorsConfig()
    layout: LayoutConfig = LayoutConfig()
    cpu: CpuConfig = CpuConfig()
    gpu: GpuConfig = GpuConfig()
    eyeriss: EyerissConfig = EyerissConfig()
    tpu: TpuConfig = TpuConfig()
    machine: dict[str, Any] = {}  # settings of a machine that another package brings
    eden: EdenConfig = EdenConfig()
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
