"""A search: what is searched, trials that are runs, kills, sharing, ends that come early, the recipe."""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import re
import shlex
import signal
import sys
import time

import numpy as np
import optuna
import pytest

from tests.support.front import pictures, tiny, workshop, zeuxis
from tests.support.sabotage import breaks
from tests.training.test_doctor import seen
from zeuxis import data, families
from zeuxis import tune as search
from zeuxis.core.errors import Invalid, Stopped, Unable
from zeuxis.core.files import read_json, write_json
from zeuxis.core.request import Request, nested
from zeuxis.core.settings import Data
from zeuxis.core.space import Among, Span, parse
from zeuxis.evaluation import evaluate
from zeuxis.features import Features
from zeuxis.inference.alike import prepared_as
from zeuxis.inference.model import load
from zeuxis.metrics import Estimate
from zeuxis.training import looking, recipes, runs
from zeuxis.training import run as training
from zeuxis.training.doctor.explain import explain
from zeuxis.training.doctor.words import WORDS as WORDS_OF_THE_DOCTOR
from zeuxis.training.tune import confirm, page, score, space, trial
from zeuxis.training.tune.study import Study, best

FORKS = multiprocessing.get_context("forkserver")
SETTINGS = {
    **dict(word.split("=") for word in tiny("autoencoder")),
    "data.holdout": "64",
    "training.batch_size": "8",
    "training.save_every": "2",
    "training.probe_every": "100000",
}
SPACE = {"lr": "1e-4..1e-2 log", "clean": "0.2..1"}
WORDS = [f"{path}={word}" for path, word in SETTINGS.items()]


@pytest.fixture(scope="module", autouse=True)
def server():
    """Processes that have imported what training needs."""
    names = [f"zeuxis.families.{name}" for name in families.FAMILIES]
    FORKS.set_forkserver_preload(["tests.support.worker", "torch._dynamo", "optuna", *names])


@contextlib.contextmanager
def quick(cache):
    """No scores on the way but ours, and the threads that there are: a trial takes a moment."""
    with workshop(cache), pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "_quick_threads", lambda _: contextlib.nullcontext(0.01))
        patch.setattr(looking, "PROBE_IMAGES", 10**6)  # more than can be afforded
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    place = tmp_path_factory.mktemp("tune")
    with quick(place / "cache"):
        yield pictures(place / "photos", 128, (8, 8), channels=1)


def searched(photos, out, **more):
    """A search of a tiny autoencoder, whose trials take a moment."""
    given = {"trials": 3, "steps": 4, "sampler": "random", "space": SPACE, "threads": 1}
    return search("autoencoder", photos, out=out, overrides=SETTINGS, **{**given, **more})


def process(photos, out, cache, more):
    """What a process of its own does."""
    with quick(cache):
        searched(photos, out, **more)


def start(photos, out, **more):
    given = (photos, out, photos.parent / "cache", more)
    worker = FORKS.Process(target=process, args=given, daemon=True)  # ends with the test
    worker.start()
    return worker


def study(out, axes=(), sampler="random"):
    return Study(out, axes, sampler, 0)


# What is searched


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1e-2..1e-4 log", "the first is the lower"),
        ("0..1 log", "begins above 0"),
        ("1..2..3", "expected LOW..HIGH"),
        ("3", "expected LOW..HIGH"),
        ("3|3", "expected LOW..HIGH"),
        ("a..b", "expected LOW..HIGH"),
    ],
)
def test_a_range_that_is_none_gets_one_sentence(text, sentence):
    with pytest.raises(Invalid, match=sentence):
        parse(text, "lr")


def test_ranges_are_read_as_they_are_written():
    for text in ("0.0001..0.01 log", "-1.5..0.5", "16|32", "64,128|96,192"):
        assert str(parse(text, "x")) == text


def axes_of(photos, given, fixed=(), family="autoencoder"):
    mine = {k: v for k, v in SETTINGS.items() if family == "autoencoder" or k[:6] != "family"}
    asked = {"family": family, "source": photos, "overrides": nested(mine)}
    return space.axes(training.begun(Request.read(asked)).resolved, fixed, given)


