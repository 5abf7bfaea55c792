"""The commands: each parses its words, calls one function and prints what it returns.

Nothing heavy is imported before a command runs, so that `zeuxis --help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from zeuxis import __version__
from zeuxis.cli import verbs
from zeuxis.cli.arguments import Controls, Grid, Label, Source, Trained, examples, pairs
from zeuxis.core.errors import Stopped
from zeuxis.core.progress import leaving, stopping
from zeuxis.core.words import printable

LONGEST = 2000
"""Letters of a sentence; only what somebody's file says makes one longer."""
STOPPED_MEASURING = "stopped while measuring; the model is as it was; the same command begins again"
STOPPED_DEMO = "stopped; what was made so far is whole; the same command goes on"
STOPPED_DRAWING = (
    "stopped while drawing; images that are written are whole; the same command begins again"
)
UNDONE = "stopped before anything was done; the same command begins again"


class _Commands(TyperGroup):
    """Commands whose Ctrl-C is our sentence, not the "Aborted!" of the library that parses them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with stopping(UNDONE):
            return super().invoke(ctx)


app = typer.Typer(
    name="zeuxis",
    cls=_Commands,
    help="Train, measure and use generative image models on whatever hardware is at hand.",
    epilog="Start with [bold]zeuxis demo[/bold]. Every command explains itself with --help.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data_app = typer.Typer(
    help="Look at images, prepare them for training, fetch known sets.", no_args_is_help=True
)
app.add_typer(data_app, name="data")
app.add_typer(verbs.app)


class _FamilyCommand(TyperCommand):
    """A command whose help, once a family is named, also lists that family's settings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember the family, then parse as usual."""
        from zeuxis.families import FAMILIES

        ctx.obj = next((word for word in args if word in FAMILIES), None)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the usual help, then the family's settings and controls."""
        super().format_help(ctx, formatter)
        if ctx.obj:
            from zeuxis.cli import terminal

            terminal.show_family(ctx.obj)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"zeuxis {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


Evaluate = Annotated[
    bool,
    typer.Option(
        "--evaluate/--no-evaluate",
        help="Measure the result, in a fifth of the training time and 3 minutes at most.",
    ),
]


@app.command(epilog=examples("zeuxis demo", "zeuxis demo --minutes 10 --out runs/longer"))
def demo(
    minutes: Annotated[
        float, typer.Option(help="Until a first report; measuring adds a fifth at most.")
    ] = 3.0,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
    evaluate: Evaluate = True,
) -> None:
    """Train a generator on the embedded avatars and show what it learned."""
    from zeuxis.cli import terminal
    from zeuxis.training import run as training

    with stopping(STOPPED_DEMO), terminal.watching() as watch:
        facts = training.demo(minutes=minutes, out=out, evaluate=evaluate, watch=watch)
    terminal.show_demo(facts)


@app.command(
    cls=_FamilyCommand,
    epilog=examples(
        "zeuxis train gan photos/ --minutes 10",
        "zeuxis train flow avatars --steps 2000 --seed 3 --out runs/faces",
        "zeuxis train vae photos.zip --minutes 5 data.size=32x48 data.flip=true",
        "zeuxis train flow more-photos/ --from runs/faces --minutes 2",
        "zeuxis train gan --help        the settings of one family",
    ),
)
def train(
    family: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY", help="gan, vae, flow ...: see `zeuxis families`.", show_default=False
        ),
    ],
    source: Source,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH=VALUE",
            help="Settings, as family.NAME=VALUE, training.NAME=VALUE or data.NAME=VALUE.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. By default runs/FAMILY-SOURCE.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Wall time until a first report: planning, steps, probes and saves. A few steps are timed "
            "first; by that, steps, threads and precision are chosen once and written down."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Optimiser steps, instead of --minutes: nothing is chosen by a clock, so that the same "
            "command gives the same bits."
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="A recipe to start from.")] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Same seed, --steps, machine and threads: same bits. After --minutes, the command that "
            "repeats a run's bits is printed."
        ),
    ] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to train.")
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            help="Processor threads. By default one a core, or with --minutes one in all where that is "
            "quicker, as on a busy machine. A run that goes on keeps its number.",
            min=1,
        ),
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Start from the weights of this trained model.")
    ] = None,
    keep: Annotated[
        Literal["last", "best"],
        typer.Option(help="Leave the weights of the last step, or of the best probe."),
    ] = "last",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Rename an old run of that folder and start anew.")
    ] = False,
    evaluate: Evaluate = True,
) -> None:
    """Train a family on images; the same command again continues a stopped run."""
    from zeuxis.cli import terminal
    from zeuxis.training import run as training

    with terminal.watching() as watch:
        folder = training.train(
            family,
            source,
            out=out,
            minutes=minutes,
            steps=steps,
            preset=preset,
            seed=seed,
            device=device,
            threads=threads,
            start_from=start_from,
            keep=keep,
            fresh=fresh,
            evaluate=evaluate,
            overrides=pairs(overrides, "training.lr=3e-4"),
            watch=watch,
        )
    terminal.show_trained(folder, source)


