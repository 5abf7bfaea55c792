"""Processes that decode: they scale over many cores, and a decoder that crashes takes only its file along.

A worker is this file run as a program: no fork (torch has threads), and none of `multiprocessing`, which
would run the user's script again. What goes through the pipes is lengths, JSON and raw bytes.

Frame: 4 bytes, the length of a JSON object; the object; then the bytes whose lengths it lists.
"""

import collections
import concurrent.futures as futures
import dataclasses
import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from zeuxis.data.preparation import vector
from zeuxis.data.preparation.decode import Decoded, Refused, Target, decode, guarded

if TYPE_CHECKING:
    from zeuxis.data.source import Source

CHUNK, CHUNK_BYTES = 16, 1 << 22
WORTH_PROCESSES = 1000
CRASHED = "its decoder crashed, or took too much memory or time"


def decode_all(
    source: "Source", target: Target, first: int = 0
) -> Iterator[tuple[int, Decoded | Refused]]:
    """Every item from number `first` on decoded, in order, on all cores.

    Threads read; processes decode, since Python code around the decoders would keep many cores waiting
    for one another. A few images are not worth a process, unless they are drawings, and pixels need no
    decoding.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    count = len(source.items)
    worth = count - first >= WORTH_PROCESSES
    workers = [Worker(target) for _ in range(cores + 1)]
    free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)

    chunk = chunk_of(target)

    def work(start: int) -> list[tuple[int, Decoded | Refused]]:
        numbers = range(start, min(start + chunk, count))
        read = {i: _fetch(source, i) for i in numbers}
        files = {i: content for i, content in read.items() if isinstance(content, bytes)}
        done: dict[int, Decoded | Refused]
        done = {i: c for i, c in read.items() if isinstance(c, Refused)}
        apart = {i: content for i, content in files.items() if worth or vector.is_svg(content)}
        here = {i: c for i, c in read.items() if not isinstance(c, Refused) and i not in apart}
        done |= {i: _decode(content, target) for i, content in here.items()}
        if apart:
            worker = free.get()
            try:
                done |= zip(apart, worker.decode(list(apart.values())), strict=True)
            finally:
                free.put(worker)
        return [(i, done[i]) for i in numbers]

    pending: collections.deque[futures.Future[list[tuple[int, Decoded | Refused]]]]
    pending = collections.deque()
    with futures.ThreadPoolExecutor(cores + 1, "decode") as pool:
        try:
            for start in range(first, count, chunk):
                pending.append(pool.submit(work, start))
                if len(pending) > 4 * cores:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for worker in workers:
                worker.close()


def chunk_of(target: Target) -> int:
    """Images that are decoded as one piece of work: few where they are large, for many pieces wait.

    >>> chunk_of(Target(64, 64, 3)), chunk_of(Target(4096, 4096, 3))
    (16, 1)
    """
    size = target.height * target.width * target.channels
    return max(1, min(CHUNK, CHUNK_BYTES // size))


def _fetch(source: "Source", index: int) -> bytes | np.ndarray | Refused:
    try:
        return source.read(index)
    except PermissionError:
        return Refused("no permission", "it may not be read")
    except (OSError, ValueError) as error:
        return Refused("unreadable", f"{type(error).__name__}: {error}")


def _decode(content: bytes | np.ndarray, target: Target) -> Decoded | Refused:
    try:
        return decode(content, target)
    except Refused as refused:
        return refused


class Worker:
    """One process, restarted if it dies. Not to be used from two threads at once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, contents: Sequence[bytes]) -> list[Decoded | Refused]:
        """Each file decoded; the one that kills the process is found by trying them alone."""
        try:
            return self._ask(contents)
        except (OSError, EOFError):
            self.close()
        if len(contents) == 1:
            return [Refused("corrupt", CRASHED)]
        return [self.decode([content])[0] for content in contents]

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, contents: Sequence[bytes]) -> list[Decoded | Refused]:
        process = self._process = self._process or self._start()
        assert process.stdin and process.stdout
        send(process.stdin, {"sizes": [len(content) for content in contents]}, contents)
        answer = receive(process.stdout)
        out: list[Decoded | Refused] = []
        for facts in answer["items"]:
            if "reason" in facts:
                out.append(Refused(facts["reason"], facts["detail"]))
                continue
            shape, kind = self._target.shape, self._target.dtype
            content = _read(process.stdout, int(np.prod(shape)) * kind.itemsize)
            facts["notes"] = tuple(facts["notes"])
            out.append(Decoded(np.frombuffer(content, kind).reshape(shape), **facts))
        return out

    def _start(self) -> "subprocess.Popen[bytes]":
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],  # -P: nothing is imported from where it runs
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff says there what the report says better
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        assert process.stdin
        send(process.stdin, dataclasses.asdict(self._target), ())
        return process


def send(file: IO[bytes], facts: dict[str, Any], contents: Sequence[bytes]) -> None:
    """Write one frame."""
    head = json.dumps(facts).encode()
    file.write(len(head).to_bytes(4, "little") + head)
    for content in contents:
        file.write(content)
    file.flush()


def receive(file: IO[bytes]) -> dict[str, Any]:
    """Read one frame's object.

    Raises:
        EOFError: the other side is gone.
    """
    head = json.loads(_read(file, int.from_bytes(_read(file, 4), "little")))
    assert isinstance(head, dict)
    return head


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Decode what comes until nobody asks any more."""
    target = Target(**receive(requests))
    with guarded():
        while True:
            try:
                sizes = receive(requests)["sizes"]
            except EOFError:
                return
            facts, pixels = [], []
            for size in sizes:
                try:
                    done = _of_file(_read(requests, size), target)
                except Refused as refused:
                    facts.append({"reason": refused.reason, "detail": str(refused)})
                    continue
                pixels.append(np.ascontiguousarray(done.pixels_HWC).tobytes())
                known = {f.name: getattr(done, f.name) for f in dataclasses.fields(done)}
                facts.append({name: v for name, v in known.items() if name != "pixels_HWC"})
            send(answers, {"items": facts}, pixels)


def _of_file(content: bytes, target: Target) -> Decoded:
    """A file decoded, or drawn: only here, where nothing but this process can be lost."""
    if not (vector.AVAILABLE and vector.is_svg(content)):
        return decode(content, target)
    if target.kind == "map" or target.part != "whole":
        raise Refused("unsupported", "an SVG is no map of class ids, and has no halves")
    try:
        pixels_HWC, notes = vector.drawn(content, target.height, target.width, target.fit)
        h, w = vector.size(content)
    except MemoryError as error:
        raise Refused("oversized", "drawing it takes more memory than it may") from error
    except (ValueError, SyntaxError, RecursionError) as error:
        raise Refused("corrupt", f"it cannot be drawn: {error}") from error
    done = decode(pixels_HWC, target)
    scale = max(
        target.height / h, target.width / w
    )  # a drawing is never enlarged, but it may be cut
    h, w = max(target.height, round(h * scale)), max(target.width, round(w * scale))
    notes = (*done.notes, *notes)
    return dataclasses.replace(done, height=h, width=w, format="SVG", mode="RGBA", notes=notes)


def _read(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError("the other side is gone")
    return content


if __name__ == "__main__":
    # What a library prints must not get between the frames.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, channel)
