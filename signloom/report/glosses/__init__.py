"""The section of the page about the gloss family."""
