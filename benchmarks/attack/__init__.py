"""Hostile files of every kind that is opened, each in a process with limits: what did they reach?

`trial` runs one case, `lab` makes the honest files, and each other module holds the cases of a kind.
"""
