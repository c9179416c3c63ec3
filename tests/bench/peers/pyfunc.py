"""The model behind `mlflow models serve`: a Python model from code, images as base64 in the scoring protocol."""

import base64
from typing import Any

import mlflow
from mlflow.models import set_model

from tests.bench.peers.work import detector, find


class Parking(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
    """Takes a list of base64 texts."""

    def load_context(self, context: Any) -> None:
        """Load the model."""
        detector()

    def predict(self, context: Any, model_input: list[str]) -> list[dict[str, Any]]:
        """One answer a text."""
        return [find(base64.b64decode(text)) for text in model_input]


set_model(Parking())
