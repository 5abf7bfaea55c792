"""The command that writes a trained model for use elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from zeuxis.cli.arguments import Trained, examples
from zeuxis.cli.help import App

app = App()


@app.command(
    rich_help_panel="Use a trained model",
    epilog=examples(
        "zeuxis export runs/demo --to page",
        "zeuxis export runs/gan-avatars --to onnx --half",
        "zeuxis export RUN --to npm --out my-package --licence Apache-2.0",
    ),
)
def export(
    run: Trained,
    to: Annotated[
        str,
        typer.Option(
            help="onnx: files for other programs. page: one HTML file that draws by itself. "
            "npm: a package. sheet: one picture of many. folder: the weights with their card.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="File or folder; default: exports/RUN-KIND.", show_default=False),
    ] = None,
    half: Annotated[
        bool | None,
        typer.Option(
            "--half/--full",
            help="float16 or float32; default: half in pages and packages of models that draw in one pass.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option(help="Licence of the model, such as Apache-2.0.", show_default=False)
    ] = "",
    compared: Annotated[
        int, typer.Option(help="Pictures that it is compared with `zeuxis sample` on.", min=0)
    ] = 32,
    count: Annotated[int, typer.Option(help="Pictures of a sheet.", min=1, max=4096)] = 64,
    seed: Annotated[int, typer.Option(help="Of a sheet's pictures.", min=0)] = 0,
) -> None:
    """Write a trained model for use elsewhere: in a page, in a package, in other programs."""
    from zeuxis.cli import terminal
    from zeuxis.export.write import export as write

    with terminal.ticking("exporting") as progress:
        more = {"licence": licence, "compared": compared, "count": count, "seed": seed}
        files = write(run, to, out, half, progress, **more)
    for path in files:
        typer.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
