"""The file of a DRAM standard (`configs/dram/NAME.yaml`), read and checked.

Keys: `name`, `source`, `prefetch`, `commands`, `read_latency`, `write_latency`, `default_organization`, `default_speed_bin`; then
`organizations` and `speed_bins`, tables of `fields: [...]` and one row per name; `derived_timings`, timings that follow from device width,
density and data rate; `constraints`; `supply`; `currents`; and where known `interface`. With `extends: NAME` every key that is absent is that
standard's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edensim.config import paths as resources
from edensim.config.plugins import STANDARDS
from edensim.config.strict_yaml import load_yaml
from edensim.dram.expressions import Expression, parse_expression
from edensim.exceptions import ConfigError, nearest
from edensim.vocabulary import Command, Level

_TEXTS = (
    "name",
    "source",
    "default_organization",
    "default_speed_bin",
    "read_latency",
    "write_latency",
)
_TABLES = ("organizations", "speed_bins", "derived_timings", "constraints", "supply", "currents")
_KEYS = (*_TEXTS, "prefetch", "commands", *_TABLES)
_INTERFACES = {
    "split": ("driver_ohm", "termination_ohm"),
    "pull-up": ("driver_ohm", "termination_ohm"),
    "none": ("load_pF",),
}
_ORGANIZATION = (
    "density_Mb",
    "device_width",
    "channel_width",
    "bankgroups",
    "banks",
    "rows",
    "columns",
)
_RATE = ("rate_MTps", "tck_ps")
_LIMITS = ("device_width_upto", "density_Mb_upto", "rate_MTps_upto")
_SUPPLY = ("vdd_V", "vdd_min_V", "vdd_max_V", "vpp_V")
_DEVICE = ("density_Mb", "device_width", "rate_MTps")
_IDD = (
    "idd0_mA",
    "idd2n_mA",
    "idd2p_mA",
    "idd3n_mA",
    "idd3p_mA",
    "idd4r_mA",
    "idd4w_mA",
    "idd5_mA",
    "idd6_mA",
)
_IDD_OPTIONAL = ("ipp0_mA", "idd5pb_mA")
#: Timings that every standard names alike, because energy and operating points read them.
REQUIRED_TIMINGS = (
    "nBL",
    "nCL",
    "nCWL",
    "nRCD",
    "nRP",
    "nRAS",
    "nRC",
    "nWR",
    "nRTP",
    "nRFC",
    "nREFI",
)

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class DerivedTiming:
    """One row of a derived timing: it applies where each of `limits` (`..._upto`) is not exceeded."""

    limits: dict[str, float]
    cycles: int | None
    duration_ns: float | None


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
    """Everything a standard's file says, for all its organizations and speed bins."""

    path: Path
    family: tuple[str, ...]  # the standard's name, then those it extends
    texts: dict[str, str]
    prefetch: int
    commands: tuple[Command, ...]
    read_latency: Expression
    write_latency: Expression
    organizations: dict[str, Row]
    speed_bins: dict[str, Row]
    derived_timings: dict[str, tuple[DerivedTiming, ...]]
    rules: tuple[Rule, ...]
    supply: Row
    currents_source: str
    currents: tuple[Row, ...]
    interface: dict[str, Any] | None

    @property
    def timing_names(self) -> list[str]:
        """Every timing that can be overridden."""
        row = next(iter(self.speed_bins.values()))
        return [name for name in row if name not in _RATE] + list(self.derived_timings)


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
    """File of a standard, `folder` looked at first. A name that ends in .yaml or has a path separator is a path.

    Raises ConfigError with the nearest known name.
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
        f"dram.standard: unknown standard {name!r}{nearest(name, known)}; known: {', '.join(known)}, or the path of a .yaml file"
    )


def read_standard_file(path: Path, folder: Path | None = None) -> StandardFile:
    """Read and check a standard's file and those it extends. Raises ConfigError with file, line and key."""
    document = _Document(path, folder)
    if document.stamps not in _read:
        _read[document.stamps] = _checked(path, document)
    return _read[document.stamps]


#: Files read and checked before, by path and time of change of each file they are made of: a sweep loads the same standard hundreds of times.
_read: dict[tuple[tuple[Path, int], ...], StandardFile] = {}


