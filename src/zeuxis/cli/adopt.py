"""The command that makes a run of another's model."""

from pathlib import Path
from typing import Annotated

from zeuxis.cli.arguments import examples, pairs, word
from zeuxis.cli.help import App

app = App()


@app.command(
    rich_help_panel="Use a trained model",
    epilog=examples(
        "zeuxis adopt downloads/sd-turbo runs/sd-turbo",
        "zeuxis adopt downloads/sdxl runs/sdxl steps=20 height=768 width=1024",
    ),
)
def adopt(
    folder: Annotated[
        Path, word("FOLDER", "A pipeline of diffusers: model_index.json, and its parts beside it.")
    ],
    run: Annotated[Path, word("RUN", "Folder of the new run; the weights are not copied to it.")],
    settings: Annotated[
        list[str] | None,
        word("NAME=VALUE", "What is usual from now on: steps, guidance_scale, height, width."),
    ] = None,
) -> None:
    """Use a diffusers pipeline that others have trained as any run: offline, and without a copy."""
    import zeuxis
    from zeuxis.cli import terminal

    with terminal.ticking("reading") as progress:
        zeuxis.adopt(folder, run, pairs(settings, "steps=20"), progress)
    terminal.show_adopted(run)
