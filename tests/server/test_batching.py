"""Rows of different requests in one batch: fewer network calls, and every image as if it were alone."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.contract import test_verbs
from tests.support.sabotage import breaks
from zeuxis.core.errors import Stopped
from zeuxis.core.rng import FirstRng
from zeuxis.inference.model import BATCH, load
from zeuxis.server.batching import Batcher, Shared, same

runs, photos = test_verbs.runs, test_verbs.photos


def together(batcher, calls):
    """Results of calls that all wait before the first batch is made."""
    held = threading.Event()
    batcher._thread.submit(held.wait)
    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(call) for call in calls]
        while len(batcher._waiting) < len(calls) and not any(one.done() for one in futures):
            pass
        held.set()
        return [future.result() for future in futures]


def arrays(results):
    return [np.asarray(result) for result in results]


@breaks("server/batching.py", "made[at : at + count]", "made[:count]")
@pytest.mark.parametrize("name", ["gan", "vae", "stylegan", "flow", "pixelcnn"])
@pytest.mark.parametrize("rng", ["new", "first", "bfloat16"])
def test_images_are_those_of_the_model_alone_in_fewer_batches(name, rng, runs):
    if rng == "bfloat16" and name != "flow":
        pytest.skip("one family in bfloat16 is enough")
    model = load(runs(name))
    model.precision = "bfloat16" if rng == "bfloat16" else model.precision
    model.rng = FirstRng if rng == "first" else model.rng
    draw = random.Random(0)
    controls = {"steps": 2} if name == "flow" else {}
    asked = [{"seed": seed, "count": draw.choice([1, 2, 3, 9, 33])} for seed in range(12)]
    asked[3] |= {"labels": {"shape": "ring"}}
    batcher = Batcher()
    views = [Shared(model, name, batcher) for _ in asked]
    found = together(
        batcher,
        [
            lambda v=view, a=one: v.sample(**a, **controls)
            for view, one in zip(views, asked, strict=True)
        ],
    )
    for one, result in zip(asked, found, strict=True):
        alone = model.sample(**one, **controls)
        assert np.array_equal(result.images, alone.images) and np.array_equal(
            result.labels, alone.labels
        )
    total = sum(one["count"] for one in asked)
    apart = sum(-(-one["count"] // BATCH) for one in asked)
    assert batcher.images == total and -(-total // BATCH) <= batcher.batches <= apart
    assert not batcher._waiting


@breaks("server/batching.py", "slice(rows.done, rows.done + count)", "slice(0, count)")
@breaks(
    "server/batching.py", "all(torch.equal(_made(taken, turn), made) for turn in TURNS)", "True"
)
@breaks(
    "server/batching.py", "(taken, made) if known[key] else (alone, _made(alone))", "(taken, made)"
)
@pytest.mark.parametrize("by_place", [False, True])
def test_a_batch_is_shared_unless_the_bits_of_a_row_depend_on_its_place(by_place, runs):
    model, batcher = load(runs("gan")), Batcher()

    def call(ask):
        place = torch.arange(BATCH)[:, None, None, None] if by_place else 0
        return (
            ask.random.normal("x", 1, 1, 1)
            + ask.inputs["x"]
            + place
            + ask.cond["label"][:, :1, None, None]
        )

    def asked(view, seed):
        count = 5 + 7 * seed
        given = {"x": np.full((count, 1, 1, 1), seed, np.float32)}
        return view.batches(call, np.full((count, 2), seed % 2), given, seed=seed)

    views = [Shared(model, "gan", batcher) for _ in range(6)]
    found = together(batcher, [lambda v=v, s=s: asked(v, s) for s, v in enumerate(views)])
    for seed, result in enumerate(found):
        assert torch.equal(result, asked(model, seed))
    assert batcher.images == 135 and batcher.batches == (8 if by_place else 5)


@breaks("server/batching.py", "id(self.model.family), same(self.call), tuple(forms)", "0")
def test_other_controls_verbs_and_forms_do_not_share_a_batch(runs):
    model, batcher = load(runs("flow")), Batcher()
    blank = np.zeros((3, *model.shape()), np.uint8)
    asks = [
        lambda m: m.sample(2, steps=2),
        lambda m: m.sample(2, steps=3),
        lambda m: m.vary(blank, seed=1, steps=2),
        lambda m: m.vary(blank + 9, seed=1, steps=2),
        lambda m: m.denoise(blank, 10.0),
        lambda m: m.denoise(blank, 60.0),
        lambda m: m.complete(blank, np.eye(8), steps=2),
    ]
    found = together(batcher, [lambda a=a: a(Shared(model, "flow", batcher)) for a in asks])
    for ask, result in zip(asks, arrays(found), strict=True):
        assert np.array_equal(result, np.asarray(ask(model)))
    assert batcher.batches <= 7


def test_calls_that_hold_other_values_are_others():
    def make(held):
        return lambda ask: (ask, held)

    thing = object()
    assert same(make(thing)) == same(make(thing)) != same(make(object()))
    assert same(make(make(thing))) == same(make(make(thing))) != same(make(thing))
    assert same(lambda x: x) != same(lambda y: y)


@breaks("server/batching.py", "if rows.is_cancelled():", "if False:")
def test_what_nobody_waits_for_is_not_computed_and_others_go_on(runs):
    model, batcher = load(runs("gan")), Batcher()

    def gone(done, total):
        raise Stopped("gone")

    def cancelled():
        with pytest.raises(Stopped, match="nobody waits"):
            Shared(model, "gan", batcher).sample(40, progress=gone)

    _, images = together(
        batcher, [cancelled, lambda: Shared(model, "gan", batcher).sample(2, seed=5)]
    )
    assert np.array_equal(images.images, model.sample(2, seed=5).images)
    assert not batcher._waiting and batcher.batches == 1


def test_a_call_that_fails_fails_for_its_own_request_only(runs):
    model, batcher = load(runs("gan")), Batcher()

    def wrong():
        view = Shared(model, "gan", batcher)
        with pytest.raises(ZeroDivisionError):
            view.batches(lambda ask: 1 / 0, np.zeros((3, 2), np.int64))

    _, images = together(batcher, [wrong, lambda: Shared(model, "gan", batcher).sample(2)])
    assert len(images) == 2 and not batcher._waiting
