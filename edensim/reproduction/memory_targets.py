"""Targets 5 and 12: the error rates of modules, and what the paper's assumptions are worth."""

import math
from collections.abc import Mapping
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from edensim.plots.style import COLOURS, MARKERS, add_legend, new_figure
from edensim.reproduction.machine_targets import runs_of
from edensim.reproduction.published import published
from edensim.reproduction.section import Content, Picture, Row, Table
from edensim.reproduction.target import Outcomes, Scope, Target
from edensim.reproduction.task import Task

VENDORS: Final = ("A", "B", "C")
PATTERNS: Final = ("0xff", "0xcc", "0xaa", "0x00")
#: BER that counts as none: the floor of figure 5.
FLOOR: Final = 1e-9
#: Swept axes of figure 5: configuration key, published figure, name and unit.
AXES: Final = (("vdd_V", "ber_vdd", "VDD", "V"), ("trcd_ns", "ber_trcd", "tRCD", "ns"))


def rate_tasks(_: Scope) -> dict[str, Task]:
    """Return the rates of each vendor's module at all points of the figure."""
    return {
        vendor: Task(
            "module_rates",
            {
                "module": f"vendor_{vendor.lower()}",
                "patterns": list(PATTERNS),
                **{axis: published()[figure][vendor]["at"] for axis, figure, _, _ in AXES},
            },
        )
        for vendor in VENDORS
    }


