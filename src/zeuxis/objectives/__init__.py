"""Loss terms: pure functions, one file per family of losses."""