@breaks("training/tune/space.py", "if path not in fixed}", "if path}")
@breaks("training/tune/space.py", "if resolved.unmet(path) is None", "if path")
def test_what_is_declared_is_searched_but_what_was_set_is_not(photos):
    found = {axis.path: axis for axis in axes_of(photos, {}, fixed=["family.clean"])}
    assert set(found) == {"training.lr", "training.batch_size", "family.widths", "family.blocks"}
    assert found["training.lr"].range == Span(2e-4, 5e-3, log=True)
    assert found["training.batch_size"].range == Among(("4", "8", "16"))
    widened = found["family.widths"].range.words  # the tiny one has others than those declared
    assert widened[-1] == found["family.widths"].preset == "16,16"
    typed = {axis.path: axis for axis in axes_of(photos, SPACE, fixed=["training.lr"])}
    assert typed["training.lr"].range == Span(1e-4, 1e-2, log=True)
    assert "data.flip" not in found
    vae = [axis.path for axis in axes_of(photos, {}, family="vae")]
    assert "family.beta" in vae and "family.drop_label" not in vae  # there are no labels


@breaks("training/tune/space.py", "if typed:", "if False:")
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"learning_rate": "1..2"}, "did you mean 'lr'"),
        ({"family.widht": "1..2"}, "did you mean 'widths'"),
        ({"seed": "1..2"}, "that can be searched"),
        ({"size": "8|16"}, "that can be searched"),
        ({"height": "8|16"}, "that can be searched"),
        ({"lr": "1e-2..1e-1 log"}, "widen the range"),
        ({"optimiser": "adam|muon"}, "optimiser"),
        ({"optimiser": "0..1"}, "words with"),
        ({"blocks": "1..2.5"}, "whole number"),
        ({"clean": "0..2"}, "less than or equal to 1"),
    ],
)
def test_a_space_that_cannot_be_searched_gets_one_sentence(given, sentence, photos):
    with pytest.raises(Invalid, match=sentence):
        axes_of(photos, given)


def test_bad_words_end_with_2(photos, tmp_path, capsys):
    words = ["tune", "autoencoder", photos, *WORDS, "--out", tmp_path / "out"]
    for more, sentence in (
        (["--space", "lr"], "expected NAME=VALUE"),
        (["--space", "lr=1..0"], "the first is the lower"),
        (["--minutes", "-1"], "greater than 0"),
        (["--steps", "3", "--trial-minutes", "1"], "both minutes and steps"),
        (["data.holdout=8"], "hold more out"),
    ):
        assert zeuxis(*words, *more) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# Trials


