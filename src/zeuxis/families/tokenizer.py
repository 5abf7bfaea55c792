"""Tokenizer: encodes an image as a small grid of integers, and decodes these.

The first stage of models over tokens (VQ-VAE, van den Oord et al., 2017,
https://arxiv.org/abs/1711.00937; VQGAN, Esser et al., 2021, https://arxiv.org/abs/2012.09841):

    image -> encoder -> z -> quantiser -> tokens -> code -> decoder -> image

    L = |x - x'| + structure * dissimilarity(x, x') + commitment * |z - sg[code]|^2
        + adversarial * balance * -D(x')

The quantiser is FSQ (Mentzer et al., 2023, https://arxiv.org/abs/2309.15505) or a codebook
(`zeuxis.nn.quantise`). D is a patch discriminator with the hinge loss. It starts late, and the adversarial
loss counts later still, once D is trained. `balance` gives the adversarial gradient the norm of the other one
at the decoder's last layer (Esser et al., equation 7):

    balance = |grad (reconstruction)| / (|grad (adversarial)| + 1e-4), at most `BALANCE_MAX`.

Here it is an EMA over earlier steps, a buffer, so that the loss stays a mean over samples. Labels are
not used.

Shapes: B batch, C channels, H height, W width, h, w the grid of tokens, D dimensions of a code, K codes.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.core.space import Among, Span, When
from zeuxis.nn import pyramid, quantise, spectral, towers
from zeuxis.nn.precision import full
from zeuxis.objectives import adversarial
from zeuxis.objectives.similarity import dissimilarity

MOST_TOKENS = 256
"""Models of sequences become slow beyond."""
MOST_CODES = 2**15
"""Tokens are stored in 16 bits."""
WARM_UP = 0.1
"""Share of the run for which the discriminator learns before its verdict counts."""
BALANCE_MAX, BALANCE_EVERY, BALANCE_RATE = 100.0, 4, 0.2
"""The balance's limit, after how many steps it is measured, and how far it then moves."""
MEMORY = 0.98
"""Of the moving average that usage and perplexity are taken from."""


class TokenizerConfig(FamilyConfig):
    """Settings of `Tokenizer`; the defaults suit images of 16 to 128 pixels."""

    quantiser: Literal["fsq", "vq"] = "fsq"
    """`fsq` rounds a few dimensions to a few levels; `vq` takes the nearest vector of a codebook."""
    levels: Annotated[tuple[int, ...], When("quantiser", "fsq")] = (8, 6, 5)
    """FSQ: levels of each dimension; their product is the number of codes. 8,5,5,5 gives 1000."""
    codes: Annotated[int, When("quantiser", "vq")] = pydantic.Field(256, ge=2, le=MOST_CODES)
    """VQ: vectors in the codebook."""
    code_size: Annotated[int, When("quantiser", "vq")] = pydantic.Field(8, ge=2)
    """VQ: dimensions of each vector."""
    commitment: Annotated[float, When("quantiser", "vq")] = pydantic.Field(0.25, ge=0)
    """VQ: weight of the squared distance from the encoder's vector to its code."""
    decay: Annotated[float, When("quantiser", "vq")] = pydantic.Field(0.99, ge=0, lt=1)
    """VQ: decay of the codebook's EMA."""
    dead: Annotated[float, When("quantiser", "vq")] = pydantic.Field(0.03, ge=0, lt=1)
    """VQ: a code used less often than this share of 1 / codes is reset."""
    gradient: Annotated[Literal["rotation", "straight_through"], When("quantiser", "vq")] = (
        "rotation"
    )
    """VQ: gradient estimator from the code to the encoder's vector."""
    factor: int | None = pydantic.Field(None, ge=2)
    """Side of a token in pixels, a power of two; by default 2, 4 or 8, depending on the image's size."""
    features: Annotated[int, Among(("32", "64", "96"))] = pydantic.Field(64, ge=1)
    """Channels of the finest grid; each halving doubles them. Multiples of 32 are fastest."""
    features_max: int = pydantic.Field(128, ge=1)
    """Largest number of channels of any grid."""
    blocks: Annotated[int, Span(1, 3)] = pydantic.Field(2, ge=1)
    """Residual blocks per grid, in the encoder and in the decoder."""
    structure: Annotated[float, Span(0, 0.5)] = pydantic.Field(0.2, ge=0)
    """Weight of structural dissimilarity (1 - SSIM) beside the mean absolute error."""
    adversarial: Annotated[float, Span(0, 0.5)] = pydantic.Field(0.2, ge=0)
    """Weight of the adversarial loss, after balancing; 0 builds no discriminator."""
    adversarial_start: Annotated[float, When("adversarial")] = pydantic.Field(0.6, ge=0, le=1)
    """Share of the run after which the adversarial loss counts; the discriminator trains a tenth earlier."""
    critic: Annotated[int, When("adversarial")] = pydantic.Field(64, ge=1)
    """Channels of the discriminator's first layer."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "TokenizerConfig":
        pyramid.check_size("tokenizer", self.height, self.width)
        if not self.levels or min(self.levels) < 2 or math.prod(self.levels) > MOST_CODES:
            raise Invalid(
                f"levels are {self.levels}; give at least one number, each at least 2, whose "
                f"product is at most {MOST_CODES}, e.g. 8,6,5"
            )
        if self.factor is not None and self.factor & (self.factor - 1):
            raise Invalid(f"factor is {self.factor}; give a power of two: 2, 4, 8 or 16")
        return self

    def scale(self) -> int:
        """Pixels along each side of a token."""
        if self.factor is not None:
            return self.factor
        side = math.sqrt(self.height * self.width)
        scale = 2 if side <= 16 else 4 if side <= 48 else 8
        while -(-self.height // scale) * -(-self.width // scale) > MOST_TOKENS:
            scale *= 2
        return scale

    def patch(self) -> int:
        """Pixels along each side that the finest grid sees as one point: 32 points a side or fewer."""
        side = math.sqrt(self.height * self.width)
        return min(self.scale() // 2, 1 if side <= 16 else 2 if side <= 64 else 4)

    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return -(-self.height // self.scale()), -(-self.width // self.scale())

    def widths(self) -> list[int]:
        """Channels of each grid, finest first."""
        halvings = (self.scale() // self.patch()).bit_length() - 1
        return pyramid.widths(self.features, self.features_max, halvings + 1)


class Encoder(nn.Module):
    """(B, C, H, W) -> (B, D, h, w), not quantised."""

    def __init__(self, config: TokenizerConfig, size: int) -> None:
        super().__init__()
        widths = config.widths()
        self.tower = towers.DownTower(config.channels, widths, config.blocks, config.patch())
        self.head = nn.Conv2d(widths[-1], size, 1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Describe each image."""
        return full(self.head(F.silu(self.tower(image_BCHW))))


