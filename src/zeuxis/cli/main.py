"""The commands: each parses its arguments, calls one function and prints the result.

Nothing heavy is imported before a command runs, so that `zeuxis --help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zeuxis import __version__
from zeuxis.cli import adopt, export, runs, serve, studio, trust, tune, verbs
from zeuxis.cli.arguments import DataWords, Source, Trained, data_words, examples, pairs, word
from zeuxis.cli.help import App, FamilyCommand, Group, usage
from zeuxis.core.errors import Stopped
from zeuxis.core.progress import leaving, stopping
from zeuxis.core.words import printable

LONGEST = 2000
"""Longest sentence in characters; only text from files makes one longer."""
STOPPED_MEASURING = (
    "stopped while measuring; the model is unchanged; run the same command to measure again"
)
STOPPED_DEMO = "stopped; everything made so far is saved; run the same command to continue"
UNDONE = "stopped before anything was done; run the same command to start again"

START = studio.START
USE = "Use a trained model"
MEASURE = "Measure"
DATA = "Images and families"


class _Commands(Group):
    """Commands that end with our sentence on Ctrl-C, not with the parser's "Aborted!"."""

    headings = (START, USE, verbs.MAKE, MEASURE, runs.WATCH, trust.TRUST, DATA)
    rest = USE

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with stopping(UNDONE):
            return super().invoke(ctx)


app = App(
    name="zeuxis",
    cls=_Commands,
    help="Train generative image models on the hardware you have, measure them, and use them.",
    epilog="Start with `zeuxis demo`. Every command explains itself: `zeuxis train --help`.",
    context_settings={"help_option_names": ["--help", "-h"]},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = App(
    cls=Group,
    help="Look at images, prepare them for training, fetch known data sets.",
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data", rich_help_panel=DATA)
app.add_typer(verbs.app)
app.add_typer(adopt.app)
app.add_typer(export.app)
app.add_typer(runs.app)
app.add_typer(serve.app)
app.add_typer(studio.app)
app.add_typer(trust.app)
app.add_typer(tune.app)


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


Faces = Annotated[
    str | None,
    typer.Option(
        metavar="GROUND",
        help="Needed where over 5 % of the images show faces: consented=REGISTER (a file of who agreed) or "
        'acknowledged="REASON"; kept in the run and its card.',
        show_default=False,
    ),
]
Evaluate = Annotated[
    bool,
    typer.Option(
        "--evaluate/--no-evaluate",
        help="Measure the result after training: a fifth of the training time, 3 minutes at most.",
    ),
]


@app.command(
    rich_help_panel=START,
    epilog=examples("zeuxis demo", "zeuxis demo --minutes 10 --out runs/longer"),
)
def demo(
    minutes: Annotated[
        float, typer.Option(help="Minutes up to the first report; measuring adds a fifth at most.")
    ] = 3.0,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
    evaluate: Evaluate = True,
) -> None:
    """Train a generator on the embedded avatars and show what it learned."""
    import zeuxis
    from zeuxis.cli import terminal

    with stopping(STOPPED_DEMO), terminal.watching() as watch:
        facts = zeuxis.demo(minutes=minutes, out=out, evaluate=evaluate, watch=watch)
    terminal.show_demo(facts)


@app.command(
    cls=FamilyCommand,
    rich_help_panel=START,
    epilog=examples(
        "zeuxis train gan photos/ --minutes 10",
        "zeuxis train flow avatars --steps 2000 --seed 3 --out runs/faces",
        "zeuxis train vae photos.zip --minutes 5 data.size=32x48 data.flip=true",
        "zeuxis train flow more-photos/ --from runs/faces --minutes 2",
        "zeuxis train gan --help-all    every setting of one family",
    ),
)
def train(
    family: Annotated[
        str,
        word("FAMILY", "Kind of model: flow, gan, vae ...; `zeuxis families` lists them."),
    ],
    source: Source,
    overrides: Annotated[
        list[str] | None,
        word("PATH=VALUE", "Settings, such as data.size=64 training.lr=3e-4 family.features=64."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. By default runs/FAMILY-SOURCE.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="How long to train, up to the first report. A few steps are timed first, to choose how many "
            "fit."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="How many steps to train, instead of --minutes. The same command then gives the same "
            "weights, bit for bit."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="A tested set of settings to start from, or the file of a recipe."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Random seed: the same seed, --steps, machine and threads give the same weights."
        ),
    ] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to train.")
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            help="Processor threads. By default one per core, or with --minutes a single one where that is "
            "faster, as on a busy machine.",
            min=1,
        ),
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Start from the weights of this trained model.")
    ] = None,
    keep: Annotated[
        Literal["last", "best"],
        typer.Option(help="Keep the weights of the last step, or of the best score on the way."),
    ] = "last",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew; an old run in that folder is renamed.")
    ] = False,
    faces: Faces = None,
    evaluate: Evaluate = True,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write losses, scores and samples for TensorBoard, too."
        ),
    ] = False,
) -> None:
    """Train a model on images; the same command again continues a stopped run."""
    import zeuxis
    from zeuxis.cli import terminal

    observers = []
    if tensorboard:
        from zeuxis.training.tensorboard import TensorBoard

        observers += [TensorBoard(every=20)]
    with terminal.watching() as watch:
        folder = zeuxis.train(
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
            faces=faces,
            evaluate=evaluate,
            overrides=pairs(overrides, "training.lr=3e-4"),
            watch=watch,
            observers=observers,
        )
    terminal.show_trained(folder, source)


