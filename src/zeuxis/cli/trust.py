"""The commands that say where pictures and models come from."""

import json
from pathlib import Path
from typing import Annotated

import typer

from zeuxis.cli.arguments import Trained, examples
from zeuxis.cli.help import App
from zeuxis.core.words import printable

app = App()
TRUST = "Say where pictures come from"
"""Heading of these commands."""


@app.command(
    rich_help_panel=TRUST,
    epilog=examples(
        "zeuxis verify picture.png",
        "zeuxis verify downloads/ --json",
        "zeuxis verify cropped.jpg --thorough --key mark.key",
    ),
)
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Pictures, films, and folders of them.", show_default=False
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option(help="File of a private key to look for as well.", show_default=False),
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough", help="Look for crops, turned and mirrored pictures, too: seconds each."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell by their marks whether Zeuxis made pictures, or whether they say that an AI did.

    Exit codes: 0 made by Zeuxis, 1 says it is AI-made, 3 edited since, 4 no mark found (which proves
    nothing), 2 bad input; of several pictures, the weakest answer's.
    """
    from zeuxis.cli import terminal
    from zeuxis.trust.verify import code_of
    from zeuxis.trust.verify import verify as look

    with terminal.ticking("looking") as progress:
        verdicts = look(files, key, thorough, progress)
    if as_json:
        typer.echo(json.dumps([each.values() for each in verdicts], indent=2))
    else:
        terminal.show_verdicts(verdicts)
    raise typer.Exit(code_of(verdicts))


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

    facts = release.write_cards(run, licence, data_licence, people)
    if facts.retrain:
        typer.echo(f"{run}: {facts.retrain}", err=True)
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
