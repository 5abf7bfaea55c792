"""What can be known of where a picture or a model comes from: verifying, cards, releases."""
