"""All that can be done with a trained model; each verb is one function in one of these files."""

from zeuxis.inference.verb import Verb
from zeuxis.inference.verbs import change, codes, draw, likelihood

VERBS = {
    found.name: found
    for module in (draw, change, codes, likelihood)
    for found in vars(module).values()
    if isinstance(found, Verb)
}
"""Name -> verb, in the order of the help."""
