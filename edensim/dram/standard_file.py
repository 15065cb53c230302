"""The file of a DRAM standard (`configs/dram/NAME.yaml`), read and checked.

The models below list the keys. `organizations`, `speed_bins` and `currents` are tables: `fields`
names the columns, and each row has one value per column. Timings stand in the columns of
`speed_bins`, or in `derived_timings` if they follow from device width, density or data rate. With
`extends: NAME`, keys that the file does not have are those of that standard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from edensim.config import paths as resources
from edensim.config.plugins import STANDARDS
from edensim.config.strict_yaml import load_yaml
from edensim.config.validation import Section, fitted, refusing
from edensim.dram.expressions import Expression, parse_expression
from edensim.exceptions import ConfigError, nearest
from edensim.vocabulary import Command, Level

T = TypeVar("T")

Whole = Annotated[int, Meta(ge=0, le=10**9)]
WholePositive = Annotated[int, Meta(ge=1, le=10**6)]
Number = Annotated[float, Meta(ge=0, le=1e9)]
Size = Annotated[float, Meta(gt=0, le=1e9)]
Voltage = Annotated[float, Meta(gt=0, le=100)]
Current = Annotated[float, Meta(ge=0, le=1e6)]
Words = Annotated[tuple[str, ...], Meta(min_length=1)]

#: Timings that every standard names alike, because energy and operating points read them.
REQUIRED_TIMINGS = "nBL nCL nCWL nRCD nRP nRAS nRC nWR nRTP nRFC nREFI".split()
_RATE = ("rate_MTps", "tck_ps")

#: Values of one row by column, whole numbers in `speed_bins`.
Row = dict[str, int]


class Geometry(Section, frozen=True, kw_only=True):
    """One row of `organizations`: the size of a device, and the width of a channel in bits."""

    density_Mb: WholePositive
    device_width: Annotated[int, Meta(ge=1, le=4096)]
    channel_width: Annotated[int, Meta(ge=1, le=4096)]
    bankgroups: Annotated[int, Meta(ge=1, le=64)] = 1
    banks: Annotated[int, Meta(ge=1, le=1024)]
    rows: Annotated[int, Meta(ge=1, le=2**30)]
    columns: Annotated[int, Meta(ge=1, le=2**20)]


class DerivedTiming(Section, frozen=True, kw_only=True):
    """One row of a derived timing; it applies where no limit (`..._upto`) is exceeded."""

    device_width_upto: Number | None = None
    density_Mb_upto: Number | None = None
    rate_MTps_upto: Number | None = None
    cycles: WholePositive | None = None
    ns: Number | None = None

    def applies(self, geometry: Geometry, rate_MTps: int) -> bool:
        """Whether a device, and its data rate, are within the limits."""
        limits = (
            (geometry.device_width, self.device_width_upto),
            (geometry.density_Mb, self.density_Mb_upto),
            (rate_MTps, self.rate_MTps_upto),
        )
        return all(limit is None or value <= limit for value, limit in limits)


class ConstraintRow(Section, frozen=True, kw_only=True):
    """One row of `constraints`."""

    level: Literal["channel", "rank", "bankgroup", "bank"]
    after: Words
    before: Words
    gap: str | int
    window: Annotated[int, Meta(ge=1, le=64)] = 1
    sibling: bool = False


class Supply(Section, frozen=True, kw_only=True):
    """Supply voltages: nominal, lowest and highest, and that of the VPP rail."""

    vdd_V: Voltage
    vdd_min_V: Voltage
    vdd_max_V: Voltage
    vpp_V: Annotated[float, Meta(ge=0, le=100)] = 0.0


class CurrentsRow(Section, frozen=True, kw_only=True):
    """One row of `currents.sets`: the device that was measured, and its currents."""

    density_Mb: Size
    device_width: Size
    rate_MTps: Size
    idd0_mA: Current
    idd2n_mA: Current
    idd2p_mA: Current
    idd3n_mA: Current
    idd3p_mA: Current
    idd4r_mA: Current
    idd4w_mA: Current
    idd5_mA: Current
    idd6_mA: Current
    ipp0_mA: Current = 0.0
    idd5pb_mA: Current = 0.0


class CurrentsTable(Section, frozen=True, kw_only=True):
    """The key `currents`.

    `measured_V` is the supply voltage that the currents were stated for, if it is another than the
    standard's. `illustrative` currents are those of no real device.
    """

    source: str
    fields: Words
    measured_V: Voltage | None = None
    illustrative: bool = False
    sets: Annotated[tuple[tuple[Any, ...], ...], Meta(min_length=1)]


class TerminatedInterface(Section, frozen=True, kw_only=True):
    """A data wire with termination."""

    scheme: Literal["split", "pull-up"]
    vddq_V: Voltage
    driver_ohm: Size
    termination_ohm: Size


class LoadInterface(Section, frozen=True, kw_only=True):
    """A data wire that is a capacitive load."""

    scheme: Literal["none"]
    vddq_V: Voltage
    load_pF: Annotated[float, Meta(gt=0, le=1e6)]


class Content(Section, frozen=True, kw_only=True):
    """All keys of a standard's file."""

    name: str
    source: str
    default_organization: str
    default_speed_bin: str
    prefetch: WholePositive
    commands: Words
    read_latency: str
    write_latency: str
    organizations: dict[str, tuple[Any, ...]]
    speed_bins: dict[str, tuple[Any, ...]]
    derived_timings: dict[str, Annotated[tuple[DerivedTiming, ...], Meta(min_length=1)]]
    constraints: tuple[ConstraintRow, ...]
    supply: Supply
    currents: CurrentsTable
    interface: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A timing constraint whose gap is still an expression."""

    level: Level
    after: tuple[Command, ...]
    before: tuple[Command, ...]
    gap: Expression
    window: int
    sibling: bool


@dataclass(frozen=True, slots=True)
class StandardFile:
    """Everything that a standard's file says, for all its organizations and speed bins.

    Attributes
    ----------
    path
        The file.
    family
        The standard's name, then the names of those that it extends.
    content
        The keys as they stand in the file; the other attributes are made of them.
    """

    path: Path
    family: tuple[str, ...]
    content: Content
    commands: tuple[Command, ...]
    read_latency: Expression
    write_latency: Expression
    organizations: dict[str, Geometry]
    speed_bins: dict[str, Row]
    rules: tuple[Rule, ...]
    currents: tuple[CurrentsRow, ...]
    interface: TerminatedInterface | LoadInterface | None

    @property
    def timing_names(self) -> list[str]:
        """Every timing that can be overridden."""
        row = next(iter(self.speed_bins.values()))
        return [name for name in row if name not in _RATE] + list(self.content.derived_timings)


def _folders(folder: Path | None) -> list[Path]:
    return [*([folder] if folder is not None else []), *resources.config_folders("dram")]


@cache
def _plugin_files() -> dict[str, Path]:
    """Find the standards that other packages bring, by name.

    Raises ConfigError if a package brings a folder or file that is not there, or a taken name.
    """
    files: dict[str, Path] = {}
    builtin = {path.stem for path in resources.standards_folder().glob("*.yaml")}
    for entry, member in STANDARDS.plugins.items():
        place = Path(STANDARDS.load(entry)())
        if not place.exists():
            raise STANDARDS.refuse(member, f"there is no file or folder {place}")
        for path in sorted(place.glob("*.yaml")) if place.is_dir() else [place]:
            if path.stem in builtin or path.stem in files:
                raise STANDARDS.refuse(
                    member, f"the name of {path} is taken; expected another file name"
                )
            files[path.stem] = path
    return files


def standard_names(folder: Path | None = None) -> list[str]:
    """List the names of all standards in alphabetical order, those in `folder` included."""
    files = [path for each in _folders(folder) for path in each.glob("*.yaml")]
    return sorted({path.stem for path in files} | set(_plugin_files()))


def find_standard(name: str, folder: Path | None = None) -> Path:
    """Find the file of a standard; `folder` is searched first.

    A name that ends in .yaml or has a path separator is a path. Raises ConfigError with the nearest
    known name.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
        return Path(name)
    for each in _folders(folder):
        if (each / f"{name}.yaml").is_file():
            return each / f"{name}.yaml"
    if name in _plugin_files():
        return _plugin_files()[name]
    known = standard_names(folder)
    raise ConfigError(
        f"dram.standard: unknown standard {name!r}{nearest(name, known)}; expected one of "
        f"{', '.join(known)}, or the path of a .yaml file"
    )


