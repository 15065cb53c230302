"""The cost of a test program is known, and bounded, before any of it runs."""

import time

import pytest

from edensim.bit_errors.testbench.cost import check_cost, estimated_s
from edensim.bit_errors.testbench.profile import profile
from edensim.bit_errors.testbench.program import STANDARD_TEST, parse_program
from edensim.dram.standard import load_standard
from edensim.exceptions import InputError

READS = "WRITE 0 0 255\nREPEAT {}\nACT 0 0 5\nREAD 0\nPRE\nEND\n"
LONG = {
    "reads": READS.format(1_000_000),
    "writes": "REPEAT 1000000\nWRITE 0 0 255\nEND\n" + READS.format(1),
    "waits": "REPEAT 1000000\nREPEAT 1000000\nWAIT 5\nEND\nEND\n" + READS.format(1),
    "alternating": ("REPEAT 20000\nWRITE 0 0 255\nACT 0 0 5\nREAD 0\nPRE\nEND\n"),
    "operating points": (
        "WRITE 0 0 255\nREPEAT 5000\nFOR trcd IN 5 6 7\nACT 0 0 trcd\nREAD 0\nPRE\nEND\nEND\n"
    ),
}


@pytest.mark.parametrize("program", LONG)
def test_long_programs_are_refused_before_they_run(program):
    begin_s = time.monotonic()
    with pytest.raises(InputError, match=r"operations, which are estimated to take .* s for each"):
        profile("vendor_a", program=LONG[program])
    assert time.monotonic() - begin_s < 5


def test_the_standard_test_runs_and_a_limit_can_be_raised():
    standard = load_standard("DDR4").organization
    check_cost(parse_program(STANDARD_TEST, "standard", standard), standard.bursts_per_row)
    long = parse_program(LONG["reads"], "reads", standard)
    seconds = estimated_s(long, standard.bursts_per_row)
    check_cost(long, standard.bursts_per_row, seconds + 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"FOR row IN {'9' * 5000}-9\nEND\n", ":1: a word of more than 40 characters"),
        (f"REPEAT {'9' * 5000}\nEND\n", ":1: a word of more than 40 characters"),
        (f"WAIT {'9' * 5000}\n", ":1: a word of more than 40 characters"),
        ("REPEAT \u00b2\nEND\n", ":1: REPEAT: expected a count"),
        ("REPEAT 1\n" * 5000, ":33: REPEAT: expected at most 32 loops"),
        (f"FOR a IN {'0-1048575 ' * 3}\nEND\n", ":1: FOR a: expected at most 1048576 values"),
    ],
)
def test_numbers_and_depth_have_limits(text, message):
    with pytest.raises(InputError, match=message):
        parse_program(text, "p", load_standard("DDR4").organization)
