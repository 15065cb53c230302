"""The bit errors of a run: its commands watched, its tensors named (`edensim.bit_errors.reads`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edensim.config.models import EnergyConfig, ErrorsConfig
from edensim.dram.memory_system import MemorySystem
from edensim.engine.memory_run import MemoryRun
from edensim.engine.records import Records
from edensim.networks.layout import Layout
from edensim.networks.network import Role

if TYPE_CHECKING:
    from edensim.bit_errors.reads import ReadErrors, Span


@dataclass(frozen=True)
class ErrorWatch:
    """Watches a run's commands and says which of its reads were wrong. spans: of the tensors, none where nothing names any."""

    reads: ReadErrors
    spans: tuple[Span, ...]

    def listener(self, other: Callable[[Records], None] | None) -> Callable[[Records], None]:
        """What to call with each chunk of commands; calls `other` too."""

        def both(commands: Records) -> None:
            self.reads.watch(commands)
            if other is not None:
                other(commands)

        return both

    def summary(self, memory: MemoryRun) -> dict[str, Any]:
        """The `bit_errors` section of the result of a run that has ended."""
        from edensim.bit_errors.reads import Tensors

        ends = tuple(
            (run.end_clock, run.layer)
            for run in memory.layers
            if run.end_clock is not None and run.layer is not None
        )
        return self.reads.summary(
            Tensors(self.reads.cuts, self.spans, ends) if self.spans else None
        )


def error_watch(
    memory: MemorySystem,
    errors: ErrorsConfig,
    energy: EnergyConfig,
    layout: Layout | None,
    chunks: Iterable[Records] | None,
) -> ErrorWatch | None:
    """The watch that a configuration asks for; None without `errors.module` and `errors.ber`.

    layout: of the network, if one runs. chunks: of a trace whose requests name tensors: it is read once more, to know where they lie.

    Raises InputError for errors that cannot be had at these operating points.
    """
    if errors.module is None and errors.ber is None and errors.model is None:
        return None
    from edensim.bit_errors.plan import plan_errors
    from edensim.bit_errors.reads import ReadErrors, Span, cuts_of, ranges_of_requests, spans_of

    plan = plan_errors(memory, errors)
    access = plan.geometry.organization.access_bytes
    if layout is not None:
        always = (0, 1 << 62)
        spans = tuple(
            Span(
                each.name,
                each.address // access * access,
                each.end,
                *(always if each.role is Role.WEIGHTS else (each.first_layer, each.last_layer)),
            )
            for each in layout.placements
        )
    else:
        spans = spans_of(ranges_of_requests(chunks) if chunks is not None else [], access)
    return ErrorWatch(ReadErrors(plan, cuts_of(spans, access), energy.ones_fraction), spans)
