"""Measuring images against images: models, sets, and what the figures mean."""
