"""From an image to free places, by a model file: contract, detector, spots; no torch here."""

import os

# ONNX Runtime tells its makers which models are loaded, unless this is set before it starts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
