"""The commands that use a trained model on images: parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from zeuxis.cli.arguments import Controls, Grid, Label, Source, Trained, examples, pairs
from zeuxis.cli.help import App

app = App()

Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the images. By default samples/RUN-VERB.", show_default=False),
]
Model = Annotated[
    Path,
    typer.Option(metavar="RUN", help="The folder that `zeuxis train` wrote.", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Same seed: same images.")]


@app.command(epilog=examples("zeuxis reconstruct runs/vae-photos photos/ --grid before-after.png"))
def reconstruct(
    run: Trained, source: Source, out: Out = None, grid: Grid = None, label: Label = None
) -> None:
    """Send images through the model's bottleneck and back."""
    _treat("reconstruct", run, source, out, grid, label)


@app.command(
    epilog=examples("zeuxis denoise runs/autoencoder-photos grainy/ --sigma 25 --grid both.png")
)
def denoise(
    run: Trained,
    source: Source,
    sigma: Annotated[
        float, typer.Option(help="Standard deviation of the noise, in levels of 255.", min=0)
    ] = 25.0,
    out: Out = None,
    grid: Grid = None,
    label: Label = None,
) -> None:
    """Take Gaussian noise of a known strength out of images."""
    _treat("denoise", run, source, out, grid, label, sigma=sigma)


@app.command(
    epilog=examples(
        "zeuxis complete runs/pixelcnn-photos photos/ --mask hole.png --grid both.png",
        "zeuxis complete runs/flow-photos photos/ --mask left-half.png --seed 3 steps=20",
    )
)
def complete(
    run: Trained,
    source: Source,
    mask: Annotated[
        Path,
        typer.Option(help="Image whose white part is to be painted.", show_default=False),
    ],
    controls: Controls = None,
    seed: Seed = 0,
    out: Out = None,
    grid: Grid = None,
    label: Label = None,
) -> None:
    """Paint what a mask leaves open; all else stays as it is."""
    words = pairs(controls, "steps=20")
    _treat("complete", run, source, out, grid, label, words, mask=mask, seed=seed)


@app.command(
    epilog=examples("zeuxis translate runs/flow-photos sketches/ --label style=oil strength=0.6")
)
def translate(
    run: Trained,
    source: Source,
    controls: Controls = None,
    seed: Seed = 0,
    out: Out = None,
    grid: Grid = None,
    label: Label = None,
) -> None:
    """Turn images into others of the kind that the model knows."""
    words = pairs(controls, "strength=0.6")
    _treat("translate", run, source, out, grid, label, words, seed=seed)


@app.command(epilog=examples("zeuxis encode runs/vae-photos photos/ --out latents.npz"))
def encode(
    run: Trained,
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write. By default samples/RUN-latents.npz.", show_default=False),
    ] = None,
    label: Label = None,
) -> None:
    """Write the latents of images: an .npz file with the arrays `latent` and `name`."""
    from zeuxis.cli import terminal
    from zeuxis.inference import apply

    with terminal.ticking("encoding") as progress:
        done = apply.encode(run, source, out=out, labels=label or (), progress=progress)
    terminal.show_treated(done)


@app.command(epilog=examples("zeuxis decode runs/vae-photos latents.npz --grid sheet.png"))
def decode(
    run: Trained,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="LATENTS", help="The file that `zeuxis encode` wrote.", show_default=False
        ),
    ],
    out: Out = None,
    grid: Grid = None,
    label: Label = None,
) -> None:
    """Turn latents into images."""
    from zeuxis.cli import terminal
    from zeuxis.inference import apply

    with terminal.ticking("decoding") as progress:
        done = apply.decode(run, file, out=out, sheet=grid, labels=label or (), progress=progress)
    terminal.show_treated(done)


@app.command(
    epilog=examples(
        "zeuxis interpolate runs/demo 7 8 --count 12 --grid walk.png",
        "zeuxis interpolate runs/vae-photos cat.png dog.png",
    )
)
def interpolate(
    run: Trained,
    start: Annotated[str, typer.Argument(help="A seed, or an image file.", show_default=False)],
    end: Annotated[str, typer.Argument(help="Another of the same kind.", show_default=False)],
    controls: Controls = None,
    count: Annotated[int, typer.Option(help="How many images, ends included.", min=2)] = 8,
    out: Out = None,
    grid: Grid = None,
    label: Label = None,
) -> None:
    """Walk from one image to another through the model's latents."""
    from zeuxis.cli import terminal
    from zeuxis.inference import apply

    words = pairs(controls, "steps=20")
    with terminal.ticking("drawing") as progress:
        done = apply.interpolate(
            run,
            start,
            end,
            count,
            out=out,
            sheet=grid,
            labels=label or (),
            controls=words,
            progress=progress,
        )
    terminal.show_treated(done)


@app.command(epilog=examples("zeuxis score runs/pixelcnn-photos photos/ --out scores.csv"))
def score(
    run: Trained,
    source: Source,
    out: Annotated[
        Path | None, typer.Option(help="Also write one line an image, a CSV file.")
    ] = None,
    label: Label = None,
    seed: Annotated[int, typer.Option(help="Of the draws that a bound or estimate takes.")] = 0,
) -> None:
    """Say how likely images are to the model, in bits per dimension."""
    from zeuxis.cli import terminal
    from zeuxis.inference import apply

    with terminal.ticking("scoring") as progress:
        found = apply.score(run, source, out=out, labels=label or (), seed=seed, progress=progress)
    terminal.show_likelihood(found, out)


@app.command(
    epilog=examples("zeuxis compress photos/ --model runs/pixelcnn-photos --out photos.zxi")
)
def compress(
    source: Source,
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write. By default samples/RUN.zxi.", show_default=False),
    ] = None,
) -> None:
    """Code images losslessly into one file, by a model that gives exact likelihoods."""
    from zeuxis.cli import terminal
    from zeuxis.inference import apply

    with terminal.ticking("coding") as progress:
        coded = apply.compress(model, source, out=out, progress=progress)
    terminal.show_coded(coded)


@app.command(
    epilog=examples("zeuxis decompress photos.zxi --model runs/pixelcnn-photos --out photos-again")
)
def decompress(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What `zeuxis compress` wrote.", show_default=False),
    ],
    model: Model,
    out: Out = None,
) -> None:
    """Get the images of a compressed file back, bit for bit."""
    from zeuxis.cli import terminal
    from zeuxis.inference import apply

    with terminal.ticking("decoding") as progress:
        done = apply.decompress(model, file, out=out, progress=progress)
    terminal.show_treated(done)


def _treat(
    verb: str,
    run: Path,
    source: str,
    out: Path | None,
    grid: Path | None,
    label: list[str] | None,
    controls: dict[str, str] | None = None,
    **settings: object,
) -> None:
    from zeuxis.cli import terminal
    from zeuxis.inference import apply

    with terminal.ticking(verb.removesuffix("e") + "ing") as progress:
        done = apply.treat(
            verb,
            run,
            source,
            out=out,
            sheet=grid,
            labels=label or (),
            controls=controls,
            progress=progress,
            **settings,
        )
    terminal.show_treated(done)
