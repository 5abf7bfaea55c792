"""Connections that send the head of a request soon, or are closed: a few that wait would keep others out."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0
"""Seconds within which a new connection has to send one."""


class Patient(H11Protocol):
    """uvicorn's HTTP over h11, with that bound."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(PATIENCE, self._part)

    def _part(self) -> None:
        if self.cycle is None:
            self.transport.close()