def _checked(path: Path, document: _Document) -> StandardFile:
    for key in _KEYS:
        if key not in document.values:
            raise ConfigError(f"{path}: key {key!r} is missing")
    for key in _TEXTS:
        document.text(key)
    organizations = document.table(
        "organizations", _ORGANIZATION, optional=("bankgroups",), closed=True
    )
    speed_bins = document.table("speed_bins", _RATE)
    derived = _derived_timings(document)
    known = {*next(iter(speed_bins.values())), *derived} - {*_RATE}
    for key in sorted(set(derived) & set(next(iter(speed_bins.values())))):
        raise document.refuse(
            f"derived_timings.{key}", "is also a column of speed_bins; expected one of the two"
        )
    for key in REQUIRED_TIMINGS:
        if key not in known:
            raise document.refuse(
                "speed_bins",
                f"timing {key!r} is missing; every standard has it here or in derived_timings",
            )
    for key, choices in (
        ("default_organization", organizations),
        ("default_speed_bin", speed_bins),
    ):
        document.choice(key, document.values[key], choices)
    prefetch = document.integer("prefetch", document.values["prefetch"])
    _check_organizations(document, organizations, prefetch)
    currents = document.values["currents"]
    document.keys(
        "currents", currents, ("source", "fields", "sets"), required=("source", "fields", "sets")
    )
    return StandardFile(
        path=path,
        family=tuple(document.family),
        texts={key: document.values[key] for key in _TEXTS},
        prefetch=prefetch,
        commands=document.commands("commands", document.values["commands"]),
        read_latency=document.expression("read_latency", document.values["read_latency"], known),
        write_latency=document.expression("write_latency", document.values["write_latency"], known),
        organizations=organizations,
        speed_bins=speed_bins,
        derived_timings=derived,
        rules=_rules(document, known),
        supply=_supply(document),
        currents_source=str(currents["source"]),
        currents=_currents(document),
        interface=_interface(document),
    )


def _check_organizations(document: _Document, organizations: dict[str, Row], prefetch: int) -> None:
    for name, row in organizations.items():
        row.setdefault("bankgroups", 1)
        where = f"organizations.{name}"
        bits = row["bankgroups"] * row["banks"] * row["rows"] * row["columns"] * row["device_width"]
        if bits != row["density_Mb"] * 2**20:
            raise document.refuse(
                where,
                f"banks, rows, columns and width make {bits / 2**20:g} Mb, but density_Mb is {row['density_Mb']:g}",
            )
        if row["channel_width"] % row["device_width"]:
            raise document.refuse(
                where,
                f"channel_width {row['channel_width']:g} is no multiple of device_width {row['device_width']:g}",
            )
        if row["columns"] % prefetch:
            raise document.refuse(
                where, f"columns {row['columns']:g} is no multiple of prefetch {prefetch}"
            )


def _derived_timings(document: _Document) -> dict[str, tuple[DerivedTiming, ...]]:
    derived = {}
    for name, rows in document.mapping("derived_timings").items():
        key = f"derived_timings.{name}"
        if not isinstance(rows, list) or not rows:
            raise document.refuse(
                key, "expected a list of rows such as {device_width_upto: 8, cycles: 4}"
            )
        parsed = []
        for number, row in enumerate(rows):
            where = f"{key}.{number}"
            document.keys(where, row, (*_LIMITS, "cycles", "ns"))
            for field in row:
                document.number(f"{where}.{field}", row[field])
            if ("cycles" in row) == ("ns" in row):
                raise document.refuse(where, "expected either cycles or ns")
            if "cycles" in row:
                document.integer(f"{where}.cycles", row["cycles"])
            parsed.append(
                DerivedTiming(
                    {k: row[k] for k in _LIMITS if k in row}, row.get("cycles"), row.get("ns")
                )
            )
        derived[name] = tuple(parsed)
    return derived


def _rules(document: _Document, known: set[str]) -> tuple[Rule, ...]:
    rows = document.values["constraints"]
    if not isinstance(rows, list):
        raise document.refuse("constraints", "expected a list")
    levels = {level.name.lower(): level for level in Level}
    rules = []
    for number, row in enumerate(rows):
        key = f"constraints.{number}"
        document.keys(
            key,
            row,
            ("level", "after", "before", "gap", "window", "sibling"),
            required=("level", "after", "before", "gap"),
        )
        document.choice(f"{key}.level", row["level"], levels)
        sibling = row.get("sibling", False)
        if not isinstance(sibling, bool):
            raise document.refuse(f"{key}.sibling", f"expected true or false, found {sibling!r}")
        if sibling and row["level"] == "channel":
            raise document.refuse(f"{key}.sibling", "channels have no parent, so no siblings")
        rules.append(
            Rule(
                level=levels[row["level"]],
                after=document.commands(f"{key}.after", row["after"]),
                before=document.commands(f"{key}.before", row["before"]),
                gap=document.expression(f"{key}.gap", row["gap"], known),
                window=document.integer(f"{key}.window", row.get("window", 1)),
                sibling=sibling,
            )
        )
    return tuple(rules)


