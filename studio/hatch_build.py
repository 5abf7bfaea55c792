"""A wheel without what is built by node is not built: it would have no studio, and write no pages."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = {"studio": "server/static/index.html", "web": "export/static/page.html"}
"""By the target of the Makefile that builds it."""


class CustomBuildHook(BuildHookInterface):
    """Looks for them before anything is packed; an editable install may do without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Refuse, in a sentence."""
        for target, file in BUILT.items():
            if version != "editable" and not Path(self.root, "src", "zeuxis", file).is_file():
                raise SystemExit(f"{file} is not built; run `make {target}` first (needs Node 20)")
