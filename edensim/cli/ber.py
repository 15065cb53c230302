"""`edensim ber`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import JsonOption
from edensim.cli.outputs import check_outputs, report


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
        bool, typer.Option("--beyond-data", help="Answer outside of the data, too, with a note.")
    ] = False,
    json_path: JsonOption = None,
) -> None:
    """Predict the bit error rate of a module at an operating point.

    The answer has the rate of the vendor's middle module, and the 95 % interval of a module that
    was never measured.
    """
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
    report(answer, answer.summary(), json_path)
