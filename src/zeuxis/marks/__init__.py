"""Marks that say of a picture that a model made it: in its pixels, whatever becomes of its file."""
