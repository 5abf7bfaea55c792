"""Runs beside each other: the list, the page, the run that is followed, the files for TensorBoard."""

import dataclasses
import json
import shutil

import pytest

from tests.support import worker
from tests.support.kit import build, loader_for
from tests.support.sabotage import breaks
from zeuxis.core.errors import NotFound, Stopped
from zeuxis.core.lock import locked
from zeuxis.core.progress import Event
from zeuxis.core.settings import Training
from zeuxis.evaluation.report import charts
from zeuxis.training import loop, runs
from zeuxis.training.observers import Scores, Sheets


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    worker.run("vae", place / "first", 6)
    worker.run("gan", place / "second", 8)
    report = {
        "estimates": {"kernel_distance": {"value": 0.5, "interval": [0.4, 0.6]}},
        "verdict": {"word": "usable"},
    }
    (place / "second" / "report.json").write_text(json.dumps(report))
    (place / "no run").mkdir()
    return place


@breaks("training/runs.py", 'if content.get("finished") else "stopped"', "")
def test_runs_are_found_with_how_far_they_came_and_how_good_they_are(two, tmp_path):
    newest, oldest = runs.find([two])
    assert (newest.folder.name, oldest.folder.name) == ("second", "first")
    assert (newest.family, newest.state, newest.step) == ("gan", "finished", 8)
    assert newest.score == (0.5, 0.4, 0.6) and newest.verdict == "usable"
    assert runs.scored(newest) == "0.50 ± 0.10" and runs.scored(oldest) == "–"
    assert [each.folder.name for each in runs.find([two / "first"])] == ["first"]
    with locked(two / "first" / ".lock", "it is being trained"):
        assert runs.entry(two / "first").state == "training"
    (tmp_path / "run.json").write_text("{}")
    assert runs.entry(tmp_path).state == "stopped"
    shutil.copytree(two / "first", tmp_path / "early")
    (tmp_path / "early" / "run.json").write_text('{"plan": {"steps": 9}}')
    early = runs.entry(tmp_path / "early")
    assert (early.state, runs.reached(early)) == ("ended early", "6 of 9")


def test_what_is_no_run_is_said(two, tmp_path):
    with pytest.raises(NotFound, match="no runs there"):
        runs.find([tmp_path])
    with pytest.raises(NotFound, match="is no folder"):
        runs.find([tmp_path / "nothing"])
    with pytest.raises(NotFound, match="is it a run"):
        runs.follow(tmp_path, lambda event: None)


@breaks(
    "training/runs.py",
    "any(value != row[0] for value in row)",
    "all(value != row[0] for value in row)",
)
def test_settings_that_differ_are_told(two):
    assert runs.differing(runs.find([two])) == {"family": ["gan", "vae"], "steps": ["8", "6"]}
    flat = [
        dataclasses.replace(entry, settings=dict(runs._flat(asked)))
        for entry, asked in zip(
            runs.find([two]),
            (
                {"config": {"own": True, "gamma": 2.0, "augment": ["a", "b"]}},
                {"config": {"gamma": 1.0}},
            ),
            strict=True,
        )
    ]
    assert list(runs.differing(flat).items()) == [  # as they are typed; those of one family last
        ("family.gamma", ["2.0", "1.0"]),
        ("family.own", ["true", "–"]),
        ("family.augment", ["a,b", "–"]),
    ]


@breaks("training/runs.py", "len({*short}) == len(short)", "True")
def test_runs_of_the_same_name_are_told_apart(two, tmp_path):
    shutil.copytree(two / "first", tmp_path / "first")
    both = runs.find([two / "first", tmp_path / "first"])
    assert {*runs.names(both)} == {str(two / "first"), str(tmp_path / "first")}
    assert runs.names(both[:1]) == ["first"]
    assert runs.write_page(both, tmp_path / "page.html").read_text().count('class="key"') == 2


def test_the_page_compares_scores_settings_and_curves(two, tmp_path):
    found = runs.find([two])
    page = runs.write_page(found, tmp_path / "page.html").read_text()
    for part in ("second", "first", "0.50 ± 0.10", "Settings that differ", "polyline"):
        assert part in page
    assert "<script src" not in page and "http" not in page.split("<body")[1]


@breaks(
    "evaluation/report/charts.py", "for s, v in points if math.isfinite(v)]", "for s, v in points]"
)
def test_lines_of_a_run_look_the_same_in_every_chart():
    steps = [(1.0, 2.0), (2.0, 1.0), (3.0, float("nan"))]
    both, second = (
        charts.lines("x", {"a": steps, "b": steps}),
        charts.lines("x", {"a": [], "b": steps}),
    )
    assert "line0" in both and "line1" in both
    assert "line1" in second and "line0" not in second and "nan" not in both
    assert charts.lines("x", {"a": steps[:1]}) == ""


def test_a_run_is_followed_to_its_end(two):
    told = []
    runs.follow(two / "first", told.append)
    assert {event.kind for event in told} >= {"step", "saved"}
    assert all(isinstance(event, Event) for event in told) and told[-2].done == 6
    assert told[-1].text == "finished at step 6"
    told.clear()
    runs.follow(two / "second", told.append)
    assert told[-1].text == "finished at step 8; kernel distance 0.50 ± 0.10"


def test_tensorboard_reads_losses_scores_and_samples(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from zeuxis.core import pixels
    from zeuxis.training.tensorboard import TensorBoard

    def sheet(average, step, check):
        picture = tmp_path / "samples" / f"step-{step:08d}.png"
        pixels.save_png(picture, 9 * step * pixels.np.ones((4, 4, 3), "uint8"))

    def watched(stop_at=None):
        def check():
            if stop_at is not None and told and told[-1] >= stop_at:
                raise Stopped

        told, model = [], build("gan")
        training = Training(steps=6, batch_size=4, seed=3, log_every=1, save_every=100)
        score = Scores(3, lambda average, step, check: {"kernel_distance": 1.0 / step})
        loop.fit(
            "gan",
            model,
            loader_for(model.config, 4),
            training,
            tmp_path,
            watched_by=[score, Sheets(3, sheet), TensorBoard(1)],
            watch=lambda event: told.append(event.done) if event.kind == "step" else None,
            check=check,
        )

    with pytest.raises(Stopped):
        watched(stop_at=4)
    watched()
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    totals = read.Scalars("generator/total")
    assert [each.step for each in totals] == [1, 2, 3, 4, 5, 6]
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    expected = [row["generator/total"] for row in logged if "generator/total" in row]
    assert [each.value for each in totals] == pytest.approx(expected, rel=1e-6)
    assert [each.step for each in read.Scalars("scores/kernel_distance")] == [3, 6]
    assert [each.step for each in read.Images("samples")] == [3, 6]