@pytest.fixture(scope="module")
def done(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / "search"
    return out, searched(photos, out)


@breaks("training/tune/study.py", "if number == 0:", "if number < 0:")
@breaks("training/tune/study.py", 'derive_seed(self._seed, "trial", number)', "3")
def test_the_first_trial_is_the_preset_and_each_is_a_run(done):
    out, found = done
    assert [row.number for row in found.rows] == [0, 1, 2]
    assert {row.state for row in found.rows} == {"complete"}
    assert found.rows[0].settings["family.clean"] == "0.5"
    assert found.rows[0].settings["training.lr"] == "0.001"
    assert len({row.settings["training.lr"] for row in found.rows}) == 3
    assert all(set(row.looks) == {25, 50, 75} and row.seconds > 0 for row in found.rows)
    listed = {each.folder.name: each for each in runs.find([out / "trials"])}
    for row in found.rows:
        settings = listed[f"{row.number:04d}"].settings
        assert settings["training.lr"] == float(row.settings["training.lr"])
        assert not (out / "trials" / f"{row.number:04d}" / "report.json").exists()
    assert found.best == best(found.rows).number
    assert best(found.rows).score[0] == min(row.score[0] for row in found.rows)


@breaks(
    "training/tune/study.py",
    'seed = derive_seed(self._seed, "trial", number) % 2**32',
    "seed = None",
)
def test_a_search_is_the_same_again_and_goes_on_with_more_trials(done, photos, tmp_path):
    found = done[1]
    with pytest.raises(Stopped, match="same command to continue"):
        searched(photos, tmp_path / "again", stop=ends_at(tmp_path / "again", 1))
    again = searched(photos, tmp_path / "again")
    assert [row.settings for row in again.rows] == [row.settings for row in found.rows]
    assert [row.score for row in again.rows] == [row.score for row in found.rows]
    assert searched(photos, tmp_path / "again").rows == again.rows
    assert len(searched(photos, tmp_path / "again", trials=4).rows) == 4
    with pytest.raises(Invalid, match="another search: trial.steps was 4 and is now 5"):
        searched(photos, tmp_path / "again", steps=5)


def ends_at(out, number):
    """A request to stop in the middle of a trial."""
    return lambda: (out / "trials" / f"{number:04d}" / "checkpoints").exists()


def test_the_recipe_trains_what_won(done, photos, tmp_path):
    found = done[1]
    assert recipes.read(found.recipe) == ("autoencoder", dict(found.settings))
    assert shlex.split(found.command)[-3:] == ["--preset", str(found.recipe), "--steps=4"]
    recipe = tmp_path / "recipe.toml"
    recipes.write(recipe, "autoencoder", {**SETTINGS, "family.clean": "0.75"}, ["mine"])
    words = ["train", "autoencoder", photos, "--preset", recipe, "--steps", 2, "--threads", 1]
    more = ["--no-evaluate", "--out", tmp_path / "run", "training.lr=0.01"]
    assert zeuxis(*words, *more) == 0
    made = runs.entry(tmp_path / "run").settings
    assert made["family.clean"] == 0.75 and made["training.lr"] == 0.01
    command = json.loads((tmp_path / "run" / "config.json").read_text())["command"]
    assert "recipe.toml" not in command and "family.clean=0.75" in command


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "there is no recipe"),
        ("a", "not valid TOML"),
        ("a = 1", "is no recipe"),
        ('family = "gan"\n[settings]\n', "for gan, not for vae"),
        ('family = "vae"\n[settings]\n"training.lr" = 1', "expected a word"),
    ],
)
def test_what_is_no_recipe_is_said(text, sentence, tmp_path):
    path = tmp_path / "recipe.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Invalid, match=sentence):
        recipes.expanded("vae", str(path), {})


def test_a_grid_is_gone_through_once(photos, tmp_path):
    axes = axes_of(photos, {"clean": "0.5|1"}, fixed=DECLARED)
    one = study(tmp_path, axes, "grid")
    assert [enqueued(one, number) for number in range(3)] == [True, True, False]
    known = [each.system_attrs["fixed_params"] for each in one.study.trials]
    assert known == [{"family.clean": "0.5"}, {"family.clean": "1"}]


DECLARED = ["training.lr", "training.batch_size", "family.widths", "family.blocks"]


def enqueued(one, number):
    return one._enqueue(number)


def test_without_optuna_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(Unable, match="pip install 'zeuxis\\[tune\\]'"):
        study(tmp_path)


# Kills and sharing


@breaks("training/tune/study.py", 'if row.state == "left"', "if False")
@breaks("training/tune/study.py", 'content.rfind(b"\\n") + 1', "len(content)")
def test_a_killed_search_goes_on_with_the_trial_that_was_killed(photos, tmp_path):
    out = tmp_path / "search"
    worker = start(photos, out, steps=400, trials=2)
    events = out / "trials" / "0000" / "events.jsonl"
    until(lambda: events.exists() and '"saved"' in events.read_text())
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    with (out / "journal.log").open("a") as file:
        file.write('{"op_code":')  # half a line, as a power cut may leave it
    assert study(out).rows()[0].state == "left"
    told = []

    def going_on():
        return any(event.text.startswith("continuing at step") for event in told)

    known = json.loads((out / "study.json").read_text())["trial"]
    assert known == {"steps": 400, "minutes": None}
    with pytest.raises(Stopped):
        searched(photos, out, steps=400, trials=2, watch=told.append, stop=going_on)
    assert [row.number for row in study(out).rows()] == [0]


