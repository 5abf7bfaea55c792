"""Breaks of what is done with trained models: verbs, files, contests."""

from tests.breaks.base import Break

BREAKS = [
    # verbs
    Break(
        "inference/verbs/change.py",
        "sigma / 127.5)",
        "sigma / 255)",
        "test_use.py -k denoising",
    ),
    Break(
        "inference/verbs/draw.py",
        "slerp(ends[:1], ends[1:], share_N)",
        "slerp(ends[1:], ends[:1], share_N)",
        "test_use.py -k walk",
    ),
    Break(
        "inference/model.py", "rows.start + size * done // total", "done", "test_use.py -k progress"
    ),
    Break("inference/arguments.py", ">= 128).astype", "< 128).astype", "test_verbs.py -k complete"),
    Break(
        "inference/results.py",
        "std(ddof=1) / len(self.bits) ** 0.5",
        "std(ddof=1)",
        "test_verbs.py -k score",
    ),
    # compressed files
    Break(
        "inference/codec.py", "nearest_RL[row, one] = value", "pass", "test_codec.py -k machines"
    ),
    Break(
        "inference/codec.py",
        "copy.deepcopy(model.family).double()",
        "copy.deepcopy(model.family)",
        "test_codec.py -k float64",
    ),
    Break(
        "inference/codec.py",
        'if header["model"] != identity(model):',
        "if False:",
        "test_codec.py -k bad_input",
    ),
    Break("inference/codec.py", '!= header["pixels"]:', "== 0:", "test_codec.py -k machines"),
    Break(
        "inference/codec.py",
        'whole = zlib.crc32(words) == header["words"] and',
        "whole =",
        "test_codec.py -k bad_input",
    ),
    Break("inference/codec.py", "weights[-1] > 1:", "weights[-1] > 2:", "test_codec.py -k table"),
    # latents of a file
    Break(
        "inference/arguments.py",
        "latents.shape[1:] != one.shape[1:] or",
        "",
        "test_verbs.py -k latents",
    ),
    Break("inference/arguments.py", "or latents.max() >= most", "", "test_verbs.py -k latents"),
    # contests
    Break(
        "training/contest.py",
        'line["step"]) / progress["steps"]',
        'line["step"])',
        "test_contest.py -k first_good",
    ),
    Break("training/contest.py", "entries.sort(", "sorted(entries, ", "test_contest.py -k best"),
    Break("training/run.py", "if cls.CONDITIONAL else (),", ",", "test_pipeline.py -k not_heard"),
]
