"""The process that tells what a training would take: `python -m zeuxis.server.estimate REQUEST`.

It writes one JSON object: the plan, or what is wrong.
"""

import dataclasses
import json
import os
import sys

from zeuxis.core.errors import Error
from zeuxis.core.progress import leaving
from zeuxis.core.request import Request
from zeuxis.server.problems import body
from zeuxis.training.run import estimate

NICE = 5


def told(request: str) -> str:
    """The plan of a request, or a problem."""
    try:
        plan = estimate(Request.read(request))
    except (Error, OSError) as error:
        status = error.status if isinstance(error, Error) else 500
        return body(status, str(error), type(error).__name__).decode()
    return json.dumps(dataclasses.asdict(plan))


if __name__ == "__main__":
    os.nice(NICE)
    with leaving():
        sys.stdout.write(told(sys.argv[1]))
