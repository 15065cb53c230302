"""Is the report of the paper's results put together right?"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edensim.exceptions import InputError
from edensim.plots.style import new_figure
from edensim.reproduction.published import published
from edensim.reproduction.report import (
    comparison_cells,
    html,
    largest_disagreements,
    markdown_table,
)
from edensim.reproduction.section import Picture, Reproduction, Row, Section, Table
from edensim.reproduction.target import crossing, scope_of
from edensim.reproduction.targets import TARGETS, targets_named


def test_there_are_twelve_targets_in_order() -> None:
    assert [target.number for target in TARGETS] == list(range(1, 13))
    assert [target.name for target in targets_named(["2", "rates"])] == ["cpu-speed", "rates"]
    with pytest.raises(InputError, match=r"unknown target 'cpu-sped'.*cpu-speed"):
        targets_named(["cpu-sped"])


def test_every_published_bar_is_the_share_of_vdd_taken_off() -> None:
    for precision, networks in published()["cpu"].items():
        for network, said in networks.items():
            assert said["saved"] == pytest.approx(
                100 * published()["table3"][network][precision][1] / 1.2, abs=0.005
            )


def test_published_curves_have_a_value_at_each_point() -> None:
    for figure in ("ber_vdd", "ber_trcd"):
        for said in published()[figure].values():
            assert {len(values) for values in said.values()} == {len(said["at"])}
    for said in (published()["lenet_vdd"], published()["lenet_trcd"], published()["retraining"]):
        assert {len(values) for values in said.values()} == {len(said["at"])}
    bers = published()["shapes"]["at"]
    assert all(
        len(curve) == len(bers)
        for model in "0123"
        for curve in published()["shapes"][model].values()
    )


def test_crossing_lies_between_points_on_a_logarithmic_scale() -> None:
    assert crossing([1e-4, 1e-2], [0.9, 0.5], 0.7) == pytest.approx(1e-3)
    assert crossing([1e-4, 1e-2], [0.6, 0.5], 0.7) is None
    assert crossing([1e-4, 1e-2], [0.9, 0.8], 0.7) == 1e-2


def test_tasks_of_the_same_work_are_one_task() -> None:
    asked = scope_of(full=False, datasets=None)
    by_name = {
        target.name: {task.key for task in target.tasks(asked).values()} for target in TARGETS
    }
    assert by_name["cpu-energy"] < by_name["cpu-speed"]
    assert by_name["breakdown"] < by_name["gpu"] | by_name["accelerators"]


def result() -> Reproduction:
    rows = [
        Row("speed", 1.08, 1.01, "times", "few activations | exposed", key=True),
        Row("BER", 1e-3, 1e-2, "BER", "another module", (1e-4, 1e-1), key=True),
        Row("nothing", None, None, "%", "no weights"),
    ]
    table = Table("Why", ["a", "b"], [["1", "2"]])
    section = Section(
        number=2,
        name="cpu-speed",
        title="Speed",
        rows=rows,
        text=["Text with <b>marks</b> and `code`."],
        tables=[table],
        pictures=[Picture("picture", "a picture", lambda: new_figure(3, 2, ""))],
    )
    return Reproduction((section,), False, 5, 12.0)


def test_rows_say_published_ours_difference_and_why() -> None:
    lines = markdown_table(
        *comparison_cells([("", row) for row in result().sections[0].rows])
    ).splitlines()
    assert lines[0] == "| what | published | ours | difference | why |"
    assert lines[2] == "| speed | 1.08 times | 1.01 times | -0.07 | few activations \\| exposed |"
    assert lines[3] == "| BER | 0.001 BER | 0.01 BER (0.0001 to 0.1) | x 10 | another module |"
    assert lines[4] == "| nothing | not given | none |  | no weights |"


def test_the_largest_disagreement_counts_gains_not_speeds() -> None:
    [(_, row)] = largest_disagreements(result())
    assert row.what == "BER"


def test_the_page_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "picture.svg").write_text("<svg/>")
    page = html(result(), tmp_path)
    assert page.count("<table>") == 3  # summary, rows, one more
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "&lt;b&gt;marks&lt;/b&gt; and <code>code</code>." in page
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+" alt="a picture"' in page


def test_rows_come_back_from_json() -> None:
    rows = result().sections[0].rows
    assert [Row.from_dict(json.loads(json.dumps(row.to_dict()))) for row in rows] == list(rows)


def test_full_tests_what_a_folder_holds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs --datasets DIR"):
        scope_of(full=True, datasets=None)
    with pytest.raises(InputError, match=r"cifar10-jpeg.tar.gz: there is no such file"):
        scope_of(full=True, datasets=tmp_path)
    for name in (
        "cifar10-jpeg.tar.gz",
        "resnet20-12fca82f.th",
        "imagenet-1000.tar",
        "mobilenetv2.pt",
    ):
        (tmp_path / name).touch()
    asked = scope_of(full=True, datasets=tmp_path)
    assert [source.network for source in asked.sources] == ["lenet", "resnet20"]
    [imagenet] = [
        source for source in asked.coarse_only if source.data.endswith("imagenet-1000.tar")
    ]
    assert (imagenet.network, imagenet.size) == ("mobilenetv2", 224)
    [coarse] = targets_named(["coarse"])
    own = [
        task.arguments
        for name, task in coarse.tasks(asked).items()
        if name.startswith("mobilenetv2")
    ]
    assert [(each["workload"]["precision"], each["boosted"]) for each in own] == [
        ("fp32", False),
        ("int8", False),
    ]
