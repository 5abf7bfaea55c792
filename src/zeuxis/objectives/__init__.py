"""Loss terms: pure functions, one file a family of losses."""
