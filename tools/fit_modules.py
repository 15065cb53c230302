"""Fit configs/modules/vendor_{a,b,c}.yaml to published characterization data.

    python tools/fit_modules.py DATA [--bootstrap 200] [--vendors ABC] [--json OUT]

DATA is a folder with the tables flydram_ber_by_bank.csv, voltron_faulty_lines.csv and
voltron_rowbin_fail_prob.csv. The figures of the fits and of a cross-validation, which leaves out
one DRAM module at a time, are written as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from edensim.bit_errors.fit import fit

MODULES = Path(__file__).resolve().parents[1] / "configs" / "modules"
TABLES = ("flydram_ber_by_bank.csv", "voltron_faulty_lines.csv", "voltron_rowbin_fail_prob.csv")
SOURCE = (
    "tRCD: Chang et al., Understanding Latency Variation in Modern DRAM Chips (FLY-DRAM), "
    "SIGMETRICS 2016, DDR3; VDD: Chang et al., Understanding Reduced-Voltage Operation in Modern "
    "DRAM Devices (Voltron), SIGMETRICS 2017, DDR3L"
)


def main() -> int:
    """Write the module files, and the figures to a file or to standard output."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--bootstrap", type=int, default=200)
    parser.add_argument("--vendors", default="ABC")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = {}
    for vendor in arguments.vendors:
        fitted = fit(
            *(arguments.data / name for name in TABLES),
            vendor=vendor,
            source=SOURCE,
            bootstrap=arguments.bootstrap,
            cross_validation=True,
        )
        fitted.save(MODULES / f"vendor_{vendor.lower()}.yaml")
        figures[vendor] = fitted.to_dict()
        sys.stderr.write(fitted.summary() + "\n")
    text = json.dumps(figures, indent=1)
    if arguments.json:
        arguments.json.write_text(text)
    else:
        sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
