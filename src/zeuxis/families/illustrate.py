"""One transformer over the words and the patches of captioned images, in both directions.

An image is a grid of codes of small patches (`nn.patches`), a caption the ids of its words. Each is predicted
token by token, and training shows either first (as Chameleon, https://arxiv.org/abs/2405.09818, mixes them):

    text first     TEXT c_1 ... c_n  END x_1 ... x_P      p(c) p(x | c)
    image first    IMAGE x_1 ... x_P  TEXT c_1 ... c_n    p(x) p(c | x)

So the same weights draw to words, say what they see, write, and know p(x), which guidance moves away from
without captions ever being dropped (Ho & Salimans, 2022, https://arxiv.org/abs/2207.12598):

    log p_w(x_j) = (1 - w) log p(x_j | x_<j) + w log p(x_j | x_<j, c)

Of several drawings, that is kept under which the text is the likeliest. Classes and numbers are added to each
token of the first order.

Shapes: B batch, C channels, H height, W width, P patches, K codes, T ids of a caption, V ids of all words,
E features, R rows of a network call (B, or 2 B when guided).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Self

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch, Controls
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.family import Context, Family, FamilyConfig, Losses
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.core.space import When
from zeuxis.core.vocabulary import NO_CAPTION, PADDING, Vocabulary
from zeuxis.nn.condition import Conditioner, hide, instead
from zeuxis.nn.joint import Joint, Nats, there, told
from zeuxis.nn.patches import PatchCodes
from zeuxis.nn.transformer import Cache, before
from zeuxis.sampling.words import chosen

MOST_CELLS = 256
"""Patches of an image: sequences become slow beyond."""
MOST_DRAWN = 16
"""Drawings that one is kept of."""
BITS = 1 / math.log(2)
"""Of a nat."""


class IllustrateConfig(FamilyConfig):
    """Settings of `Illustrate`; the defaults suit pixel art of 16 x 16 pixels."""

    features: int = pydantic.Field(192, ge=8)
    """Features of a token."""
    layers: int = pydantic.Field(4, ge=1)
    """Layers of the transformer."""
    heads: int = pydantic.Field(4, ge=1)
    """Heads of each layer's attention; they divide the features."""
    patch: int = pydantic.Field(0, ge=0)
    """Side of a patch in pixels; 0 takes 2, or the power of two that makes at most 256 patches."""
    codes: int = pydantic.Field(1024, ge=2, le=1 << 15)
    """Different patches that images are made of: more keep smaller things, and are learned more slowly."""
    text_first: float = pydantic.Field(0.6, ge=0, le=1)
    """Share of images that training shows after their text; the others come before it."""
    text_weight: Annotated[float, When("text")] = pydantic.Field(2.0, ge=0)
    """Weight of a text's token in the loss, beside an image's."""
    dropout: float = pydantic.Field(0.1, ge=0, lt=1)
    """Dropout of features in training, against learning images by heart."""
    drop_label: float = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of classes and numbers in training; each of several is also dropped alone."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> Self:
        if self.features % self.heads:
            raise Invalid(f"features are {self.features}, which {self.heads} heads do not divide")
        return self

    @property
    def side(self) -> int:
        """The patch in use."""
        side = self.patch or 2
        while not self.patch and -(-self.height // side) * -(-self.width // side) > MOST_CELLS:
            side *= 2
        return side


class IllustrateControls(Controls):
    """What can be turned when drawing, captioning and writing."""

    temperature: float | None = pydantic.Field(None, ge=0)
    """Divides log-probabilities: less is likelier and less diverse, 0 takes the likeliest; by default 1, for
    captions 0."""
    top_k: int = pydantic.Field(0, ge=0)
    """Draw each token from so many of the likeliest; 0: from all."""
    top_p: float = pydantic.Field(1.0, gt=0, le=1)
    """Draw each token from the likeliest that together have this probability."""
    min_p: float = pydantic.Field(0.0, ge=0, lt=1)
    """Draw each token from those that are at least so many times as likely as the likeliest."""
    guidance_scale: float | None = pydantic.Field(None, ge=0)
    """Classifier-free guidance of images: 1 is off; higher is nearer to what is asked for and less diverse;
    by default 2 with text, else 1."""
    negative: str = pydantic.Field("", max_length=1000)
    """Text to move away from when guided, in place of no text."""
    best_of: int = pydantic.Field(1, ge=1, le=MOST_DRAWN)
    """Draw each image so often and keep that under which the model finds its text the likeliest."""


class Illustrate(
    Family,
    abilities.Generates[IllustrateControls],
    abilities.Completes[IllustrateControls],
    abilities.Captions[IllustrateControls],
    abilities.Writes[IllustrateControls],
):
    """The patches, and the transformer over them and the words."""

    Config = IllustrateConfig
    Controls = IllustrateControls
    TRAINING = Training(
        optimiser="muon",
        batch_size=48,
        lr=3e-3,
        betas=(0.9, 0.98),
        weight_decay=0.02,
        clip=1.0,
        average=0.1,
        average_max=0.999,
    )
    TINY = IllustrateConfig(
        height=8,
        width=8,
        channels=1,
        features=32,
        layers=1,
        heads=2,
        codes=16,
        text_first=0.9,
        text=Vocabulary(length=5),
    )
    DESCRIBED = True
    config: IllustrateConfig

    def __init__(self, config: IllustrateConfig) -> None:
        super().__init__()
        self.config = config
        image = config.channels, config.height, config.width
        self.patches = PatchCodes(image, config.side, config.codes)
        classes = [len(condition.classes) for condition in config.conditions]
        self.told = Conditioner(classes, config.features, config.numbers)
        sizes = config.features, config.layers, config.heads
        self.net = Joint(config.text, self.patches.cells, self.patches.codes_KD, *sizes)

    def begin(self, batches: Iterable[Batch], rng: Rng) -> None:
        """Find the patches that images are made of."""
        self.patches.begin((batch["image"] for batch in batches), rng)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Nats of both, those of texts weighed, over the number of patches.

        `image` is in bits a patch, `text` in bits a caption.
        """
        config, image_BCHW = self.config, batch["image"]
        given = self.condition(batch, image_BCHW.shape[0])
        columns = {name: value for name, value in given.items() if name != "text"}
        given = {**given, **hide(columns, ctx.rng, config.drop_label)}
        kept_BLE = None
        if config.dropout:
            kept_BLE = ctx.rng.uniform("dropout", 2 * config.layers, config.features)
            kept_BLE = (kept_BLE >= config.dropout) / (1 - config.dropout)
        first_B = ctx.rng.uniform("layout") < config.text_first
        nats = self.nats(image_BCHW, given, first_B, kept_BLE)
        total_B = nats.image_B + config.text_weight * nats.text_B
        cells = self.patches.cells
        losses = {"total": total_B.mean() / cells, "image": nats.image_B.mean() / cells * BITS}
        return {**losses, "text": nats.text_B.mean() * BITS} if config.text else losses

    def nats(
        self,
        image_BCHW: Tensor,
        cond: Batch,
        text_first: Tensor | bool,
        kept_BLE: Tensor | None = None,
    ) -> Nats:
        """Of p(c) and p(x | c) where the text comes first, else of p(c | x) and p(x).

        Args:
            image_BCHW: images, of which the nearest patches count.
            cond: what is known of them; classes and numbers count where the text comes first.
            text_first: (B,), or for all.
            kept_BLE: for dropout, what scales each part of the transformer.
        """
        token_BP, rows = self.patches.encode(image_BCHW), image_BCHW.shape[0]
        given = self.condition(cond, rows)
        first_B = torch.as_tensor(text_first, device=token_BP.device).expand(rows)
        codes_KD, text_BT = self.patches.codes_KD, self._text(given, rows)
        vector = self._vector(given)
        nats: Nats = self.net(text_BT, token_BP, codes_KD, first_B, vector, kept_BLE)
        return nats

    def noise(self, rng: Rng) -> Batch:
        """`image` (B, drawings, P) and `text` (B, T), uniform: one number decides one token."""
        found = {"image": rng.uniform("image", MOST_DRAWN, self.patches.cells)}
        return {**found, "text": rng.uniform("text", self.net.length)} if self.net.length else found

    def generate(
        self,
        noise: Batch,
        cond: Batch,
        controls: IllustrateControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Patch by patch from the top, each at its uniform; of several drawings the best."""
        if controls.best_of > 1 and self.config.text is None:
            raise Unable("best_of goes by the text, and this model was trained without captions")
        given = self.condition(cond, noise["image"].shape[0])
        drawn, nats = [], []
        for number in range(controls.best_of):
            token_BP, _ = self._draw(noise["image"][:, number], given, controls)
            drawn.append(self.patches.decode(token_BP).clamp(-1, 1))
            if controls.best_of > 1:
                nats.append(self.nats(drawn[-1], given, False).text_B)
            if progress:
                progress(number + 1, controls.best_of)
        return _least(drawn, nats)

    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: IllustrateControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Patch by patch from the top, the known ones forced.

        A patch sees only those before it. Of several drawings, that is kept after which the known ones are
        the likeliest.
        """
        open_B1HW = mask_B1HW > 0
        known_BP = self.patches.encode(image_BCHW.masked_fill(open_B1HW, 0))
        known = known_BP, self.patches.cells_of(mask_B1HW)
        given = self.condition(cond, image_BCHW.shape[0])
        drawn, nats = [], []
        for number in range(controls.best_of):
            token_BP, nats_B = self._draw(noise["image"][:, number], given, controls, known)
            filled_BCHW = self.patches.decode(token_BP).clamp(-1, 1)
            drawn.append(torch.where(open_B1HW, filled_BCHW, image_BCHW))
            nats.append(nats_B)
            if progress:
                progress(number + 1, controls.best_of)
        return _least(drawn, nats)

    def caption(
        self,
        image_BCHW: Tensor,
        noise: Batch,
        start_BS: Tensor,
        cond: Batch,
        controls: IllustrateControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Word by word after the image and the start; the likeliest unless a temperature is given."""
        token_BP = self.patches.encode(image_BCHW)
        image_first_B = torch.zeros_like(token_BP[:, 0], dtype=torch.bool)
        image_BNE = self.net.images(token_BP, image_first_B, self.patches.codes_KD)
        start_BNE = torch.cat([image_BNE, self.net.texts(start_BS)], 1)
        rest, place = noise["text"][:, start_BS.shape[1] :], start_BS.shape[1]
        written_BT = self._write(start_BNE, rest, place, controls, 0.0, 0.0, progress)
        return torch.cat([start_BS, written_BT], 1)

    def caption_nats(self, image_BCHW: Tensor, text_BT: Tensor) -> Tensor:
        """Of p(c | x), (B,)."""
        return self.nats(image_BCHW, {"text": text_BT}, False).text_B

    def write(
        self,
        noise: Batch,
        start_BS: Tensor,
        cond: Batch,
        controls: IllustrateControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Word by word after the start."""
        vector = self._vector(self.condition(cond, start_BS.shape[0]))
        start_BNE = self.net.texts(start_BS) + vector
        rest = noise["text"][:, start_BS.shape[1] :]
        written_BT = self._write(
            start_BNE, rest, start_BS.shape[1], controls, 1.0, vector, progress
        )
        return torch.cat([start_BS, written_BT], 1)

    def text_nats(self, text_BT: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Of p(c), (B,)."""
        vector = self._vector(self.condition(cond, text_BT.shape[0]))
        return self.net.text_nats(text_BT.masked_fill(text_BT == NO_CAPTION, PADDING), vector)

    def _draw(
        self,
        uniform_BP: Tensor,
        given: Batch,
        controls: IllustrateControls,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, P), and the nats (B,) of those that are not open by `known` (tokens, which are open)."""
        rows, text = uniform_BP.shape[0], self.config.text
        scale = controls.guidance_scale
        scale = scale if scale is not None else 2.0 if text else 1.0
        text_RT, vector = self._text(given, rows), self._vector(given)
        if guided := bool(given) and scale != 1:
            other_BT = self._text(instead(given, text, controls.negative), rows)
            text_RT = torch.cat([text_RT, other_BT])
            vector = torch.cat([vector.expand(rows, -1, -1), 0 * vector.expand(rows, -1, -1)])
        cache, codes_KD = Cache(text_RT.shape[1] + 2 + uniform_BP.shape[1]), self.patches.codes_KD
        none_R0 = text_RT[:, :0]
        x_RNE = (
            torch.cat(
                [self.net.texts(text_RT), self.net.images(none_R0, told(text_RT), codes_KD)], 1
            )
            + vector
        )
        there_RN = F.pad(there(text_RT), (0, 1), value=True)
        rank_N = torch.arange(x_RNE.shape[1], device=text_RT.device)
        seen_RNM = before(rank_N.expand(x_RNE.shape[:2]), there_RN)
        tokens, nats_B = [], torch.zeros_like(uniform_BP[:, 0])
        for place in range(uniform_BP.shape[1]):
            log_p_RK = self.net.image_log_p(self.net.layers(x_RNE, seen_RNM, cache)[:, -1])
            if guided:
                log_p_RK = torch.lerp(log_p_RK[rows:], log_p_RK[:rows], scale).log_softmax(1)
            temperature = 1.0 if controls.temperature is None else controls.temperature
            cut = controls.top_k, controls.top_p, controls.min_p
            token_B = chosen(log_p_RK, uniform_BP[:, place], temperature, *cut)
            if known:
                forced_B = ~known[1][:, place]
                token_B = torch.where(forced_B, known[0][:, place], token_B)
                nats_B = nats_B - forced_B * log_p_RK.gather(1, token_B[:, None])[:, 0]
            tokens.append(token_B)
            token_R1 = torch.cat([token_B, token_B])[: text_RT.shape[0], None]
            x_RNE = self.net.patches(token_R1, place, codes_KD) + vector
            there_RN = F.pad(there_RN, (0, 1), value=True)
            seen_RNM = there_RN[:, None]
        return torch.stack(tokens, 1), nats_B

    def _write(
        self,
        x_BNE: Tensor,
        uniform_BT: Tensor,
        start: int,
        controls: IllustrateControls,
        temperature: float,
        vector: Tensor | float,
        progress: Progress | None,
    ) -> Tensor:
        """Ids (B, T) that follow `start` of them, at most T; padding after the end."""
        if controls.temperature is not None:
            temperature = controls.temperature
        cut = controls.top_k, controls.top_p, controls.min_p
        rows, most = uniform_BT.shape
        rank_N = torch.arange(x_BNE.shape[1], device=x_BNE.device)
        seen_BNM = (rank_N[:, None] >= rank_N).expand(rows, -1, -1)
        cache = Cache(x_BNE.shape[1] + most)
        out_BT = torch.full_like(uniform_BT, PADDING, dtype=torch.int64)
        on_B = torch.ones_like(uniform_BT[:, 0], dtype=torch.bool)
        for place in range(most):
            log_p_BV = self.net.text_log_p(self.net.layers(x_BNE, seen_BNM, cache)[:, -1])
            id_B = chosen(log_p_BV, uniform_BT[:, place], temperature, *cut)
            out_BT[:, place] = torch.where(on_B, id_B, PADDING)
            on_B = on_B & (id_B != PADDING)
            if progress:
                progress(place + 1, most)
            if not on_B.any():
                break
            x_BNE = self.net.words(id_B[:, None], start + place) + vector
            seen_BNM = F.pad(seen_BNM[:, -1:], (0, 1), value=True)
        return out_BT

    def _text(self, given: Batch, rows: int) -> Tensor:
        """Ids (B, T); of no caption, padding alone."""
        if not self.net.length:
            return self.net.places.weight.new_zeros(rows, 0, dtype=torch.int64)
        return given["text"].masked_fill(given["text"] == NO_CAPTION, PADDING)

    def _vector(self, given: Batch) -> Tensor:
        """What classes and numbers add to each token, (B, 1, E); nothing if there are none."""
        columns = {name: value for name, value in given.items() if name != "text"}
        if not columns:
            return self.net.places.weight.new_zeros(1, 1, 1)
        vector_BE: Tensor = self.told(columns).vector_BE
        return vector_BE[:, None]


def _least(drawn: Sequence[Tensor], nats: Sequence[Tensor]) -> Tensor:
    """Of several drawings (B, ...) of each row that with the fewest nats (B,)."""
    if len(drawn) == 1:
        return drawn[0]
    best_B = torch.stack([*nats]).argmin(0)
    return torch.stack([*drawn])[best_B, torch.arange(best_B.shape[0], device=best_B.device)]
