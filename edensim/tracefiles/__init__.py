"""Trace files: one reader, chunked, for every format (`open_trace`), and writers (`convert`)."""

from edensim.tracefiles.conversion import convert
from edensim.tracefiles.formats import FORMATS
from edensim.tracefiles.reader import Trace, open_trace

__all__ = ["FORMATS", "Trace", "convert", "open_trace"]
