"""Targets 5 and 12: the rates of modules against figure 5, and what the paper's assumptions are worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from edensim.reproduction.machine_targets import runs_of
from edensim.reproduction.published import published
from edensim.reproduction.section import Picture, Row, Section, Table
from edensim.reproduction.target import Found, Scope, Target
from edensim.reproduction.task import Task

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

VENDORS: Final = ("A", "B", "C")
PATTERNS: Final = ("0xff", "0xcc", "0xaa", "0x00")
#: Below that, "no errors": figure 5's floor.
FLOOR: Final = 1e-9


def rate_tasks(_: Scope) -> dict[str, Task]:
    """A vendor's module at all points of the figure."""
    tasks = {}
    for vendor in VENDORS:
        at_V, at_ns = published()["ber_vdd"][vendor]["at"], published()["ber_trcd"][vendor]["at"]
        arguments = {
            "module": f"vendor_{vendor.lower()}",
            "patterns": list(PATTERNS),
            "vdd_V": at_V,
            "trcd_ns": at_ns,
        }
        tasks[vendor] = Task("module_rates", arguments)
    return tasks


def rates(_: Scope, found: Found) -> Section:
    """Target 5."""
    rows: list[Row] = []
    for axis, figure, unit in (("vdd_V", "ber_vdd", "V"), ("trcd_ns", "ber_trcd", "ns")):
        for vendor in VENDORS:
            said, distances = published()[figure][vendor], []
            for pattern in ("0xff", "0x00"):
                for at, point, theirs in zip(
                    said["at"], found[vendor][axis][pattern], said[pattern], strict=True
                ):
                    ours = point["ber"] if point["ber"] > FLOOR else 0.0
                    low, high = point["interval"]
                    why = _reason(axis, theirs, ours, low, high, point["beyond_data"])
                    if theirs > 0 and ours > 0:
                        distances.append(abs(math.log10(ours / theirs)))
                    rows.append(
                        Row(
                            f"vendor {vendor}, {at} {unit}, {pattern}",
                            theirs,
                            ours,
                            "BER",
                            why,
                            (low, high),
                        )
                    )
            both = sorted(distances)
            median = both[len(both) // 2] if both else None
            why = f"{len(both)} of {2 * len(said['at'])} points have errors in both; other modules than the paper's"
            what = f"vendor {vendor}, {'VDD' if axis == 'vdd_V' else 'tRCD'}: distance from the published points, median"
            rows.append(Row(what, None, median, "decades", why, key=True))
    text = [
        "Ours: modules fitted to public data of other DIMMs (FLY-DRAM for tRCD, Voltron for VDD), median of a module never measured, with the "
        "95 % interval. The paper's: one module each. Vendor letters need not be the same; its lowest tRCD (2 ns) lies below the public data. "
        "Public VDD data count faulty 64-byte lines at tRCD = tRP = 10 ns, not bits, and do not tell patterns apart."
    ]
    picture = Picture(
        "rates",
        "BER against VDD and tRCD, each vendor: figure 5 and the fitted modules",
        lambda: draw_rates(found),
    )
    return Section(
        5, "rates", "BER of DRAM modules against VDD and tRCD", rows, text, pictures=[picture]
    )


def _reason(axis: str, theirs: float, ours: float, low: float, high: float, beyond: bool) -> str:
    inside = low <= theirs <= high or (theirs == 0 and low <= FLOOR)
    words = [
        "inside our interval for an unseen module"
        if inside
        else "another module: outside our interval"
    ]
    if beyond:
        words.append("beyond the public data")
    if axis == "vdd_V" and not inside and theirs > ours:
        words.append("its cells need a higher VDD")
    return "; ".join(words)


def draw_rates(found: Found) -> SubFigure:
    """Two rows of panels: VDD and tRCD; the paper's points hollow."""
    from edensim.plots.style import COLOURS, MARKERS, add_legend, new_figure

    panel = new_figure(
        8.4,
        5.4,
        "lines: median of a fitted module, shaded: its 95 % interval; hollow marks: figure 5 of the paper; at the floor: none",
    )
    grid = panel.subplots(2, 3, sharey=True)
    for row, (axis, figure, label) in enumerate(
        (("vdd_V", "ber_vdd", "VDD (V)"), ("trcd_ns", "ber_trcd", "tRCD (ns)"))
    ):
        for column, vendor in enumerate(VENDORS):
            axes, said = grid[row][column], published()[figure][vendor]
            for look, pattern in enumerate(PATTERNS):
                points, first = found[vendor][axis][pattern], row == column == 0
                at = [point["at"] for point in points]
                axes.plot(
                    at,
                    [max(point["ber"], FLOOR) for point in points],
                    color=COLOURS[look],
                    lw=1,
                    label=pattern if first else "_",
                )
                axes.plot(
                    at,
                    [max(each, FLOOR) for each in said[pattern]],
                    MARKERS[look],
                    color=COLOURS[look],
                    mfc="none",
                    ms=5,
                )
            ends = found[vendor][axis]["0xcc"]
            low, high = ([max(point["interval"][end], FLOOR) for point in ends] for end in (0, 1))
            axes.fill_between(
                [point["at"] for point in ends], low, high, color="#bbbbbb", alpha=0.4, lw=0
            )
            axes.set_yscale("log")
            axes.set_ylim(FLOOR / 2, 1)
            axes.set_xlabel(label)
            axes.set_title(f"Vendor {vendor}")
    for line in grid:
        line[0].set_ylabel("Bit error rate")
    add_legend(panel, title="byte pattern")
    return panel


# --------------------------------------------------------------------------------------------------------------- 12: sensitivity

#: VDD (V) and tRCD (ns) off, as for YOLO-Tiny at int8.
LESS_V, LESS_ns = 0.30, 4.5
#: DDR4's refresh interval (ns), and its tRP less as much as tRCD.
TREFI_ns, TRP_ns = 7800.0, 8.82
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "nominal": {},
    "VDD and tRCD": {"less_V": LESS_V, "less_ns": LESS_ns},
    "VDD alone": {"less_V": LESS_V},
    "VDD alone, safe": {"less_V": LESS_V, "settings": ["dram.mode=safe"]},
    "tRCD alone": {"less_ns": LESS_ns},
    "tRP alone": {"settings": [f"dram.trp_ns={TRP_ns}"]},
    "tRCD and tRP": {"less_ns": LESS_ns, "settings": [f"dram.trp_ns={TRP_ns}"]},
    "refresh interval x 2": {"settings": [f"dram.trefi_ns={2 * TREFI_ns}"]},
    "refresh interval x 4": {"settings": [f"dram.trefi_ns={4 * TREFI_ns}"]},
}
EXPOSURES: Final = ("every_access", "elapsed")
EXPOSED_ns: Final = (7.5, 5.0)


