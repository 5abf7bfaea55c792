"""The server's OpenAPI without the verbs, as JSON: what the types of the studio's page are made from.

    python -m tests.support.openapi | npx openapi-typescript ...

Bodies of verbs are read as JSON schemas when the page runs, so a new verb changes no type of it.
"""

import json
import tempfile
from pathlib import Path

from zeuxis.server.app import make
from zeuxis.server.guard import Keys
from zeuxis.server.jobs import Jobs
from zeuxis.server.models import Models
from zeuxis.server.orders import VERBS


def schema():
    with tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(Path(folder), {}, {})
        whole = make(Models(lambda pipe: None, 1, 1), Keys(""), {}, jobs).openapi()
    paths = whole["paths"]
    whole["paths"] = {path: paths[path] for path in paths if path.rpartition("/")[2] not in VERBS}
    whole["info"]["version"] = "1"
    return whole


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1, sort_keys=True))
