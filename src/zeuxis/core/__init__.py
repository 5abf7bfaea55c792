"""What everything rests on: settings, randomness, pixels, files, the contract of a family."""
