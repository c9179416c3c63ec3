"""The reference of drift: log rows of the scenes that a version was trained on."""

from collections.abc import Sequence

import numpy as np

from monitoring.schema import LogRow, make_row, rows_to_table, table_to_parquet
from parking.detection.contract import Contract
from parking.learning.scene_prediction import ScenePrediction, found_spots

__all__ = ["made_with", "reference_parquet"]


def reference_parquet(predictions: Sequence[ScenePrediction], contract: Contract) -> bytes:
    """The reference of a version, as a Parquet file with a row a scene.

    Args:
        predictions: out of fold, one for each training scene. A model is more certain on scenes that it was fitted
            to than it will be in service.
        contract: of the model to be registered; its rules find the places.
    """
    table = rows_to_table([_row(prediction, contract) for prediction in predictions])
    return table_to_parquet(table.replace_schema_metadata({"made_with": made_with(contract)}))


def made_with(contract: Contract) -> str:
    """The fields of a contract that shape the rows, as JSON: where one changes, the reference must be made again."""
    shaping = {"gsd", "threshold", "bay_width_m", "bay_length_m", "place", "cuts", "bays", "maps", "dataset_version"}
    return contract.model_dump_json(include=shaping)


def _row(prediction: ScenePrediction, contract: Contract) -> LogRow:
    return make_row(
        prediction.seen,
        prediction.probability.astype(np.float32, copy=False),
        found_spots(prediction, contract),
        request_id=prediction.name,
        model_version="",
        gsd=prediction.gsd or contract.gsd,
        gsd_source=prediction.gsd_source,
        latency_ms=0.0,
        embedding=prediction.embedding,
    )
