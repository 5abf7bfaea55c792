"""Breaks of what is done with trained models: verbs, files, contests."""

from tests.breaks.base import Break

BREAKS = [
    # verbs
    Break("use.py", "sigma / 127.5, device", "sigma / 255, device", "test_use.py -k denoising"),
    Break(
        "use.py",
        "slerp(ends[:1], ends[1:], share.cpu())",
        "slerp(ends[1:], ends[:1], share.cpu())",
        "test_use.py -k walk",
    ),
    Break("use.py", "rows.start + size * done // total", "done", "test_use.py -k progress"),
    Break("apply.py", ">= 128).astype", "< 128).astype", "test_apply.py -k complete"),
    Break(
        "apply.py", "std(ddof=1) / len(self.bits) ** 0.5", "std(ddof=1)", "test_apply.py -k score"
    ),
    # compressed files
    Break("codec.py", "nearest_RL[row, one] = value", "pass", "test_codec.py -k machines"),
    Break(
        "codec.py",
        "copy.deepcopy(model.family).double()",
        "copy.deepcopy(model.family)",
        "test_codec.py -k float64",
    ),
    Break(
        "codec.py",
        'if header["model"] != identity(model):',
        "if False:",
        "test_codec.py -k bad_input",
    ),
    Break("codec.py", '!= header["pixels"]:', "== 0:", "test_codec.py -k machines"),
    Break(
        "codec.py",
        'whole = zlib.crc32(words) == header["words"] and',
        "whole =",
        "test_codec.py -k bad_input",
    ),
    Break("codec.py", "weights[-1] > 1:", "weights[-1] > 2:", "test_codec.py -k table"),
    # latents of a file
    Break("apply.py", "latents.shape[1:] != one.shape[1:] or", "", "test_apply.py -k latents"),
    Break("apply.py", "or latents.max() >= most", "", "test_apply.py -k latents"),
    # contests
    Break(
        "contest.py",
        'line["step"]) / progress["steps"]',
        'line["step"])',
        "test_contest.py -k first_good",
    ),
    Break("contest.py", "entries.sort(", "sorted(entries, ", "test_contest.py -k best"),
    Break("pipeline.py", "if cls.CONDITIONAL else (),", ",", "test_pipeline.py -k not_heard"),
]
