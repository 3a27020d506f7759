"""Video decoding, cameras and windows of frames."""
