"""Exceptions that a user can meet. Each carries the exit code of the command line.

In edensim, an error is a bit error. What Python raises is called an exception, except in the names
of these classes.
"""

from __future__ import annotations

from collections.abc import Iterable


class EdensimError(Exception):
    """A run that failed (exit code 1)."""

    exit_code = 1


class InputError(EdensimError):
    """Input or usage that cannot be accepted (exit code 2)."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration file, key or value that cannot be accepted."""


class TraceError(InputError):
    """A trace or command file that cannot be read; the message names file and line."""


class NetworkError(InputError):
    """A network that cannot be read, laid out or run on the machine asked for."""


class FitError(EdensimError):
    """A fit that does not converge, or data that cannot decide a parameter; no module results."""


class DataError(InputError):
    """Characterization data that cannot be read; the message names file, line and column."""


class ModuleError(InputError):
    """A module file that breaks a rule, or an operating point that it cannot answer for."""


class ProtocolError(EdensimError):
    """A command list that violates the standard, or an engine state that must not happen."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint like ``; did you mean 'frfcfs'?``, empty if no known word is near."""
    import difflib  # only a mistake needs it

    choices = list(known)
    matches = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if not matches:
        lowered = {choice.lower(): choice for choice in choices}
        matches = [
            lowered[m] for m in difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
        ]
    return f"; did you mean {matches[0]!r}?" if matches else ""