def _supply(document: _Document) -> Row:
    supply = document.mapping("supply")
    document.keys("supply", supply, _SUPPLY, required=_SUPPLY[:3])
    row = {key: float(document.number(f"supply.{key}", value)) for key, value in supply.items()}
    if not 0 < row["vdd_min_V"] <= row["vdd_V"] <= row["vdd_max_V"]:
        raise document.refuse("supply", "expected 0 < vdd_min_V <= vdd_V <= vdd_max_V")
    return row


def _interface(document: _Document) -> dict[str, Any] | None:
    if "interface" not in document.values:
        return None
    row = document.mapping("interface")
    document.keys(
        "interface",
        row,
        ("scheme", "vddq_V", "driver_ohm", "termination_ohm", "load_pF"),
        required=("scheme",),
    )
    needed = (
        "scheme",
        "vddq_V",
        *_INTERFACES[document.choice("interface.scheme", row["scheme"], _INTERFACES)],
    )
    document.keys("interface", row, needed, required=needed)
    for key in needed[1:]:
        if document.number(f"interface.{key}", row[key]) <= 0:
            raise document.refuse(f"interface.{key}", "expected a number above 0, found 0")
    return dict(row)


def _currents(document: _Document) -> tuple[Row, ...]:
    currents = document.values["currents"]
    fields = document.fields(
        "currents.fields",
        currents["fields"],
        (*_DEVICE, *_IDD),
        optional=_IDD_OPTIONAL,
        closed=True,
    )
    if not isinstance(currents["sets"], list) or not currents["sets"]:
        raise document.refuse("currents.sets", "expected a list of rows")
    return tuple(
        document.row(f"currents.sets.{number}", row, fields)
        for number, row in enumerate(currents["sets"])
    )


@cache
def _load(path: Path, modified_ns: int) -> tuple[dict[str, Any], dict[str, int]]:
    """A file's content."""
    return load_yaml(path)


