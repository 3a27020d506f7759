"""Signloom: raw sign-language videos to features, trained models and honest metrics."""

import os

__version__ = "0.1.0"

# before any module imports ONNX Runtime, which otherwise reports to its makers from release 1.29 on
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
