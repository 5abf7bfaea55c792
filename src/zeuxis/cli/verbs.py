"""A command for each verb, of a trained model or of pictures alone, made from its declaration."""

import contextlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeuxis.cli.arguments import Controls, Trained, examples, pairs
from zeuxis.cli.help import App
from zeuxis.core.errors import Invalid
from zeuxis.core.progress import Event, Watch, stopping, ticks
from zeuxis.create.verbs import VERBS as CREATE
from zeuxis.inference.results import Images, Result, Scores, Walk, check_sheet
from zeuxis.inference.texts import Texts
from zeuxis.inference.verb import Argument, Verb
from zeuxis.inference.verbs import VERBS

if TYPE_CHECKING:
    from zeuxis.inference.model import Model

MANY = 320
"""From so many images on, time and size are said before they are drawn."""
PACE = 12
"""Images a second of a film."""
BLOCK = 4096
"""Bytes of a file on most disks at least."""
KEPT = "files already written are complete; run the same command to start again"

MAKE = "Make pictures without training"
"""Heading of the verbs that take no run."""

app = App()


def _command(verb: Verb) -> Callable[..., None]:
    """The function that typer calls, with the parameters that the verb's arguments are on a command line."""
    takes = [_parameter("run", Trained)] if verb.needs else []
    takes += [
        _parameter(name, Annotated[a.word, _info(a)], verb.defaults.get(name, inspect._empty))
        for name, a in verb.arguments.items()
    ]
    lists = [n for n, a in verb.arguments.items() if a.word == list[str] and not a.option]
    several = lists[0] if lists and verb.has_controls else ""
    if verb.has_controls and not several:
        takes.append(_parameter("controls", Controls, None))
    help = f"{verb.gives.WRITES}; by default the next free samples/{'RUN' if verb.needs else 'NAME'}-..."
    help = f"{verb.gives.WRITES}." if issubclass(verb.gives, Scores | Texts) else help
    takes.append(_parameter("out", Annotated[Path | None, typer.Option(help=help)], None))
    if verb.gives.SHEET:
        grid = typer.Option(help=f"Also write {verb.gives.SHEET}, a PNG file.")
        takes.append(_parameter("grid", Annotated[Path | None, grid], None))
    if issubclass(verb.gives, Walk):
        film = typer.Option(help="Also write a film: .webp, .gif, .mp4 or .webm.")
        takes.append(_parameter("film", Annotated[Path | None, film], None))
        pace = typer.Option(help=f"Images a second of the film, by default {PACE}.", min=1, max=50)
        takes.append(_parameter("fps", Annotated[float | None, pace], None))

    def command(**words: Any) -> None:
        run = words.pop("run") if verb.needs else None
        out, grid = words.pop("out"), words.pop("grid", None)
        film, fps = words.pop("film", None), words.pop("fps", None)
        turned = words.pop("controls", None)
        if several:  # a command line has one list of words, in which controls come among the inputs
            turned = [word for word in words[several] if _is_control(word)]
            words[several] = [word for word in words[several] if not _is_control(word)]
        controls = pairs(turned, "steps=20")
        perform(verb, run, words, controls, out, grid, film, fps)

    takes.sort(key=lambda p: p.default is not inspect.Parameter.empty)
    command.__signature__ = inspect.Signature(takes)  # type: ignore[attr-defined]
    command.__doc__ = verb.summary
    return command


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> Any:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def _is_control(word: str) -> bool:
    name, equal, _ = word.partition("=")
    return bool(equal) and name.isidentifier() and not Path(word).exists()


def _info(argument: Argument) -> Any:
    if not argument.option:
        return typer.Argument(metavar=argument.metavar, help=argument.help, show_default=False)
    names = [f"--{argument.flag}"] if argument.flag else []
    least = getattr(argument, "least", None)
    return typer.Option(*names, metavar=argument.metavar, help=argument.help, min=least)


