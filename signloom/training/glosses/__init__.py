"""Training of the gloss family: features to gloss sequences."""