@breaks(
    "training/tune/study.py", "self._of(left[0], trials)  #", "self._of(left[0] + 1, trials)  #"
)
def test_a_trial_that_was_killed_before_it_had_settings_gets_those_that_it_would_have_had(
    photos, tmp_path
):
    axes = axes_of(photos, SPACE, fixed=DECLARED)
    found = []
    for place in ("straight", "killed"):
        one = study(tmp_path / place, axes)
        for number in range(3):
            with contextlib.ExitStack() as held:
                if place == "killed" and number == 2:
                    one.study.ask()  # and dies
                asked = one.claim(held, 3, None)
                one.study.tell(asked, 1.0)
        found.append([row.settings for row in one.rows()])
    assert found[0] == found[1] and len(found[0]) == 3


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@breaks("training/tune/study.py", "if begun >= trials or", "if")
def test_two_processes_share_one_search(photos, tmp_path):
    out = tmp_path / "search"
    workers = [start(photos, out, trials=5, confirm=2) for _ in range(2)]
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    rows = study(out).rows()
    assert [row.number for row in rows] == [0, 1, 2, 3, 4]
    assert {row.state for row in rows} == {"complete"}
    assert len(list((out / "trials").iterdir())) == 5
    winner = best(rows).number
    assert confirm.read(out, winner) is not None or winner == 0
    lines = map(json.loads, (out / "journal.log").read_text().splitlines())
    assert len({line["worker_id"] for line in lines if "trial_id" in line}) == 2


def test_time_ends_a_search(photos, tmp_path):
    assert len(searched(photos, tmp_path, minutes=1e-6, trials=5).rows) == 1


@breaks("training/tune/study.py", "minutes is None or not rows:", "True:")
@breaks("training/tune/study.py", "minutes is None or not rows:", "minutes is None or not whole:")
def test_time_that_trials_took_which_did_not_end_well_counts(photos, tmp_path):
    one = study(tmp_path, axes_of(photos, SPACE, fixed=DECLARED))
    for begins in (True, False):
        with contextlib.ExitStack() as held:
            asked = one.claim(held, 5, 1.0)
            assert (asked is not None) == begins
            if asked:
                asked.set_user_attr("seconds", 90.0)
                one.study.tell(asked, state=optuna.trial.TrialState.FAIL)


# Ends that come early


def claimed(photos, out, number):
    """A bench, and its trial of that number, with those before it complete."""
    request = Request.read(
        {
            "family": "autoencoder",
            "source": photos,
            "steps": 8,
            "threads": 1,
            "evaluate": False,
            "overrides": nested(SETTINGS),
        }
    )
    axes = axes_of(photos, SPACE, fixed=DECLARED)
    bench = trial.Bench(
        study(out, axes),
        request,
        data.ensure(photos, Data(holdout=64), None, False),
        score.Scoring(),
        lambda e: None,
        lambda: False,
    )
    held = contextlib.ExitStack()
    return bench, bench.study.claim(held, number + 1, None), held


@breaks("training/tune/trial.py", "if due:\n", "if share:\n")
def test_the_time_of_a_trial_is_noted_as_it_goes_on(photos, tmp_path):
    """A killed one goes on, and what it took before counts."""
    bench, asked, held = claimed(photos, tmp_path, 0)
    noted = []
    with held:
        watcher = trial.Watcher(bench, asked, lambda: noted.append(True))
        for step in (trial.EVERY, trial.EVERY + 1):
            assert not [*watcher.see(seen(None, {}, step))]
    assert len(noted) == 1


@breaks("training/tune/trial.py", "score[1] > rival[2]", "score[1] > 1e9")
@breaks("training/doctor/explain.py", 'row.get("action") == "stop" and', "False and")
def test_a_trial_that_is_surely_worse_ends_early(photos, tmp_path):
    bench, first, held = claimed(photos, tmp_path, 0)
    first.set_user_attr("looks", {"25": [1e9, 0.0, 1e9], "50": [0.0, 0.0, 0.0]})
    first.set_user_attr("score", [0.0, 0.0, 0.0])
    bench.study.study.tell(first, 0.0)
    held.close()
    bench, second, held = claimed(photos, tmp_path, 1)
    with held:
        bench.work(second)
    row = bench.study.rows()[1]
    assert row.state == "pruned" and set(row.looks) == {25, 50}
    assert row.why.startswith("after 50 % of the training it scores ")
    assert "worse than trial 0 did then: 0 (0 to 0)" in row.why
    ended = tmp_path / "trials" / "0001"
    assert runs.entry(ended).step == 4
    told = "the search (zeuxis tune) ended it at step 4: after 50 % of the training it scores "
    assert explain(ended).state.startswith(told)
    assert best(bench.study.rows()).number == 0