@app.command(
    epilog=examples(
        "zeuxis sample runs/demo --count 64 --seed 7 --grid sheet.png",
        "zeuxis sample runs/demo --count 16 --label hair=red --label background=sky",
        "zeuxis sample runs/flow-photos --count 8 steps=20 guidance_scale=2",
    )
)
def sample(
    run: Trained,
    controls: Controls = None,
    count: Annotated[int, typer.Option(help="How many images.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="Same seed: same images.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. By default samples/RUN-seedSEED."),
    ] = None,
    grid: Grid = None,
    label: Label = None,
) -> None:
    """Draw new images from a trained model into numbered PNG files."""
    from zeuxis.cli import terminal
    from zeuxis.inference import results

    with stopping(STOPPED_DRAWING), terminal.watching() as watch:
        folder = results.draw(
            run,
            count,
            seed=seed,
            out=out,
            sheet=grid,
            labels=label or (),
            controls=pairs(controls, "steps=20"),
            watch=watch,
        )
    terminal.show_samples(folder, grid)


@app.command(epilog=examples("zeuxis evaluate runs/gan-photos --data photos/"))
def evaluate(
    run: Trained,
    data: Annotated[
        str, typer.Option(metavar="SOURCE", help="Real images to compare with.", show_default=False)
    ],
    samples: Annotated[int, typer.Option(help="How many images to draw.", min=8)] = 2000,
) -> None:
    """Measure a trained model against real images; writes a report into the run's folder."""
    from zeuxis.cli import terminal
    from zeuxis.training import run as training

    with stopping(STOPPED_MEASURING), terminal.watching() as watch:
        facts = training.evaluate(run, data, samples=samples, watch=watch)
    terminal.show_scores(facts)


Network = Annotated[
    str,
    typer.Option(
        help="What images are compared by: efficientnet-lite0, inception, dinov2-b, dinov2-l, or an ONNX "
        "file of your own."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="File of the network's weights, where no package carries them.", show_default=False
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="64|96x64", help="Bring all images to this height x width.", show_default=False
    ),
]


@app.command(
    epilog=examples(
        "zeuxis compare generated/ photos/",
        "zeuxis compare generated/ photos.safetensors --samples 5000",
        "zeuxis compare fakes.zip photos/ --network inception --weights pt_inception-2015-12-05.pth",
    )
)
def compare(
    judged: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="Images to judge: any source, or a statistics file.",
            show_default=False,
        ),
    ],
    by: Annotated[
        str,
        typer.Argument(
            metavar="B", help="What they are judged by: the same kinds.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report. By default runs/compare-A-B.")
    ] = None,
    network: Network = "efficientnet-lite0",
    weights: Weights = None,
    samples: Annotated[int, typer.Option(help="Images of each side at most.", min=16)] = 10_000,
    size: Size = None,
    channels: Annotated[
        Literal["1", "3", "4"] | None,
        typer.Option(help="Bring all to grey, colour, or colour with alpha."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
) -> None:
    """Judge any images by any others, from any tool: every measure, and what is wrong in words."""
    from zeuxis.cli import terminal
    from zeuxis.evaluation import compare as comparing

    with terminal.ticking("comparing") as progress:
        form = _form(size, channels)
        report = comparing.compare(
            judged, by, out, network, weights, samples, form.size, form.channels, seed, progress
        )
    terminal.show_scores(report)


@app.command(
    epilog=examples(
        "zeuxis statistics photos/ photos.safetensors",
        "zeuxis statistics photos/ photos.npz --network inception --weights pt_inception-2015-12-05.pth",
    )
)
def statistics(
    source: Source,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="What to write: .safetensors for compare, .npz for pytorch-fid, .pkl for StyleGAN.",
            show_default=False,
        ),
    ],
    network: Network = "efficientnet-lite0",
    weights: Weights = None,
    size: Size = None,
) -> None:
    """Save what a set of images is to the measures, to compare with it later or elsewhere."""
    from zeuxis.cli import terminal
    from zeuxis.evaluation import compare as comparing

    with terminal.ticking("looking") as progress:
        path = comparing.statistics(
            source, file, network, weights, size=_form(size).size, progress=progress
        )
    terminal.show_statistics(path)


@app.command(
    epilog=examples(
        "zeuxis compare-families photos/ --minutes 5",
        "zeuxis compare-families avatars --families flow,gan,vae --minutes 3 data.conditions=hair",
    )
)
def compare_families(
    source: Source,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH=VALUE",
            help="Settings for all, as training.NAME=VALUE or data.NAME=VALUE.",
            show_default=False,
        ),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(
            help="Names between commas. By default all that generate.", show_default=False
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Minutes of training for each family.")] = 5.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs. By default runs/contest-SOURCE.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every run.")] = 0,
) -> None:
    """Train several families under one budget and lay the results side by side on one page."""
    from zeuxis.cli import terminal
    from zeuxis.training import contest

    with terminal.watching() as watch:
        result = contest.compare_families(
            source,
            [name.strip() for name in (families or "").split(",") if name.strip()],
            minutes=minutes,
            out=out,
            seed=seed,
            overrides=pairs(overrides, "training.lr=3e-4"),
            watch=watch,
        )
    terminal.show_contest(result)


