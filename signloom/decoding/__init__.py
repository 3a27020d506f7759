"""Turn a network's token scores into sentences or gloss sequences."""
