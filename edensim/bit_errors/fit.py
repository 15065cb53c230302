"""Turn measured rates, or a map of bit errors, into a module's file."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from edensim.bit_errors.characterization import BITS, Characterization, read_characterization
from edensim.bit_errors.curve import ANY, Axis, Curve, Structure, Table
from edensim.bit_errors.fitting import FitReport, fit_curve
from edensim.bit_errors.module import FORMAT, Module, Nominal, module_text
from edensim.bit_errors.rows import RowStructure, is_row_table, read_rows, row_structure
from edensim.bit_errors.selection import Selection, is_map, read_map, select_model
from edensim.bit_errors.validation import cross_validate
from edensim.config.options import Options, Seed
from edensim.exceptions import DataError, FitError, InputError
from edensim.files import save_text
from edensim.vocabulary import ProgressCallback

#: Share of wrong bits in a faulty line: three of 64, since most faulty beats had more than two
#: (Chang et al., Voltron, SIGMETRICS 2017).
WRONG_SHARE: Final = 0.047

_TEXTS: Final[Mapping[str, str]] = {
    "trcd_failures": "a mean BER cannot tell how many cells are weak from how often they fail: a "
    "weak cell fails in half of its accesses",
    "trcd_structure": "no data by row, column or bit: weak cells lie anywhere in a bank; bitlines "
    "or wordlines that differ are not excluded",
    "trcd_values": "bits of mixed data fail as in patterns of only zeros and only ones: neighbours "
    "that couple are left out",
    "vdd_wrong_share": "lines were counted, not bits: 3 of 64 bits of a faulty line are wrong "
    "(most faulty 64-bit beats had more than 2)",
    "vdd_structure": "failing rows fail as a whole (wordlines differ); within a row weak cells lie "
    "anywhere, no data by column",
    "vdd_values": "stored values were not told apart: zeros and ones fail alike",
    "vdd_trcd": "measured at tRCD = tRP = 10 ns: with longer ones fewer bits would fail, by how "
    "much was not measured",
    "both_lowered": "never measured together: tRCD counts as shorter by what a cell needs longer "
    "at that VDD (array_voltage), errors are independent",
    "pairing": "tRCD and VDD were measured on different modules by different studies, whose vendor "
    "letters need not be the same vendor",
}


@dataclass(frozen=True)
class FittedModule:
    """A module, and how it was fitted.

    Attributes
    ----------
    module
        The module.
    reports
        How each curve was fitted; empty for a map of bit errors.
    selection
        Which error model was chosen for a map of bit errors.
    rows
        How rows differ, if a table of rows was given.
    """

    module: Module
    reports: Mapping[str, FitReport]
    selection: Selection | None = None
    rows: RowStructure | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the module's file, whole or not at all; raise InputError if that is impossible."""
        save_text(path, module_text(self.module))

    def to_dict(self) -> dict[str, Any]:
        """Return the reports as plain values."""
        values: dict[str, Any] = {
            "module": self.module.name,
            "curves": {name: report.to_dict() for name, report in self.reports.items()},
        }
        if self.selection is not None:
            values["selection"] = self.selection.to_dict()
        if self.rows is not None:
            values["rows"] = self.rows.to_dict()
        return values

    def summary(self) -> str:
        """Return a few lines for a terminal."""
        lines = [f"module {self.module.name}"]
        for name, report in self.reports.items():
            lines += _summary(name, report)
        if self.rows is not None:
            lines.append(
                f"  rows      differ: spread {self.rows.row_spread:.2f} (natural log of the rate), "
                f"banks {self.rows.bank_spread:.2f}"
            )
        if self.selection is not None:
            lines += self.selection.summary_lines()
        return "\n".join(lines)


