"""Adversarial losses and gradient penalties: pure functions, one value per sample except `beyond`.

D is the discriminator's logit (before any sigmoid), r = D(real), f = D(fake), s = softplus.

| loss           | discriminator minimises       | generator minimises | source                     |
|----------------|-------------------------------|---------------------|----------------------------|
| relativistic   | s(f - r)                      | s(r - f)            | Jolicoeur-Martineau, 2018  |
| non_saturating | s(-r) + s(f)                  | s(-f)               | Goodfellow et al., 2014    |
| hinge          | max(0, 1 - r) + max(0, 1 + f) | -f                  | Lim and Ye, 2017           |
| least_squares  | ((r - 1)^2 + f^2) / 2         | (f - 1)^2 / 2       | Mao et al., 2016           |
| wasserstein    | f - r                         | -f                  | Arjovsky et al., 2017      |

The relativistic loss pairs row i of the real images with row i of the fake ones; with R1 and R2 it
converges locally where the others need not (Huang et al., 2024, https://arxiv.org/abs/2501.05441).

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core.errors import Invalid

Loss = Literal["relativistic", "non_saturating", "hinge", "least_squares", "wasserstein"]


def discriminator_loss(loss: Loss, real_B: Tensor, fake_B: Tensor) -> Tensor:
    """What the discriminator minimises, (B,), from its logits of real and fake images, (B,) each."""
    match loss:
        case "relativistic":
            return F.softplus(fake_B - real_B)
        case "non_saturating":
            return F.softplus(-real_B) + F.softplus(fake_B)
        case "hinge":
            return F.relu(1 - real_B) + F.relu(1 + fake_B)
        case "least_squares":
            return ((real_B - 1).square() + fake_B.square()) / 2
        case "wasserstein":
            return fake_B - real_B


def generator_loss(loss: Loss, fake_B: Tensor, real_B: Tensor | None = None) -> Tensor:
    """What the generator minimises, (B,). Only the relativistic loss looks at `real_B`.

    Raises:
        ValueError: the relativistic loss without logits of real images.
    """
    match loss:
        case "relativistic":
            if real_B is None:
                raise Invalid("the relativistic loss needs the logits of real images as well")
            return F.softplus(real_B - fake_B)
        case "non_saturating":
            return F.softplus(-fake_B)
        case "least_squares":
            return (fake_B - 1).square() / 2
        case "hinge" | "wasserstein":
            return -fake_B


def beyond(image_BCHW: Tensor) -> Tensor:
    """Mean square of what lies beyond [-1, 1]: it draws a generator back to where its image is clamped."""
    return F.relu(image_BCHW.abs() - 1).square().mean()


def squared_gradient(logits_B: Tensor, image_BCHW: Tensor) -> Tensor:
    """Squared norm of dD/dimage at each row, (B,), itself differentiable.

    On real images it is R1, on fake ones R2 (Mescheder et al., 2018, eq. 9 and 10, https://arxiv.org/abs/1801.04406),
    each to be weighed by gamma / 2. It is right only for a D that treats rows apart from one another.

    Args:
        logits_B: D(image_BCHW), computed while `image_BCHW` required a gradient.
        image_BCHW: float32 or float64, so that the sum over pixels is accumulated in it.
    """
    (gradient_BCHW,) = torch.autograd.grad(logits_B.sum(), image_BCHW, create_graph=True)
    return gradient_BCHW.square().flatten(1).sum(1)


def one_centred(squared_B: Tensor) -> Tensor:
    """(norm - 1)^2 of gradients given by their squared norms, (B,).

    The penalty of Gulrajani et al., 2017 (https://arxiv.org/abs/1704.00028), eq. 3, at points between
    real and fake images. The tiny constant keeps the root's slope finite where the gradient vanishes.
    """
    return ((squared_B + 1e-12).sqrt() - 1).square()


def discriminator_terms(
    judge: Callable[[Tensor], Tensor],
    real_BCHW: Tensor,
    fake_BCHW: Tensor,
    loss: Loss,
    gamma: float,
    penalised: float,
) -> dict[str, Tensor]:
    """What a discriminator of images, perhaps beside their sources, minimises: `total`, and its parts.

    Args:
        judge: logits of images, of each or of its patches.
        real_BCHW: real images.
        fake_BCHW: made ones, without a gradient.
        loss: which.
        gamma: weight of R1.
        penalised: factor of the penalty in this update; 0 leaves it out.
    """
    due = gamma > 0 and penalised > 0
    real_BCHW = real_BCHW.detach().requires_grad_(due)
    real, fake = judge(real_BCHW), judge(fake_BCHW)
    total = discriminator_loss(loss, real, fake).mean()
    losses = {"adversarial": total, "real": real.detach().mean(), "fake": fake.detach().mean()}
    if due:
        squared_B = squared_gradient(real.flatten(1).mean(1), real_BCHW)
        losses["penalty"] = squared_B.mean() / 2
        total = total + gamma * penalised * losses["penalty"]
    return {"total": total, **losses}


def generator_terms(
    judge: Callable[[Tensor], Tensor],
    real_BCHW: Tensor,
    image_BCHW: Tensor,
    error: Tensor,
    loss: Loss,
    weight: float,
) -> dict[str, Tensor]:
    """What a generator minimises that has an error of its own; `ratio` says whether both have a say.

    Args:
        judge: as of `discriminator_terms`.
        real_BCHW: real images.
        image_BCHW: what it made, not bounded.
        error: its own, a mean over rows.
        loss: which.
        weight: of the adversarial term.
    """
    fake, real = judge(image_BCHW), judge(real_BCHW).detach()
    fooled = (weight * generator_loss(loss, fake, real)).mean()
    total = error + fooled + beyond(image_BCHW)
    ratio = (fooled / error).detach()
    return {"total": total, "error": error, "adversarial": fooled, "ratio": ratio}
