"""The commands that look at runs: what went wrong in one."""

import json
from typing import Annotated

import typer

from zeuxis.cli.arguments import Trained, examples
from zeuxis.cli.help import App

app = App()
WATCH = "Watch runs"
"""Heading of these commands."""


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
