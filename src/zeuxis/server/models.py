"""The process that holds the models, as the HTTP process sees it: a queue with a bound and a deadline."""

import asyncio
import contextlib
import dataclasses
import itertools
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

from zeuxis.server.orders import Answer, Cancel, Order
from zeuxis.server.problems import Busy, Late, Lost

MOST_BYTES = 512 << 20
"""Of all bodies that wait."""
NICE = 5
"""Between the server, whose answers take no time, and jobs, which take all that there is."""
Launch = Callable[[Connection], object]


def start(pipe: Connection, most: int) -> None:
    """Run in the process that holds the models, until the other end of the pipe is closed."""
    import os
    import signal

    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group: the server decides
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads of NumPy spin where others compute
    from zeuxis.server.worker import work

    os.nice(NICE)
    work(pipe, most)
    os._exit(0)  # what is still computed is for nobody


def process(most: int) -> Launch:
    """Start a process that answers orders of at most so many images each."""

    def launch(pipe: Connection) -> object:
        spawned = multiprocessing.get_context("spawn").Process(
            target=start, args=(pipe, most), daemon=True, name="models"
        )
        spawned.start()
        pipe.close()
        return spawned

    return launch


class Models:
    """Answers to orders. If the process ends, what waits is refused, and the next order starts another.

    Args:
        launch: starts what answers at the other end of a pipe.
        queue: orders that may wait at a time.
        deadline: seconds that one waits at most.
    """

    def __init__(self, launch: Launch, queue: int, deadline: float) -> None:
        self.queue, self.deadline = queue, deadline
        self.batches = self.images = self._bytes = 0
        self._launch = launch
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._pipe: Connection | None = None
        self._sender = ThreadPoolExecutor(1, "sender")

    @property
    def waiting(self) -> int:
        """Orders that wait for their answer."""
        return len(self._waiting)

    def check_room(self) -> None:
        """Refuse an order before its body is read.

        Raises:
            Busy: the queue is full.
        """
        if self.waiting >= self.queue:
            raise Busy(f"{self.waiting} requests are waiting already; ask again in a moment")

    async def ask(self, order: Order) -> Answer:
        """The answer to an order; nobody computes it any longer once the caller is cancelled.

        Raises:
            Busy: the queue is full.
            Late: the deadline is over.
            Lost: the process ended.
        """
        self.check_room()
        if self._bytes + len(order.body) > MOST_BYTES:
            raise Busy(f"{self._bytes >> 20} MiB are waiting already; ask again in a moment")
        self._bytes += len(order.body)
        order = dataclasses.replace(order, number=next(self._numbers))
        future = self._waiting[order.number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self.deadline):
                await self._send(order)
                return await future
        except TimeoutError as error:
            raise Late(f"no answer within {self.deadline:g} seconds; ask for less") from error
        finally:
            self._waiting.pop(order.number, None)
            self._bytes -= len(order.body)
            if not future.done() or future.cancelled():
                self._sender.submit(self._put, Cancel(order.number))

    def close(self) -> None:
        """Ask the process to end; what waits is refused."""
        self._sender.submit(self._put, None)
        self._sender.shutdown(wait=True)

    def start(self) -> None:
        """Start the process unless it runs; called in the loop of the server."""
        if self._pipe is None:
            self._pipe, theirs = multiprocessing.Pipe()
            self._launch(theirs)
            listening = (self._pipe, asyncio.get_running_loop())
            threading.Thread(target=self._listen, args=listening, daemon=True).start()

    async def _send(self, order: Order) -> None:
        self.start()
        await asyncio.wrap_future(self._sender.submit(self._put, order))

    def _put(self, told: Order | Cancel | None) -> None:
        with contextlib.suppress(OSError):  # the listener notices, too
            if self._pipe is not None:
                self._pipe.send(told)

    def _listen(self, pipe: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: hand answers on until the process ends."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended
            while True:
                try:
                    answer = pipe.recv()
                except (EOFError, OSError):
                    break
                loop.call_soon_threadsafe(self._take, answer)
            loop.call_soon_threadsafe(self._lose, pipe)

    def _take(self, answer: Answer) -> None:
        self.batches, self.images = answer.batches, answer.images
        future = self._waiting.get(answer.number)
        if future is not None and not future.done():
            future.set_result(answer)

    def _lose(self, pipe: Connection) -> None:
        if self._pipe is pipe:
            self._pipe = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Lost("the process that holds the models ended; ask again"))
