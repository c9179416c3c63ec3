"""What drift is measured against: the log rows of the scenes that a version was trained on."""

from collections.abc import Sequence

import numpy as np

from monitoring.schema import LogRow, make_row, rows_to_table, table_to_parquet
from parking.detection.contract import Contract
from parking.detection.spots import SpotRules, find_spots, rules_for
from parking.learning.evaluate import ScenePrediction


def reference_parquet(predictions: Sequence[ScenePrediction], contract: Contract) -> bytes:
    """The reference of a version, as a Parquet file with a row a scene.

    Args:
        predictions: out-of-fold, one for each training scene: what a model says of scenes that it has not seen, as
            it will in service. On scenes that it has learnt by heart it would look too sure of itself.
        contract: of the model to be registered; its rules find the places.
    """
    rules = rules_for(contract, contract.gsd)
    table = rows_to_table([_row(prediction, rules, contract.gsd) for prediction in predictions])
    return table_to_parquet(table.replace_schema_metadata({"made_with": made_with(contract)}))


def made_with(contract: Contract) -> str:
    """What of a contract shapes the rows, as JSON: with another, they have to be made again. Kept in their file."""
    shaping = {"gsd", "threshold", "bay_width_m", "bay_length_m", "place", "cuts", "dataset_version"}
    return contract.model_dump_json(include=shaping)


def _row(prediction: ScenePrediction, rules: SpotRules, gsd: float) -> LogRow:
    probability = prediction.probability.astype(np.float32, copy=False)
    return make_row(
        prediction.sample.pixels,
        probability,
        find_spots(probability, prediction.sample.pixels, rules, gsd, size_px=prediction.size_px),
        request_id=prediction.name,
        model_version="",
        gsd=gsd,
        gsd_source="assumed" if prediction.sample.scene.gsd is None else "file",
        latency_ms=0.0,
        embedding=prediction.embedding,
    )