def read_standard_file(path: Path, folder: Path | None = None) -> StandardFile:
    """Read and check a standard's file and those that it extends.

    Raises ConfigError with file, line and key.
    """
    document = _Document(path, folder)
    if document.stamps not in _read:
        _read[document.stamps] = _checked(path, document)
    return _read[document.stamps]


#: Files read before, by path and time of change of each file they are made of: a sweep loads the
#: same standard hundreds of times.
_read: dict[tuple[tuple[Path, int], ...], StandardFile] = {}


def _checked(path: Path, document: _Document) -> StandardFile:
    """Check what concerns several keys, and parse commands and expressions."""
    content = document.fitted("", Content)
    organizations = {
        name: document.fitted(f"organizations.{name}", Geometry, row)
        for name, row in document.table("organizations").items()
    }
    for name, geometry in organizations.items():
        _check_geometry(document, f"organizations.{name}", geometry, content.prefetch)
    speed_bins = {
        name: document.fitted(f"speed_bins.{name}", dict[str, Whole], row)
        for name, row in document.table("speed_bins").items()
    }
    timings = _timings(document, content, speed_bins)
    for key, value, choices in (
        ("default_organization", content.default_organization, organizations),
        ("default_speed_bin", content.default_speed_bin, speed_bins),
    ):
        document.choose(key, value, choices)
    if not content.supply.vdd_min_V <= content.supply.vdd_V <= content.supply.vdd_max_V:
        raise document.refuse("supply", "expected vdd_min_V <= vdd_V <= vdd_max_V")
    return StandardFile(
        path=path,
        family=tuple(document.family),
        content=content,
        commands=document.commands("commands", content.commands, Command.__members__),
        read_latency=document.expression("read_latency", content.read_latency, timings),
        write_latency=document.expression("write_latency", content.write_latency, timings),
        organizations=organizations,
        speed_bins=speed_bins,
        rules=tuple(
            _rule(document, f"constraints.{index}", row, timings)
            for index, row in enumerate(content.constraints)
        ),
        currents=tuple(
            document.fitted(f"currents.sets.{index}", CurrentsRow, row)
            for index, row in enumerate(document.table("currents").values())
        ),
        interface=_interface(document, content.interface),
    )