@app.command(epilog=examples("zeuxis families", "zeuxis train flow --help"))
def families() -> None:
    """List the families, what each can do, and what it can be conditioned on."""
    from zeuxis.cli import terminal

    terminal.show_families()


@data_app.command(epilog=examples("zeuxis data inspect photos/", "zeuxis data inspect set.zip"))
def inspect(
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page that is written. By default runs/inspect-SOURCE."),
    ] = None,
) -> None:
    """Say what is in a source: sizes, classes, duplicates, damage; with a contact sheet."""
    from zeuxis import data
    from zeuxis.cli import terminal

    with terminal.ticking("looking") as progress:
        found = data.inspect(source, progress=progress)
    page = found.write(out or Path("runs") / f"inspect-{found.name}")
    terminal.show_inspection(found, page)


@data_app.command(
    epilog=examples(
        "zeuxis data prepare photos/ prepared/photos --size 64",
        "zeuxis data prepare scans.zip prepared/scans --size 96x64 --channels 1 --fit pad",
    )
)
def prepare(
    source: Source,
    dest: Annotated[
        Path, typer.Argument(metavar="DEST", help="Folder to write.", show_default=False)
    ],
    size: Annotated[
        str | None, typer.Option(metavar="64|96x64", help="Height x width, or one number for both.")
    ] = None,
    channels: Annotated[
        Literal["1", "3", "4"] | None, typer.Option(help="Grey, colour, or colour with alpha.")
    ] = None,
    fit: Annotated[
        Literal["crop", "pad", "stretch"], typer.Option(help="What to do with other shapes.")
    ] = "crop",
) -> None:
    """Turn a source into one array of pixels on disk, cleaned, labelled and split."""
    from zeuxis import data
    from zeuxis.cli import terminal
    from zeuxis.core.settings import Data, override

    words = {"size": size, "channels": channels, "fit": fit}
    settings = override(Data(), {name: word for name, word in words.items() if word}, "data.")
    with terminal.ticking("preparing") as progress:
        prepared = data.prepare(source, dest, settings, progress)
    terminal.show_prepared(prepared)


@data_app.command(
    epilog=examples("zeuxis data encode data/fashion-mnist runs/tokenizer data/fashion-tokens")
)
def encode(
    source: Source,
    run: Trained,
    dest: Annotated[
        Path, typer.Argument(metavar="DEST", help="Folder to write.", show_default=False)
    ],
) -> None:
    """Write what a trained model encodes each image to, to train on in place of pixels.

    Images are encoded as they are stored: not flipped, not cropped.
    """
    from zeuxis.cli import terminal
    from zeuxis.inference import latents

    with terminal.ticking("encoding") as progress:
        prepared = latents.encode(source, run, dest, progress)
    terminal.show_prepared(prepared)


@data_app.command(epilog=examples("zeuxis data get fashion-mnist data/fashion-mnist"))
def get(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="avatars, fashion-mnist, digits, emoji, earth or crafter.",
            show_default=False,
        ),
    ],
    dest: Annotated[
        Path, typer.Argument(metavar="DEST", help="Folder to write.", show_default=False)
    ],
) -> None:
    """Fetch a known set, with its credits and licence."""
    from zeuxis import data
    from zeuxis.cli import terminal

    with terminal.ticking("fetching") as progress:
        prepared = data.get(name, dest, progress)
    terminal.show_prepared(prepared)


def _form(size: str | None, channels: str | None = None) -> Any:
    """Size (`64` or `96x64`) and channels as settings of the data room."""
    from zeuxis.core.settings import Data, override

    words = {"size": size, "channels": channels}
    return override(Data(), {name: word for name, word in words.items() if word}, "")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad input, 130 after Ctrl-C.

    Bad input becomes one sentence on standard error. Any other exception is a defect of this library
    and keeps its traceback; with ZEUXIS_TRACEBACK=1 bad input shows its own, too.
    """
    with leaving() as came:
        try:
            app(words)
        except Stopped as stop:
            return _end(stop, 130)
        except Exception as error:
            if came:  # whatever an interrupted import makes of it
                return _end(UNDONE, 130)
            from zeuxis.cli import terminal

            code = terminal.exit_code(error)
            if code is None or os.environ.get("ZEUXIS_TRACEBACK"):
                raise
            return _end(terminal.sentence(error), code)
    return 0


def _end(sentence: object, code: int) -> int:
    text = printable(str(sentence))
    cut = f" ... ({len(text):,} letters in all)" if len(text) > LONGEST else ""
    sys.stderr.write(f"zeuxis: {text[:LONGEST]}{cut}\n")
    return code
