"""Damaged and hostile data sets are refused by name, before memory is allocated."""

import gzip
import io
import struct
import tarfile
import zlib

import pytest

from edensim.accuracy.dataset_files import read_idx, read_images
from edensim.exceptions import InputError

LABELS = struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes(2)


def _idx(*shape: int, values: int) -> bytes:
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(values)


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64)))


def _damaged_gzip() -> bytes:
    content = bytearray(gzip.compress(bytes(range(256)) * 64))
    content[20:40] = bytes(20)
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("im.gz", _damaged_gzip()),
        ("im.gz", gzip.compress(_idx(2, 8, 8, values=128))[:-20]),
        ("im.gz", gzip.compress(_idx(2, 8, 8, values=1 << 28))),
        ("im", _idx(2**32 - 1, 2**32 - 1, 2**32 - 1, values=10)),
        ("im", _idx(2, 8, 8, values=127)),
        ("im", _idx(2, 8, values=0)),
        ("im", b"\0\0\x08\x03\0\0"),
        ("im", b""),
    ],
    ids=["damaged", "cut", "bomb", "huge", "short", "flat", "header", "empty"],
)
def test_damaged_idx_files_are_refused(tmp_path, name, images):
    (tmp_path / name).write_bytes(images)
    (tmp_path / "la").write_bytes(LABELS)
    with pytest.raises(InputError, match=rf"{name}: "):
        read_idx("d", "test", tmp_path / name, tmp_path / "la")


@pytest.mark.parametrize(
    "image", [_png(49152, 49535), _png(30000, 30000), b"\x89PNG\r\n", b"GIF89a"]
)
def test_images_that_explode_are_refused(tmp_path, image):
    pytest.importorskip("PIL")
    (tmp_path / "0001_a.png").write_bytes(image)
    with pytest.raises(InputError, match=r"0001_a\.png: "):
        read_images(tmp_path, "test", None, None)


def test_archives_are_read_where_they_lie_and_large_members_are_refused(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("../../0001_evil.png")
        member.size = 1 << 27
        archive.addfile(member, io.BytesIO(bytes(1 << 27)))
    with pytest.raises(InputError, match="134,217,728 bytes; expected an image of at most"):
        read_images(path, "test", None, None)
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("0001_a.png")
        member.size = 4096
        archive.addfile(member, io.BytesIO(bytes(range(256)) * 16))
    content = bytearray(path.read_bytes())
    content[60:70] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tar\.gz: "):
        read_images(path, "test", None, None)