def perform(
    verb: Verb,
    run: Path | None,
    words: Mapping[str, Any],
    controls: Mapping[str, str],
    out: Path | None = None,
    grid: Path | None = None,
    film: Path | None = None,
    fps: float | None = None,
) -> Result:
    """Do what a command says: read its files, call the verb, write the result and say so.

    Args:
        verb: what to do.
        run: a trained model's folder; None if the verb takes none.
        words: the verb's arguments as words of the command line.
        controls: the family's, as words.
        out: where the result is written; by default where its class says.
        grid: a PNG file for a sheet of images.
        film: a file for a film of a walk.
        fps: images a second of it, `PACE` by default.

    Raises:
        Invalid: a word, a file or a control is wrong.
        OSError: the disk is full or not writable.
    """
    from zeuxis.cli import terminal
    from zeuxis.core.settings import override
    from zeuxis.inference.model import BATCH

    path = out or verb.gives.default_out(run or Path(_first(verb, words)), verb.name, words)
    if path is not None:
        verb.gives.check_out(path)
    if grid is not None:
        check_sheet(grid)
    if film is not None:
        from zeuxis.core.film import check_film

        check_film(film)
    elif fps is not None:
        raise Invalid(
            "--fps is the pace of a film; give --film FILE, too, such as --film walk.webp"
        )
    doing = verb.name.removesuffix("e") + "ing"
    with stopping(f"stopped while {doing}; {KEPT}"), terminal.watching() as watch:
        model = _model(verb, run)
        given = verb.read(model, words, ticks(watch, "reading"))
        kinds = model.family.Controls() if model is not None and controls else None
        turned = override(kinds, dict(controls)).model_dump() if kinds else {}
        with contextlib.ExitStack() as threads:
            count = given.get("count", 0)
            drawn = model is not None and issubclass(verb.gives, Images)
            if drawn and count >= MANY and path is not None:
                fewer = {**given, **turned, "count": BATCH}
                _foresee(lambda: verb(model, **fewer), count, path, watch, threads)
            result = verb(model, **given, **turned, progress=ticks(watch, doing))
        if path is not None:
            result.write(path)
        if grid is not None:
            result.write_sheet(grid)  # type: ignore[attr-defined]
        if film is not None and isinstance(result, Walk):
            result.write_film(film, fps or PACE)
    terminal.show_result(result, path, grid, film)
    return result


def _first(verb: Verb, words: Mapping[str, Any]) -> str:
    """The word of its first argument, or of the first of several."""
    word = words[next(iter(verb.arguments))]
    return str(word[0] if isinstance(word, list) else word)


def _model(verb: Verb, run: Path | None) -> "Model | None":
    """The model of a run that is able to do it, if the verb takes one."""
    if run is None:
        return None
    from zeuxis.inference.model import load

    model = load(run, verb.device)
    model.able(verb.needs, verb.name)
    return model


def _foresee(
    some: Callable[[], Any], count: int, folder: Path, tell: Watch, threads: contextlib.ExitStack
) -> None:
    """Draw some of `count` images, to choose threads and to say how long all take and how large they are."""
    from zeuxis.core import machine

    seconds = threads.enter_context(machine.quick_threads(some))
    announce(folder, some().images, count, seconds, tell)


def announce(folder: Path, some_NHWC: Any, count: int, seconds: float, tell: Watch) -> None:
    """Say how long `count` images take and how large they are, by some that took `seconds`.

    Raises:
        Invalid: they do not fit on the disk.
    """
    from zeuxis.core.files import check_disk
    from zeuxis.core.pixels import png_bytes

    size = sum(max(BLOCK, len(png_bytes(image))) for image in some_NHWC) / len(some_NHWC)
    check_disk(folder, round(count * size))
    minutes = count / len(some_NHWC) * seconds / 60
    text = (
        f"{count:,} images: about {minutes:.1f} min to draw, {count * size / 2**20:,.0f} MiB on disk, "
        f"{count * some_NHWC[0].size / 2**20:,.0f} MiB of memory"
    )
    tell(Event("note", text))


for _verb in (*VERBS.values(), *CREATE.values()):
    panel = "Start here" if _verb.name == "sample" else None if _verb.needs else MAKE
    for _name in filter(None, (_verb.name, _verb.alias)):
        app.command(
            _name,
            epilog=examples(*_verb.examples),
            rich_help_panel=panel,
            hidden=_name == _verb.alias,
        )(_command(_verb))
