"""From frames to features of a video network."""