class FitOptions(Options, frozen=True, kw_only=True):
    """Options of `edensim.fit`."""

    vendor: Annotated[
        str | None,
        Meta(
            description="Vendor whose rows are used, for tables that hold several.",
            extra={"metavar": "V"},
        ),
    ] = None
    name: Annotated[
        str | None,
        Meta(
            description="Name of the module (default: vendor_V, or that of the first file).",
            extra={"metavar": "NAME"},
        ),
    ] = None
    source: Annotated[
        str | None,
        Meta(description="Citation of the data (default: the files and their digests)."),
    ] = None
    axis: Annotated[
        Axis | None,
        Meta(description="What was lowered, if both columns of a table vary."),
    ] = None
    bits: Annotated[
        float,
        Meta(
            gt=0,
            description="Bits tested per row and run, for tables that do not say; they decide the "
            "detection limit.",
            extra={"metavar": "N"},
        ),
    ] = BITS
    bootstrap: Annotated[
        int, Meta(ge=10, le=10_000, description="Draws of modules for the intervals.")
    ] = 100
    cross_validation: Annotated[
        bool, Meta(description="Also fit without each module in turn, and predict it.")
    ] = False
    seed: Annotated[Seed, Meta(description="Seed of the bootstrap.")] = 1


def fit(
    *data: str | os.PathLike[str],
    options: FitOptions | None = None,
    progress: ProgressCallback | None = None,
    **arguments: Any,
) -> FittedModule:
    """Fit a module to measured data, as `edensim fit` does.

    Parameters
    ----------
    *data
        CSV tables of rates, at most one for tRCD and one for VDD, with at most one table of rows;
        or one map of bit errors (.npz).
    options
        Options of the fit.
    progress
        Called with the number of fits done, and of all.
    **arguments
        Fields of `FitOptions` by name, which take precedence over `options`.

    Returns
    -------
    FittedModule

    Raises
    ------
    DataError
        If the data cannot be right.
    FitError
        If the data do not decide the parameters.
    InputError
        If an option is wrong.
    """
    options, sections = FitOptions.gather(options, arguments)
    if sections:
        raise InputError(f"fit: {', '.join(sections)}: a fit has no configuration")
    paths = [Path(path) for path in data]
    if not paths:
        raise DataError(
            "fit: no data; expected tables of rates (.csv) or a map of bit errors (.npz)"
        )
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
    cited = options.source or ", ".join(f"{path.name} (sha256 {_digest(path)})" for path in paths)
    if any(is_map(path) for path in paths):
        if len(paths) > 1:
            raise DataError(
                f"{next(filter(is_map, paths))}: a map of bit errors is fitted by itself; expected "
                "no other file"
            )
        return _of_map(paths[0], options, cited)
    return _of_tables(paths, options, cited, progress)


def _of_tables(
    paths: Sequence[Path], options: FitOptions, cited: str, progress: ProgressCallback | None
) -> FittedModule:
    """Make a module of tables of rates, and perhaps a table of rows."""
    rows = [path for path in paths if is_row_table(path)]
    if len(rows) > 1:
        raise DataError(f"{rows[1]}: a second table of rows; expected one")
    tables = [
        read_characterization(path, axis=options.axis, bits=options.bits).of_vendor(options.vendor)
        for path in paths
        if path not in rows
    ]
    if not tables:
        raise DataError(
            f"{rows[0]}: a table of rows says how rows differ, not how many bits fail; expected a "
            "table of rates beside it"
        )
    structure = row_structure(read_rows(rows[0], set(tables[-1].module.tolist()))) if rows else None
    reports = _reports(tables, structure, cited, options, progress)
    return FittedModule(_module(tables, reports, options, cited), reports, rows=structure)


def _reports(
    tables: Sequence[Characterization],
    rows: RowStructure | None,
    cited: str,
    options: FitOptions,
    progress: ProgressCallback | None,
) -> dict[str, FitReport]:
    reports: dict[str, FitReport] = {}
    for table in tables:
        curve = "trcd" if table.axis == "trcd_ns" else "vdd"
        if curve in reports:
            raise DataError(f"{table.path}: a second table of {table.axis}; expected one")
        structure = _structure(table, rows if curve == "vdd" else None)
        report = fit_curve(
            table,
            structure=structure,
            bootstrap=options.bootstrap,
            seed=options.seed,
            source=cited,
            progress=progress,
        )
        if options.cross_validation:
            report = replace(report, cross_validation=cross_validate(table, report))
        reports[curve] = report
    return reports


def _structure(table: Characterization, rows: RowStructure | None) -> Structure:
    """Return the structure that the kind of data suggests.

    Patterns may show that values differ, and faulty lines that rows fail as a whole; otherwise
    weak cells lie anywhere.
    """
    patterns = set(table.pattern.tolist())
    if table.rate_kind == "line_fault_fraction":
        spread = rows.row_spread if rows is not None else 1.0
        return Structure(
            kind="wordline", parameters={"spread": round(spread, 3)}, wrong_share=WRONG_SHARE
        )
    return Structure(kind="data-dependent" if {"0x00", "0xff"} <= patterns else "uniform")