class _Document:
    """The merged content of a file and those it extends, which knows where each key stands."""

    def __init__(self, path: Path, folder: Path | None) -> None:
        self.values: dict[str, Any] = {}
        self.family: list[str] = []
        self._origins: dict[str, tuple[Path, dict[str, int]]] = {}
        visited: list[Path] = []
        following: Path | None = path
        self.stamps: tuple[tuple[Path, int], ...] = ()
        while following is not None:
            if following in visited:
                raise ConfigError(
                    f"{path}: `extends` goes in a circle: {' -> '.join(each.stem for each in [*visited, following])}"
                )
            visited.append(following)
            following = self._add(following, folder)

    def _add(self, path: Path, folder: Path | None) -> Path | None:
        """Take the keys that are not there yet; returns the file that this one extends."""
        if not path.is_file():
            raise ConfigError(f"dram.standard: there is no file {path}")
        modified_ns = path.stat().st_mtime_ns
        self.stamps += ((path, modified_ns),)
        values, lines = _load(path, modified_ns)
        for key in values:
            if key not in (*_KEYS, "interface", "extends"):
                raise ConfigError(
                    f"{path}:{lines[key]}: unknown key {key!r}{nearest(key, (*_KEYS, 'interface', 'extends'))}"
                )
            if key not in self.values and key != "extends":
                self.values[key] = values[key]
                self._origins[key] = (path, lines)
        self.family.append(str(values.get("name", path.stem)))
        if "extends" not in values:
            return None
        parent = values["extends"]
        if not isinstance(parent, str):
            raise ConfigError(
                f"{path}:{lines['extends']}: extends: expected the name of a standard, found {parent!r}"
            )
        beside = path.parent / f"{parent}.yaml"
        return beside if beside.is_file() else find_standard(parent, folder)

    def refuse(self, key: str, message: str) -> ConfigError:
        """The exception for a dotted key, with the file and line it came from."""
        path, lines = self._origins[key.split(".")[0]]
        known = key
        while known not in lines and "." in known:
            known = known.rpartition(".")[0]
        return ConfigError(f"{path}:{lines.get(known, 1)}: {key}: {message}")

    def text(self, key: str) -> str:
        value = self.values[key]
        if not isinstance(value, str):
            raise self.refuse(
                key,
                f"expected text, found {value!r}{' (a number needs quotes here)' if isinstance(value, int | float) else ''}",
            )
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.values[key]
        if not isinstance(value, dict):
            raise self.refuse(key, f"expected keys and values, found {value!r}")
        return value

    def keys(
        self, key: str, value: Any, known: Iterable[str], required: Iterable[str] = ()
    ) -> None:
        known = tuple(known)
        if not isinstance(value, dict):
            raise self.refuse(key, f"expected keys and values, found {value!r}")
        for each in value:
            if each not in known:
                raise self.refuse(f"{key}.{each}", f"unknown key {each!r}{nearest(each, known)}")
        for each in required:
            if each not in value:
                raise self.refuse(key, f"key {each!r} is missing")

    def number(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            quoted = " (quotes make it text)" if isinstance(value, str) else ""
            raise self.refuse(
                key, f"expected a number that is not negative, found {value!r}{quoted}"
            )
        return value

    def integer(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.refuse(key, f"expected a positive whole number, found {value!r}")
        return value

    def choice(self, key: str, value: Any, known: Iterable[str]) -> str:
        known = tuple(known)
        if value not in known:
            raise self.refuse(
                key,
                f"unknown value {value!r}{nearest(str(value), known)}; expected one of {', '.join(known)}",
            )
        return str(value)

    def commands(self, key: str, value: Any) -> tuple[Command, ...]:
        if not isinstance(value, list) or not value:
            raise self.refuse(key, f"expected a list of commands, found {value!r}")
        allowed = self.values["commands"] if key != "commands" else list(Command.__members__)
        return tuple(Command[self.choice(key, each, allowed)] for each in value)

    def expression(self, key: str, value: Any, known: set[str]) -> Expression:
        try:
            parsed = parse_expression(str(value))
        except ConfigError as exception:
            raise self.refuse(key, str(exception)) from None
        for name in sorted(parsed.names - known):
            raise self.refuse(key, f"unknown timing {name!r}{nearest(name, known)}")
        return parsed

    def fields(
        self,
        key: str,
        value: Any,
        required: tuple[str, ...],
        optional: tuple[str, ...] = (),
        closed: bool = False,
    ) -> list[str]:
        """The header of a table: all of `required` (but not `optional`), other columns only in an open table."""
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.refuse(key, "expected a list of column names")
        for number, each in enumerate(value):
            if each in value[:number]:
                raise self.refuse(key, f"column {each!r} appears twice")
            if closed and each not in required and each not in optional:
                raise self.refuse(
                    key, f"unknown column {each!r}{nearest(each, (*required, *optional))}"
                )
        for each in required:
            if each not in value and each not in optional:
                raise self.refuse(key, f"column {each!r} is missing")
        return value

    def table(
        self,
        key: str,
        required: tuple[str, ...],
        optional: tuple[str, ...] = (),
        closed: bool = False,
    ) -> dict[str, Row]:
        content = self.mapping(key)
        if "fields" not in content or len(content) < 2:
            raise self.refuse(key, "expected `fields: [...]` and at least one row")
        fields = self.fields(f"{key}.fields", content["fields"], required, optional, closed)
        rows = {
            name: self.row(f"{key}.{name}", row, fields)
            for name, row in content.items()
            if name != "fields"
        }
        for name, row in rows.items():
            for field, value in row.items():
                if value != int(value) or (value < 1 and field in required):
                    raise self.refuse(
                        f"{key}.{name}", f"{field}: expected a whole number, found {value!r}"
                    )
        return rows

    def row(self, key: str, value: Any, fields: list[str]) -> Row:
        if not isinstance(value, list) or len(value) != len(fields):
            found = f"{len(value)}" if isinstance(value, list) else repr(value)
            raise self.refuse(
                key, f"expected {len(fields)} values ({', '.join(fields)}), found {found}"
            )
        for field, each in zip(fields, value, strict=True):
            if (
                type(each) is not int
            ):  # the checks of number() only where they can matter: tables are most of the file
                self.number(f"{key}.{field}", each)
            elif each < 0:
                raise self.refuse(
                    key, f"{field}: expected a number that is not negative, found {each}"
                )
        return dict(zip(fields, value, strict=True))
