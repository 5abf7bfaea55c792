"""A trained model and what can be done with it."""
