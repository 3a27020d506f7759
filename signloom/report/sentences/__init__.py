"""The section of the page about the sign2text family."""
