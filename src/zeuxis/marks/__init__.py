"""Marks that say of a picture that a model made it: in its metadata, in its pixels, and signed."""
