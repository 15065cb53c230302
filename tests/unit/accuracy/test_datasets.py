"""Are labelled images read as they were written, and is what is wrong with them said?"""

from __future__ import annotations

import gzip
import io
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edensim.accuracy.dataset import Dataset, normalization_of, normalized
from edensim.accuracy.datasets import load_dataset
from edensim.exceptions import InputError

RANDOM = np.random.default_rng(1)


def write_idx(folder: Path, labels: np.ndarray, images: np.ndarray, *, suffix: str = "") -> None:
    for name, array in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        data = (
            bytes((0, 0, 8, array.ndim))
            + np.array(array.shape, ">u4").tobytes()
            + array.astype(np.uint8).tobytes()
        )
        (folder / (name + suffix)).write_bytes(gzip.compress(data) if suffix else data)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path: Path, suffix: str) -> None:
    images = RANDOM.integers(0, 256, (20, 28, 28))
    write_idx(tmp_path, np.arange(20) % 10, images, suffix=suffix)
    found = load_dataset(tmp_path)
    assert found.shape == (1, 28, 28)
    assert np.array_equal(found.images[:, 0], images)
    assert found.labels.tolist() == list(range(10)) * 2
    few = load_dataset(tmp_path, images=5)
    assert len(few) == 5
    assert np.array_equal(few.images, load_dataset(tmp_path, images=5).images)


def test_idx_files_that_do_not_fit(tmp_path: Path) -> None:
    write_idx(tmp_path, np.arange(19) % 10, RANDOM.integers(0, 256, (20, 28, 28)))
    with pytest.raises(InputError, match="19 labels; expected one for each of the 20 images"):
        load_dataset(tmp_path)
    write_idx(tmp_path, np.full(20, 11), RANDOM.integers(0, 256, (20, 28, 28)))
    with pytest.raises(InputError, match="labels from 11 to 11; expected 0 to 9"):
        load_dataset(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
        b"\x00\x00\x08\x03" + np.array([20, 28, 28], ">u4").tobytes() + b"\x01" * 100
    )
    with pytest.raises(InputError, match="100 bytes of values; expected 20x28x28"):
        load_dataset(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"P5 28 28 255")
    with pytest.raises(
        InputError, match="expected an idx file of bytes with 3 dimensions, found 50352032"
    ):
        load_dataset(tmp_path)


def test_cifar_binaries(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    records = RANDOM.integers(0, 256, (30, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    records[:10].tofile(folder / "test_batch.bin")
    for number in (1, 2):
        records[10 * number : 10 * number + 10].tofile(folder / f"data_batch_{number}.bin")
    (folder / "batches.meta.txt").write_text(
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"
    )
    test, train = load_dataset(tmp_path), load_dataset(tmp_path, "train")
    assert test.classes[3] == "cat"
    assert np.array_equal(test.images.reshape(10, -1), records[:10, 1:])
    assert np.array_equal(train.labels, records[10:, 0])
    (folder / "test_batch.bin").write_bytes(b"\x01" * 3000)
    with pytest.raises(InputError, match="3000 bytes; expected records of 3073"):
        load_dataset(tmp_path)


def png(shape: tuple[int, int], value: int) -> bytes:
    image = pytest.importorskip("PIL.Image", reason="image files are read by pillow (extra torch)")
    data = io.BytesIO()
    image.fromarray(np.full((*shape, 3), value, np.uint8)).save(data, "png")
    return data.getvalue()


def test_image_folders_and_archives_are_the_same(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "pictures.tar.gz", "w:gz") as archive:
        for split in ("train", "test"):
            for number, name in enumerate(("cat", "dog")):
                for each in range(3):
                    data = png((8, 8), 100 * number + each + (50 if split == "train" else 0))
                    path = tmp_path / "pictures" / split / name / f"{each}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                    member = tarfile.TarInfo(f"./{split}/{name}/{each}.png")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    for source in ("pictures", "pictures.tar.gz"):
        found = load_dataset(tmp_path / source)
        assert found.classes == ("cat", "dog")
        assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
        assert load_dataset(tmp_path / source, "train").images[0, 0, 0, 0] == 50


def test_names_may_begin_with_the_class(tmp_path: Path) -> None:
    for number in (3, 700):
        (tmp_path / f"{number:04d}_n0_x.png").write_bytes(png((40, 60), number % 256))
    found = load_dataset(tmp_path, size=28)
    assert found.labels.tolist() == [3, 700]
    assert found.shape == (3, 28, 28)
    assert len(found.classes) == 1000


def test_images_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such data set; expected digits"):
        load_dataset("cifar11")
    with pytest.raises(InputError, match="has no images"):
        load_dataset(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(png((8, 8), 1))
    (tmp_path / "a" / "2.png").write_bytes(png((9, 8), 1))
    with pytest.raises(InputError, match="2.png: 9x8; expected 8x8 as the first has; say a size"):
        load_dataset(tmp_path)
    (tmp_path / "a" / "2.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="2.png: not an image that can be read"):
        load_dataset(tmp_path)
    (tmp_path / "b.tar").write_bytes(b"no archive")
    with pytest.raises(InputError, match="folder of images, or a tar archive"):
        load_dataset(tmp_path / "b.tar")


def test_digits_have_two_splits() -> None:
    if find_spec("sklearn") is None:
        pytest.skip("the digits are scikit-learn's (extra torch)")
    test, train = load_dataset("digits"), load_dataset("digits", "train")
    assert (len(test), len(train), test.shape) == (360, 1437, (1, 8, 8))


def test_normalization_gives_mean_0_and_deviation_1() -> None:
    data = Dataset(
        "noise",
        "test",
        RANDOM.integers(0, 256, (50, 3, 8, 8), dtype=np.uint8),
        np.zeros(50, np.int64),
        ("a",),
    )
    values = normalized(data.images, normalization_of(data.images))
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert values.std() == pytest.approx(1, abs=0.01)


def test_a_data_set_that_others_install_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edensim.accuracy import datasets

    monkeypatch.setattr(
        datasets, "INSTALLED", {"fashion-mnist": (tmp_path / "nowhere", "dataset-fashion-mnist")}
    )
    monkeypatch.setenv("EDENSIM_DATA", str(tmp_path / "data"))
    with pytest.raises(
        InputError, match=r"fashion-mnist: is not here; `apt-get install dataset-fashion-mnist`"
    ):
        datasets.load_dataset("fashion-mnist")
    with pytest.raises(InputError, match=r"did you mean 'fashion-mnist'"):
        datasets.load_dataset("fashion-mnst")
    folder = tmp_path / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    (folder / "t10k-images-idx3-ubyte").write_bytes(
        bytes((0, 0, 8, 3)) + np.array([2, 4, 4], ">u4").tobytes() + bytes(32)
    )
    (folder / "t10k-labels-idx1-ubyte").write_bytes(
        bytes((0, 0, 8, 1)) + np.array([2], ">u4").tobytes() + bytes((1, 9))
    )
    assert datasets.load_dataset("fashion-mnist").labels.tolist() == [1, 9]