def _check_geometry(document: _Document, key: str, geometry: Geometry, prefetch: int) -> None:
    """Refuse sizes that contradict each other."""
    banks = geometry.bankgroups * geometry.banks
    bits = banks * geometry.rows * geometry.columns * geometry.device_width
    if bits != geometry.density_Mb * 2**20:
        raise document.refuse(
            key,
            f"banks, rows, columns and width make {bits / 2**20:g} Mb, "
            f"but density_Mb is {geometry.density_Mb}",
        )
    for name, value, divisor_name, divisor in (
        ("channel_width", geometry.channel_width, "device_width", geometry.device_width),
        ("columns", geometry.columns, "prefetch", prefetch),
    ):
        if value % divisor:
            raise document.refuse(
                key, f"expected {name} to be a multiple of {divisor_name} {divisor}, found {value}"
            )


def _timings(document: _Document, content: Content, speed_bins: Mapping[str, Row]) -> set[str]:
    """Return the names of all timings."""
    columns, derived = set(next(iter(speed_bins.values()))), set(content.derived_timings)
    for name in sorted(derived & columns):
        raise document.refuse(
            f"derived_timings.{name}", "is also a column of speed_bins; expected one of the two"
        )
    for name, rows in content.derived_timings.items():
        for index, derived_timing in enumerate(rows):
            if (derived_timing.cycles is None) == (derived_timing.ns is None):
                raise document.refuse(
                    f"derived_timings.{name}.{index}", "expected either cycles or ns"
                )
    for name in (*_RATE, *REQUIRED_TIMINGS):
        if name not in columns | derived:
            raise document.refuse(
                "speed_bins",
                f"timing {name!r} is missing; every standard has it here or in derived_timings",
            )
    for name, row in speed_bins.items():
        for field in _RATE:
            document.fitted(f"speed_bins.{name}.{field}", WholePositive, row[field])
    return (columns | derived) - {*_RATE}


def _rule(document: _Document, key: str, row: ConstraintRow, timings: set[str]) -> Rule:
    if row.sibling and row.level == "channel":
        raise document.refuse(f"{key}.sibling", "channels have no parent, so no siblings")
    allowed = document.values["commands"]
    return Rule(
        level=Level[row.level.upper()],
        after=document.commands(f"{key}.after", row.after, allowed),
        before=document.commands(f"{key}.before", row.before, allowed),
        gap=document.expression(f"{key}.gap", str(row.gap), timings),
        window=row.window,
        sibling=row.sibling,
    )


