"""The process that holds the models: orders in, answers in bytes out."""

import dataclasses
import functools
import io
import json
import sys
import threading
import traceback
import typing
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pydantic
from PIL import Image

from zeuxis import families
from zeuxis.core import abilities
from zeuxis.core.errors import Error, Invalid, NotFound, Stopped
from zeuxis.core.files import parse_json
from zeuxis.core.pixels import png_bytes, to_pil
from zeuxis.core.progress import Progress
from zeuxis.core.settings import override, suggest
from zeuxis.data.preparation.decode import decode, guarded
from zeuxis.inference.model import Model, load
from zeuxis.inference.results import Images, Result, Walk
from zeuxis.inference.verb import Verb
from zeuxis.marks.watermark import PUBLIC_KEY
from zeuxis.server import problems
from zeuxis.server.batching import Batcher, Shared
from zeuxis.server.guard import MOST_BYTES
from zeuxis.server.orders import (
    DESCRIBE,
    FAMILY,
    PICTURE,
    THUMB,
    VERBS,
    VERIFY,
    Answer,
    Cancel,
    Order,
    find,
)
from zeuxis.trust.verify import examine

THREADS = 64
"""Orders that are worked on at a time; most of the time they wait for their rows."""
MODELS = 4
"""Models in memory; the one that was used longest ago goes."""
JSON = "application/json"
PNG, WEBP = "image/png", "image/webp"
FILMS = {WEBP: ".webp", "image/gif": ".gif"}
"""Types of films, and their suffixes."""
Form = tuple[str, bytes, Mapping[str, str]]
"""Type, body and headers of an answer."""


def work(pipe: Connection, most: int) -> None:
    """Answer orders, of at most so many images each, until None comes or the other end is closed."""
    worker = Worker(pipe, most)
    sys.setswitchinterval(0.001)  # the thread of the networks is not to wait for those of requests
    with guarded(), ThreadPoolExecutor(THREADS, "order") as threads:
        while (told := _received(pipe)) is not None:
            if isinstance(told, Cancel):
                worker.cancel(told.number)
            else:
                worker.open(told.number)
                future = threads.submit(worker.perform, told)
                future.add_done_callback(functools.partial(worker.answer, told.number))
    pipe.close()