class Decoder(nn.Module):
    """(B, D, h, w) -> (B, C, H, W), not bounded."""

    def __init__(self, config: TokenizerConfig, size: int) -> None:
        super().__init__()
        widths, self.image = config.widths(), (config.height, config.width)
        self.stem = nn.Conv2d(size, widths[-1], 3, padding=1)
        self.tower = towers.UpTower(config.channels, widths, config.blocks, config.patch())

    def forward(self, code_BDhw: Tensor) -> Tensor:
        """Decode each image."""
        x = code_BDhw.to(self.stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        return full(self.tower(self.stem(x), self.image))


class Discriminator(nn.Module):
    """(B, C, H, W) -> a logit of being real for each patch (B, 1, h', w'), 18 pixels a side."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        narrow, wide = config.critic, 2 * config.critic
        self.padding = (0, config.width % 2, 0, config.height % 2)
        self.layers = nn.Sequential(
            nn.Conv2d(4 * config.channels, narrow, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(narrow, wide, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(wide, 1, 1, bias=False),  # inside the margins its gradient is 0
        )
        spectral.constrain(self)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Logit of each patch."""
        return full(self.layers(F.pixel_unshuffle(F.pad(image_BCHW, self.padding), 2)))


class Tokenizer(
    Family, abilities.Encodes, abilities.Decodes, abilities.Reconstructs, abilities.Tokenizes
):
    """Encoder, quantiser and decoder, and a discriminator that only training needs."""

    Config = TokenizerConfig
    TRAINING = Training(batch_size=64, lr=1e-3, betas=(0.9, 0.99), clip=1.0)
    TINY = TokenizerConfig(
        height=8, width=8, channels=1, levels=(4, 3), features=8, blocks=1, critic=8
    )
    CONDITIONAL = False
    config: TokenizerConfig
    share_K: Tensor
    balance: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.quantiser = _quantiser(config)
        self.encoder = Encoder(config, self.quantiser.size)
        self.decoder = Decoder(config, self.quantiser.size)
        self.discriminator = Discriminator(config) if config.adversarial else None
        self.register_buffer("share_K", torch.zeros(self.vocabulary))
        self.register_buffer("balance", torch.zeros(()))

    @property
    def vocabulary(self) -> int:
        """K: tokens go from 0 to K - 1."""
        return self.quantiser.count

    def needs(self) -> tuple[str, ...]:
        """Images only."""
        return ("image",)

    def phases(self) -> tuple[Phase, ...]:
        """Encoder and decoder; from later on the discriminator."""
        autoencoder = Phase(name="autoencoder", modules=("encoder", "decoder"))
        if self.discriminator is None:
            return (autoencoder,)
        start = max(0.0, self.config.adversarial_start - WARM_UP)
        return autoencoder, Phase(
            name="discriminator", modules=("discriminator",), start=start, keep=False
        )

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Losses of one phase; `usage` and `perplexity` are those of the last steps."""
        image_BCHW = full(batch["image"])
        if phase == "autoencoder":
            return self._autoencoder_loss(image_BCHW, ctx)
        with torch.no_grad():
            drawn_BCHW = self.decoder(self.quantiser(self.encoder(image_BCHW)).code_BDhw)
        real, drawn = self._discriminate(image_BCHW), self._discriminate(drawn_BCHW)
        return {
            "total": adversarial.discriminator_loss("hinge", real, drawn).mean(),
            "real": real.detach().mean(),
            "drawn": drawn.detach().mean(),
        }

    def _autoencoder_loss(self, image_BCHW: Tensor, ctx: Context) -> Losses:
        config = self.config
        z_BDhw = self.encoder(image_BCHW)
        code_BDhw, token_Bhw, commitment_B = self.quantiser(z_BDhw)
        drawn_BCHW = self.decoder(code_BDhw)
        losses = {
            "error": (drawn_BCHW - image_BCHW).abs().mean(),
            "structure": dissimilarity(drawn_BCHW, image_BCHW).mean(),
        }
        reconstruction = losses["error"] + config.structure * losses["structure"]
        total = reconstruction
        if isinstance(self.quantiser, quantise.VQ):
            losses["commitment"] = commitment_B.mean()
            total = total + config.commitment * losses["commitment"]
            losses["stat/sum"] = self.quantiser.sums(z_BDhw, token_Bhw)
        if self.discriminator is not None and ctx.progress >= config.adversarial_start:
            losses["adversarial"] = -self._discriminate(drawn_BCHW).mean()
            total = total + config.adversarial * self.balance * losses["adversarial"]
            losses["balance"] = self.balance.clone()
            if ctx.update % BALANCE_EVERY == 0:
                last = self.decoder.tower.head.weight
                for name, term in (
                    ("reconstruction", reconstruction),
                    ("adversarial", losses["adversarial"]),
                ):
                    (losses[f"stat/{name}"],) = torch.autograd.grad(term, last, retain_graph=True)
        losses["stat/share"] = quantise.histogram(token_Bhw, self.vocabulary)
        losses["usage"] = quantise.usage(self.share_K)
        losses["perplexity"] = quantise.perplexity(self.share_K)
        return {"total": total, **losses}

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """What the last step says about the codes' use, the codebook and the balance."""
        if phase == "discriminator":
            assert self.discriminator is not None
            spectral.follow(self.discriminator)
            return
        share_K = stats["stat/share"].to(self.share_K.dtype)
        self.share_K.lerp_(share_K, 1 - MEMORY)
        if isinstance(self.quantiser, quantise.VQ):
            self.quantiser.follow(share_K, stats["stat/sum"], ctx.rng)
        if "stat/adversarial" in stats:
            wanted = stats["stat/reconstruction"].norm() / (stats["stat/adversarial"].norm() + 1e-4)
            rate = BALANCE_RATE if self.balance else 1.0  # the first one is taken as it is
            self.balance.lerp_(wanted.clamp(max=BALANCE_MAX).to(self.balance.dtype), rate)

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rng: Rng) -> None:
        """Scale the encoder's numbers to mean 0 and variance 1, and place the codebook among them.

        So many codes are in use from the first step on. Weights that were trained stay.
        """
        if self.share_K.any():
            return
        z_BDhw = torch.cat([self.encoder(full(batch["image"])) for batch in batches])
        deviation_D, mean_D = torch.std_mean(z_BDhw, (0, 2, 3))
        deviation_D, head = deviation_D.clamp(min=1e-3), self.encoder.head
        head.weight /= deviation_D[:, None, None, None]
        assert head.bias is not None
        head.bias.copy_((head.bias - mean_D) / deviation_D)
        if isinstance(self.quantiser, quantise.VQ):
            vector_MD = ((z_BDhw.movedim(1, -1) - mean_D) / deviation_D).flatten(0, 2)
            self.quantiser.begin(vector_MD, rng)

    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Tokens (B, h, w) int64."""
        return self.quantiser(self.encoder(image_BCHW)).token_Bhw

    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Images of tokens (B, h, w), or of vectors (B, D, h, w), which become the nearest codes first."""
        token_Bhw = self.tokens(latent) if latent.ndim == 4 else latent.long()
        return self.decoder(self.codes(token_Bhw)).clamp(-1, 1)

    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """`decode(encode(image))`."""
        return self.decode(self.encode(image_BCHW))

    def codes(self, token_Bhw: Tensor) -> Tensor:
        """The vectors (B, D, h, w) that tokens stand for."""
        return self.quantiser.codes(token_Bhw)

    def tokens(self, code_BDhw: Tensor) -> Tensor:
        """The tokens (B, h, w) of the codes that are nearest to vectors."""
        return self.quantiser.tokens(code_BDhw)

    def _discriminate(self, image_BCHW: Tensor) -> Tensor:
        assert self.discriminator is not None
        return self.discriminator(image_BCHW)


def _quantiser(config: TokenizerConfig) -> quantise.FSQ | quantise.VQ:
    if config.quantiser == "fsq":
        return quantise.FSQ(config.levels)
    rotation = config.gradient == "rotation"
    return quantise.VQ(config.code_size, config.codes, config.decay, config.dead, rotation)