def _interface(
    document: _Document, row: Mapping[str, Any] | None
) -> TerminatedInterface | LoadInterface | None:
    if row is None:
        return None
    scheme = document.choose(
        "interface.scheme", str(row.get("scheme")), ("split", "pull-up", "none")
    )
    if scheme == "none":
        return document.fitted("interface", LoadInterface, row)
    return document.fitted("interface", TerminatedInterface, row)


@cache
def _load(path: Path, modified_ns: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Read a file that was changed at `modified_ns`."""
    return load_yaml(path)


class _Document:
    """The merged content of a file and those it extends, which knows where each key stands."""

    def __init__(self, path: Path, folder: Path | None) -> None:
        self.path = path
        self.values: dict[str, Any] = {}
        self.family: list[str] = []
        self._origins: dict[str, tuple[Path, dict[str, int]]] = {}
        visited: list[Path] = []
        following: Path | None = path
        self.stamps: tuple[tuple[Path, int], ...] = ()
        while following is not None:
            if following in visited:
                names = " -> ".join(each.stem for each in [*visited, following])
                raise ConfigError(f"{path}: `extends` goes in a circle: {names}")
            visited.append(following)
            following = self._add(following, folder)

    def _add(self, path: Path, folder: Path | None) -> Path | None:
        """Take the keys that are not there yet, and return the file that this one extends."""
        if not path.is_file():
            raise ConfigError(f"dram.standard: there is no file {path}")
        modified_ns = path.stat().st_mtime_ns
        self.stamps += ((path, modified_ns),)
        values, lines = _load(path, modified_ns)
        refuse = refusing(path, lines)
        known = (*Content.__struct_fields__, "extends")
        for key in values:
            if key not in known:
                raise refuse(key, f"unknown key{nearest(key, known)}")
            if key not in self.values and key != "extends":
                self.values[key] = values[key]
                self._origins[key] = (path, lines)
        self.family.append(str(values.get("name", path.stem)))
        if "extends" not in values:
            return None
        parent = values["extends"]
        if not isinstance(parent, str):
            raise refuse("extends", f"expected the name of a standard, found {parent!r}")
        beside = path.parent / f"{parent}.yaml"
        return beside if beside.is_file() else find_standard(parent, folder)

    def refuse(self, key: str, message: str) -> ConfigError:
        """Return an exception that begins with the file and line of a key."""
        if not key:
            return ConfigError(f"{self.path}: {message}")
        return refusing(*self._origins[key.split(".")[0]])(key, message)

    def fitted(self, key: str, kind: type[T], value: Any = None) -> T:
        """Convert a value, by default the whole document, to a type."""
        return fitted(self.values if value is None else value, kind, key, self.refuse)

    def table(self, key: str) -> dict[str, dict[str, Any]]:
        """Return the rows of a table by name, and their values by column."""
        content = dict(self.values[key])
        fields = self.fitted(f"{key}.fields", Words, content.pop("fields", ()))
        if key == "currents":
            content = {f"sets.{index}": row for index, row in enumerate(content["sets"])}
        if not content:
            raise self.refuse(key, "expected `fields: [...]` and at least one row")
        for field in fields:
            if fields.count(field) > 1:
                raise self.refuse(f"{key}.fields", f"column {field!r} appears twice")
        for name, row in content.items():
            if len(row) != len(fields):
                raise self.refuse(
                    f"{key}.{name}",
                    f"expected {len(fields)} values ({', '.join(fields)}), found {len(row)}",
                )
        return {name: dict(zip(fields, row, strict=True)) for name, row in content.items()}

    def choose(self, key: str, value: str, known: Iterable[str]) -> str:
        """Return a value if it is one of the known ones."""
        known = tuple(known)
        if value not in known:
            raise self.refuse(
                key,
                f"unknown value {value!r}{nearest(value, known)}; "
                f"expected one of {', '.join(known)}",
            )
        return value

    def commands(
        self, key: str, names: Iterable[str], allowed: Iterable[str]
    ) -> tuple[Command, ...]:
        """Return commands by their names."""
        return tuple(Command[self.choose(key, name, allowed)] for name in names)

    def expression(self, key: str, text: str, timings: set[str]) -> Expression:
        """Parse an expression over known timings."""
        try:
            parsed = parse_expression(text)
        except ConfigError as exception:
            raise self.refuse(key, str(exception)) from None
        for name in sorted(parsed.names - timings):
            raise self.refuse(key, f"unknown timing {name!r}{nearest(name, timings)}")
        return parsed
