"""Training a family on a prepared set, from the request to the finished run."""
