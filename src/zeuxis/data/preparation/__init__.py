"""From a source to a prepared set: decode, crop, clean, split, write."""
