"""Headers of .npy and .npz files are checked before memory is allocated; damage names the file."""

import contextlib
import io
import struct
import zipfile

import numpy as np
import pytest

from edensim.bit_errors.files import read_array
from edensim.bit_errors.selection import read_map, select_model
from edensim.exceptions import DataError, InputError


def _npy(description: str, values: bytes = b"") -> bytes:
    header = description.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


def _saved(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"
DAMAGED = {
    "huge shape": _npy(HEADER.format("|b1", "(4, 2147483648)"), bytes(64)),
    "more than 64 bits": _npy(HEADER.format("|u1", "(9" + "9" * 40 + ",)"), bytes(64)),
    "negative": _npy(HEADER.format("|u1", "(-4,)"), bytes(64)),
    "unclosed": _npy("{'descr': ((((  "),
    "objects": _npy(HEADER.format("|O", "(4,)"), bytes(64)),
    "cut short": _saved(np.arange(100))[:-8],
    "too long": _saved(np.arange(100)) + b"x",
    "version": b"\x93NUMPY\x09\x00" + bytes(100),
    "pickle": b"\x80\x04N.",
    "deep": _npy("(" * 5000),
    "empty": b"",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_arrays_are_refused(tmp_path, damage):
    (tmp_path / "a.npy").write_bytes(DAMAGED[damage])
    with pytest.raises(InputError, match=r"a\.npy: "):
        read_array(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("errors.npy", DAMAGED[damage])
    with pytest.raises(DataError, match=r"m\.npz: "):
        read_map(tmp_path / "m.npz")


@pytest.mark.parametrize(
    "array",
    [
        np.array(1.5),
        np.zeros((0, 3)),
        np.arange(24, dtype=">i2").reshape(2, 3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    ],
    ids=["0-d", "empty", "big-endian", "fortran"],
)
def test_arrays_are_read_as_numpy_reads_them(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    found = read_array(tmp_path / "a.npy")
    assert found.dtype == array.dtype
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("block", [1 << 24, 4096, 100])
def test_maps_are_counted_block_by_block(tmp_path, monkeypatch, order, block):
    monkeypatch.setattr("edensim.bit_errors.array_files.BLOCK_BYTES", block)
    monkeypatch.setattr("edensim.bit_errors.selection._BLOCK_CELLS", block)
    rng = np.random.default_rng(1)
    weak = rng.random((20, 32)) < 0.2
    errors = np.asarray((rng.random((300, 20, 32)) < 0.4) & weak, order=order)
    stored = rng.integers(0, 2, (20, 32))
    np.savez_compressed(tmp_path / "a.npz", errors=errors, stored=stored)
    wrong = errors.sum(axis=0)
    np.savez_compressed(tmp_path / "b.npz", wrong=wrong, reads=300, stored=stored)
    first, second = read_map(tmp_path / "a.npz"), read_map(tmp_path / "b.npz")
    for map_ in (first, second):
        np.testing.assert_array_equal(map_.wrong, wrong)
        np.testing.assert_array_equal(map_.stored, stored)
    assert first.wrong.dtype == np.uint16
    assert select_model(first).to_dict() == select_model(second).to_dict()


def test_a_map_of_too_many_cells_is_refused_before_it_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = HEADER.format("|u1", "(2, 16384, 32768)")
        archive.writestr("errors.npy", _npy(header, bytes(1 << 30)))
    with pytest.raises(DataError, match="16384 x 32768 cells; expected at most 268,435,456"):
        read_map(tmp_path / "m.npz")


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_damaged_archives_are_refused_or_read(tmp_path, at):
    np.savez_compressed(tmp_path / "m.npz", wrong=np.eye(8, dtype=np.int64), reads=4)
    content = bytearray((tmp_path / "m.npz").read_bytes())
    content[at % len(content)] ^= 0x55
    (tmp_path / "m.npz").write_bytes(content)
    with contextlib.suppress(DataError):
        read_map(tmp_path / "m.npz")
