"""Pipelines of diffusers with random weights, 1 MB each, in place of those that weigh gigabytes."""

import json
import warnings
from importlib.util import find_spec

import torch

SIDE = 16
"""Pixels of a side."""
LONGEST = 16
"""Tokens of a text."""
SIGNS = [chr(code) for code in range(33, 127)]
SAID = ["<|startoftext|>", "<|endoftext|>"]
HAVE = find_spec("diffusers") is not None and find_spec("transformers") is not None
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def library():
    """The module diffusers; what its import warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import transformers.models.clip

        assert diffusers.StableDiffusionPipeline and transformers.CLIPTextModel
    return diffusers


def tokenizer():
    """CLIP's, of printable signs and two words."""
    from transformers import CLIPTokenizer

    merges = [("r", "e"), ("re", "d</w>"), ("h", "a"), ("ha", "t</w>")]
    words = [*SIGNS, *(f"{sign}</w>" for sign in SIGNS), *("".join(pair) for pair in merges), *SAID]
    ids = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=LONGEST)


def text_encoder(words, **more):
    """CLIP's, of width 32."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    start, end = (words.convert_tokens_to_ids(word) for word in SAID)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LONGEST,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
        **more,
    )
    return (CLIPTextModelWithProjection if more else CLIPTextModel)(config)


def long_tokenizer():
    """T5's, of printable signs."""
    from transformers import T5Tokenizer

    known = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0)]
    words = [*known, *((sign, -3.0) for sign in SIGNS if sign not in "<>")]
    return T5Tokenizer(vocab=words, extra_ids=0, model_max_length=2 * LONGEST)


def unet(diffusers, width=32, **more):
    """Of 8 x 8 cells."""
    return diffusers.UNet2DConditionModel(
        sample_size=SIDE // 2,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=2,
        norm_num_groups=8,
        **more,
    )


def vae(diffusers, channels=4, **more):
    """Two pixels a cell."""
    return diffusers.AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=8,
        sample_size=SIDE,
        **more,
    )


def with_unet(diffusers, kind):
    """Parts of Stable Diffusion, of its XL, and of latent consistency models."""
    words = tokenizer()
    parts = {"vae": vae(diffusers), "tokenizer": words, "text_encoder": text_encoder(words)}
    if kind == "StableDiffusionXLPipeline":
        time = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
        net = unet(diffusers, 64, **time, projection_class_embeddings_input_dim=6 * 8 + 32)
        second = text_encoder(words, projection_dim=32)
        parts |= {"unet": net, "tokenizer_2": words, "text_encoder_2": second}
    else:
        more = {"time_cond_proj_dim": 32} if kind == "LatentConsistencyModelPipeline" else {}
        parts |= {"unet": unet(diffusers, **more), "safety_checker": None}
        parts |= {"feature_extractor": None, "requires_safety_checker": False}
    few = kind == "LatentConsistencyModelPipeline"
    scheduler = diffusers.LCMScheduler if few else diffusers.EulerDiscreteScheduler
    return {**parts, "scheduler": scheduler(**NOISE)}


def with_transformer(diffusers, kind):
    """Parts of Stable Diffusion 3, and of Flux."""
    from transformers import T5Config, T5EncoderModel

    flux, words, long = kind == "FluxPipeline", tokenizer(), long_tokenizer()
    whole = {"use_quant_conv": False, "use_post_quant_conv": False, "shift_factor": 0.1}
    parts = {"vae": vae(diffusers, 4 if flux else 16, **whole), "tokenizer": words}
    parts |= {"scheduler": diffusers.FlowMatchEulerDiscreteScheduler()}
    small = {"d_model": 32 if flux else 64, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    t5 = T5EncoderModel(T5Config(vocab_size=len(long), **small))
    size = {"patch_size": 1, "num_layers": 1, "num_attention_heads": 2}
    if flux:
        net = diffusers.FluxTransformer2DModel(
            **size,
            in_channels=16,
            num_single_layers=1,
            attention_head_dim=16,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            guidance_embeds=True,
            axes_dims_rope=(4, 4, 8),
        )
        parts |= {"text_encoder": text_encoder(words), "text_encoder_2": t5, "tokenizer_2": long}
        return {**parts, "transformer": net}
    net = diffusers.SD3Transformer2DModel(
        **size | {"patch_size": 2},
        sample_size=SIDE // 2,
        in_channels=16,
        out_channels=16,
        attention_head_dim=16,
        joint_attention_dim=64,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        pos_embed_max_size=16,
    )
    first, second = (text_encoder(words, projection_dim=32) for _ in range(2))
    parts |= {"text_encoder": first, "text_encoder_2": second, "tokenizer_2": words}
    return {**parts, "text_encoder_3": t5, "tokenizer_3": long, "transformer": net}


def write(folder, kind="StableDiffusionPipeline", **saved):
    """Save a pipeline of a kind, the same each time; `saved` is for `save_pretrained`."""
    diffusers = library()
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        new = kind in ("FluxPipeline", "StableDiffusion3Pipeline")
        parts = (with_transformer if new else with_unet)(diffusers, kind)
        getattr(diffusers, kind)(**parts).save_pretrained(folder, safe_serialization=True, **saved)
    return folder


def edit(file, **values):
    """Change values of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
