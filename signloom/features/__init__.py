"""From frames to landmarks to features."""