@breaks("training/tune/trial.py", "found = last if name in BROKEN else found", "pass")
@breaks("training/tune/trial.py", 'if values.get("action") == "rollback":', "if False:")
def test_what_the_doctor_cannot_heal_ends_a_trial(tmp_path):
    rows = [{"step": 1, "finding": "collapse", "evidence": "all one"}]
    log = tmp_path / "log.jsonl"
    for more, attempt, why in (
        ([], 0, "collapse: all one"),
        ([{"step": 2, "action": "rollback"}], 1, ""),
        ([{"step": 3, "finding": "diverging", "evidence": "far"}], 1, ""),
        ([{"step": 4, "action": "rollback"}], 2, "it went back 2 times; diverging: far"),
    ):
        rows += more
        log.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert trial.broken(tmp_path, attempt) == why
    assert set(trial.BROKEN) <= set(WORDS_OF_THE_DOCTOR)


def test_a_trial_that_diverges_is_pruned_with_the_finding(photos, tmp_path):
    found = searched(photos, tmp_path, trials=2, steps=20, space={"lr": "1e-3..1e9 log"}, seed=4)
    assert found.rows[1].state == "pruned" and "not finite" in found.rows[1].why


# The score


@breaks("training/tune/score.py", "rows[half:][:MOST]", "rows[:half][:MOST]")
def test_the_halves_are_the_hold_out_and_share_no_image(photos):
    prepared = data.ensure(photos, Data(holdout=64), None, False)
    one, other = score.halves(prepared)
    assert sorted([*one, *other]) == sorted(prepared.holdout) and not {*one} & {*other}
    assert [*one] == [*score.halves(prepared)[0]]


def test_the_parts_of_a_score_make_it_up():
    rng = np.random.default_rng(0)
    real = Features(rng.normal(size=(40, 5)).astype(np.float32), {})
    fakes = [Features(rng.normal(at, 1, (30, 5)).astype(np.float32), {}) for at in (0, 1)]
    one, other = (score.of_sets(fake, real) for fake in fakes)
    apart = one.constant + one.by_image_M.mean() - other.constant - other.by_image_M.mean()
    assert one.estimate.value - other.estimate.value == pytest.approx(apart)


# What became of the winner


def of_two_rates(photos, out, **more):
    """With one of them, the preset's, next to nothing is learned, so that the other is better."""
    given = {"trials": 2, "steps": 10, "sampler": "grid", "space": {"lr": "1e-7|1e-2"}, **more}
    low = {**SETTINGS, "training.lr": "1e-7", "family.clean": "0.5"}
    return search("autoencoder", photos, out=out, overrides=low, threads=1, **given)


@breaks("training/tune/confirm.py", "_, unseen = halves", "unseen, _ = halves")
@breaks("training/tune/confirm.py", '"seed": seed}', '"seed": 0}')
def test_a_winner_is_tried_again_with_new_seeds_on_the_other_half(photos, tmp_path):
    found = of_two_rates(photos, tmp_path, confirm=2)
    word = found.confirmed.word
    assert found.best == found.confirmed.winner == 1 and word in (
        "better",
        "not shown to be better",
    )
    assert found.confirmed.seeds == (1, 2) and found.confirmed.difference < 0
    for name in ("0000-1", "0000-2", "0001-1", "0001-2"):
        made = runs.entry(tmp_path / "confirm" / name)
        assert made.settings["training.seed"] == int(name[-1]) and made.state == "finished"
    model = load(tmp_path / "confirm" / "0001-2")
    prepared = prepared_as(model, photos)
    _, unseen = score.halves(prepared)
    again = score.Scoring()(model, prepared, unseen, 16).estimate.value
    assert again == pytest.approx(found.confirmed.of_winner[1])
    page = found.page.read_text()
    assert f"Trial 1 is {word} than the preset" in page and "seed 2" in page
    assert f"is {word} than the preset" in found.recipe.read_text()
    assert found.values()["confirmed"]["word"] == word


