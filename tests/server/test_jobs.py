"""Jobs: their folders are the truth, whoever dies; what a body names is looked up, never a path."""

import asyncio
import errno
import json
import re
import shutil
import threading
import zipfile
from collections import ChainMap
from unittest.mock import Mock

import pytest

from tests.server.conftest import TOKEN, Client, in_a_thread
from tests.support.front import pictures, tiny, workshop
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.errors import Conflict, Invalid, NotFound
from zeuxis.core.lock import locked
from zeuxis.core.log import append
from zeuxis.server import job as process
from zeuxis.server import jobs as of_jobs
from zeuxis.server import stream
from zeuxis.server.app import make
from zeuxis.server.guard import Guard, Keys
from zeuxis.server.jobs import Jobs, Trained
from zeuxis.server.models import Models
from zeuxis.server.serve import addresses

OVERRIDES = {"family": dict(word.removeprefix("family.").split("=") for word in tiny("gan"))}
OVERRIDES |= {
    "training": {"batch_size": 4, "probe_every": 99, "sheet_every": 99},
    "data": {"size": [8, 8]},
}
REQUEST = {
    "family": "gan",
    "source": "icons",
    "steps": 3,
    "threads": 1,
    "evaluate": False,
    "overrides": OVERRIDES,
}
BODY = {"kind": "train", "request": REQUEST}


@pytest.fixture
def icons(tmp_path):
    with workshop(tmp_path / "cache"):
        yield pictures(tmp_path / "icons", count=12)


@pytest.fixture
def jobs(icons, tmp_path):
    return Jobs(tmp_path / "studio", {"icons": icons}, {"demo": tmp_path / "demo"})


def work(jobs, job):
    """Do what a job's process does, in this one."""
    process.main(
        job.folder, jobs.named(of_jobs.read_request(job.asked["kind"], job.asked["request"]))
    )


@breaks(
    "server/jobs.py", 'return "queued" if known.began < STARTS else "crashed"', 'return "queued"'
)
@breaks("server/jobs.py", 'known.state == "running" and is_held(self.folder / LOCK)', "False")
@breaks(
    "server/jobs.py",
    'known = Known("running", "", known.began + 1)',
    'known = Known("running", "", 1)',
)
@pytest.mark.parametrize(
    ("journal", "dead", "alive"),
    [
        ([], "queued", "queued"),
        ([{"began": 1}], "queued", "running"),
        ([{"began": 1}, {"began": 2}], "crashed", "running"),
        ([{"began": 1}, {"ended": "finished"}], "finished", "finished"),
        ([{"began": 1}, {"ended": "paused"}], "paused", "paused"),
        ([{"began": 1}, {"ended": "paused"}, {"asked": "resume"}], "queued", "queued"),
        (
            [{"began": 1}, {"ended": "paused"}, {"asked": "resume"}, {"began": 2}],
            "queued",
            "running",
        ),
        ([{"began": 1}, {"began": 2}, {"asked": "resume"}, {"began": 3}], "queued", "running"),
        ([{"began": 1}, {"ended": "queued"}], "queued", "queued"),
    ],
)
def test_the_state_follows_from_the_journal_and_the_lock(journal, dead, alive, jobs):
    job, _ = jobs.create(BODY)
    for row in journal:
        append(job.folder / of_jobs.JOURNAL, row)
    with (job.folder / of_jobs.JOURNAL).open("ab") as file:
        file.write(b'{"ended": "fini')  # cut by a kill
    assert job.state() == dead == Jobs(jobs.folder, {}, {}).get(job.id).state()
    with locked(job.folder / of_jobs.LOCK, "held"):
        assert job.state() == alive


def test_a_job_trains_pauses_resumes_and_is_not_done_twice(jobs):
    job, _ = jobs.create(BODY)
    job.ask("pause")
    assert job.state() == "paused"
    work(jobs, job)  # a process that was started a moment before
    assert not job.run.exists()
    job.resume()
    (job.folder / of_jobs.STOP).write_text("pause")  # asked while it runs
    work(jobs, job)
    assert job.state() == "paused" and "run the same command" in job.facts().sentence
    job.resume()
    work(jobs, job)
    assert job.state() == "finished" and (job.run / "config.json").is_file()
    written = (job.run / "config.json").stat().st_mtime_ns
    work(jobs, job)
    assert (job.run / "config.json").stat().st_mtime_ns == written
    with pytest.raises(Conflict, match="is finished, so it cannot stop"):
        job.ask("stop")
    with pytest.raises(Conflict, match="nothing to resume"):
        job.resume()
    assert Trained(jobs)[job.id] == job.run and list(Trained(jobs)) == [job.id]


