"""Do weights come back from files, and is a file of another network refused?"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from edensim.exceptions import NetworkError
from tests.locations import SHARED

torch = pytest.importorskip("torch", reason="networks are run by torch (extra torch)")

DATASETS = SHARED / "datasets"


def build(name: str = "lenet", shape: tuple[int, int, int] = (1, 8, 8)):
    from edensim.accuracy.networks.registry import build

    return build(name, shape, 10)


def load(module, path: Path, name: str = "lenet"):
    from edensim.accuracy.weights import load_weights

    return load_weights(module, path, name)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    from edensim.accuracy.weights import save_weights

    module, other = build(), build()
    torch.nn.init.normal_(module.conv1.weight)
    save_weights(module, tmp_path / "a.pt", ((0.5,), (0.25,)))
    assert load(other, tmp_path / "a.pt") == ((0.5,), (0.25,))
    assert all(
        torch.equal(one, two)
        for one, two in zip(module.state_dict().values(), other.state_dict().values(), strict=True)
    )
    torch.save(
        {f"module.{key}": value for key, value in module.state_dict().items()}, tmp_path / "bare.pt"
    )
    assert load(other, tmp_path / "bare.pt") is None


@pytest.mark.parametrize(
    ("name", "file", "parameters"),
    [("resnet20", "resnet20-12fca82f.th", 269_722), ("resnet32", "resnet32-d509ac18.th", 464_154)],
)
def test_published_residual_networks_load(name: str, file: str, parameters: int) -> None:
    if not (DATASETS / file).exists():
        pytest.skip("the published weights are not beside this checkout")
    module = build(name, (3, 32, 32))
    assert sum(each.numel() for each in module.parameters()) == parameters
    load(module, DATASETS / file, name)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with pytest.raises(NetworkError, match="there is no such file of weights"):
        load(build(), path)
    torch.save(build("resnet20", (3, 32, 32)).state_dict(), path)
    with pytest.raises(
        NetworkError, match="weights of another network than lenet: lacks 7 tensors"
    ):
        load(build(), path)
    torch.save(build(shape=(1, 28, 28)).state_dict(), path)
    with pytest.raises(
        NetworkError, match="conv1.weight: expected the shape 20x1x3x3 of lenet, found 20x1x5x5"
    ):
        load(build(), path)
    broken = build()
    broken.fc1.weight.data[3, 4] = torch.nan
    torch.save(broken.state_dict(), path)
    with pytest.raises(NetworkError, match="fc1.weight: has 1 values that are not finite"):
        load(build(), path)
    torch.save([1, 2], path)
    with pytest.raises(NetworkError, match="expected a state dict"):
        load(build(), path)
    path.write_bytes(b"text")
    with pytest.raises(NetworkError, match="torch cannot load it as weights"):
        load(build(), path)


class Harm:
    """Code that an unpickler would run."""

    def __reduce__(self):
        return Path.touch, (Path("harm"),)


def test_files_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for write in (
        lambda path: torch.save({"state_dict": Harm()}, path),
        lambda path: path.write_bytes(pickle.dumps(Harm())),
    ):
        write(tmp_path / "w.pt")
        with pytest.raises(NetworkError, match="torch cannot load it as weights"):
            load(build(), tmp_path / "w.pt")
    assert not (tmp_path / "harm").exists()


def test_unknown_networks_are_refused_with_the_nearest() -> None:
    with pytest.raises(NetworkError, match="unknown network 'resnet21'; did you mean 'resnet"):
        build("resnet21")
    with pytest.raises(NetworkError, match="an input of 4x4; expected 6x6 or more"):
        build(shape=(1, 4, 4))
