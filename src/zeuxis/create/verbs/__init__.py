"""All that can be done with pictures alone; each verb is one function in one of these files."""

from zeuxis.create.verbs import dream, restyle, texture
from zeuxis.inference.marking import MARK
from zeuxis.inference.verb import Verb, followed

VERBS = {
    found.name: followed(found, MARK)
    for module in (restyle, dream, texture)
    for found in vars(module).values()
    if isinstance(found, Verb)
}
"""Name -> verb, in the order of the help."""
