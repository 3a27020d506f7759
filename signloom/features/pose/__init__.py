"""From frames to landmarks to one smoothed body per frame."""