def test_a_job_that_cannot_train_says_why_without_folders_of_the_server(jobs, tmp_path):
    job, _ = jobs.create({"request": {**REQUEST, "overrides": {"family": {"nonsense": 1}}}})
    work(jobs, job)
    facts = job.facts()
    assert facts.state == "failed" and "nonsense" in facts.sentence
    assert str(tmp_path) not in (jobs.folder / of_jobs.EVENTS).read_text()


@breaks("server/jobs.py", "sentence.replace(path, name)", "sentence")
@breaks("server/job.py", "text=plain(event.text)", "text=event.text")
@breaks("server/job.py", 'return "failed", plain(str(error))', 'return "failed", str(error)')
def test_what_a_job_says_names_sources_as_clients_do(jobs, icons, tmp_path):
    """Also the command that would repeat it."""
    asked = {name: value for name, value in REQUEST.items() if name != "steps"}
    job, _ = jobs.create({"request": {**asked, "minutes": 0.01}})
    work(jobs, job)
    said = (jobs.folder / of_jobs.EVENTS).read_text()
    assert "zeuxis train gan icons --seed" in said and str(tmp_path) not in said
    ready = data.prepare(icons, tmp_path / "ready").folder
    others = Jobs(tmp_path / "other", {"mine": ready}, {})
    held = {"family": OVERRIDES["family"], "data": {"holdout": 5}}
    job, _ = others.create({"request": {**REQUEST, "source": "mine", "overrides": held}})
    work(others, job)
    assert job.facts().state == "failed" and job.facts().sentence.startswith("mine is prepared")


@breaks("server/jobs.py", "!= (kind, request):", "if False:")
def test_the_same_key_makes_one_job(jobs):
    first, new = jobs.create(BODY, key="k1")
    again, newer = jobs.create(BODY, key="k1")
    assert (new, newer, first.id) == (True, False, again.id)
    assert jobs.create(BODY, key="k2")[0].id != first.id and jobs.create(BODY)[1]
    with pytest.raises(Conflict, match="used for another request"):
        jobs.create({"request": {**REQUEST, "steps": 4}}, key="k1")
    assert len(jobs.all()) == 3 and not list(jobs.folder.glob("jobs/.*"))


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        ({"source": "/etc"}, NotFound, "no source '/etc' here"),
        ({"source": "../icons"}, NotFound, "did you mean 'icons'"),
        ({"source": "http://127.0.0.1/x.zip"}, NotFound, "no source"),
        ({"start_from": "/root/run"}, NotFound, "no run '/root/run' here"),
        ({"start_from": "dmeo"}, NotFound, "did you mean 'demo'"),
        ({"out": "/tmp/x"}, Invalid, "leave out away"),
        ({"fresh": True}, Invalid, "leave fresh away"),
        ({"family": "gam"}, NotFound, "did you mean 'gan'"),
        ({"steps": 0}, Invalid, "steps"),
        ({"setps": 3}, Invalid, "did you mean 'steps'"),
        ({"overrides": {"data": {"pairs": "../A:B"}}}, Invalid, "data"),
    ],
)
def test_requests_that_are_none(changed, error, sentence, jobs):
    with pytest.raises(error, match=sentence):
        jobs.create({"request": {**REQUEST, **changed}})
    assert not jobs.all()


def test_the_oldest_waiting_job_is_next_and_one_runs_at_a_time(jobs):
    first, second, third = (jobs.create(BODY)[0] for _ in range(3))
    first.ask("cancel")
    with locked(third.folder / of_jobs.LOCK, "held"):
        append(third.folder / of_jobs.JOURNAL, {"began": 1})
        jobs.tend()  # an adopted one runs
        assert second.state() == "queued" and not jobs._started
    for began in range(2):
        append(second.folder / of_jobs.JOURNAL, {"began": began})
    third.ask("stop")
    jobs.tend()
    facts = Jobs(jobs.folder, {}, {}).get(second.id).facts()
    assert facts.state == "crashed" and "killed 2 times" in facts.sentence and not jobs._started
    assert [job.state() for job in jobs.all()] == ["cancelled", "crashed", "stopped"]


