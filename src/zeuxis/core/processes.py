"""Several processes on one global batch, started by `torchrun`; one process is the same with world 1."""

import atexit
import dataclasses
import datetime
import os
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Parallel:
    """This process' place among those that train together."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def rows(self, batch_size: int, accumulate: int, micro: int) -> slice:
        """Rows of the global batch that are this process' micro-batch number `micro`.

        >>> Parallel(rank=1, world=2).rows(8, 2, 0)
        slice(4, 6, None)
        """
        size = batch_size // (self.world * accumulate)
        start = (self.rank * accumulate + micro) * size
        return slice(start, start + size)

    def mean_(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over the processes: one exchange of one flat buffer."""
        if self.world == 1:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, value: T) -> T:
        """The first process' value, on all processes."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def highest(self, value: float) -> float:
        """The largest of all processes' values."""
        if self.world == 1:
            return value
        vote = torch.tensor([float(value)])
        dist.all_reduce(vote, dist.ReduceOp.MAX)
        return vote.item()

    def wait(self) -> None:
        """Return when all processes are here."""
        if self.world > 1:
            dist.barrier()


def join_processes(timeout_minutes: float = 10) -> Parallel:
    """The processes that `torchrun` started (it sets RANK and WORLD_SIZE), or this one alone.

    They part when Python exits: gloo's threads may still hold tensors then, and if the interpreter
    is gone when they let go, the process aborts (https://github.com/pytorch/pytorch/issues/190489).
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Parallel()
    if not dist.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=datetime.timedelta(minutes=timeout_minutes))
        atexit.register(dist.destroy_process_group)
    return Parallel(dist.get_rank(), world)