@app.command(epilog=examples("zeuxis stop runs/flow-photos"))
def stop(run: Trained) -> None:
    """Stop the training in a run's folder, wherever it was started; what it learned is saved."""
    from zeuxis.training.folder import request_stop

    who = request_stop(run)
    typer.echo(f"asked {who} to stop: it saves its state; run its command again to continue")


@app.command(
    rich_help_panel=MEASURE, epilog=examples("zeuxis evaluate runs/gan-photos --data photos/")
)
def evaluate(
    run: Trained,
    data: Annotated[
        str, typer.Option(metavar="SOURCE", help="Real images to compare with.", show_default=False)
    ],
    samples: Annotated[int, typer.Option(help="How many images to draw.", min=8)] = 2000,
) -> None:
    """Measure a trained model against real images, and write a report into the run's folder."""
    import zeuxis
    from zeuxis.cli import terminal

    with stopping(STOPPED_MEASURING), terminal.watching() as watch:
        facts = zeuxis.evaluate(run, data, samples=samples, watch=watch)
    terminal.show_scores(facts)


Network = Annotated[
    str,
    typer.Option(
        help="Feature network: efficientnet-lite0, inception, dinov2-b, dinov2-l, or an ONNX file of your "
        "own."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="File with the network's weights, for inception and dinov2.", show_default=False
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="64|96x64", help="Resize all images to this height x width.", show_default=False
    ),
]


