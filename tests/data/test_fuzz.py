"""A taste of `benchmarks/fuzz_images.py`, which does 100,000."""

from benchmarks import fuzz_images


def test_damaged_files_are_each_used_or_named():
    figures = fuzz_images.run(1200)
    assert figures["used"] + sum(figures["left_out"].values()) == 1200
    assert {"not an image", "corrupt", "truncated", "oversized"} <= set(figures["left_out"])
