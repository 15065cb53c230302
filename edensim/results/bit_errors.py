"""The bit errors of a run: which of its reads were wrong, and of which tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edensim.config.models import EnergyConfig, ErrorsConfig
from edensim.dram.memory_run import LayerRun
from edensim.dram.memory_system import MemorySystem
from edensim.engine.records import Records
from edensim.networks.layout import Layout
from edensim.networks.network import Role

if TYPE_CHECKING:
    from edensim.bit_errors.reads import ReadErrors, Span


@dataclass(frozen=True)
class ErrorMonitor:
    """Follows the commands of a run and finds its wrong reads.

    `spans` are the address ranges of the tensors, empty if nothing names any.
    """

    reads: ReadErrors
    spans: tuple[Span, ...]

    def watching(self, other: Callable[[Records], None] | None) -> Callable[[Records], None]:
        """Return a function that takes each chunk of commands, and passes it on to `other`."""

        def watch(commands: Records) -> None:
            self.reads.watch(commands)
            if other is not None:
                other(commands)

        return watch

    def summary(self, layers: Iterable[LayerRun]) -> dict[str, Any]:
        """Return the `bit_errors` section of the result, once the run has ended."""
        from edensim.bit_errors.reads import Tensors

        ends = tuple(
            (run.end_clock, run.layer)
            for run in layers
            if run.end_clock is not None and run.layer is not None
        )
        return self.reads.summary(
            Tensors(self.reads.cuts, self.spans, ends) if self.spans else None
        )


def error_monitor(
    memory: MemorySystem,
    errors: ErrorsConfig,
    energy: EnergyConfig,
    layout: Layout | None,
    chunks: Iterable[Records] | None,
) -> ErrorMonitor | None:
    """Return the monitor that a configuration asks for.

    Parameters
    ----------
    memory
        The memory of the run.
    errors
        The `errors` section. The result is None if it names no module, model or bit error rate.
    energy
        The `energy` section, whose `ones_fraction` says how many of the stored bits are 1.
    layout
        The layout of the network, if one runs.
    chunks
        The chunks of a trace whose requests name tensors. The trace is read once more, to find
        where they lie.

    Raises
    ------
    InputError
        If the errors are not known at these operating points.
    """
    if errors.module is None and errors.ber is None and errors.model is None:
        return None
    from edensim.bit_errors.plan import plan_errors
    from edensim.bit_errors.reads import ReadErrors, Span, cuts_of, ranges_of_requests, spans_of

    plan = plan_errors(memory, errors)
    access = memory.organization.access_bytes
    if layout is not None:
        always = (0, 1 << 62)
        spans = tuple(
            Span(
                place.name,
                place.address // access * access,
                place.end,
                *(always if place.role is Role.WEIGHTS else (place.first_layer, place.last_layer)),
            )
            for place in layout.placements
        )
    else:
        spans = spans_of(ranges_of_requests(chunks) if chunks is not None else [], access)
    return ErrorMonitor(ReadErrors(plan, cuts_of(spans, access), energy.ones_fraction), spans)
