"""Training of the sign2text family: landmarks to sentences."""
