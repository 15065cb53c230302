"""`edensim inject`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec import Meta

from edensim.bit_errors.injection import InjectOptions
from edensim.cli.options import ConfigOption, JsonOption, Overrides, with_options
from edensim.cli.outputs import check_outputs, report


class CommandOptions(InjectOptions, frozen=True, kw_only=True):
    """Options of `edensim inject`: those of the function, and how wrong values are corrected."""

    bounds: Annotated[
        str | None,
        Meta(
            description="Correct values outside of these afterwards.",
            extra={"metavar": "LOW,HIGH"},
        ),
    ] = None
    correction: Annotated[
        str,
        Meta(
            description="What becomes of a value outside --bounds.",
            extra={"metavar": "zero|saturate"},
        ),
    ] = "zero"
    comparison: Annotated[
        str,
        Meta(description="What is compared with --bounds.", extra={"metavar": "value|exponent"}),
    ] = "value"


@with_options(CommandOptions)
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
    options: CommandOptions,
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
    overrides: Overrides = None,
    config: ConfigOption = None,
    json_path: JsonOption = None,
) -> None:
    """Flip the bits of an array that fail in approximate DRAM."""
    from edensim.bit_errors.files import inject_file, parse_bounds, whole_number

    check_outputs(output, json_path, inputs=[source])
    own = {name: getattr(options, name) for name in InjectOptions.__struct_fields__}
    own |= {"address": whole_number("--address", address), "intervals_ns": interval_ns}
    bounds = options.bounds
    done = inject_file(
        source,
        output,
        bounds=None
        if bounds is None
        else parse_bounds(bounds, options.correction, options.comparison),
        config=config,
        overrides=overrides or [],
        options=InjectOptions(**own),
    )
    summary = f"{source}: {done.flips:,} of {done.bits:,} bits flipped: BER {done.ber:.3g}"
    report(done, summary + done.remarks(), json_path)
