"""The commands that say where pictures and models come from."""

from typing import Annotated

import typer

from zeuxis.cli.arguments import Trained, examples
from zeuxis.cli.help import App
from zeuxis.core.words import printable

app = App()
TRUST = "Say where pictures come from"
"""Heading of these commands."""


Licence = Annotated[
    str, typer.Option(help="Licence of the model, such as Apache-2.0.", show_default=False)
]
DataLicence = Annotated[
    str,
    typer.Option(
        help="Licence of what it was trained on; by default what its source states.",
        show_default=False,
    ),
]
People = Annotated[
    str,
    typer.Option(
        help="Whether the pictures show real people, and on what ground, in a sentence.",
        show_default=False,
    ),
]


@app.command(
    rich_help_panel=TRUST,
    epilog=examples("zeuxis card runs/flow-photos", "zeuxis card RUN --licence Apache-2.0"),
)
def card(
    run: Trained, licence: Licence = "", data_licence: DataLicence = "", people: People = ""
) -> None:
    """Write the cards of a run, unsigned: of the model, of its data and of its training."""
    from zeuxis.trust import cards, release

    release.write_cards(run, licence, data_licence, people)
    for name in (cards.CARD, cards.DATA, cards.RECEIPT):
        typer.echo(f"wrote {run / name}")


@app.command(
    rich_help_panel=TRUST,
    epilog=examples(
        "zeuxis release runs/flow-photos --licence Apache-2.0 --data-licence CC-BY-4.0",
        "zeuxis release runs/flow-photos --licence Apache-2.0 --data-licence unknown",
        "zeuxis release runs/flow-photos --check",
    ),
)
def release(
    run: Trained,
    licence: Licence = "",
    data_licence: DataLicence = "",
    people: People = "",
    check: Annotated[
        bool, typer.Option("--check", help="Compare a release with what was signed.")
    ] = False,
) -> None:
    """Write the cards of a run and sign them with the hashes of all its files, or check that.

    Exit codes of --check: 0 signed with your own key and unchanged, 1 by somebody else and unchanged,
    3 changed since, 2 no release.
    """
    from zeuxis.trust import release as releasing

    if not check:
        for path in releasing.release(run, licence, data_licence, people):
            typer.echo(f"wrote {path}")
        return
    found = releasing.check(run)
    for name in found.changed:
        typer.echo(f"{printable(name)}: changed since it was signed")
    who = "your own key" if found.own else "a key that is not known here"
    state = f"{len(found.changed)} files changed" if found.changed else "unchanged since"
    typer.echo(f"{run}: signed with {who}, {state}; licence: {printable(found.licence)}")
    raise typer.Exit(3 if found.changed else 0 if found.own else 1)