def rates(_: Scope, outcomes: Outcomes) -> Content:
    """Report target 5."""
    rows: list[Row] = []
    for axis, figure, title, unit in AXES:
        for vendor in VENDORS:
            paper = published()[figure][vendor]
            points = [
                (f"vendor {vendor}, {at} {unit}, {pattern}", theirs, point)
                for pattern in ("0xff", "0x00")
                for at, point, theirs in zip(
                    paper["at"], outcomes[vendor][axis][pattern], paper[pattern], strict=True
                )
            ]
            distances = []
            for what, theirs, point in points:
                ours = point["ber"] if point["ber"] > FLOOR else 0.0
                if theirs > 0 and ours > 0:
                    distances.append(abs(math.log10(ours / theirs)))
                why = _reason(axis, theirs, ours, point)
                rows.append(Row(what, theirs, ours, "BER", why, tuple(point["interval"])))
            distances.sort()
            median = distances[len(distances) // 2] if distances else None
            why = (
                f"{len(distances)} of {len(points)} points have errors in both; "
                "other modules than the paper's"
            )
            what = f"vendor {vendor}, {title}: distance from the published points, median"
            rows.append(Row(what, None, median, "decades", why, key=True))
    text = (
        "Ours: modules fitted to public data of other DIMMs (FLY-DRAM for tRCD, Voltron for VDD), "
        "median of a module never measured, with the 95 % interval. The paper's: one module each. "
        "Vendor letters need not be the same; its lowest tRCD (2 ns) lies below the public data. "
        "Public VDD data count faulty 64-byte lines at tRCD = tRP = 10 ns, not bits, and do not "
        "tell patterns apart."
    )
    picture = Picture(
        "rates",
        "BER against VDD and tRCD, each vendor: figure 5 and the fitted modules",
        lambda: draw_rates(outcomes),
    )
    return Content(rows=rows, text=[text], pictures=[picture])


def _reason(axis: str, theirs: float, ours: float, point: Mapping[str, Any]) -> str:
    low, high = point["interval"]
    inside = low <= theirs <= high or (theirs == 0 and low <= FLOOR)
    reasons = [
        "inside our interval for an unseen module"
        if inside
        else "another module: outside our interval"
    ]
    if point["beyond_data"]:
        reasons.append("beyond the public data")
    if axis == "vdd_V" and not inside and theirs > ours:
        reasons.append("its cells need a higher VDD")
    return "; ".join(reasons)


def draw_rates(outcomes: Outcomes) -> SubFigure:
    """Draw the rates of each vendor in two rows of panels, against VDD and against tRCD."""
    panel = new_figure(
        8.4,
        5.4,
        "lines: median of a fitted module, shaded: its 95 % interval; "
        "hollow marks: figure 5 of the paper; at the floor: none",
    )
    grid = panel.subplots(2, 3, sharey=True)
    for row, (axis, figure, title, unit) in enumerate(AXES):
        for column, vendor in enumerate(VENDORS):
            axes = grid[row][column]
            rates_of_vendor = outcomes[vendor][axis]
            _draw_vendor(axes, rates_of_vendor, published()[figure][vendor], row == column == 0)
            axes.set(xlabel=f"{title} ({unit})", title=f"Vendor {vendor}")
        grid[row][0].set_ylabel("Bit error rate")
    add_legend(panel, title="byte pattern")
    return panel


def _draw_vendor(
    axes: Axes, ours: Mapping[str, Any], paper: Mapping[str, Any], named: bool
) -> None:
    for look, pattern in enumerate(PATTERNS):
        colour, at = COLOURS[look], [point["at"] for point in ours[pattern]]
        bers = [max(point["ber"], FLOOR) for point in ours[pattern]]
        axes.plot(at, bers, color=colour, lw=1, label=pattern if named else "_")
        bers = [max(ber, FLOOR) for ber in paper[pattern]]
        axes.plot(at, bers, MARKERS[look], color=colour, mfc="none", ms=5)
    points = ours["0xcc"]
    low, high = ([max(point["interval"][end], FLOOR) for point in points] for end in (0, 1))
    at = [point["at"] for point in points]
    axes.fill_between(at, low, high, color="#bbbbbb", alpha=0.4, lw=0)
    axes.set(yscale="log", ylim=(FLOOR / 2, 1))


# 12: sensitivity

#: Reductions of VDD and tRCD, as for YOLO-Tiny at int8.
LESS_V, LESS_ns = 0.30, 4.5
#: Refresh interval of DDR4, and its tRP reduced as much as tRCD.
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
MACHINES: Final = ("cpu", "tpu")
EXPOSURES: Final = ("every_access", "elapsed")
EXPOSED_ns: Final = (7.5, 5.0)


def sensitivity_tasks(_: Scope) -> dict[str, Task]:
    """Return the runs of YOLO-Tiny at int8 on the CPU and the TPU."""
    tasks = {}
    for machine in MACHINES:
        run = {"machine": machine, "network": "yolov3-tiny"}
        for name, arguments in VARIANTS.items():
            tasks[f"{machine} {name}"] = Task(
                "machine_run", {**run, "precision": "int8", **arguments}, 4
            )
        for exposure in EXPOSURES:
            for trcd_ns in EXPOSED_ns:
                point = {"module": "vendor_a", "trcd_ns": trcd_ns, "exposure": exposure}
                tasks[f"{machine} {exposure} {trcd_ns}"] = Task("exposed_run", {**run, **point}, 10)
    return tasks


def sensitivity(_: Scope, outcomes: Outcomes) -> Content:
    """Report target 12."""
    rows = [row for machine in MACHINES for row in _exposure_rows(machine, outcomes)]
    table = []
    for machine in MACHINES:
        nominal = outcomes[f"{machine} nominal"]
        for name in VARIANTS:
            run = outcomes[f"{machine} {name}"]
            energy, nominal_energy = (
                outcome["energy_pJ"]["linear"]["total"] for outcome in (run, nominal)
            )
            less, faster = 100 * (1 - energy / nominal_energy), nominal["time_ns"] / run["time_ns"]
            table.append([machine.upper(), name, f"{less:.2f}", f"{faster:.4f}"])
            if name == "VDD alone, safe":
                what = f"{machine.upper()}, safe at the same VDD"
                why = "no bit fails: tRCD, tRP and tRAS are as long as cells need at that VDD"
                rows += [
                    Row(f"{what}: energy saved", None, less, "%", why, key=True),
                    Row(f"{what}: speed", None, faster, "times", why, key=True),
                ]
    header = ["machine", "what is lowered", "energy saved (%)", "speed (times)"]
    text = (
        "Under EDEN's assumption each access of a weak cell may fail. In DRAM, only a read that is "
        "issued sooner after its row's activation than the cell needs fails; `elapsed` takes the "
        "interval of each read from the engine. YOLO-Tiny, int8."
    )
    tables = [Table("Parameters", header, table)]
    return Content(rows=rows, text=[text], tables=tables, runs=runs_of(outcomes))


def _exposure_rows(machine: str, outcomes: Outcomes) -> list[Row]:
    """Return the BER of a machine's reads under both rules of exposure, and their ratio."""
    rows = []
    for trcd_ns in EXPOSED_ns:
        name = f"{machine.upper()}, vendor A at {trcd_ns} ns"
        every_access, elapsed = (
            outcomes[f"{machine} {exposure} {trcd_ns}"]["bit_errors"]["ber"]
            for exposure in EXPOSURES
        )
        why = "the paper gives no figure"
        rows += [
            Row(f"{name}, every_access", None, every_access, "BER", why),
            Row(f"{name}, elapsed", None, elapsed, "BER", why),
        ]
        why = (
            "only the first reads of an open row come too soon; later ones of the same row find "
            "their cells sensed"
            if elapsed
            else "under `elapsed` no read came too soon: no bit fails"
        )
        what = f"{name}: every_access overstates BER by"
        ratio = every_access / elapsed if elapsed else None
        rows.append(Row(what, None, ratio, "times", why, key=True))
    return rows


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
