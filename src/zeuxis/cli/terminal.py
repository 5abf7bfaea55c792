"""Terminal output: progress, tables, results, and errors as one sentence.

Progress goes to standard error, results to standard output. Where standard error is no terminal, a
plain line now and then takes the place of the bar. Of processes that train together, only the
first one speaks.
"""

import collections
import contextlib
import errno
import os
import shlex
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
from rich import progress as bars
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from zeuxis import families
from zeuxis.core.abilities import Scores, abilities_of
from zeuxis.core.errors import Error, Invalid
from zeuxis.core.family import Condition, Family
from zeuxis.core.files import read_json
from zeuxis.core.progress import Event, Progress, Watch, stopping, ticks
from zeuxis.core.settings import explain, similar
from zeuxis.core.words import printable
from zeuxis.data import Inspection, Prepared, inspect
from zeuxis.evaluation.report.measures import missing
from zeuxis.inference.artefact import usage
from zeuxis.inference.results import Result
from zeuxis.training import recipes, runs
from zeuxis.training.doctor.explain import Explanation
from zeuxis.training.tune import Tuned, scored
from zeuxis.trust.verify import Verdict

SCORES = ("kernel_distance", "style_distance", "caption_gain")
SIDE_BY_SIDE = 4
"""Runs whose differences are printed."""
LONG = 24
"""Characters of a folder that is not repeated on each line."""
EVERY = 10.0
"""Seconds between plain lines."""


class _Console(Console):
    """Names from strangers' files do not act on the terminal: all that is printed passes `render`."""

    def say(self, line: object) -> None:
        """Print one line as it is, without markup; a name in it makes no second one."""
        self.print(printable(str(line)), markup=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The pieces of what is printed; `control` are the console's own."""
        for piece in super().render(renderable, options):
            text = piece.text if piece.control else printable(piece.text, lines=True)
            yield piece._replace(text=text)


def _console(stderr: bool = False) -> _Console:
    quiet = os.environ.get("RANK", "0") != "0"
    return _Console(stderr=stderr, quiet=quiet, highlight=False, soft_wrap=True, emoji=False)


# Progress


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Show the events of a run while the body runs."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    bar = _Bar()
    with Live(bar, console=console, transient=True, refresh_per_second=5):
        yield lambda event: bar.show(event, console.say)


@contextlib.contextmanager
def ticking(verb: str) -> Iterator[Progress]:
    """Show (done, total) calls as progress while the body runs, and say what Ctrl-C leaves."""
    kept = "files already written are complete; run the same command to start again"
    with stopping(f"stopped while {verb}; {kept}"), watching() as watch:
        yield ticks(watch, verb)


class _Lines:
    """A plain line for what matters, and for the rest one every `EVERY` seconds."""

    def __init__(self, console: _Console) -> None:
        self._console = console
        self._next = time.monotonic() + EVERY
        self._scores: Mapping[str, float] = {}

    def __call__(self, event: Event) -> None:
        if event.kind in ("plan", "probe"):  # a plan begins another run
            self._scores = event.numbers
        if event.kind in ("note", "plan") and event.text:
            self._console.say(event.text)
        elif event.kind in ("step", "prepare") and time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            words = [
                event.text or "step",
                f"{event.done:,}/{event.total:,}",
                *_pace(event),
            ]
            words += [*_losses(event.numbers), *_scores(self._scores)]
            self._console.say("  ".join(words))


class _Bar:
    """One line with a bar, and one with the losses and the latest score."""

    def __init__(self) -> None:
        self._progress = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(24),
            bars.TextColumn("{task.completed:,}/{task.total:,}"),
            bars.TextColumn("{task.fields[pace]}"),
        )
        self._task: bars.TaskID | None = None
        self._losses: list[str] = []
        self._scores: list[str] = []

    def __rich__(self) -> Group:
        words = "  ".join([*self._losses, *self._scores])
        return Group(self._progress, *([Text("  " + words, style="dim")] if words else []))

    def show(self, event: Event, say: Callable[[str], None]) -> None:
        if event.kind in ("plan", "probe"):  # a plan begins another run
            self._scores = _scores(event.numbers)
        if event.kind in ("note", "plan") and event.text:
            say(event.text)
        elif event.kind in ("step", "prepare"):
            self._losses = _losses(event.numbers)
            pace = "  ".join(_pace(event))
            words: dict[str, Any] = {"description": event.text or "training", "pace": pace}
            if self._task is None:
                self._task = self._progress.add_task(total=event.total, **words)
            self._progress.update(self._task, completed=event.done, total=event.total, **words)


