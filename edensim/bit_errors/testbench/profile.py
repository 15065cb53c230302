"""Run a test program on virtual modules, and write the data that it gives."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta

from edensim.bit_errors.module import Module, load_module
from edensim.bit_errors.testbench.board import Board
from edensim.bit_errors.testbench.cost import LIMIT_S, check_cost
from edensim.bit_errors.testbench.counters import Counters, Point
from edensim.bit_errors.testbench.program import STANDARD_TEST, Program, parse_program, read_program
from edensim.bit_errors.testbench.virtual import VirtualModule
from edensim.config.loading import load_config
from edensim.config.models import RunConfig
from edensim.config.options import Count, Options
from edensim.dram.standard import Organization, load_standard
from edensim.exceptions import ConfigError, DataError, InputError
from edensim.files import save_bytes, save_text
from edensim.vocabulary import ProgressCallback

#: Columns of a table of rates, as `edensim fit` reads them.
COLUMNS: Final = (
    "dimm",
    "vendor",
    "pattern",
    "temp_C",
    "trcd_ns",
    "vdd_V",
    "bank",
    "ber_mean",
    "n_wrong_bits",
    "n_bits",
)


@dataclass(frozen=True)
class Measured:
    """The counts of one module; the test took `board_ns` on the board."""

    name: str
    vendor: str | None
    temp_C: float
    vdd_V: float
    counters: Counters
    board_ns: float

    @classmethod
    def of(cls, device: VirtualModule, board: Board) -> "Measured":
        """Take what a board measured of a module."""
        return cls(
            device.name, device.vendor, device.temp_C, device.vdd_V, board.counters, board.board_ns
        )


@dataclass(frozen=True)
class Profile:
    """What a test program measured.

    Attributes
    ----------
    program
        Name of the program.
    modules
        Counts of each module.
    """

    program: str
    modules: tuple[Measured, ...]

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each module, pattern, operating point and bank.

        VDD is a column only if the program sets it.
        """
        lowered = any(
            point.vdd_V is not None for each in self.modules for point, _, _ in each.counters.rates
        )
        rows = []
        for each in self.modules:
            for (point, byte, bank), (wrong, bits) in sorted(
                each.counters.rates.items(),
                key=lambda item: (item[0][1], item[0][2], item[0][0].order),
            ):
                row: dict[str, Any] = {
                    "dimm": each.name,
                    "vendor": each.vendor or "?",
                    "pattern": f"{byte:#04x}",
                    "temp_C": each.temp_C,
                    "trcd_ns": point.trcd_ns,
                    "vdd_V": each.vdd_V if point.vdd_V is None else point.vdd_V,
                    "bank": bank,
                    "ber_mean": int(wrong) / int(bits),
                    "n_wrong_bits": int(wrong),
                    "n_bits": int(bits),
                }
                if not lowered:
                    del row["vdd_V"]
                rows.append(row)
        return rows

    def save_table(self, path: str | os.PathLike[str]) -> None:
        """Write the BER by module, pattern, operating point and bank, as a CSV for `edensim fit`.

        Raises InputError if the file cannot be written.
        """
        rows = self.table()
        save_text(path, _csv([name for name in COLUMNS if name in rows[0]], rows))

    def save_rows(self, path: str | os.PathLike[str]) -> None:
        """Write the share of the passes over each row that had a wrong bit, for `edensim fit`.

        The CSV has a column per bank. Passes at one operating point count together, whatever the
        pattern.

        Raises
        ------
        DataError
            If both tRCD and VDD differed between reads, or other rows were read in some banks.
        InputError
            If the file cannot be written.
        """
        points = sorted(
            {point for each in self.modules for point in each.counters.row_shares()},
            key=lambda point: point.order,
        )
        axis = "vdd_V" if len({point.vdd_V for point in points}) > 1 else "trcd_ns"
        if axis == "vdd_V" and len({point.trcd_ns for point in points}) > 1:
            raise DataError("a table of rows is of one tRCD or one VDD; the program lowers both")
        rows = []
        banks: set[int] = set()
        for each in self.modules:
            for point, by_row in each.counters.row_shares().items():
                lowered = each.vdd_V if point.vdd_V is None else point.vdd_V
                for row, shares in by_row.items():
                    banks |= set(shares)
                    at = {
                        "dimm": each.name,
                        axis: lowered if axis == "vdd_V" else point.trcd_ns,
                        "row": row,
                    }
                    rows.append({**at, **{f"bank{bank}": share for bank, share in shares.items()}})
        names = ["dimm", axis, "row", *(f"bank{bank}" for bank in sorted(banks))]
        if any(len(row) < len(names) for row in rows):
            raise DataError(
                "a table of rows needs the same rows of each bank; the program reads others"
            )
        save_text(path, _csv(names, rows))

    def save_map(self, path: str | os.PathLike[str]) -> None:
        """Write the wrong reads of every cell, as an .npz for `edensim fit`.

        Raises DataError unless the program reads one bank at one operating point with one pattern.
        """
        if len(self.modules) != 1:
            raise DataError(f"a map of bit errors is of one module, found {len(self.modules)}")
        content = io.BytesIO()
        np.savez_compressed(
            content, **{"temp_C": self.modules[0].temp_C, **self.modules[0].counters.bit_map()}
        )
        save_bytes(path, content.getvalue())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: the table, and how long the test took."""
        return {
            "program": self.program,
            "board_s": [each.board_ns * 1e-9 for each in self.modules],
            "rates": self.table(),
        }

    def summary(self) -> str:
        """Return the mean BER by operating point, for a terminal."""
        totals: dict[tuple[Point, int], list[int]] = {}
        for each in self.modules:
            for (point, byte, _), (wrong, bits) in each.counters.rates.items():
                total = totals.setdefault((point, byte), [0, 0])
                total[0] += int(wrong)
                total[1] += int(bits)
        lines = [
            f"{len(self.modules)} module(s), "
            f"{sum(each.board_ns for each in self.modules) * 1e-9:.3g} s on the board"
        ]
        for (point, byte), (wrong, bits) in sorted(
            totals.items(), key=lambda item: (item[0][0].order, item[0][1])
        ):
            at = f"{point.trcd_ns:7.3f} ns" + (
                "" if point.vdd_V is None else f" {point.vdd_V:.3f} V"
            )
            lines.append(
                f"  {at}  {byte:#04x}  BER {wrong / bits:.3g}  ({wrong:,} of {bits:,} bits)"
            )
        return "\n".join(lines)


class ProfileOptions(Options, frozen=True, kw_only=True):
    """Options of `edensim.profile`."""

    program: Annotated[
        str | None,
        Meta(
            description="Test program (default: the one that --show prints).",
            extra={"metavar": "FILE"},
        ),
    ] = None
    modules: Annotated[
        Count | None,
        Meta(description="Number of modules of the vendor (default: the middle one only)."),
    ] = None
    limit_s: Annotated[
        float,
        Meta(
            description="Longest time that the program may be estimated to take, for each module.",
            extra={"metavar": "SECONDS"},
        ),
    ] = LIMIT_S
    by_cell: Annotated[
        bool,
        Meta(
            description="Whether cells are counted too, for a map of bit errors.",
            extra={"option": None},
        ),
    ] = False


def profile(
    module: str | os.PathLike[str] | Module | VirtualModule,
    *,
    options: ProfileOptions | None = None,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    progress: ProgressCallback | None = None,
    **arguments: Any,
) -> Profile:
    """Run a test program on a virtual module, as `edensim profile` does.

    Parameters
    ----------
    module
        Name in configs/modules/, file, or VirtualModule.
    options
        What is run, and how. `program` may also be the text of a program, if it has several lines.
    config, overrides
        The configuration, as for `edensim.simulate`. The section `dram` (the board's standard) is
        used, and `temp_C`, `seed` and `beyond_data` of `errors`.
    progress
        Called with the number of operations done, and of all.
    **arguments
        Fields of `ProfileOptions`, which take precedence, and sections of the configuration.

    Returns
    -------
    Profile

    Raises
    ------
    InputError
        If the program or the configuration cannot be accepted.
    ModuleError
        If the program reads at an operating point outside the module's data.
    """
    options, sections = ProfileOptions.gather(options, arguments)
    loaded = load_config(Path(config) if config is not None else None, list(overrides), sections)
    with loaded.locating():
        _refuse(loaded.config)
        dram = loaded.config.dram
        organization = load_standard(
            dram.standard,
            organization=dram.organization,
            speed_bin=dram.speed_bin,
            ranks=dram.ranks,
        ).organization
        test = _program(options.program, organization)
        check_cost(test, organization.bursts_per_row, options.limit_s)
        devices = _devices(module, options.modules, loaded.config)
        measured = []
        for index, device in enumerate(devices):
            bits = organization.access_bytes * 8
            counters = Counters(organization.rows.bit_length() - 1, bits, options.by_cell)
            board = Board(dram, device, counters, test.name)
            _execute(board, test, index, len(devices), progress)
            measured.append(Measured.of(device, board))
    return Profile(test.name, tuple(measured))


def _execute(
    board: Board, test: Program, index: int, boards: int, progress: ProgressCallback | None
) -> None:
    """Run a test on one of several boards, whose predecessors are done."""
    done = index * test.size
    for operations in test.operations():
        board.execute(operations)
        done += len(operations)
        if progress is not None:
            progress(done, test.size * boards)


def _refuse(config: RunConfig) -> None:
    for key in ("trcd_ns", "vdd_V"):
        if getattr(config.dram, key) is not None:
            raise ConfigError(
                f"dram.{key}: the operating point of a test belongs in its program; expected it "
                "there "
                "(ACT bank row trcd_ns, VDD volts)"
            )
    if config.dram.channels != 1:
        raise ConfigError(f"dram.channels: a board tests one channel, found {config.dram.channels}")


def _program(program: str | os.PathLike[str] | None, organization: Organization) -> Program:
    if program is None:
        return parse_program(STANDARD_TEST, "standard test", organization)
    if isinstance(program, str) and "\n" in program:
        return parse_program(program, "program", organization)
    return read_program(Path(program), organization)


def _devices(
    module: str | os.PathLike[str] | Module | VirtualModule, count: int | None, config: RunConfig
) -> list[VirtualModule]:
    if isinstance(module, VirtualModule):
        if count is not None:
            raise InputError(
                "modules: a VirtualModule is one; expected a module file to draw several from"
            )
        return [module]
    truth = module if isinstance(module, Module) else load_module(os.fspath(module))
    errors = config.errors
    options: dict[str, Any] = {
        "seed": errors.seed,
        "temp_C": errors.temp_C,
        "beyond_data": errors.beyond_data,
    }
    if count is None:
        return [VirtualModule.of_module(truth, **options)]
    if count < 1:
        raise InputError(f"modules: expected 1 or more, found {count}")
    return [VirtualModule.of_module(truth, number=number + 1, **options) for number in range(count)]


def _csv(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