@breaks("server/jobs.py", "ChainMap(dict(runs), cast(Any, Trained(self)))", "runs")
def test_other_kinds_of_jobs_prepare_and_measure(jobs):
    trained, _ = jobs.create(BODY)
    work(jobs, trained)
    prepared, _ = jobs.create(
        {"kind": "prepare", "request": {"source": "icons", "size": [6, 6], "flip": True}}
    )
    measured, _ = jobs.create(
        {"kind": "evaluate", "request": {"run": trained.id, "source": "icons", "samples": 8}}
    )
    assert not (trained.run / "report.json").exists()
    for job in (prepared, measured):
        work(jobs, job)
        assert (job.state(), job.facts().sentence) == ("finished", ""), job.facts()
    assert (trained.run / "report.json").exists()
    assert prepared.progress().text == "preparing" and measured.progress().text == "measuring"
    assert trained.progress().kind == "step" and trained.progress().done == 3
    again, _ = jobs.create(
        {"kind": "evaluate", "request": {"run": trained.id, "source": "icons", "samples": 9}}
    )
    (again.folder / of_jobs.STOP).write_text("cancel")
    work(jobs, again)
    assert again.state() == "cancelled"
    exported, _ = jobs.create(
        {"kind": "export", "request": {"run": trained.id, "to": "folder", "licence": "MIT"}}
    )
    work(jobs, exported)
    (file,) = (exported.folder / of_jobs.EXPORT).iterdir()
    with zipfile.ZipFile(file) as archive:
        assert file.name == f"{trained.id}-folder.zip" and b"MIT" in archive.read("LICENSE")


@breaks("server/jobs.py", 'if asked.get("consent"):', "if False:")
@breaks("server/jobs.py", 'if request.overrides.family.get("style"):', "if False:")
@pytest.mark.parametrize(
    ("kind", "request_", "sentence"),
    [
        ("evalute", {"run": "demo", "source": "icons"}, "did you mean 'evaluate'"),
        ("evaluate", {"run": "/root", "source": "icons"}, "no run '/root' here"),
        ("evaluate", {"run": "demo", "source": "../x"}, "no source '../x' here"),
        ("evaluate", {"run": "demo"}, "source"),
        ("evaluate", {"run": "demo", "source": "icons", "samples": 1}, "samples"),
        ("export", {"run": "demo", "to": "disk"}, "no run 'demo' here|to"),
        ("export", {"run": "/root", "to": "page"}, "no run '/root' here"),
        ("prepare", {"source": "icons", "size": [8, 8, 8]}, "size"),
        ("prepare", {"source": "icons", "out": "/tmp/x"}, "leave out away"),
        ("prepare", {"source": "icons", "consent": "/etc/hosts"}, "reads no registers"),
        ("train", {**REQUEST, "overrides": {"family": {"style": "/etc/hosts"}}}, "reads no files"),
    ],
)
def test_requests_of_other_kinds_that_are_none(kind, request_, sentence, jobs):
    with pytest.raises(Invalid, match=sentence):
        jobs.create({"kind": kind, "request": request_})
    assert not jobs.all()


# Over HTTP


@pytest.fixture
def client(jobs):
    models, keys, served = Models(in_a_thread, queue=4, deadline=300), Keys(TOKEN), {}
    app = make(models, keys, ChainMap(served, Trained(jobs)), jobs)
    client = Client(Guard(app, keys, *addresses(8000, None)), dict, served)
    yield client
    models.close()
    client.loop.run_until_complete(client.http.aclose())
    client.loop.close()


