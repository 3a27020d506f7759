"""Signloom: raw sign-language videos to features, trained models and honest metrics."""

__version__ = "0.1.0"
