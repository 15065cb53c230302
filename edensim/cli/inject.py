"""`edensim inject`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.bit_errors.injection import InjectOptions
from edensim.cli.options import ConfigOption, JsonOption, Overrides, with_options
from edensim.cli.outputs import check_outputs, report


@with_options(InjectOptions)
def inject(
    source: Annotated[
        Path, typer.Argument(metavar="IN.npy", help="An array of any type (int4: two per byte).")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.npy",
            help="Write the array as it comes out of the memory.",
        ),
    ] = None,
    *,
    options: InjectOptions,
    address: Annotated[
        str,
        typer.Option(
            metavar="N", help="Address of the first byte (decimal, or hexadecimal after 0x)."
        ),
    ] = "0",
    interval_ns: Annotated[
        float | None,
        typer.Option(
            metavar="NS",
            help="Interval from ACT to RD of all reads, which decides which bits fail.",
        ),
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Correct values outside of these afterwards."),
    ] = None,
    correction: Annotated[
        str, typer.Option(metavar="zero|saturate", help="What becomes of a value outside --bounds.")
    ] = "zero",
    comparison: Annotated[
        str, typer.Option(metavar="value|exponent", help="What is compared with --bounds.")
    ] = "value",
    overrides: Overrides = None,
    config: ConfigOption = None,
    json_path: JsonOption = None,
) -> None:
    """Flip the bits of an array that fail in approximate DRAM."""
    from msgspec.structs import replace

    from edensim.bit_errors.files import inject_file, parse_bounds, whole_number

    check_outputs(output, json_path, inputs=[source])
    done = inject_file(
        source,
        output,
        bounds=parse_bounds(bounds, correction, comparison) if bounds is not None else None,
        config=config,
        overrides=overrides or [],
        options=replace(
            options, address=whole_number("--address", address), intervals_ns=interval_ns
        ),
    )
    summary = f"{source}: {done.flips:,} of {done.bits:,} bits flipped: BER {done.ber:.3g}"
    report(done, summary + done.remarks(), json_path)