def test_jobs_over_http(client, jobs):
    made = client.post("/api/v1/jobs", json=BODY, headers={"idempotency-key": "k"})
    assert made.status_code == 202 and made.json()["state"] == "queued"
    again = client.post("/api/v1/jobs", json=BODY, headers={"idempotency-key": "k"})
    assert again.status_code == 200 and again.headers["location"] == made.headers["location"]
    url = made.headers["location"]
    assert client.get(url).json() == made.json()
    assert client.post(f"{url}/pause").json()["state"] == "paused"
    assert client.post(f"{url}/resume").json()["state"] == "queued"
    assert client.post(f"{url}/explode").status_code == 422
    work(jobs, jobs.get(url.rpartition("/")[2]))
    name = client.get("/api/v1/jobs?state=finished").json()["jobs"][0]["id"]
    drawn = client.post(f"/api/v1/runs/{name}/sample", json={"count": 2})
    assert drawn.status_code == 200 and len(drawn.json()["images"]) == 2
    assert client.get("/api/v1/runs").json()["runs"] == [name]
    assert client.get(f"{url}/log").status_code == 200
    run = f"/api/v1/runs/{name}"
    steps = client.get(f"{run}/samples").json()["steps"]
    sheet = client.get(f"{run}/samples/{steps[-1]}")
    assert sheet.status_code == 200 and sheet.content.startswith(b"\x89PNG")
    small = client.get(f"{run}/samples/{steps[-1]}?size=96")
    assert small.headers["content-type"] == "image/webp"
    same = {"if-none-match": sheet.headers["etag"]}
    assert client.get(f"{run}/samples/{steps[-1]}", headers=same).status_code == 304
    assert client.get(f"{run}/samples/77").status_code == 404
    assert client.get(f"{run}/report").status_code == 404
    assert client.get(f"{run}/report/near").status_code == 404
    shutil.copy(
        jobs.get(name).run / "samples" / f"step-{steps[-1]:08d}.png",
        jobs.get(name).run / "report-near.png",
    )
    near = client.get(f"{run}/report/near")
    assert near.status_code == 200 and near.content.startswith(b"\x89PNG")
    assert client.get(f"{run}/report/..%2fmodel").status_code in (404, 405, 422)
    rows = client.get(f"{run}/log").json()["log"]
    last = rows[-1]["step"]
    few = {"step": 1, "text": "too few images: there are 12 images to train on"}  # of the whole log
    nothing = {"log": [], "rollbacks": 0, "happened": [few]}
    assert client.get(f"{run}/log?after={last}").json() == nothing
    back = [{"step": last, "action": "rollback"}, {"step": last, "main/total": 0.5}]
    with (jobs.get(name).run / "log.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in back)
    told = client.get(f"{run}/log").json()
    assert told["rollbacks"] == 1 and told["log"] == [*rows, *back]
    body = {"kind": "export", "request": {"run": name, "to": "folder"}}
    place = client.post("/api/v1/jobs", json=body).headers["location"]
    assert client.get(f"{place}/export").status_code == 404
    work(jobs, jobs.get(place.rpartition("/")[2]))
    assert client.get(f"{place}/export").content.startswith(b"PK")
    assert client.request("DELETE", url).status_code == 409
    for path in ("/api/v1/jobs/nowhere", "/api/v1/jobs/..", "/api/v1/jobs/%2e%2e%2fsources"):
        assert client.get(path).status_code in (404, 405)
    assert (
        client.post("/api/v1/jobs", json={"request": {**REQUEST, "source": "/etc"}}).status_code
        == 404
    )
    assert client.post("/api/v1/jobs", json={"request": 3}).status_code == 422


@breaks("server/job_routes.py", 'if "detail" in told:', "if False:")
def test_what_a_training_takes_is_told_before_it(client, jobs):
    told = client.post("/api/v1/estimate", json={"request": REQUEST}).json()
    assert told["steps"] == 3 and told["seconds_per_step"] > 0 and told["memory_bytes"] > 1 << 20
    assert not jobs.all()
    again = client.post("/api/v1/estimate", json={"request": REQUEST}).json()
    assert again == told  # it was kept: no clock says the same twice
    wrong = {**REQUEST, "overrides": {**OVERRIDES, "data": {"size": [8, 8], "conditions": ["x"]}}}
    refused = client.post("/api/v1/estimate", json={"request": wrong})
    assert refused.status_code == 422 and "no column 'x'" in refused.json()["detail"]
    for body, status in (({"request": 3}, 422), ({"request": {**REQUEST, "source": "/etc"}}, 404)):
        assert client.post("/api/v1/estimate", json=body).status_code == status


def test_the_place_of_a_job_that_waits(client, jobs):
    made = [jobs.create(BODY)[0] for _ in range(3)]
    made[0].ask("cancel")
    places = {one["id"]: one["place"] for one in client.get("/api/v1/jobs").json()["jobs"]}
    assert [places[job.id] for job in made] == [None, 0, 1]
    assert client.get(f"/api/v1/jobs/{made[2].id}").json()["place"] == 1


def test_forms_of_a_client_follow_from_the_declarations(client):
    told = client.get("/api/v1/families").json()
    assert "gan" in told["families"] and "minutes" in told["request"]["properties"]
    assert "description" in told["training"]["properties"]["lr"]
    gan = client.get("/api/v1/families/flow").json()
    assert "steps" in gan["controls"]["properties"] and gan["config"]["properties"]
    assert {"Generates", "Completes"} <= {*gan["abilities"]}
    assert client.get("/api/v1/families/gam").json()["detail"].endswith("did you mean 'gan'?")


def test_every_route_of_jobs_needs_the_token(client):
    for path, told in client.get("/api/v1/openapi.json").json()["paths"].items():
        for method in told:
            url = re.sub("{[^}]*}", "x", path)
            answer = client.request(method.upper(), url, headers={"authorization": ""})
            assert answer.status_code == 401 or url.endswith(("/health", "/session"))


def test_what_the_disk_says_is_a_problem_without_its_path(client, jobs, monkeypatch):
    shutil.rmtree(jobs.folder / "jobs")
    gone = client.post("/api/v1/jobs", json=BODY)
    assert gone.status_code == 500 and "No such file" in gone.json()["detail"]
    assert str(jobs.folder) not in gone.text
    full = OSError(errno.ENOSPC, "No space left on device", str(jobs.folder))
    monkeypatch.setattr(jobs, "create", Mock(side_effect=full))
    told = client.post("/api/v1/jobs", json=BODY)
    assert (told.status_code, told.json()["status"]) == (507, 507) and str(
        jobs.folder
    ) not in told.text
    monkeypatch.setattr(jobs, "create", Mock(side_effect=ZeroDivisionError("secret")))
    defect = client.post("/api/v1/jobs", json=BODY)
    assert defect.status_code == 500 and "secret" not in defect.text and defect.json()["detail"]


def test_a_list_has_pages(client, jobs):
    made = [jobs.create(BODY)[0].id for _ in range(5)]
    page = client.get("/api/v1/jobs?limit=2").json()
    assert [one["id"] for one in page["jobs"]] == made[:2] and page["more"]
    rest = client.get(f"/api/v1/jobs?after={made[1]}").json()
    assert [one["id"] for one in rest["jobs"]] == made[2:] and not rest["more"]
    assert client.get("/api/v1/jobs?limit=0").status_code == 422


# Events


def taken(path, count, after=None, job=None, write=()):
    """The first events of a stream, while lines are written."""

    async def take():
        found, generator = [], stream.events(path, after, job)
        task = asyncio.ensure_future(anext(generator))
        for row in write:
            await asyncio.sleep(0.01)
            append(path, row)
        while len(found) < count:
            found += [one for one in (await task).split(b"\n\n") if one]
            task = asyncio.ensure_future(anext(generator))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await generator.aclose()
        return [one.split(b"\n") for one in found]

    told = asyncio.run(take())
    return [(int(number[4:]), json.loads(data[6:])["n"]) for number, data in told]


@breaks("server/stream.py", "return 0, 0", "return len(content), whole")
@breaks("server/stream.py", "number += len(lines)", "number += len(told)")
def test_events_go_on_after_the_last_that_was_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "POLL", 0.01)
    path = tmp_path / "events.jsonl"
    for n in range(6):
        append(path, {"n": n, "job": "ab"[n % 2]})
    assert taken(path, 6, after=0) == [(n + 1, n) for n in range(6)]
    assert taken(path, 2, after=4) == [(5, 4), (6, 5)]
    assert taken(path, 3, after=0, job="b") == [(2, 1), (4, 3), (6, 5)]
    assert taken(path, 6, after=99) == [(n + 1, n) for n in range(6)]  # another file
    with path.open("ab") as file:
        file.write(b'{"n": 6')
    assert taken(path, 1, write=[{"n": 7}])[-1][1] == 7
    assert taken(tmp_path / "none", 1, write=[{"n": 0}]) == [(1, 0)]


def test_lines_of_many_threads_stay_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    threads = [threading.Thread(target=append, args=(path, {"n": n})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(json.loads(line)["n"] for line in path.read_text().splitlines()) == list(
        range(20)
    )
