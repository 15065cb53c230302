"""Which edits make compiled code stale?"""

from edensim.kernels.compile import read_sources, source_digest


def edited(name: str) -> dict[str, bytes]:
    sources = read_sources()
    return {**sources, name: sources[name] + b"\n# edited"}


def test_edits_that_an_entry_depends_on_change_its_digest():
    plain = source_digest(read_sources(), "channel")
    for name in ("channel", "scheduler", "planning", "codes", "vocabulary", "jit", "state"):
        assert source_digest(edited(name), "channel") != plain, name


def test_other_edits_leave_it_alone():
    assert source_digest(edited("trace_lines"), "channel") == source_digest(
        read_sources(), "channel"
    )
    assert source_digest(edited("channel"), "placing") == source_digest(read_sources(), "placing")
