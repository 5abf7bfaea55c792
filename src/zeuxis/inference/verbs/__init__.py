"""All that can be done with a trained model; each verb is one function in one of these files."""

import dataclasses

from zeuxis.inference.enlarge import ENLARGE
from zeuxis.inference.verb import Verb
from zeuxis.inference.verbs import change, codes, draw, likelihood

VERBS = {
    found.name: dataclasses.replace(found, stage=ENLARGE)
    if issubclass(found.gives, ENLARGE.of)
    else found
    for module in (draw, change, codes, likelihood)
    for found in vars(module).values()
    if isinstance(found, Verb)
}
"""Name -> verb, in the order of the help."""