def _pace(event: Event) -> list[str]:
    numbers = event.numbers
    words = []
    if "images_per_second" in numbers:
        words.append(f"{numbers['images_per_second']:,.0f} images/s")
    if "seconds_left" in numbers:
        words.append(f"{duration(numbers['seconds_left'])} left")
    return words


def _losses(numbers: Mapping[str, float]) -> list[str]:
    """The total of each phase."""
    totals = {key.removesuffix("/total"): n for key, n in numbers.items() if key.endswith("/total")}
    return [f"{'loss' if name == 'main' else name} {n:.4g}" for name, n in totals.items()]


def _scores(numbers: Mapping[str, float]) -> list[str]:
    """Those that say how good it is; the log has the doctor's, too."""
    return [f"{name.replace('_', ' ')} {n:.4g}" for name, n in numbers.items() if name in SCORES]


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(42), duration(190), duration(7500)
    ('42 s', '3 min 10 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


# Results


def show_demo(facts: Mapping[str, Any]) -> None:
    """What the demo made, how good it is, and what to try next."""
    out = _console()
    run = Path(facts["folder"])
    _made(out, f"a {facts['family']} that draws avatars: {run}")
    _page(out, facts["report"])
    out.say(f"  samples  {facts['samples']}")
    if facts["scores"] is not None:
        _verdict(out, facts["scores"], run)
    _next(
        out,
        *_use_commands(run),
        f"zeuxis train {facts['family']} PHOTOS/ --minutes 10",
    )


def show_trained(folder: Path, source: str) -> None:
    """What was made, how good it is, and what to try next."""
    out = _console()
    _made(out, folder)
    _page(out, folder / "report.html")
    if (folder / "report.json").is_file():
        _verdict(out, _measured(folder / "report.json"), folder)
    evaluate = f"zeuxis evaluate {_typed(folder)} --data {_typed(source)}"
    _next(out, *_use_commands(folder), evaluate)


def show_scores(report: Mapping[str, Any]) -> None:
    """What is right and wrong, every measure, and where the page lies."""
    out = _console()
    _verdict(out, report, Path(report["report"]).parent)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Measure", "Here", "95 %", "Real", "Better"):
        table.add_column(name, no_wrap=name != "Measure")
    for row in report["rows"]:
        real = row["real"].partition(" (")[0]
        words = (row["title"], row["value"], row["interval"], real, row["better"])
        table.add_row(*map(Text, words))
    out.print()
    out.print(table)
    _made(out, f"{report['report']}  (open it in a browser)")


def show_statistics(path: Path) -> None:
    """Where they lie, and what to try next."""
    out = _console()
    _made(out, path)
    if path.suffix == ".safetensors":
        _next(out, f"zeuxis compare GENERATED/ {_typed(path)}")


def _measured(path: Path) -> Mapping[str, Any]:
    """A report that was written before, perhaps by somebody else."""
    report = read_json(path, finite=False)
    for said in (report.get("words"), report.get("notes")):
        if not isinstance(said, list) or not all(isinstance(line, str) for line in said):
            raise Invalid(f"{path} is no report of `zeuxis evaluate`; remove it and measure again")
    return report


def _verdict(out: _Console, report: Mapping[str, Any], run: Path) -> None:
    """The verdict, the report's own words, and what to do next, where that names the run without folders."""
    out.print("\n[bold]How good it is[/bold]")
    said = report.get("verdict", {})
    if said:
        out.say(f"  {said['sentence']}")
    for line in [*report["words"], *report["notes"]]:
        out.say(f"  - {line}")
    for line in missing(report.get("not_measured", {}), most=3):
        out.say(f"  - Not measured: {line}")
    if said.get("command"):
        out.print("\n[bold]What to do next[/bold]")
        where = f", in {run.parent}" if run.is_absolute() else ""
        out.say(f"  {said['action']}{where}: {said['command']}")


def show_adopted(run: Path) -> None:
    """A run of another's model: what is known of it, and what to do with it."""
    out, content = _console(), read_json(run / "config.json")
    config, adopted = content["config"], content["adopted"]
    _made(out, run)
    out.say(
        f"  {config['pipeline']}, {config['height']} x {config['width']}, {config['steps']} steps, guidance "
        f"{config['guidance_scale']:g}"
    )
    out.say(f"  weights  {config['folder']}  (not copied)")
    out.say(f"  licence  {adopted['licence'] or 'not stated in that folder; ask whoever made it'}")
    name = _typed(run)
    _next(
        out,
        f"zeuxis sample {name} --count 1 --text 'a red cat' --grid cat.png",
        f"zeuxis vary {name} PHOTOS/ --text 'an oil painting' strength=0.6",
        f"zeuxis complete {name} PHOTOS/ --mask hole.png --text 'a garden'",
    )


def _made(out: _Console, what: object) -> None:
    out.print("\n[bold]Made[/bold]  ", end="")
    out.say(what)


def _page(out: _Console, report: object) -> None:
    out.say(f"  report   {report}  (open it in a browser)")


def _typed(word: object) -> str:
    """A path as a shell wants it, also with spaces."""
    return shlex.quote(str(word))


def _use_commands(run: Path) -> Iterator[str]:
    """What a model is for; of one that generates, also the last class of its first condition, or a seed."""
    content = read_json(run / "config.json")
    yield usage(content["family"], _typed(run))
    if families.get(content["family"]).shows() != "generate":
        return
    for condition in content["config"]["conditions"][:1]:
        asked = f"{condition['name']}={condition['classes'][-1]}"
        if asked == printable(asked):  # else it could not be typed
            yield f"zeuxis sample {_typed(run)} --count 16 --label {_typed(asked)}"
            return
    yield f"zeuxis sample {_typed(run)} --count 64 --seed 8 --grid another.png"


def show_result(
    result: Result, path: Path | None, sheet: Path | None = None, film: Path | None = None
) -> None:
    """What a verb gave, where it lies, and what could not be read."""
    out = _console()
    if result.refused:
        name, why = result.refused[0]
        out.say(f"{len(result.refused)} files could not be read; the first: {name}: {why}")
    for line in result.lines(path):
        out.say(line)
    if sheet is not None:
        out.say(f"wrote the sheet {sheet}")
    if film is not None:
        out.say(f"wrote the film {film}")
        if film.suffix.lower() == ".webm" and not result.provenance.get("unmarked"):
            what = "nothing" if film.name in getattr(result, "bare", ()) else "only its watermark"
            out.say(f"  WebM holds no metadata: {what} says that it is AI-generated")


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """What the marks of each file tell, and how many got which answer."""
    out = _console()
    for verdict in verdicts:
        out.say(f"{verdict.name}: {verdict.answer.words}")
        for line in verdict.evidence:
            out.say(f"  {line}")
    if len(verdicts) > 1:
        counts = collections.Counter(verdict.answer.words for verdict in verdicts)
        listed = "; ".join(f"{count:,} {words}" for words, count in counts.most_common())
        out.say(f"{len(verdicts):,} files: {listed}")


def show_runs(found: Sequence[runs.Entry], page: Path | None) -> None:
    """A line a run, and what differs between them if there is a page of that."""
    out = _console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Run", overflow="fold", ratio=1)
    for title in ("Family", "State", "Step", "Time", "Distance", "Verdict"):
        table.add_column(title, no_wrap=True)
    called, parent = [str(each.folder) for each in found], found[0].folder.parent
    if len(str(parent)) > LONG and {each.folder.parent for each in found} == {parent}:
        called = [each.folder.name for each in found]
        out.say(f"in {parent}")
    for name, each in zip(called, found, strict=True):
        took = duration(each.seconds) if each.seconds else ""
        words = map(printable, (name, each.family, each.state, runs.reached(each), took))
        table.add_row(*map(Text, (*words, runs.scored(each), each.verdict)))
    out.print(table)
    if page:
        differing = runs.differing(found)
        out.print()
        for path, values in differing.items() if len(found) <= SIDE_BY_SIDE else ():
            if "–" not in values:  # those of one family alone are on the page
                out.say(f"{path}: {' | '.join(values)}")
        _made(out, f"{page}: {len(differing)} settings differ (open it in a browser)")


def show_explanation(run: Path, found: Explanation) -> None:
    """What the doctor found in a run."""
    out = _console()
    out.say(f"{run}: {found.state}")
    for each in found.findings:
        when = "" if each.step is None else f" (step {each.step:,})"
        out.print()
        out.say(f"{each.name}{when}: {each.evidence}")
        for line in filter(None, (each.means, *(f"done: {done}" for done in each.done))):
            out.say(f"  {line}")
        if each.tries:
            out.say(f"  try: {each.tries}")
    if not found.findings:
        looked = "nothing was found" if found.watched else "it was trained without the doctor"
        out.say(f"  {looked}")


def show_tuned(found: Tuned) -> None:
    """The trials, the best first, and how to train with its settings."""
    out = _console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Trial", "State", "Score", "Time", "Settings"):
        table.add_column(title, no_wrap=title != "Settings", overflow="fold")
    order = sorted(found.rows, key=lambda row: (row.state != "complete", row.score or (0.0,)))
    for row in order:
        said = ", ".join(f"{path}={word}" for path, word in row.settings.items())
        said = "the preset" if row.number == 0 else said
        words = (str(row.number), row.said, scored(row), duration(row.seconds), said)
        table.add_row(*map(Text, map(printable, words)))
    out.print()
    out.print(table)
    if found.confirmed:
        out.print()
        out.say(found.confirmed.sentence())
    _made(out, f"{found.page}  (open it in a browser)")
    if found.recipe is not None:
        out.say(f"  recipe   {found.recipe}: the settings of trial {found.best}")
        _next(out, found.command)


def show_contest(result: Mapping[str, Any]) -> None:
    """The families, best first, and where the page lies."""
    out = _console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = ("kernel_distance", "coverage", "copy_rate", "bits_per_dim")
    for title in ("Family", *(name.replace("_", " ") for name in names), "first good", "a sample"):
        table.add_column(title, no_wrap=True)
    for family, known in result["families"].items():
        numbers = [known["scores"].get(name) for name in names]
        words = ["" if number is None else f"{number:.3g}" for number in numbers]
        costs = (known["First good samples after"], known["Time of a sample"])
        table.add_row(*map(Text, (family, *words, *costs)))
    out.print()
    out.print(table)
    _made(out, f"{result['page']}  (open it in a browser)")
    if result["picture"] is not None:
        out.say(f"  picture  {result['picture']}")


def show_inspection(found: Inspection, page: Path) -> None:
    """What was found in a source, and where the page with the contact sheet lies."""
    out = _console()
    for line in found.lines():
        out.say(line)
    _made(out, f"{page}  (open it in a browser)")


def show_prepared(prepared: Prepared) -> None:
    """What a prepared set holds, and what to try next."""
    out = _console()
    for line in inspect(prepared.folder).lines():
        out.say(line)
    if prepared.facts["licence"]:
        out.say(f"licence: {prepared.facts['licence'].splitlines()[0][:100]}")
    _made(out, prepared.folder)
    _next(out, f"zeuxis train flow {_typed(prepared.folder)} --minutes 5")


def _next(out: _Console, *commands: str) -> None:
    out.print("\n[bold]Try next[/bold]")
    for command in commands:
        out.say(f"  {command}")


# Families


def show_families() -> None:
    """Every family: what it is, what it can do, its conditions and presets."""
    out = _console()
    kinds = " or ".join(typing.get_args(Condition.model_fields["kind"].annotation))
    for name, (_, line) in {**families.FAMILIES, **families.ADOPTED}.items():
        cls = families.get(name)
        out.print(f"[bold]{name}[/bold]  {line}")
        out.print(f"    abilities   {', '.join(abilities(cls))}")
        if name in families.ADOPTED:
            out.print("    made by     zeuxis adopt\n")
            continue
        out.print(f"    conditions  none, one or several columns of {kinds}")
        out.print(f"    presets     {', '.join(recipes.names(name)) or 'none'}\n")


def abilities(cls: type[Family]) -> list[str]:
    """What a family can do, in words, from the abilities that it inherits."""
    words = [ability.__name__.lower() for ability in abilities_of(cls)]
    if issubclass(cls, Scores):
        words[words.index("scores")] = f"scores (bits/dim, {cls.kind})"
    return words


# Errors


def exit_code(error: BaseException) -> int | None:
    """As the error says, 2 for bad input of other origin; None for a defect."""
    if isinstance(error, Error):
        return error.code
    return 2 if isinstance(error, ValueError | OSError) else None


AGAIN = "and run the same command again (what was saved before is complete)"
ADVICE = {
    errno.ENOSPC: f"the disk is full; free some space {AGAIN}",
    errno.EDQUOT: f"the disk quota is used up; free some space {AGAIN}",
    errno.EFBIG: f"a file may not be as large as this here; raise the limit (`ulimit -f`) {AGAIN}",
    errno.EIO: f"the disk could not be read or written; check it or name another path, {AGAIN}",
    errno.ENOMEM: f"memory is used up; close other programs {AGAIN}",
    errno.EMFILE: f"too many files are open; raise the limit (`ulimit -n`) {AGAIN}",
    errno.ENFILE: f"too many files are open on this machine; close other programs {AGAIN}",
    errno.ESTALE: f"the network folder was lost; connect it again {AGAIN}",
    errno.EACCES: "permission denied; change the permissions or name another path",
    errno.EPERM: "permission denied; change the permissions or name another path",
    errno.EROFS: "the file system is read-only; name another path",
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENOTDIR: "expected a folder, found a file; check the path",
    errno.EISDIR: "expected a file, found a folder; check the path",
    errno.EEXIST: "it is there already; name another path",
    errno.ENOTEMPTY: "the folder is not empty; name another path",
    errno.ENAMETOOLONG: "the name is too long; name a shorter path",
    errno.ELOOP: "the link leads to itself or nowhere; name another path",
}


def sentence(error: BaseException) -> str:
    """One line that says what was found, what was expected and what to do.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "photos"))
    'photos: there is no such file or folder; check the path'
    """
    if isinstance(error, pydantic.ValidationError):
        return explain(error)
    if isinstance(error, OSError) and error.errno is not None:
        name = os.fsdecode(error.filename) if error.filename else ""
        near = similar(name) if name and error.errno == errno.ENOENT else ""
        where = f"{name}{near}: " if name else ""
        unknown = f"{error.strerror or error}; name another path, or mend that {AGAIN}"
        return where + ADVICE.get(error.errno, unknown)
    return " ".join(str(error).split()) or type(error).__name__
