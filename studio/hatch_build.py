"""A wheel without the studio's page is not built: `pip install 'zeuxis[studio]'` would have no studio."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    """Looks for the page before anything is packed; an editable install may do without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Refuse, in a sentence."""
        page = Path(self.root, "src", "zeuxis", "server", "static", "index.html")
        if version != "editable" and not page.is_file():
            raise SystemExit(
                "the studio's page is not built; run `make studio` first (needs Node 20)"
            )