@app.command(
    rich_help_panel=MEASURE,
    epilog=examples(
        "zeuxis compare generated/ photos/",
        "zeuxis compare generated/ photos.safetensors --samples 5000",
        "zeuxis compare fakes.zip photos/ --network inception --weights pt_inception-2015-12-05.pth",
    ),
)
def compare(
    measured: Annotated[
        str,
        word("A", "Images to measure: any source, or a statistics file."),
    ],
    reference: Annotated[
        str,
        word("B", "Reference images: any source, or a statistics file."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report. By default runs/compare-A-B.")
    ] = None,
    network: Network = "efficientnet-lite0",
    weights: Weights = None,
    samples: Annotated[
        int, typer.Option(help="Use at most this many images of each set.", min=16)
    ] = 10_000,
    size: Size = None,
    channels: Annotated[
        Literal["1", "3", "4"] | None,
        typer.Option(help="Convert all to grey (1), colour (3), or colour with alpha (4)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Compare two sets of images, from any tool: every metric, and a diagnosis in plain words."""
    from zeuxis.cli import terminal
    from zeuxis.evaluation import compare as comparing

    with terminal.ticking("comparing") as progress:
        form = _data("", size=size, channels=channels)
        report = comparing.compare(
            measured,
            reference,
            out,
            network,
            weights,
            samples,
            form.size,
            form.channels,
            seed,
            progress,
        )
    terminal.show_scores(report)


@app.command(
    rich_help_panel=MEASURE,
    epilog=examples(
        "zeuxis statistics photos/ photos.safetensors",
        "zeuxis statistics photos/ photos.npz --network inception --weights pt_inception-2015-12-05.pth",
    ),
)
def statistics(
    source: Source,
    file: Annotated[
        Path,
        word(
            "FILE",
            "File to write: .safetensors for `zeuxis compare`, .npz for pytorch-fid, .pkl for StyleGAN.",
        ),
    ],
    network: Network = "efficientnet-lite0",
    weights: Weights = None,
    size: Size = None,
) -> None:
    """Save a set's feature statistics, for comparisons without the images."""
    from zeuxis.cli import terminal
    from zeuxis.evaluation import compare as comparing

    with terminal.ticking("looking") as progress:
        path = comparing.statistics(
            source, file, network, weights, size=_data("", size=size).size, progress=progress
        )
    terminal.show_statistics(path)


@app.command(
    rich_help_panel=MEASURE,
    epilog=examples(
        "zeuxis compare-families photos/ --minutes 5",
        "zeuxis compare-families avatars --families flow,gan,vae --minutes 3 data.conditions=hair",
    ),
)
def compare_families(
    source: Source,
    overrides: Annotated[
        list[str] | None,
        word("PATH=VALUE", "Settings for all, as training.NAME=VALUE or data.NAME=VALUE."),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(
            help="Names separated by commas. By default all that generate images.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Minutes of training for each family.")] = 5.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs. By default runs/contest-SOURCE.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of every run.")] = 0,
    faces: Faces = None,
) -> None:
    """Train several families for equal time and show the results side by side on one page."""
    from zeuxis.cli import terminal
    from zeuxis.training import contest

    with terminal.watching() as watch:
        result = contest.compare_families(
            source,
            [name.strip() for name in (families or "").split(",") if name.strip()],
            minutes=minutes,
            out=out,
            seed=seed,
            faces=faces,
            overrides=pairs(overrides, "training.lr=3e-4"),
            watch=watch,
        )
    terminal.show_contest(result)


@app.command(rich_help_panel=DATA, epilog=examples("zeuxis families", "zeuxis train flow --help"))
def families() -> None:
    """List the families, what each can do, and what it can be conditioned on."""
    from zeuxis.cli import terminal

    terminal.show_families()


@data_app.command(epilog=examples("zeuxis data inspect photos/", "zeuxis data inspect set.zip"))
def inspect(
    source: Source,
    overrides: DataWords = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page that is written. By default runs/inspect-SOURCE."),
    ] = None,
) -> None:
    """Say what is in a set of images: sizes, classes, duplicates, damaged files; with a contact sheet."""
    from zeuxis import data
    from zeuxis.cli import terminal

    settings = _data("data.", **data_words(overrides))
    with terminal.ticking("looking") as progress:
        found = data.inspect(source, settings, progress)
    page = found.write(out or Path("runs") / f"inspect-{found.name}")
    terminal.show_inspection(found, page)


@data_app.command(
    epilog=examples(
        "zeuxis data prepare photos/ prepared/photos --size 64",
        "zeuxis data prepare scans.zip prepared/scans --size 96x64 --channels 1 --fit pad",
        "zeuxis data prepare facades/ prepared/facades data.pairs=A:B",
        "zeuxis data prepare photos/ prepared/sharpen --size 64 data.pair=downscale:4",
    )
)
def prepare(
    source: Source,
    dest: Annotated[Path, word("DEST", "Folder to write.")],
    overrides: DataWords = None,
    size: Annotated[
        str | None, typer.Option(metavar="64|96x64", help="Height x width, or one number for both.")
    ] = None,
    channels: Annotated[
        Literal["1", "3", "4"] | None,
        typer.Option(help="1 for grey, 3 for colour, 4 for colour with alpha."),
    ] = None,
    fit: Annotated[
        Literal["crop", "pad", "stretch"],
        typer.Option(help="What to do with images of another shape."),
    ] = "crop",
) -> None:
    """Clean, resize, label and split images once, into a folder that training reads fast."""
    from zeuxis import data
    from zeuxis.cli import terminal

    given = {"size": size, "channels": channels, "fit": fit}
    settings = _data("data.", **(given | data_words(overrides)))
    with terminal.ticking("preparing") as progress:
        prepared = data.prepare(source, dest, settings, progress)
    terminal.show_prepared(prepared)


@data_app.command(
    epilog=examples("zeuxis data encode data/fashion-mnist runs/tokenizer data/fashion-tokens")
)
def encode(
    source: Source,
    run: Trained,
    dest: Annotated[Path, word("DEST", "Folder to write.")],
) -> None:
    """Encode images by a trained model, to train another on the latents or tokens.

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
        word("NAME", "avatars, fashion-mnist, digits, emoji, earth or crafter."),
    ],
    dest: Annotated[Path, word("DEST", "Folder to write.")],
) -> None:
    """Fetch a known data set, with its credits and licence."""
    from zeuxis import data
    from zeuxis.cli import terminal

    with terminal.ticking("fetching") as progress:
        prepared = data.get(name, dest, progress)
    terminal.show_prepared(prepared)


def _data(prefix: str, **words: str | None) -> Any:
    """Settings of the data by words, such as a size `64` or `96x64`; None keeps a default."""
    from zeuxis.core.settings import Data, override

    return override(
        Data(), {name: word for name, word in words.items() if word is not None}, prefix
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad input, 130 after Ctrl-C.

    Bad input becomes one sentence on standard error. Any other exception is a defect of this library
    and keeps its traceback; with ZEUXIS_TRACEBACK=1 bad input shows its own, too.
    """
    with leaving() as came:
        try:
            return int(app(words, prog_name="zeuxis", standalone_mode=False) or 0)
        except typer.TyperException as error:
            return _end(usage(error), 2)
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


def _end(sentence: object, code: int) -> int:
    text = printable(str(sentence))
    cut = f" ... ({len(text):,} letters in all)" if len(text) > LONGEST else ""
    sys.stderr.write(f"zeuxis: {text[:LONGEST]}{cut}\n")
    return code
