"""Video networks that turn windows of frames into feature rows, and where their weights come from."""
