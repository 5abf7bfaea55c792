"""Samplers as pure functions of a network."""
