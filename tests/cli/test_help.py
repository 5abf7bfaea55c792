"""Help pages, and what is said of words that nearly mean something. No torch for `--help`."""

import subprocess
import sys

import pytest
import typer

from tests.support.front import pictures, zeuxis
from tests.support.kit import ALL
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.cli import main
from zeuxis.cli.help import FROM_DATA, settings
from zeuxis.core.settings import Data, Training, suggest

COMMANDS = typer.main.get_command(main.app).commands


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], ("torch", "numpy", "pydantic", "rich")),
        (["sample", "--help"], ("torch", "numpy")),
        (["train", "--help"], ("torch", "numpy")),
        (["train", "--help-all"], ("torch", "numpy")),
    ],
)
def test_help_needs_no_torch(words, heavy):
    code = (
        "import sys; from zeuxis.cli.main import main; main(sys.argv[1:]); "
        f"sys.exit(len({{*{heavy}}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], check=False, capture_output=True)
    assert done.returncode == 0 and b"Usage: zeuxis" in done.stdout


@breaks("cli/help.py", 'args or ["--help"]', "args")
def test_without_a_command_there_is_help(capsys):
    assert zeuxis() == 0
    page = capsys.readouterr().out
    assert zeuxis("--help") == 0
    assert capsys.readouterr().out == page
    headings = [line for line in page.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [f"{name}:" for name in main._Commands.headings]


@breaks("cli/help.py", "if everything:", "if False:")
@pytest.mark.parametrize("name", ALL)
def test_help_of_a_family_shows_five_settings_and_help_all_every_one(name, capsys):
    assert zeuxis("train", name, "--help") == 0
    page = capsys.readouterr().out
    page = page.partition("Settings to look at first")[2]
    shown = [
        line.split()[0]
        for line in page.splitlines()
        if line.startswith("  ") and "=" in line.split()[0]
    ]
    assert len([word for word in shown if "." in word.partition("=")[0]]) == 5
    assert f"zeuxis train {name} --help-all" in page
    assert zeuxis("train", name, "--help-all") == 0
    page = capsys.readouterr().out
    cls = families.get(name)
    own = [f"family.{field}=" for field in cls.Config.model_fields if field not in FROM_DATA]
    rest = [f"training.{field}=" for field in Training.model_fields]
    rest += [f"data.{field}=" for field in Data.model_fields]
    assert all(f"  {word}" in page for word in [*own, *rest, *cls.Controls.model_fields])


@pytest.mark.parametrize("name", [None, *ALL])
def test_no_page_shows_a_type_of_python_or_a_setting_without_a_sentence(name):
    for fields in settings(name).values():
        for word, about in fields.items():
            assert about.strip(), word
            assert not any(leak in word + about for leak in ("Annotated", "Literal", "<", "None"))


@pytest.mark.parametrize(
    "schema",
    [Training, Data]
    + [families.get(name).Config for name in ALL]
    + [families.get(name).Controls for name in ALL],
)
def test_every_setting_has_a_description(schema):
    assert not [name for name, field in schema.model_fields.items() if not field.description]


def test_every_option_and_argument_has_a_sentence():
    groups = [COMMANDS, COMMANDS["data"].commands]
    for command in (c for group in groups for c in group.values() if not hasattr(c, "commands")):
        assert command.help and command.epilog.startswith("Examples:")
        assert not [param.name for param in command.params if not param.help]


OPTIONS = [
    ("train gan x --epochs 3", "did you mean --steps?"),
    ("train gan x --resolution 64", "did you mean data.size=VALUE?"),
    ("train gan x --size 64", "did you mean data.size=VALUE?"),
    ("train gan x --batch-size 8", "did you mean training.batch_size=VALUE?"),
    ("train gan x --lr 1", "did you mean training.lr=VALUE?"),
    ("train gan x --gpu", "did you mean --device?"),
    ("train gan x --minuts 3", "did you mean --minutes?"),
    ("train gan x --device tpu", "'tpu' is not one of 'auto', 'cpu'"),
    ("train", "missing argument 'FAMILY'"),
    ("trian", "did you mean 'train'"),
    ("sample x --num 3", "did you mean --count?"),
    ("sample x --steps 3", "NAME=VALUE"),
    ("train gan avatrs", "(did you mean avatars?)"),
    ("train gan avatars training.epochs=3", "did you mean 'steps'?"),
]


@breaks("cli/help.py", "if near is not None:", "if False:")
@breaks("core/settings.py", "(path), names, n=1)", "(path), (), n=1)")
@pytest.mark.parametrize(("words", "said"), OPTIONS)
def test_near_misses_of_words(words, said, capsys):
    assert zeuxis(*words.split()) == 2
    line = capsys.readouterr().err
    assert said.lower() in line.lower()
    assert line.startswith("zeuxis: ") and line.count("\n") == 1 and "Value error" not in line


@breaks("core/settings.py", "if word in theirs.split()", "if False")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("diffusion", "flow"),
        ("DDPM", "flow"),
        ("dcgan", "gan --preset dcgan"),
        ("wgan", "gan family.loss=wasserstein family.penalty=one_centred"),
        ("stylegan2", "stylegan"),
        ("autoregressive", "pixelcnn"),
        ("VQ-VAE", "tokenizer"),
        ("gam", "gan"),
    ],
)
def test_near_misses_of_families(name, said):
    assert suggest(name, families.FAMILIES) == f"did you mean {said!r}?"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "gan", "photo"], "did you mean photos?"),
        (["train", "gan", "photos/cta"], "did you mean photos/cat?"),
        (["sample", "photso/cat"], "did you mean photos?"),
        (["sample", "photos/cart"], "did you mean photos/cat?"),
        (["sample", "elsewhere"], ""),
    ],
)
def test_near_misses_of_paths(words, said, tmp_path, monkeypatch, capsys):
    pictures(tmp_path / "photos" / "cat", 2)
    monkeypatch.chdir(tmp_path)
    assert zeuxis(*words) == 2
    line = capsys.readouterr().err
    assert said in line and ("did you mean" in line) == bool(said)
