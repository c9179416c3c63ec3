"""From an image to free places, by a model file: contract, detector, spots. It does not need torch."""

import os

# ONNX Runtime sends telemetry about loaded models, unless this is set before it starts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
