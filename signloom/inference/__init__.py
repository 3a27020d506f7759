"""Answering one clip from what training left behind."""
