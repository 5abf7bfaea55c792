"""The commands that look at runs: which there are, what one is at, what went wrong in it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from zeuxis.cli.arguments import Trained, examples
from zeuxis.cli.help import App

app = App()
WATCH = "Watch runs"
"""Heading of these commands."""


@app.command(
    rich_help_panel=WATCH,
    epilog=examples(
        "zeuxis runs",
        "zeuxis runs runs/gan-photos runs/flow-photos --compare compared.html",
        "zeuxis runs elsewhere/ --json",
    ),
)
def runs(
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER...",
            help="Runs, or folders of runs. By default runs/.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE",
            help="Write a page with scores, settings that differ, and curves.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List runs, the newest first, with how far they came and how good they are."""
    from zeuxis.cli import terminal
    from zeuxis.training import runs as listing

    found = listing.find(places or [Path("runs")])
    if compare:
        listing.write_page(found, compare)
    if as_json:
        typer.echo(json.dumps([each.values() for each in found], indent=2))
    else:
        terminal.show_runs(found, compare)


@app.command(rich_help_panel=WATCH, epilog=examples("zeuxis watch runs/gan-photos"))
def watch(run: Trained) -> None:
    """Follow a run that another process trains, until it ends; Ctrl-C leaves it alone."""
    from zeuxis.cli import terminal
    from zeuxis.core.progress import stopping
    from zeuxis.training.runs import follow

    with stopping(f"no longer follows {run}, which goes on"), terminal.watching() as tell:
        follow(run, tell)


@app.command(
    rich_help_panel=WATCH,
    epilog=examples("zeuxis doctor runs/gan-photos", "zeuxis doctor runs/gan-photos --json"),
)
def doctor(
    run: Trained,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain what went wrong in a run, what was done about it, and what to try."""
    from zeuxis.cli import terminal
    from zeuxis.training.doctor.explain import explain

    found = explain(run)
    if as_json:
        typer.echo(json.dumps(found.values(), indent=2))
    else:
        terminal.show_explanation(run, found)
