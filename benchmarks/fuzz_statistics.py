"""Read mutated statistics files in processes that may crash, and count what comes of them.

    python -m benchmarks.fuzz_statistics [files, default 1000000] [pkl or npz, default pkl]

File i is a function of i alone: a valid file with one to three harms: bytes, opcodes, cuts, repeats,
splices. The valid ones are pickles of a FeatureStats dictionary (protocols 2 to 5, modules of numpy 1 and 2),
or archives as pytorch-fid and clean-fid write them. Each block of files is read by a process of its own; one
that dies is tried again by halves until the files that kill it are counted.
"""

import io
import multiprocessing
import pickle
import pickletools
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import numpy as np

from benchmarks.row import write_row
from zeuxis.metrics import files, pickled

BLOCK = 20_000
MEMORY = Path("/dev/shm")
OPCODES = [ord(opcode.code) for opcode in pickletools.opcodes]
EXTREMES = [0, 1, 127, 128, 254, 255]
"""Bytes that lengths and indices go wrong by."""
WORDS = (b"O8", b"|O", b"V8", b"M8", b"os", b"system", b"ndarray", b"dtype", b"scalar")


def pickles() -> list[bytes]:
    """Small valid pickles."""
    x_ND = np.arange(4, dtype=np.float32).reshape(2, 2)
    state = {
        "capture_all": True,
        "max_items": None,
        "num_items": 2,
        "all_features": [x_ND, np.asfortranarray(x_ND)],
        "raw_mean": x_ND.sum(0, dtype=np.float64),
        "raw_cov": np.eye(2),
    }
    sums = {**state, "all_features": None, "num_items": np.int64(2)}
    return [
        content
        for protocol in (2, 3, 4, 5)
        for one in (state, sums)
        for content in (pickle.dumps(one, protocol), _numpy_1(pickle.dumps(one, protocol)))
    ]


def archives() -> list[bytes]:
    """Small valid .npz files, stored and compressed."""
    made = []
    for save in (np.savez, np.savez_compressed):
        for arrays in ({"mu": np.zeros(3), "sigma": np.eye(3)}, {"feats": np.ones((4, 3))}):
            buffer = io.BytesIO()
            save(buffer, **arrays)  # type: ignore[arg-type]
            made.append(buffer.getvalue())
    return made


def _numpy_1(content: bytes) -> bytes:
    for length, name in ((0x16, b"multiarray"), (0x13, b"numeric")):
        was, now = b"numpy._core." + name, b"numpy.core." + name
        content = content.replace(bytes([0x8C, length]) + was, bytes([0x8C, length - 1]) + now)
        content = content.replace(was, now)
    return content


def mutate(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One to three harms."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        if not data:
            break
        at = rng.randrange(len(data))
        end = at + rng.randint(1, 16)
        match rng.randrange(8):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice(OPCODES + EXTREMES)
            case 2:
                data[at:at] = bytes([rng.choice(OPCODES)])
            case 3:
                del data[at:end]
            case 4:
                data[at:end] = data[at:end] * rng.randint(2, 8)
            case 5:
                word = rng.choice(WORDS)
                data[at : at + len(word)] = word
            case 6:
                other = rng.choice(others)
                data[at:] = other[rng.randrange(len(other)) :]
            case _:
                other = rng.choice(others)
                cut = rng.randrange(len(other))
                data[at:end] = other[cut : cut + rng.randint(1, 40)]
    return bytes(data)


def repacked(array: bytes, rng: random.Random) -> bytes:
    """An archive, with right checksums, of arrays whose bytes were harmed: their headers are reached."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as file:
        file.writestr("feats.npy", array)
    return buffer.getvalue()


def mutants(kind: str, start: int, stop: int) -> Iterator[bytes]:
    """Files `start` to `stop`; of archives every second one is whole around harmed arrays."""
    valid = pickles() if kind == "pkl" else archives()
    array = io.BytesIO()
    np.save(array, np.ones((4, 3)))
    for index in range(start, stop):
        rng = random.Random(index)
        if kind == "npz" and index % 2:
            yield repacked(mutate(array.getvalue(), rng, [array.getvalue()]), rng)
        else:
            yield mutate(valid[index % len(valid)], rng, valid)


def outcome(content: bytes, kind: str, path: Path) -> str:
    """What reading a file comes to: "used", "refused", or what is wrong."""
    try:
        if kind == "pkl":
            state = pickled.loads(content)
            found = files.from_feature_stats(path, state)
        else:
            path.write_bytes(content)
            files.is_statistics(path)
            state, found = {}, files.read_statistics(path)
    except ValueError as error:
        return "refused" if "\n" not in str(error) else "more than a line"
    except Exception as error:  # what we look for
        return type(error).__name__
    held = [*state.values(), *vars(found).values()]
    flat = [one for each in held for one in (each if isinstance(each, list) else [each])]
    numbers = all(one.dtype.kind in "fi" for one in flat if isinstance(one, np.ndarray))
    return "used" if numbers else "no numbers"


def _block(kind: str, start: int, stop: int, answer: Connection) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        path = Path(folder) / f"x.{kind}"
        answer.send(Counter(outcome(each, kind, path) for each in mutants(kind, start, stop)))


def read(kind: str, start: int, stop: int) -> Counter[str]:
    """Outcomes of files `start` to `stop`, read by another process; if it dies, by halves."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_block, args=(kind, start, stop, there))
    child.start()
    there.close()
    try:
        return cast("Counter[str]", here.recv())
    except EOFError:
        middle = (start + stop) // 2
        crash = Counter(crash=1)
        return crash if middle == start else read(kind, start, middle) + read(kind, middle, stop)
    finally:
        child.join()


def main() -> None:
    """Read the files and write the row."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    kind = sys.argv[2] if len(sys.argv) > 2 else "pkl"
    began = time.perf_counter()
    found: Counter[str] = Counter()
    for start in range(0, count, BLOCK):
        found += read(kind, start, min(start + BLOCK, count))
    fine = found["used"] + found["refused"]
    write_row(
        "fuzz_statistics",
        kind=kind,
        files=count,
        used=found["used"],
        refused=found["refused"],
        crashes=found["crash"],
        arrays_of_no_numbers=found["no numbers"],
        other_errors=count - fine - found["crash"] - found["no numbers"],
        outcomes=dict(found),
        seconds=round(time.perf_counter() - began),
    )


if __name__ == "__main__":
    main()
