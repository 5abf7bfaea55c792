"""The REST server: verbs of trained models, and jobs of training, over HTTP."""
