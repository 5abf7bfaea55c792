"""Names from strangers' files reach terminals and pages as text: every command that prints them."""

import base64
import hashlib
import json
import re
import shlex
import unicodedata

import pytest

from tests.support.front import pictures, workshop, zeuxis
from tests.support.kit import changed, config_for
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.cli import terminal
from zeuxis.core.family import Condition
from zeuxis.data import open_prepared
from zeuxis.evaluation import evaluate, report
from zeuxis.inference import artefact
from zeuxis.inference.model import load

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u200b"
MARKUP = "[red]<b>*`_:cat:</b>"
LINES = "one\ntwo\tthree\rfour"
NAMES = (ESCAPES, MARKUP, LINES, "猫 café")
SEEN = r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u200b"


def harmless(text):
    """No character of it acts; what a terminal gets from us is text and newlines."""
    bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}
    assert not bad, sorted(bad)
    return text


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with workshop(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures in folders, of names, with columns, captions and a licence that a stranger chose."""
    root = tmp_path_factory.mktemp("photos") / "set"
    lines = []
    for seed, name in enumerate(NAMES):
        folder = pictures(root / name, 12, (8, 8), 1, seed=seed)
        (folder / "000.png").rename(folder / f"{name}.png".replace("/", "|"))
        (folder / f"{ESCAPES}.jpg").write_text("no picture")
        for path in sorted(folder.glob("0*.png")):
            line = {"file_name": str(path.relative_to(root)), ESCAPES: name, MARKUP: seed}
            lines.append({**line, "text": ESCAPES})
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (root / "LICENSE").write_text(f"{ESCAPES}{MARKUP}\nall of it\r\n\tso")
    (root / f"{ESCAPES}.heic").write_text("x")
    return root


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("prepared") / "set"
    assert zeuxis("data", "prepare", photos, folder) == 0
    return folder


def model(folder, name):
    """An untrained vae whose only condition has this name, and whose classes have them all."""
    conditions = (Condition(name=name, classes=NAMES),)
    config = changed(config_for("vae", conditional=False), conditions=conditions)
    family = families.build("vae", config)
    labels = [[[number], 3] for number in range(len(NAMES))]
    artefact.save(
        folder, "vae", family, family.state_dict(), dataset={"labels": labels, "licence": name},
        source=name, command=f"zeuxis train vae '{name}'",
    )  # fmt: skip
    return folder


def said(capsys):
    captured = capsys.readouterr()
    return harmless(captured.out), harmless(captured.err)


@breaks("core/words.py", "html.escape(printable(text, lines))", "html.escape(text)")
def test_inspect_and_prepare(photos, tmp_path, capsys):
    assert zeuxis("data", "inspect", photos, "--out", tmp_path / "page") == 0
    out, _ = said(capsys)
    assert SEEN in out and MARKUP in out
    page = harmless((tmp_path / "page" / "inspect.html").read_text())
    assert "<b>" not in page and SEEN in page and "猫 café" in page and "all of it\n" in page
    assert zeuxis("data", "prepare", photos, tmp_path / "set") == 0
    out, _ = said(capsys)
    assert "licence: " + SEEN in out


@breaks("core/words.py", "{space}{printable(text)}{space}", "{space}{text}{space}")
@breaks("cli/terminal.py", "if asked == printable(asked):", "if True:")
@pytest.mark.parametrize("name", NAMES)
def test_a_trained_model(name, tmp_path, capsys):
    run = model(tmp_path / "run", name)
    card = harmless((run / "README.md").read_text())
    assert len(card.splitlines()) == len(
        (build_card(tmp_path) / "README.md").read_text().splitlines()
    )
    terminal.show_trained(run, "photos")
    out, _ = said(capsys)
    commands = [
        shlex.split(line) for line in out.splitlines() if line.startswith("  zeuxis sample")
    ]
    label = [words[-1] for words in commands if "--label" in words]
    assert label == ([f"{name}=猫 café"] if name in (MARKUP, "猫 café") else [])
    for words in (["nope"], ["x=y"], [f"{name}=nope"]):
        assert zeuxis("sample", run, "--label", *words, "--out", tmp_path / "out") == 2
        out, err = said(capsys)
        assert err.startswith("zeuxis: ") and err.count("\n") == 1 and err.endswith("\n")
    assert zeuxis("sample", run, "--count", 2, "--label", NAMES[0], "--out", tmp_path / "out") == 0
    said(capsys)


def build_card(tmp_path):
    return model(tmp_path / "plain", "plain")


@breaks("cli/terminal.py", "self.print(printable(str(line)), ", "self.print(str(line), ")
def test_verbs_print_the_names_of_files(photos, tmp_path, capsys):
    run = model(tmp_path / "run", ESCAPES)
    assert zeuxis("score", run, photos) == 0
    assert SEEN in said(capsys)[0]
    assert zeuxis("reconstruct", run, photos, "--out", tmp_path / "out") == 0
    assert "could not be read" in said(capsys)[0]


def test_a_report_of_a_strangers_model(prepared, tmp_path, capsys):
    run = model(tmp_path / "run", ESCAPES)
    evaluate.preview(load(run), open_prepared(prepared))
    page = harmless((run / "report.html").read_text())
    assert SEEN in page and "<b>*" not in page
    (run / "report.json").write_text(json.dumps({"words": NAMES, "notes": NAMES}))
    terminal.show_trained(run, "photos")
    assert SEEN in said(capsys)[0]
    for wrong in (5, [5], None, "words"):
        (run / "report.json").write_text(json.dumps({"words": NAMES, "notes": wrong}))
        with pytest.raises(ValueError, match="is no report"):
            terminal.show_trained(run, "photos")


@breaks("evaluation/report/__init__.py", "hashlib.sha256(script", "hashlib.sha256(style")
def test_a_page_runs_its_own_script_and_loads_nothing():
    page = report.document(MARKUP, [], sharp=True)
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
    assert page.index("Content-Security-Policy") < page.index("<title>")
    assert "on" + "click=" not in page and "<b>" not in page


@breaks("cli/terminal.py", "if piece.control else printable(piece.text, lines=True)", "")
@pytest.mark.parametrize("name", [*NAMES, *(f"\ud800{name}" for name in NAMES)])
def test_progress_and_tables(name, capsys, monkeypatch):
    with terminal.watching() as watch:
        watch(terminal.Event("note", name))
    row = dict.fromkeys(("title", "value", "interval", "real", "better"), name)
    terminal.show_scores({"words": [name], "notes": [name], "rows": [row], "report": name})
    out, err = said(capsys)
    assert err.count("\n") == 1 and ("\x1b" not in name or SEEN in err)
    assert MARKUP in out or name != MARKUP


@breaks("cli/main.py", "printable(str(sentence))", "str(sentence)")
def test_a_sentence_of_many_lines_is_one(tmp_path, capsys):
    assert zeuxis("data", "inspect", tmp_path / f"{ESCAPES}{LINES}") == 2
    _, err = said(capsys)
    assert err.count("\n") == 1 and SEEN in err
