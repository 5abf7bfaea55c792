"""Muon: an optimiser that orthogonalises the update of each weight matrix.

Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/: the update of a weight matrix is the
orthogonal matrix nearest to the momentum G = U S V^T of its gradients, so that no direction is left
behind because its gradients are small,

    M <- M + (1 - momentum) (g - M),   G = g + momentum (M - g),   W <- (1 - lr decay) W - lr a U V^T,

with a = 0.2 sqrt(max(rows, columns)), which makes its weights as large on average as those of Adam's
updates (Liu et al., 2025, https://arxiv.org/abs/2502.16982). A convolution's weights are the matrix of
outputs by all that they sum over. What is no such matrix is left to AdamW.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from zeuxis.nn.transformer import Matrix

MOMENTUM = 0.95
SIZE = 0.2
"""Root mean square of an update of Adam's, as a share of the learning rate."""
LEAST = 16
"""Fewest inputs and outputs: with fewer, all directions are learned soon anyway."""
POLYNOMIALS = ((3.4445, -4.7750, 2.0315),) * 3
"""a s + b s^3 + c s^5 brings singular values towards 1. Five are usual; three do as well here."""


def matrices(network: nn.Module) -> Iterator[Tensor]:
    """The weights in `network` that Muon is for: of convolutions of more than a point, not too narrow.

    And those of `nn.transformer.Matrix`.
    """
    for module in network.modules():
        if isinstance(module, Matrix):
            yield module.weight
        if not isinstance(module, nn.Conv2d) or max(module.kernel_size) == 1:
            continue
        if min(module.weight.shape[:2]) >= LEAST:
            yield module.weight


def orthogonal(matrix_NRK: Tensor) -> Tensor:
    """Of each matrix U S V^T about U V^T, singular values within 0.6 to 1.3 unless S has tiny ones.

    A step X <- (a I + b G + c G^2) X, G = X X^T, also turns G into P G P with the same P. So the steps
    are made on the small square G, and their product meets the long X once.
    """
    tall = matrix_NRK.shape[1] > matrix_NRK.shape[2]
    x = matrix_NRK.mT if tall else matrix_NRK
    gram = x @ x.mT
    power_N11 = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + 1e-30
    gram, factor = gram / power_N11, power_N11.rsqrt()
    for index, (a, b, c) in enumerate(POLYNOMIALS):
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal(dim1=1, dim2=2).add_(a)
        factor = step @ factor if index else step * factor
        if index + 1 < len(POLYNOMIALS):
            gram = step @ gram @ step
    turned = factor @ x
    return turned.mT if tall else turned


class Muon(torch.optim.Optimizer):
    """Muon for some weights, AdamW for the others.

    Args:
        params: all parameters.
        matrices: those of them that Muon is for.
        arithmetic: type of the products; bfloat16 will do.
        lr: learning rate, of both.
        weight_decay: of both.
        adam: further arguments of `torch.optim.AdamW`.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        matrices: Iterable[Tensor],
        arithmetic: torch.dtype,
        lr: float,
        weight_decay: float,
        **adam: Any,
    ) -> None:
        params, chosen = list(params), {id(each) for each in matrices}
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        rest = [each for each in params if id(each) not in chosen]
        self.adam = torch.optim.AdamW(rest, lr=lr, weight_decay=weight_decay, **adam)
        self.adam.state = self.state
        self.arithmetic = arithmetic
        self.alike: dict[tuple[int, int], list[Tensor]] = {}
        for each in params:
            if id(each) in chosen:
                self.alike.setdefault((len(each), each[0].numel()), []).append(each)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Both optimisers keep what they remember of a weight in one table."""
        super().load_state_dict(state_dict)
        self.adam.state = self.state

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure: the loop has the losses
        """Change all weights that have gradients."""
        lr, decay = (self.param_groups[0][key] for key in ("lr", "weight_decay"))
        self.adam.param_groups[0]["lr"] = lr
        self.adam.step()
        for shape, all_weights in self.alike.items():
            pairs = [(each, each.grad) for each in all_weights if each.grad is not None]
            if not pairs:
                continue
            # one weight after another, each while the processor's cache has it
            stacked = torch.empty(
                len(pairs), *shape, dtype=self.arithmetic, device=pairs[0][0].device
            )
            for (weight, grad), place in zip(pairs, stacked, strict=True):
                momentum = self._momentum(weight)
                momentum.lerp_(grad, 1 - MOMENTUM)
                _like(place, weight).copy_(grad.lerp(momentum, MOMENTUM))
            update = orthogonal(stacked)
            factor = -lr * SIZE * max(shape) ** 0.5
            for (weight, _), turned in zip(pairs, update, strict=True):
                weight.mul_(1 - lr * decay).add_(_like(turned, weight), alpha=factor)

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        return state["momentum"]


def _like(matrix_NK: Tensor, weight_OIKK: Tensor) -> Tensor:
    """(O, K K I) seen as (O, I, K, K): the order that weights in channels_last memory have."""
    inputs, *kernel = weight_OIKK.shape[1:]
    return matrix_NK.unflatten(1, (*kernel, inputs)).movedim(-1, 1)
