"""Networks that are kept, not trained."""

from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def as_buffers(module: M) -> M:
    """The same module, its parameters turned into buffers under the same names.

    No optimiser sees them, and an average of the weights copies them as they are.
    """
    for inner in module.modules():
        for name, parameter in list(inner.named_parameters(recurse=False)):
            delattr(inner, name)
            inner.register_buffer(name, parameter.detach())
    return module
