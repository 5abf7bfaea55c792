"""Marks over HTTP: what `zeuxis verify` tells of the same file."""

import base64

from tests.support.sabotage import breaks
from tests.trust.test_verify import drawn, plain, saved
from zeuxis.trust.verify import verify

BYTES = {"content-type": "application/octet-stream"}


@breaks("server/worker.py", 'asked["name"]', '"x"')
def test_verify_over_http_is_verify(server, tmp_path):
    for name, content in {
        "made.png": drawn(),
        "again.png": saved(drawn()),
        "n.png": plain(),
    }.items():
        (tmp_path / name).write_bytes(content)
        answer = server.post(f"/api/v1/verify?name={name}", content=content, headers=BYTES)
        (own,) = verify([tmp_path / name])
        assert answer.status_code == 200
        assert answer.json() == own.values() | {"file": name}


def test_what_a_model_draws_over_http_is_known_and_a_page_is_no_picture(server):
    run = server.serve("vae")
    body = {"count": 1, "seed": 3}
    (one,) = server.post(f"/api/v1/runs/{run}/sample", json=body).json()["images"]
    told = server.post("/api/v1/verify", content=base64.b64decode(one["png"]), headers=BYTES).json()
    assert told["metadata"]["system"].startswith("Zeuxis") and told["file"] == "the file"
    answer = server.post("/api/v1/verify", content=b"<html>", headers=BYTES)
    assert answer.status_code == 422 and "PNG" in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
