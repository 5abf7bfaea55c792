"""All that can be done with a trained model; each verb is one function in one of these files."""

from zeuxis.inference.enlarge import ENLARGE
from zeuxis.inference.marking import MARK
from zeuxis.inference.verb import Verb, followed
from zeuxis.inference.verbs import change, codes, draw, likelihood, stories, words

VERBS = {
    found.name: followed(found, ENLARGE, *([MARK] if found.marked else ()))
    for module in (draw, stories, change, codes, likelihood, words)
    for found in vars(module).values()
    if isinstance(found, Verb)
}
"""Name -> verb, in the order of the help."""