def _received(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


class Worker:
    """What the orders share: models in memory, and the pipe."""

    def __init__(self, pipe: Connection, most: int) -> None:
        self._pipe, self._most = pipe, most
        self._sending, self._loading = threading.Lock(), threading.Lock()
        self._alone = threading.Lock()
        """Held by a verb without a run: it computes in its own thread, for long."""
        self._batcher = Batcher()
        self._open: set[int] = set()
        self._model = functools.lru_cache(MODELS)(_loaded)

    def open(self, number: int) -> None:
        """Note that somebody waits for the answer to an order."""
        self._open.add(number)

    def cancel(self, number: int) -> None:
        """Compute no more for an order."""
        self._open.discard(number)

    def perform(self, order: Order) -> Answer:
        """Do what is ordered.

        Raises:
            Error: one sentence for the client.
        """

        def check(done: int = 0, total: int = 0) -> None:
            if order.number not in self._open:
                raise Stopped("nobody waits for this any more")

        check()
        if order.verb in ASIDE:
            media, body, headers = ASIDE[order.verb](order)
            return _good(order, media, body, headers)
        if order.verb == DESCRIBE:
            told = described(order.run, self._of(order, "auto"))
            return _good(order, JSON, _json(told), {})
        verb = VERBS[order.verb]
        if verb.needs:
            model = self._of(order, verb.device)
            model.able(verb.needs, verb.name)
            result = self._result(verb, model, order, check)
        else:
            with self._alone:
                check()
                result = self._result(verb, None, order, check)
        return _good(order, *answered(result, order.accept))

    def _result(self, verb: Verb, model: Any, order: Order, progress: Progress) -> Result:
        values = verb.take(model, given(verb, model, order), self._most)
        return verb(model, **values, progress=progress)

    def answer(self, number: int, future: "Future[Answer]") -> None:
        """Send what came of an order, or what went wrong."""
        error = future.exception()
        if error is None:
            told = future.result()
        elif isinstance(error, Error):
            told = _problem(number, error.status, str(error), type(error).__name__)
        else:
            traceback.print_exception(error)
            told = _problem(number, 500, problems.DEFECT)
        self.cancel(number)
        batcher = self._batcher
        counted = dataclasses.replace(told, batches=batcher.batches, images=batcher.images)
        with self._sending:
            self._pipe.send(counted)

    def _of(self, order: Order, device: str) -> Model:
        """The model of an order, known by the name that clients have for it."""
        assert order.folder is not None
        config = order.folder / "config.json"
        if not config.is_file():
            raise NotFound(f"{order.run} holds no trained model yet")
        with self._loading:
            model = self._model(order.folder, config.stat().st_mtime_ns, device)
        return Shared(model, order.run, self._batcher, functools.partial(self._other, order))

    def _other(self, order: Order, name: str) -> Model:
        """Another run's model, by the name that clients have for it."""
        folder = find(order.others, name)
        return self._of(dataclasses.replace(order, run=name, folder=folder), "auto")


def _loaded(folder: Path, written: int, device: str) -> Model:
    """The model in a folder; a newer one has another time of writing."""
    model = load(folder, device)
    if isinstance(model.family, abilities.Encodes):
        model.latent_shape  # noqa: B018  found once, not for each request
    return model


def _good(order: Order, media: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    return Answer(number=order.number, status=200, media=media, body=body, headers=headers)


def _problem(number: int, status: int, detail: str, code: str = "") -> Answer:
    body = problems.body(status, detail, code)
    return Answer(number=number, status=status, media=problems.MEDIA, body=body)


def given(verb: Verb, model: Any, order: Order) -> dict[str, Any]:
    """The body of an order as a JSON object: as it is, or of the one file and the query.

    Raises:
        Invalid: it is no JSON object, or the verb takes no single file.
    """
    if order.media == JSON:
        if order.query:
            raise Invalid(
                f"the query is for a body of one file; {order.query[0][0]} goes into the JSON body"
            )
        try:
            return parse_json(order.body or b"{}", most=MOST_BYTES)
        except ValueError as error:
            raise Invalid(f"the body is no JSON object ({error})") from error
    files = verb.files
    if len(files) != 1:
        raise Invalid(f"{verb.name} takes {len(files)} files; send JSON, with files as base64")
    many = typing.get_origin(verb.arguments[files[0]].body) is list
    return {files[0]: [order.body] if many else order.body, **dict(_of_query(verb, model, order))}


def _of_query(verb: Verb, model: Any, order: Order) -> Iterator[tuple[str, Any]]:
    """Names and values of a query, which are words as on the command line."""
    words: dict[str, list[str]] = {}
    for name, word in order.query:
        words.setdefault(name, []).append(word)
    known = {name for name, argument in verb.arguments.items() if not argument.is_file}
    controls = {name: word[-1] for name, word in words.items() if name not in known}
    for name in known & set(words):
        argument = verb.arguments[name]
        yield name, argument.read(model, _parsed(argument.word, words[name]), None)
    if controls and not verb.has_controls:
        raise NotFound(f"{verb.name} takes no {min(controls)!r}; {suggest(min(controls), known)}")
    if controls and model is not None:
        yield "controls", override(model.family.Controls(), controls).model_dump()


def _parsed(kind: Any, words: list[str]) -> Any:
    """Words as the command line would parse them; what cannot be parsed stays, to be refused by name."""
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
    for value in (words[-1], words):
        try:
            return adapter.validate_python(value)
        except pydantic.ValidationError:
            continue
    return words[-1]


def answered(result: Result, accept: str) -> Form:
    """Type, body and headers of a result in the first form of `Accept` that it has.

    Raises:
        Unacceptable: it has none of them.
    """
    origin = {"Zeuxis-Provenance": json.dumps(dict(result.provenance))}
    for media in (one.partition(";")[0].strip() for one in (accept or "*/*").split(",")):
        if media in (JSON, "application/*", "*/*"):
            return JSON, _json(result.values()), {}
        if media in FILMS and isinstance(result, Walk):
            return media, result.film(FILMS[media]), origin
        if media == result.media or (media, result.media) == ("image/*", PNG):
            return result.media, result.as_file(), origin
        if media in (PNG, "image/*") and isinstance(result, Images) and len(result) == 1:
            return PNG, next(result.files()), origin | _labels(result)
    one = f", or {PNG} of a single image" if isinstance(result, Images) else ""
    raise problems.Unacceptable(
        f"the result comes as {JSON} or {result.media}{one}, not as {accept}"
    )


def _labels(result: Images) -> dict[str, str]:
    labels = result.values()["images"][0]["labels"]
    return {"Zeuxis-Labels": json.dumps(labels)} if labels else {}


def schemas(name: str) -> dict[str, Any]:
    """What can be set of a family, in training and after it, its own defaults of training, and what it can.

    Raises:
        NotFound: there is no such family.
    """
    family = families.get(name)
    return {
        "config": family.Config.model_json_schema(),
        "controls": family.Controls.model_json_schema(),
        "training": family.TRAINING.model_dump(mode="json"),
        "abilities": [ability.__name__ for ability in abilities.abilities_of(family)],
    }


def described(run: str, model: Model) -> dict[str, Any]:
    """What clients may know of a model: what it is, and the schema of each request."""
    height, width, channels = model.shape()
    verbs = {}
    for name, verb in VERBS.items():
        if not (verb.needs and isinstance(model.family, getattr(abilities, verb.needs))):
            continue
        verbs[name] = verb.body(model.family.Controls).model_json_schema()
    return {
        "run": run,
        "family": model.facts["family"],
        "height": height,
        "width": width,
        "channels": channels,
        "conditions": {one.name: list(one.classes) for one in model.conditions},
        "numbers": [one.model_dump() for one in model.family.config.numbers],
        "words": model.facts.get("dataset", {}).get("words") or []
        if model.family.config.text is not None
        else None,
        "alone": model.family.BATCH == 1,
        "source": _source(model),
        "verbs": verbs,
    }


def _source(model: Model) -> dict[str, Any] | None:
    """What it translates: kind and size, and of a map its classes with their colours."""
    field = model.family.fields().get("source")
    if field is None:
        return None
    colours = [f"#{bytes(colour).hex()}" for colour in field.palette.tolist()]
    return {"kind": field.kind, "shape": field.shape, "classes": field.classes, "colours": colours}


def picture(order: Order) -> Form:
    """A picture as the decoder makes it, and its width and height."""
    pixels = decode(order.body, None).pixels_HWC
    return PNG, png_bytes(pixels), {"size": f"{pixels.shape[1]} {pixels.shape[0]}"}


def thumb(order: Order) -> Form:
    """A picture of at most so many pixels a side; never enlarged, and exact if it is small."""
    side, shown = int(dict(order.query)["size"]), to_pil(decode(order.body, None).pixels_HWC)
    small = max(shown.size) <= side
    clear = shown.mode == "RGBA"
    shown = shown.convert("RGBa") if clear else shown
    shown.thumbnail((side, side), Image.Resampling.BOX)
    buffer = io.BytesIO()
    (shown.convert("RGBA") if clear else shown).save(buffer, "WEBP", lossless=small, quality=85)
    return WEBP, buffer.getvalue(), {}


def verified(order: Order) -> Form:
    """What the marks of a picture or film tell."""
    asked = dict(order.query)
    thorough = asked["thorough"] == "true"
    return JSON, _json(examine(order.body, asked["name"], [PUBLIC_KEY], thorough).values()), {}


def _family(order: Order) -> Form:
    return JSON, _json(schemas(order.body.decode("utf-8", "replace"))), {}


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


ASIDE = {PICTURE: picture, THUMB: thumb, VERIFY: verified, FAMILY: _family}
"""What is done without a model."""
