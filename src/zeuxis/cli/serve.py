"""The command that serves trained models over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from zeuxis.cli.arguments import examples
from zeuxis.cli.help import App

app = App()
QUEUE, DEADLINE, MAX_IMAGES = 256, 60.0, 64


@app.command(
    epilog=examples(
        "zeuxis serve runs/demo",
        "zeuxis serve runs/demo runs/vae-photos --port 8080 --token-file token.txt",
        "zeuxis serve --jobs studio --source photos/",
        "zeuxis serve runs/demo --host-name pictures.example --token-file token.txt",
    )
)
def serve(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN...", help="Folders that `zeuxis train` wrote.", show_default=False
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token that clients send; without, one is made up and printed.",
            show_default=False,
        ),
    ] = None,
    host_name: Annotated[
        str | None,
        typer.Option(
            help="Name under which other machines reach this one; needs --token-file. Without, only this "
            "machine does. NAME:PORT behind a proxy that answers on another port than 443.",
            metavar="NAME[:PORT]",
            show_default=False,
        ),
    ] = None,
    queue: Annotated[int, typer.Option(help="Requests that may wait.", min=1)] = QUEUE,
    deadline: Annotated[
        float, typer.Option(help="Seconds that a request waits.", min=0.1)
    ] = DEADLINE,
    max_images: Annotated[int, typer.Option(help="Images of one request.", min=1)] = MAX_IMAGES,
    jobs: Annotated[
        Path | None,
        typer.Option(
            help="Also train on request: folder of the jobs and of pictures that clients send.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(help="Images that jobs may train on; repeatable.", show_default=False),
    ] = None,
) -> None:
    """Serve trained models over HTTP: every verb as a REST request; docs/serve.md has examples."""
    from zeuxis.server.serve import Options
    from zeuxis.server.serve import serve as answer

    options = Options(
        port=port,
        token_file=token_file,
        host_name=host_name,
        queue=queue,
        deadline=deadline,
        max_images=max_images,
        jobs=jobs,
        sources=tuple(source or ()),
    )
    answer(runs or (), options, typer.echo)
