"""The command that opens the studio in a browser."""

import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from zeuxis.cli.arguments import examples
from zeuxis.cli.help import App
from zeuxis.cli.serve import QUEUE

app = App()
START = "Start here"
PORT = 8321
PATIENCE = 3600.0
"""Seconds that one waits for pictures: some models take minutes, and whoever leaves the page ends it."""
SHOWN = 256
"""Images of one request at most: those of the page's largest grid."""


@app.command(
    rich_help_panel=START,
    epilog=examples("zeuxis studio", "zeuxis studio icons/", "zeuxis studio --no-browser --port 0"),
)
def studio(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="[FOLDER]",
            help="Where pictures, trainings and models are kept; by default here.",
            show_default=False,
        ),
    ] = Path(),
    port: Annotated[
        int,
        typer.Option(help="Port; 0 takes a free one.", min=0, max=65535),
    ] = PORT,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open the studio: gather pictures and train on them in a page of your browser, on this machine alone."""
    from zeuxis.server.serve import Options, serve

    def invite(address: str) -> None:
        typer.echo(f"the studio of {folder.resolve()} is at {address}")
        typer.echo("Ctrl-C closes it; trainings go on")
        if browser and _has_windows():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    runs = sorted(path.parent for path in (folder / "runs").glob("*/config.json"))
    options = Options(
        port=port,
        token_file=None,
        host_name=None,
        queue=QUEUE,
        deadline=PATIENCE,
        max_images=SHOWN,
        jobs=folder,
        sources=(),
    )
    serve(runs, options, typer.echo, invite)


def _has_windows() -> bool:
    """Whether a browser can open one: without, Python may start a browser for terminals, in this one."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
