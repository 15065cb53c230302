"""Files of weights run no code and do not explode."""

import os
import pickle
import zipfile

import pytest

torch = pytest.importorskip("torch")

from edensim.accuracy.weights import read_weights  # noqa: E402
from edensim.exceptions import NetworkError  # noqa: E402


class _Command:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_in_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"w": _Command()}))
    torch.save({"w": _Command()}, tmp_path / "z.pt")
    for name in ("w.pt", "z.pt"):
        with pytest.raises(NetworkError, match=name):
            read_weights(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_an_archive_that_explodes_is_refused(tmp_path):
    torch.save({"w": torch.zeros(8)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/9", bytes(1 << 26))
    with pytest.raises(NetworkError, match=r"w\.pt: .*unpacks to 67,"):
        read_weights(tmp_path / "w.pt")
