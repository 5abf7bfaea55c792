"""Blocks that at least two families share. One user: keep it in the family's file."""
