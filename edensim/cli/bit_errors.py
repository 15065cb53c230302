"""Bit errors of real and virtual modules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import ConfigOption, JsonOption, Overrides
from edensim.cli.outputs import check_outputs, interruptible, is_stdout, write_json
from edensim.exceptions import InputError


def profile(
    module: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE.yaml", help="A module file, or a name of configs/modules: the truth."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DATA", help="Rates (.csv), or one map of bit errors (.npz)."
        ),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Test program (default: the one that --show prints)."),
    ] = None,
    modules: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="So many modules of the vendor (default: the middle one).", min=1
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="ROWS.csv", help="Also a table of rows: how often each had a wrong bit."
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the standard test program, and end.")
    ] = False,
    overrides: Overrides = None,
    config: ConfigOption = None,
    json_path: JsonOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Run a SoftMC-style test program on a virtual module: data for `fit`, as a board gives them."""
    from edensim.bit_errors.testbench.profile import profile as run_test
    from edensim.bit_errors.testbench.program import STANDARD_TEST
    from edensim.cli.progress import Progress

    if show:
        typer.echo(STANDARD_TEST, nl=False)
        return
    if module is None or output is None:
        raise InputError("profile: expected MODULE.yaml and -o DATA.csv|DATA.npz (or --show)")
    if output.suffix.lower() not in (".csv", ".npz"):
        raise InputError(
            f"{output}: expected a name that ends in .csv (rates) or .npz (a map of bit errors)"
        )
    by_cell = output.suffix.lower() == ".npz"
    if by_cell and modules is not None:
        raise InputError(
            f"--modules {modules}: a map of bit errors is of one module; expected -o DATA.csv"
        )
    check_outputs(
        output, rows, json_path, inputs=[Path(module), *([program] if program is not None else [])]
    )
    with Progress(quiet, "operations") as progress, interruptible(progress):
        found = run_test(
            module,
            program=program,
            modules=modules,
            by_cell=by_cell,
            config=config,
            overrides=overrides or [],
            progress=progress,
        )
    (found.save_map if by_cell else found.save_table)(output)
    if rows is not None:
        found.save_rows(rows)
    if json_path is not None:
        write_json(json_path, found.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(f"{output}: {found.summary()}")


def fit(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...", help="Tables of rates (.csv), or one map of bit errors (.npz)."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MODULE.yaml", help="Module file to write.")
    ],
    vendor: Annotated[
        str | None,
        typer.Option(metavar="V", help="Whose rows, of tables that hold several vendors."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of the module (default: vendor_V, or the first file's)."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Citation of the data (default: files and their digests)."
        ),
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(
            metavar="trcd_ns|vdd_V", help="What was lowered, where a table's columns both vary."
        ),
    ] = None,
    bits: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="Bits tested per row and run, of tables that do not say: the detection limit.",
        ),
    ] = 2.0**30,
    bootstrap: Annotated[
        int,
        typer.Option(metavar="N", help="Draws of modules for the intervals.", min=10, max=10_000),
    ] = 100,
    cross_validation: Annotated[
        bool,
        typer.Option(
            "--cross-validation", help="Also fit without each module in turn, and predict it."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the bootstrap.", min=0)] = 1,
    json_path: JsonOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Fit a module to measured error rates or bit errors: the best form by AIC or BIC, intervals, how good it is."""
    from edensim.bit_errors.fit import fit as fit_module
    from edensim.bit_errors.fit import parse_axis
    from edensim.cli.progress import Progress

    check_outputs(output, json_path, inputs=data)
    options = {
        "vendor": vendor,
        "name": name,
        "source": source,
        "bits": bits,
        "bootstrap": bootstrap,
        "seed": seed,
    }
    with Progress(quiet, "fits") as progress, interruptible(progress):
        fitted = fit_module(
            *data,
            **options,  # type: ignore[arg-type]
            axis=parse_axis(axis),
            cross_validation=cross_validation,
            progress=progress,
        )
    fitted.save(output)
    if json_path is not None:
        write_json(json_path, fitted.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(f"{output}: {fitted.summary()}")


def ber(
    module: Annotated[
        str,
        typer.Argument(metavar="MODULE.yaml", help="A module file, or a name of configs/modules."),
    ],
    trcd_ns: Annotated[
        float | None, typer.Option(metavar="NS", help="tRCD (default: nominal).")
    ] = None,
    vdd_V: Annotated[
        float | None,
        typer.Option("--vdd-V", metavar="V", help="Supply voltage (default: nominal)."),
    ] = None,
    temp_C: Annotated[
        float | None,
        typer.Option("--temp-C", metavar="C", help="Temperature (default: the data's)."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="0x00", help="Byte stored in all cells (default: mean of those measured)."
        ),
    ] = None,
    beyond_data: Annotated[
        bool, typer.Option("--beyond-data", help="Answer outside the data too, and say so.")
    ] = False,
    json_path: JsonOption = None,
) -> None:
    """Bit error rate of a module at an operating point: of the vendor's middle module, and the 95 % interval of one never measured."""
    from edensim.bit_errors.module import load_module
    from edensim.bit_errors.prediction import predict

    check_outputs(json_path, inputs=(Path(module),))
    answer = predict(
        load_module(module),
        trcd_ns=trcd_ns,
        vdd_V=vdd_V,
        temp_C=temp_C,
        pattern=pattern,
        beyond_data=beyond_data,
    )
    if json_path is not None:
        write_json(json_path, answer.to_dict())
    if not is_stdout(json_path):
        typer.echo(answer.summary())


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
            help="Array to write: as it comes out of the memory.",
        ),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE.yaml",
            help="A fitted module, at the operating point that --set dram... asks for.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Or an error model: 0-3, uniform, bitline, wordline, data-dependent.",
        ),
    ] = None,
    ber: Annotated[
        float | None, typer.Option(metavar="BER", help="Bit error rate of --model.")
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            metavar="N", help="Address of the first byte (decimal, or hexadecimal after 0x)."
        ),
    ] = "0",
    access: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How often the array was read before: other failures of the same weak cells.",
        ),
    ] = 0,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Where weak cells lie (default: the module's, else 1)."),
    ] = None,
    interval_ns: Annotated[
        float | None,
        typer.Option(metavar="NS", help="ACT-to-RD interval of all reads; exposure by it."),
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
    from edensim.bit_errors.files import inject_file, parse_bounds, whole_number

    check_outputs(output, json_path, inputs=(source,))
    done = inject_file(
        source,
        output,
        bounds=parse_bounds(bounds, correction, comparison) if bounds is not None else None,
        overrides=overrides or [],
        **{
            "module": module,
            "model": model,
            "ber": ber,
            "address": whole_number("--address", address),
            "access": access,
        },
        **{"seed": seed, "intervals_ns": interval_ns, "config": config},
    )
    if json_path is not None:
        write_json(json_path, done.to_dict())
    if not is_stdout(json_path):
        typer.echo(
            f"{source}: {done.flips:,} of {done.bits:,} bits flipped: BER {done.ber:.3g}"
            + done.remarks()
        )