def sensitivity_tasks(_: Scope) -> dict[str, Task]:
    """YOLO-Tiny at int8 on the CPU and the TPU."""
    tasks = {}
    for machine in ("cpu", "tpu"):
        for name, arguments in VARIANTS.items():
            tasks[f"{machine} {name}"] = Task(
                "machine_run",
                {"machine": machine, "network": "yolov3-tiny", "precision": "int8", **arguments},
                4,
            )
        for exposure in EXPOSURES:
            for trcd_ns in EXPOSED_ns:
                arguments = {
                    "machine": machine,
                    "network": "yolov3-tiny",
                    "module": "vendor_a",
                    "trcd_ns": trcd_ns,
                    "exposure": exposure,
                }
                tasks[f"{machine} {exposure} {trcd_ns}"] = Task("exposed_run", arguments, 10)
    return tasks


def sensitivity(_: Scope, found: Found) -> Section:
    """Target 12."""
    rows: list[Row] = []
    no_figure = "the paper gives no figure"
    for machine in ("cpu", "tpu"):
        for trcd_ns in EXPOSED_ns:
            rates = [
                found[f"{machine} {exposure} {trcd_ns}"]["bit_errors"]["ber"]
                for exposure in EXPOSURES
            ]
            name = f"{machine.upper()}, vendor A at {trcd_ns} ns"
            for exposure, rate in zip(EXPOSURES, rates, strict=True):
                rows.append(Row(f"{name}, {exposure}", None, rate, "BER", no_figure))
            why = "only the first reads of an open row come too soon; later ones of the same row find their cells sensed"
            if not rates[1]:
                why = "under `elapsed` no read came too soon: no bit fails"
            rows.append(
                Row(
                    f"{name}: every_access overstates BER by",
                    None,
                    rates[0] / rates[1] if rates[1] else None,
                    "times",
                    why,
                    key=True,
                )
            )
    table = []
    for machine in ("cpu", "tpu"):
        nominal = found[f"{machine} nominal"]
        for name in VARIANTS:
            run = found[f"{machine} {name}"]
            less = 100 * (
                1 - run["energy_pJ"]["linear"]["total"] / nominal["energy_pJ"]["linear"]["total"]
            )
            faster = nominal["time_ns"] / run["time_ns"]
            table.append([machine.upper(), name, f"{less:.2f}", f"{faster:.4f}"])
            if name == "VDD alone, safe":
                why = "no bit fails: tRCD, tRP and tRAS are as long as cells need at that VDD"
                rows.append(
                    Row(
                        f"{machine.upper()}, safe at the same VDD: energy saved",
                        None,
                        less,
                        "%",
                        why,
                        key=True,
                    )
                )
                rows.append(
                    Row(
                        f"{machine.upper()}, safe at the same VDD: speed",
                        None,
                        faster,
                        "times",
                        why,
                        key=True,
                    )
                )
    header = ["machine", "what is lowered", "energy saved (%)", "speed (times)"]
    text = [
        "Under EDEN's assumption each access of a weak cell may fail. In DRAM, only a read that is issued sooner after its row's activation than the "
        "cell needs fails; `elapsed` takes the interval of each read from the engine. YOLO-Tiny, int8."
    ]
    title = "What assumptions and other parameters are worth"
    return Section(
        12,
        "sensitivity",
        title,
        rows,
        text,
        [Table("Parameters", header, table)],
        runs=runs_of(found),
    )


MEMORY_TARGETS: Final = (
    Target(5, "rates", "BER of DRAM modules against VDD and tRCD", rate_tasks, rates),
    Target(
        12,
        "sensitivity",
        "What assumptions and other parameters are worth",
        sensitivity_tasks,
        sensitivity,
    ),
)
