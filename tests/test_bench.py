"""The harness of the benches: order, median, memory, and what it prints."""

from __future__ import annotations

import json
import mmap
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import harness as bench

WAYS = """
    import os, sys, time
    from benchmarks.harness import Bench, Skip

    LOG = {log!r}

    def way(name, seconds, megabytes):
        def prepare(case):
            print("a way may print")
            if name == "skips":
                raise Skip("it has no hands")
            pid = os.getpid()
            kept = b"x" * case                 # the preparation counts as memory, not as time
            def call():
                with open(LOG, "a") as log:
                    log.write(f"{{name}} {{pid}}\\n")
                assert len(kept) == case
                block = b"x" * (megabytes * 1_000_000)
                time.sleep(seconds)
            return call
        return prepare

    BENCH = Bench("toy", cases={{"small": 1000, "large": 60_000_000}}, framework=False, ways={{
        "slow": way("slow", 0.3, 1), "ours": way("ours", 0.05, 100), "skips": way("skips", 0, 0)}},
        full={{"other": way("other", 0, 0)}})
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(textwrap.dedent(WAYS).format(log=str(tmp_path / "log")))
    return path


def test_ways_alternate_each_in_its_own_process(toy: Path) -> None:
    rows = bench.run(toy, cases=["small"])
    calls = [line.split() for line in (toy.parent / "log").read_text().splitlines()]
    assert [name for name, _ in calls] == ["slow", "ours"] + ["slow", "ours"] * 3  # warm-ups, then turns
    assert len({pid for _, pid in calls}) == 2
    assert [(row["case"], row["way"]) for row in rows] == [("small", "slow"), ("small", "ours")]


def test_further_ways_when_asked_for(toy: Path) -> None:
    rows = bench.run(toy, cases=["small"], repeats=1, full=True)
    assert [row["way"] for row in rows] == ["slow", "ours", "other"]


def test_ratio_and_peak(toy: Path) -> None:
    rows = {(row["case"], row["way"]): row for row in bench.run(toy, repeats=1)}
    slow, ours = rows["small", "slow"], rows["small", "ours"]
    assert set(slow) == {"case", "way", "seconds", "peak_mb", "ratio"}
    assert slow["seconds"] >= 0.3 and ours["seconds"] >= 0.05
    assert ours["ratio"] == 1 and slow["ratio"] == pytest.approx(slow["seconds"] / ours["seconds"], rel=0.01)
    assert 95 < ours["peak_mb"] < 130 and slow["peak_mb"] < 20  # the file's own block, not Python's memory
    assert 155 < rows["large", "ours"]["peak_mb"] < 190  # with what its preparation keeps


def test_what_is_wrong_is_said(tmp_path: Path, toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        bench.run(tmp_path / "nothing.py")
    with pytest.raises(ValueError, match="'tiny'; it has small, large"):
        bench.run(toy, cases=["tiny"])
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ValueError, match="declares no BENCH"):
        bench.run(tmp_path / "empty.py")
    with pytest.raises(ValueError, match="'ours'"):
        bench.Bench("x", cases={"a": 1}, ways={"theirs": lambda case: lambda: None})
    bad = "from benchmarks.harness import Bench\ndef ours(case): return lambda: 1 / 0\n"
    (tmp_path / "bad.py").write_text(bad + "BENCH = Bench('bad', {'a': 1}, {'ours': ours}, framework=False)")
    with pytest.raises(ChildProcessError, match="bench bad, case a, way ours failed"):
        bench.run(tmp_path / "bad.py")
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_without_the_systems_help_memory_is_watched() -> None:
    with bench._watched_memory() as peak:
        block = mmap.mmap(-1, 80_000_000)  # from the system: malloc may still have what was freed before
        block[::1024] = b"x" * len(range(0, len(block), 1024))
        time.sleep(0.2)
        assert 70 < peak() < 120


def test_every_bench_of_the_course_declares_one(project: Path) -> None:
    assert "import_time" in bench.names()
    for name in bench.names():
        assert bench.load(project / "benchmarks" / f"{name}.py").name == name


def test_recorded_results_have_the_agreed_form(project: Path) -> None:
    for path in (project / "benchmarks" / "results").glob("*.json"):
        result = json.loads(path.read_text())
        assert result["bench"] == path.stem and result["rows"]
        assert all(set(row) == {"case", "way", "seconds", "peak_mb", "ratio"} for row in result["rows"])
        assert result["environment"]["device"]


def test_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from course_utils import runs

    monkeypatch.setattr(runs, "environment", lambda: {"device": "a slide rule"})
    rows = [{"case": "a", "way": "ours", "seconds": 1.0, "peak_mb": 2.0, "ratio": 1.0}]
    path = bench.record("toy", rows, tmp_path / "results")
    expected = {"bench": "toy", "rows": rows, "environment": {"device": "a slide rule"}}
    assert json.loads(path.read_text()) == expected


def test_the_ways_of_vgg16_give_the_same_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import vgg16

    monkeypatch.setattr(vgg16, "SIDE", 32)
    answers = [vgg16.BENCH.ways[way](1)() for way in ("predict", "call", "ours")]
    assert answers[0].shape == (1, 1, 1, 512) and answers[0].max() > 1
    for each in answers[1:]:
        np.testing.assert_allclose(each, answers[0], rtol=1e-3, atol=1e-3)
    rows = [{"case": name, "way": "ours", "seconds": 1.0} for name in vgg16.BENCH.cases]
    found = vgg16.shares([*rows, {"case": "", "way": "matrix", "seconds": 2.0}])
    assert [*found.values()] == pytest.approx([15.35e9 * n * 2 / 4096**3 for n in (1, 8)], rel=1e-3)


def test_pytorch_races_for_the_same_loss() -> None:
    pytest.importorskip("torch")
    from benchmarks import style
    from course_utils.networks import gradients
    from course_utils.pictures import images

    photo, art = style.pair(48)
    value, slope = gradients.value_and_gradient(style.usual_loss(style.network(), photo, art))(
        images.preprocess(photo)[None]
    )
    x = style.torch_input(photo).requires_grad_()
    found = style.torch_loss(photo, art)(x)
    found.backward()
    assert float(found) == pytest.approx(float(np.sum(np.asarray(value))), rel=1e-4)
    np.testing.assert_allclose(x.grad.permute(0, 2, 3, 1), np.asarray(slope), atol=1e-2, rtol=1e-3)
