"""Export networks, gallery, texts and scores in formats that other programs read."""
