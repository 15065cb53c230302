"""Fit configs/modules/vendor_{a,b,c}.yaml anew from the published data (../shared/data/dram), and report figures and cross-validation as JSON.

python benchmarks/fit_modules.py [--bootstrap 200] [--vendors ABC] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from edensim.bit_errors.fit import fit

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "dram"
SOURCE = (
    "tRCD: Chang et al., Understanding Latency Variation in Modern DRAM Chips (FLY-DRAM), SIGMETRICS 2016, DDR3; "
    "VDD: Chang et al., Understanding Reduced-Voltage Operation in Modern DRAM Devices (Voltron), SIGMETRICS 2017, DDR3L"
)


def main() -> int:
    """Write the modules; the figures go to standard output or a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", type=int, default=200)
    parser.add_argument("--vendors", default="ABC")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = {}
    for vendor in arguments.vendors:
        tables = [
            DATA / name
            for name in (
                "flydram_ber_by_bank.csv",
                "voltron_faulty_lines.csv",
                "voltron_rowbin_fail_prob.csv",
            )
        ]
        fitted = fit(
            *tables,
            vendor=vendor,
            source=SOURCE,
            bootstrap=arguments.bootstrap,
            cross_validation=True,
        )
        fitted.save(ROOT / "configs" / "modules" / f"vendor_{vendor.lower()}.yaml")
        figures[vendor] = fitted.to_dict()
        sys.stderr.write(fitted.summary() + "\n")
        text = json.dumps(figures, indent=1)
        if arguments.json:
            arguments.json.write_text(text)
    if not arguments.json:
        sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
