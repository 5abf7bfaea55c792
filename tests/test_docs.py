"""What the documents say can be typed can be typed, and what they link to is there."""

import itertools
import re
from pathlib import Path

import pytest
import typer

from zeuxis.cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROOT_COMMAND = typer.main.get_command(main.app)


def commands(text):
    """Lines of code blocks, and words of tables, that call zeuxis."""
    for row in re.findall(r"^\|.*\|$", text, re.M):
        for words in re.findall(r"`zeuxis ([^`]*)`", row):
            yield words.split()
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("zeuxis "):
                yield line.partition("  #")[0].split()[1:]


def check(words):
    """Parse as the command line does, without running anything."""
    command = ROOT_COMMAND
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    if not {"--help", "--help-all"} & set(words):
        command.make_context("zeuxis", list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_links(page):
    text = page.read_text()
    for words in commands(text):
        check(words)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert "://" in target or (page.parent / target).exists(), target


def test_examples_of_the_help_pages():
    leaves = [
        leaf
        for command in ROOT_COMMAND.commands.values()
        for leaf in getattr(command, "commands", {"": command}).values()
    ]
    lines = itertools.chain.from_iterable(leaf.epilog.splitlines()[1:] for leaf in leaves)
    for line in lines:
        check(line.strip().split("    ")[0].split()[1:])
