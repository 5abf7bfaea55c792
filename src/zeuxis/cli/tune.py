"""The command that searches for better settings."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from zeuxis.cli.arguments import Source, examples, pairs, word
from zeuxis.cli.help import App
from zeuxis.cli.studio import START

app = App()


@app.command(
    rich_help_panel=START,
    epilog=examples(
        "zeuxis tune gan photos/ --trials 20 --minutes 60 --confirm 3",
        "zeuxis tune flow avatars --trials 12 --steps 800 --sampler random",
        "zeuxis tune gan photos/ --minutes 30 --space 'lr=1e-4..1e-2 log' family.gamma=2",
    ),
)
def tune(
    family: Annotated[str, word("FAMILY", "Kind of model; `zeuxis families` lists them.")],
    source: Source,
    overrides: Annotated[
        list[str] | None,
        word(
            "PATH=VALUE", "Settings of every trial, as for `zeuxis train`; these are not searched."
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            help="Trials in all, over all calls; the first is the preset as it is.", min=1
        ),
    ] = 20,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes of work on all trials, over all calls and processes; a trial that would not end in "
            "time is not begun."
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME=RANGE'",
            help="Where to search a setting: 'lr=1e-4..1e-2 log', 'features=16|32'; may be repeated. Others "
            "are searched where the family says.",
        ),
    ] = None,
    sampler: Annotated[
        Literal["tpe", "random", "grid"],
        typer.Option(help="How settings are chosen: from earlier trials, at random, or on a grid."),
    ] = "tpe",
    confirm: Annotated[
        int,
        typer.Option(
            help="Afterwards train winner and preset again with so many new seeds, such as 3, and try them "
            "on held-out images that the search never saw."
        ),
    ] = 0,
    steps: Annotated[int | None, typer.Option(help="Steps of each trial.")] = None,
    trial_minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes of each trial, instead of --steps; by default its part of --minutes."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the search. By default runs/tune-FAMILY-SOURCE.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Where to begin: a tested set of settings, or the file of a recipe."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the search and of every trial.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to train.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(help="Processor threads.", min=1)] = None,
    faces: Annotated[
        str | None,
        typer.Option(metavar="GROUND", help="As for `zeuxis train`.", show_default=False),
    ] = None,
) -> None:
    """Search for better settings of a family; the same command goes on with a search."""
    import zeuxis
    from zeuxis.cli import terminal

    with terminal.watching() as watch:
        found = zeuxis.tune(
            family,
            source,
            trials=trials,
            minutes=minutes,
            out=out,
            steps=steps,
            trial_minutes=trial_minutes,
            sampler=sampler,
            space=pairs(space, "'lr=1e-4..1e-2 log'"),
            confirm=confirm,
            preset=preset,
            seed=seed,
            device=device,
            threads=threads,
            faces=faces,
            overrides=pairs(overrides, "family.gamma=2"),
            watch=watch,
        )
    terminal.show_tuned(found)
