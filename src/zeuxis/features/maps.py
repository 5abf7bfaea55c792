"""Feature maps of any network, by the modules that give them; what comes after the last is not computed.

Shapes: B batch, C channels, H height, W width of a map.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from zeuxis.core.errors import Invalid


class _Enough(Exception):
    """All maps are there."""


def maps(call: Callable[[], Any], modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What modules give while `call` runs a network, each when it is first used.

    Args:
        call: runs the network; it is left as soon as every module has been used.
        modules: name -> module, whose output is one tensor.

    Raises:
        Invalid: a module is not used, or its output is not one tensor.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> Tensor | None:
            if name in found:
                return None
            if not isinstance(output, Tensor):
                raise Invalid(f"layer {name} gives no single map; choose another")
            found[name] = output
            if len(found) == len(modules):
                raise _Enough
            return output.clone()  # what follows may work in place

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        call()
    except _Enough:
        return found
    finally:
        for handle in handles:
            handle.remove()
    missing = ", ".join(name for name in modules if name not in found)
    raise Invalid(f"the network does not use {missing} when it looks at a picture; choose another")