@breaks("training/tune/confirm.py", '"steps": planned["steps"]', '"steps": 4')
def test_a_trial_is_tried_again_with_as_many_steps_as_it_had(photos, tmp_path):
    """However busy the machine is by then."""
    of_two_rates(photos, tmp_path)
    path = tmp_path / "trials" / "0000" / "run.json"
    facts = read_json(path)
    write_json(path, {**facts, "plan": {**facts["plan"], "steps": 6}})
    of_two_rates(photos, tmp_path, confirm=2)
    made = read_json(tmp_path / "confirm" / "0000-2" / "config.json")
    assert made["progress"]["steps"] == 6


@breaks("training/tune/confirm.py", "1.96 * float(by_image_M", "0 * float(by_image_M")
@breaks("training/tune/confirm.py", "STUDENT[count - 2]", "0 * STUDENT[count - 2]")
def test_the_interval_of_a_difference_holds_as_often_as_it_says():
    """Models whose scores differ by 0.3, by luck with seeds of 0.2 and with images of 1."""
    rng, within = np.random.default_rng(0), 0
    for _ in range(400):
        shared = rng.normal(0, 1, 50)  # what the images do to each difference
        pairs = [(seeded(rng, shared, 0.3), seeded(rng, 0 * shared, 0.0)) for _ in range(3)]
        value, (low, high) = confirm.difference(*zip(*pairs, strict=True))
        within += low < 0.3 < high
        assert low < value < high
    assert 0.94 * 400 < within < 400


def seeded(rng, shared_M, value):
    by_image_M = value + shared_M + rng.normal(0, 0.2)
    known = Estimate(value=by_image_M.mean(), interval=(0.0, 0.0), n=50, receipt={})
    return score.Score(known, 0.0, by_image_M)


@breaks("training/tune/page.py", '"early" if row.state != "complete" else', "")
@breaks("training/tune/page.py", "if row.why:", "if False:")
@breaks("training/tune/page.py", "if row.why and not row.score)", "if False)")
@breaks("evaluation/report/searches.py", "(high - value)", "(value - low)")
def test_the_page_shows_trials_their_ends_and_what_mattered(photos, tmp_path):
    axes = axes_of(photos, SPACE, fixed=DECLARED)
    one = study(tmp_path, axes)
    for number in range(12):
        with contextlib.ExitStack() as held:
            asked = one.claim(held, 12, None)
            value = abs(np.log10(asked.params["training.lr"]) + 3)
            asked.set_user_attr("score", [value, value - 0.1, value + 0.1])
            asked.report(value, 25)
            if number == 5:
                asked.set_user_attr("why", "it was <worse>")
                one.study.tell(number, state=optuna.trial.TrialState.PRUNED)
            else:
                one.study.tell(number, value)
    rows = one.rows()
    text = page.render(one, axes, rows, "a search", "kernel distance", "zeuxis train", None)
    lost = dataclasses.replace(rows[3], score=(), state="pruned", why="it diverged")
    others = [*rows[:3], lost, *rows[4:]]
    told = page.render(one, axes, others, "a search", "kernel distance", "zeuxis train", None)
    assert "before they had a score: 3." in told and "had a score" not in text
    assert text.count('class="trial early" cx') == 1 and text.count('class="trial best" cx') == 1
    assert text.count("<polyline") == 12 and "it was &lt;worse&gt;" in text
    assert all(f'href="trials/{number:04d}/report.html"' in text for number in range(12))
    shares = [float(each) for each in re.findall(r">(\d+) %</text>", text)]
    assert len(shares) == 2 and shares[0] > 80
    named = re.findall(r'<text class="name"[^>]*>([^<]*)</text>', text)
    assert named[0] == "training.lr" and named[-1] == "score"
    assert not re.search(r"https?:", text.replace("http://www.w3.org", ""))
    found = re.findall(r'cy="([\d.]+)" r="5"><title>trial (\d+)', text)
    at = {number: float(height) for height, number in found}
    worst = max((row for row in rows if row.number != 5), key=lambda row: row.score)
    assert at["0"] > at[str(worst.number)]  # lower is better, and lower
