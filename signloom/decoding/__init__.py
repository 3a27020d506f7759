"""From a decoder's next-token scores to sentences."""
