"""Registries: what can be named in a configuration, built in or brought by another package.

A registry maps names to objects that are imported when they are first asked for. The members that
edensim brings stand in the tables below. Another package brings members through entry points of
the same name as the registry::

    [options.entry_points]
    edensim.schedulers =
        oldest-bank = my_package.schedulers:oldest_bank

Both are `module:object` references and are resolved in the same way. The entry points of installed
packages are only read when a name is not built in, since that takes 0.02 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, Final, TypeVar, overload

from edensim.exceptions import ConfigError, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """A name in a registry, and where its object is defined.

    Parameters
    ----------
    name : str
        The name that configurations use.
    reference : str
        Where the object is: `module:object`.
    package : str
        The installed package that brought the member, with its version.
    """

    name: str
    reference: str
    package: str = "edensim"


@dataclass(frozen=True)
class Registry:
    """Named objects of one kind, both built in and brought by other packages.

    Parameters
    ----------
    group : str
        Name of the entry point group.
    noun : str
        What a member is, for messages.
    builtin : mapping of str to str
        The `module:object` reference of each built-in member, by name.
    """

    group: str
    noun: str
    builtin: Mapping[str, str]
    _objects: dict[str, object] = field(default_factory=dict, repr=False)

    @cached_property
    def plugins(self) -> dict[str, Member]:
        """The members that other packages bring, by name.

        Raises ConfigError if a package brings a name that is already taken.
        """
        from importlib.metadata import entry_points

        members: dict[str, Member] = {}
        for entry in entry_points(group=self.group):
            package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
            member = Member(entry.name, entry.value, package)
            if entry.name in self.builtin:
                raise self.refuse(member, "edensim has a member of that name; rename the plug-in")
            first = members.setdefault(entry.name, member)
            if first != member:
                raise self.refuse(
                    member, f"package {first.package} brings the same name; uninstall one of them"
                )
        return members

    def names(self) -> list[str]:
        """List the names of all members: the built-in ones first, then those of other packages."""
        return [*self.builtin, *sorted(self.plugins)]

    def find(self, name: str, key: str | None = None) -> Member:
        """Look a member up without importing it.

        Parameters
        ----------
        name : str
            The name of the member.
        key : str, optional
            The configuration key that names it, which then begins the message.

        Raises
        ------
        ConfigError
            If there is no such member; the message lists the known ones.
        """
        if name in self.builtin:
            return Member(name, self.builtin[name])
        if name not in self.plugins:
            known = sorted(self.names())
            raise ConfigError(
                f"{key or self.noun}: expected one of {', '.join(known)}, found the text "
                f"{name!r}{nearest(name, known)}"
            )
        return self.plugins[name]

    @overload
    def load(self, name: str, *, key: str | None = None) -> Callable[..., Any]: ...

    @overload
    def load(self, name: str, expected: type[T], key: str | None = None) -> T: ...

    def load(self, name: str, expected: type[T] | None = None, key: str | None = None) -> object:
        """Import a member.

        Parameters
        ----------
        name : str
            The name of the member.
        expected : type, optional
            The type that the object must have; by default, it must be callable.
        key : str, optional
            The configuration key that names it, which then begins the message.

        Raises
        ------
        ConfigError
            If there is no such member, if it cannot be imported or if it has the wrong type.
        """
        if name not in self._objects:
            self._objects[name] = self._imported(self.find(name, key))
        value = self._objects[name]
        if not (callable(value) if expected is None else isinstance(value, expected)):
            wanted = "a callable object" if expected is None else f"a {expected.__name__}"
            problem = f"expected {wanted}, found an object of type {type(value).__name__}"
            raise self.refuse(self.find(name), problem)
        return value

    def _imported(self, member: Member) -> object:
        module, _, path = member.reference.partition(":")
        try:
            value: object = import_module(module)
            for attribute in path.split("."):
                value = getattr(value, attribute)
        except Exception as problem:
            if member.package == "edensim":
                raise
            what = f"it cannot be imported: {type(problem).__name__}: {problem}"
            raise self.refuse(member, what) from problem
        return value

    def refuse(self, member: Member, problem: str) -> ConfigError:
        """Make the exception that names a member, the package that brought it and a problem."""
        return ConfigError(
            f"plug-in {member.name!r} ({self.group}, {member.reference}) of package "
            f"{member.package}: {problem}"
        )


#: DRAM standards: functions without arguments that return the `pathlib.Path` of a folder of YAML
#: files, one for each standard, or of one such file. The stem of a file is the standard's name.
STANDARDS: Final = Registry(
    "edensim.standards", "DRAM standards", {"edensim": "edensim.config.paths:standards_folder"}
)

#: Error models: functions decorated with `edensim.bit_errors.models.error_model`.
ERROR_MODELS: Final = Registry(
    "edensim.error_models",
    "error model",
    {
        "uniform": "edensim.bit_errors.models:uniform",
        "bitline": "edensim.bit_errors.models:bitline",
        "wordline": "edensim.bit_errors.models:wordline",
        "data-dependent": "edensim.bit_errors.models:data_dependent",
    },
)

#: Machines: functions as `edensim.machines.machine.MachineFactory` describes them.
MACHINES: Final = Registry(
    "edensim.machines",
    "machine",
    {
        name: f"edensim.machines.{name}.machine:{name}_machine"
        for name in ("cpu", "gpu", "eyeriss", "tpu")
    },
)

#: Trace formats: `edensim.tracefiles.formats.Format` objects.
TRACE_FORMATS: Final = Registry(
    "edensim.tracefiles",
    "trace format",
    {
        name: f"edensim.tracefiles.formats:{name.upper().replace('-', '_')}"
        for name in (
            "edensim",
            "ramulator-ls",
            "ramulator1",
            "ramulator-rw",
            "ramulator-core",
            "dramsim3",
            "dramsys-stl",
            "dramsys-rstl",
            "scalesim",
            "gem5",
            "lackey",
            "pinatrace",
            "dramsim2-k6",
            "usimm",
            "prospero",
            "csv",
        )
    },
)

#: Schedulers of the reference engine: functions as `edensim.reference.schedulers` describes them.
SCHEDULERS: Final = Registry(
    "edensim.schedulers",
    "scheduler",
    {
        "frfcfs": "edensim.reference.schedulers:frfcfs",
        "frfcfs-row-hit": "edensim.reference.schedulers:frfcfs_row_hit",
        "fcfs": "edensim.reference.schedulers:fcfs",
    },
)