def _module(
    tables: Sequence[Characterization],
    reports: Mapping[str, FitReport],
    options: FitOptions,
    cited: str,
) -> Module:
    vendor = options.vendor
    curves: dict[Any, Curve | Table] = {key: report.curve for key, report in reports.items()}
    assumptions = {key: text for key, text in _TEXTS.items() if key.partition("_")[0] in curves}
    if curves.get("trcd") is not None and ANY in curves["trcd"].patterns:
        assumptions.pop("trcd_values", None)
    if len(curves) == 2:
        assumptions |= {key: _TEXTS[key] for key in ("both_lowered", "pairing")}
    nominal = Nominal(
        vdd_V=curves["vdd"].high
        if "vdd" in curves
        else next((t.at["vdd_V"] for t in tables if "vdd_V" in t.at), 1.5),
        trcd_ns=curves["trcd"].high
        if "trcd" in curves
        else next((max(t.at["trcd_ns"], 12.5) for t in tables if "trcd_ns" in t.at), 12.5),
    )
    return Module(
        format=FORMAT,
        name=options.name or (f"vendor_{vendor.lower()}" if vendor else tables[0].path.stem),
        vendor=vendor,
        source=cited,
        nominal=nominal,
        assumptions=assumptions,
        curves=curves,
    )


def _of_map(path: Path, options: FitOptions, cited: str) -> FittedModule:
    """Make a module of the one operating point of a map of bit errors."""
    map_ = read_map(path)
    selection = select_model(map_, seed=options.seed)
    point = {
        key: value
        for key, value in (("trcd_ns", map_.trcd_ns), ("vdd_V", map_.vdd_V))
        if value is not None
    }
    if not point:
        raise FitError(
            f"{path}: does not say the operating point; expected trcd_ns or vdd_V in the file (or "
            "a table of several points)"
        )
    axis: Axis = "trcd_ns" if "trcd_ns" in point else "vdd_V"
    model = selection.model
    parameters = {
        key: value
        for key, value in model.parameters.items()
        if key not in ("weak_fraction", "failure_probability")
    }
    curve = Table(
        axis=axis,
        rate="ber",
        source=cited,
        points=((point[axis], min(1.0, model.expected_ber())),),
        base_temp_C=map_.temp_C,
        temp_C=(map_.temp_C, map_.temp_C),
        structure=Structure(
            kind=model.name,
            failure_probability=max(1e-12, model.distribution.mean_failure()),
            parameters=parameters,
        ),
    )
    module = Module(
        format=FORMAT,
        name=options.name or path.stem,
        vendor=options.vendor,
        source=cited,
        nominal=Nominal(vdd_V=1.35, trcd_ns=12.5),
        assumptions={},
        curves={"trcd" if axis == "trcd_ns" else "vdd": curve},
    )
    return FittedModule(module, {}, selection)


def _summary(name: str, report: FitReport) -> list[str]:
    curve = report.curve
    unit = "ns" if curve.axis == "trcd_ns" else "V"
    lines = [
        f"  {name:9} {report.curve.fit['candidate']}: AIC {min(report.aic.values()):.1f} of "
        f"{len(report.aic)} candidates"
    ]
    if report.unresolved:
        lines.append(f"            as good (within 2): {'; '.join(report.unresolved[:3])}")
    zeros = (
        f"{report.points} rates of {len(report.modules)} modules ({report.zeros} below the "
        f"detection limit {curve.detection_limit:.1e})"
    )
    lines.append(
        f"            {zeros}, residual {report.residual_decades:.2f} decades, deviance explained "
        f"{report.deviance_explained:.3f}"
    )
    if report.dropped:
        lines.append(
            "            left out: "
            f"{', '.join(f'{count:,} {reason}' for reason, count in report.dropped.items())}"
        )
    for x in dict.fromkeys((curve.low, curve.centre, curve.centre + curve.scale, curve.high)):
        low, high = curve.interval_at(curve.patterns, x)
        lines.append(
            f"            {x:7.3f} {unit}  {curve.rate_at(curve.patterns, x):9.2e}  ({low:.1e} to "
            f"{high:.1e} for a new module)"
        )
    return lines


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
