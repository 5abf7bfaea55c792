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


def write(folder, kind="StableDiffusionPipeline", scheduler=None, **saved):
    """Save a pipeline of a kind, the same each time; `saved` is for `save_pretrained`."""
    diffusers = library()
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        words, more = tokenizer(), {}
        large = kind == "StableDiffusionXLPipeline"
        if large:
            more = {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 6 * 8 + 32,
            }
        if kind == "LatentConsistencyModelPipeline":
            more = {"time_cond_proj_dim": 32}
        unet = diffusers.UNet2DConditionModel(
            sample_size=SIDE // 2,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=64 if large else 32,
            attention_head_dim=2,
            norm_num_groups=8,
            **more,
        )
        vae = diffusers.AutoencoderKL(
            block_out_channels=(16, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=SIDE,
        )
        parts = {"vae": vae, "unet": unet, "tokenizer": words}
        if large:
            second = text_encoder(words, projection_dim=32)
            parts |= {"tokenizer_2": words, "text_encoder_2": second}
        else:
            parts |= {"safety_checker": None, "feature_extractor": None}
            parts |= {"requires_safety_checker": False}
        usual = diffusers.EulerDiscreteScheduler(**NOISE)
        if kind == "LatentConsistencyModelPipeline":
            usual = diffusers.LCMScheduler(**NOISE)
        parts |= {"text_encoder": text_encoder(words), "scheduler": scheduler or usual}
        getattr(diffusers, kind)(**parts).save_pretrained(folder, safe_serialization=True, **saved)
    return folder


def edit(file, **values):
    """Change values of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
