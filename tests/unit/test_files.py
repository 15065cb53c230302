"""Whatever a library raises over a damaged file becomes an exception that names the file."""

import json
import struct
import zipfile
import zlib

import pytest

from edensim.exceptions import DataError, InputError
from edensim.files import parse_json, read_json, read_text, reading


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("v"),
        OverflowError("o"),
        RecursionError(),
        MemoryError(),
        KeyError("k"),
        struct.error("s"),
        zlib.error("z"),
        zipfile.BadZipFile("b"),
        NotImplementedError("version"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        OSError(5, "Input/output error"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_whatever_a_library_raises_names_the_file(problem):
    with pytest.raises(DataError, match=r"^a\.npz: .*a map"), reading("a.npz", "a map", DataError):
        raise problem


def test_exceptions_of_edensim_pass_unchanged():
    with pytest.raises(InputError, match="^own$"), reading("a", "b", DataError):
        raise InputError("own")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1" * 21])
def test_numbers_of_json_are_finite_and_have_64_bits(number):
    with pytest.raises(InputError, match=r"^r\.json: expected "):
        parse_json(f'{{"a": {number}}}', "r.json", "a result")


def test_numbers_that_fit_are_read_exactly():
    values = [2**64 - 1, -(2**63), 1.7976931348623157e308, 0.1]
    assert parse_json(json.dumps(values), "r.json", "a result") == values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\x8b"}', "not UTF-8 text .byte 7"),
        (b'{"a":\n [}', r"r\.json:2: not a result"),
    ],
)
def test_damaged_json_is_named(tmp_path, content, message):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "r.json", "a result")


def test_a_text_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "t").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="1,099,511,627,776 bytes; expected a text of at most"):
        read_text(tmp_path / "t", "a text")
