"""What is said before the server answers: a sentence for each thing that is wrong."""

import sys

import pytest

from tests.support.front import zeuxis
from tests.support.sabotage import breaks


@pytest.fixture
def run(tmp_path):
    (tmp_path / "a" / "demo").mkdir(parents=True)
    (tmp_path / "a" / "demo" / "config.json").write_text("{}")
    return tmp_path / "a" / "demo"


@breaks("server/serve.py", "if options.host_name is not None:", "if False:")
@breaks("server/serve.py", "len(token) < SHORTEST", "False")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to serve: name a run"),
        (["nowhere"], "holds no trained model; `zeuxis train` writes one"),
        (["RUN", "OTHER"], "two runs are called demo; rename one of their folders"),
        (["RUN", "--host-name", "x.example"], "may only ask with a token: name a file of one"),
        (
            ["RUN", "--token-file", "GOOD", "--host-name", "https://x.example"],
            "--host-name is 'https://x.example'; expected NAME or NAME:PORT",
        ),
        (["RUN", "--token-file", "SHORT"], "holds no token: expected at least 16 characters"),
        (["RUN", "--token-file", "SPACED"], "holds no token"),
        (["RUN", "--token-file", "none.txt"], "none.txt: there is no such file"),
        (["RUN", "--jobs", "JOBS", "--source", "nowhere"], "there is no nowhere; --source names"),
        (["RUN", "--port", "70000"], "'--port'"),
        (["RUN", "--queue", "0"], "'--queue'"),
    ],
)
def test_bad_words_are_one_sentence(words, sentence, run, tmp_path, capsys):
    other = tmp_path / "b" / "demo"
    other.mkdir(parents=True)
    (other / "config.json").write_text("{}")
    (tmp_path / "short").write_text("secret\n")
    (tmp_path / "good").write_text("a-token-that-is-long-enough\n")
    (tmp_path / "spaced").write_text("a token of several words\n")
    places = {"RUN": run, "OTHER": other, "JOBS": tmp_path / "jobs"}
    places |= {name.upper(): tmp_path / name for name in ("short", "spaced", "good")}
    assert zeuxis("serve", *(places.get(word, word) for word in words)) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_a_missing_extra_is_named(run, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("zeuxis.server.")]:
        if name.rpartition(".")[2] in ("app", "guard", "models"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert zeuxis("serve", run) == 2
    assert "pip install 'zeuxis[studio]'" in capsys.readouterr().err
