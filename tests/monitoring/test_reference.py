"""The reference is the same kind of row that the service logs, a row a training scene."""

import numpy as np
import pytest

from monitoring.reference import reference_parquet
from monitoring.schema import LOG_SCHEMA, table_from_parquet
from parking.data.snapshot import Scene
from parking.data.synthetic import generate_scene
from parking.detection.scale import GsdSource
from parking.learning.scene_prediction import ScenePrediction
from parking.learning.training_scenes import Sample
from tests.doubles import contract
from tests.monitoring.rows import scene_row


def prediction(seed: int, gsd: float | None) -> ScenePrediction:
    """What a model that sees one free bay says of a generated scene, in half precision as folds keep it."""
    drawn = generate_scene(seed, 256)
    scene = Scene(
        name=f"scene-{seed}.png",
        image=f"datasets/images/{seed}.png",
        sha256="0" * 64,
        width=256,
        height=256,
        gsd=gsd,
        annotator="generator",
        group=str(seed),
        rings=drawn.rings,
        split="train",
    )
    probability = np.zeros((256, 256), np.float16)
    probability[100:120, 100:140] = 0.875
    mask = np.zeros((256, 256), np.bool_)
    sample = Sample(name=scene.name, pixels=drawn.raster.pixels, mask=mask, rings=drawn.rings, scene=scene)
    source: GsdSource = "file" if gsd else "assumed"
    return ScenePrediction(name=scene.name, probability=probability, sample=sample, gsd=gsd, gsd_source=source)


def test_each_training_scene_has_a_row_with_its_image_and_its_answer() -> None:
    model = contract(gsd=0.15, threshold=0.5)
    table = table_from_parquet(reference_parquet([prediction(1, None), prediction(2, 0.2)], model))
    assert table.schema == LOG_SCHEMA
    assert table["request_id"].to_pylist() == ["scene-1.png", "scene-2.png"]
    assert table["gsd_source"].to_pylist() == ["assumed", "file"]
    assert table["gsd"].to_pylist() == pytest.approx([0.15, 0.2])
    assert table["count"].to_pylist() == [1, 1]
    assert table["confidence_mean"].to_pylist() == pytest.approx([0.875, 0.875])


def test_a_scene_has_the_same_descriptors_in_training_and_in_service() -> None:
    table = table_from_parquet(reference_parquet([prediction(1, None)], contract(gsd=0.15)))
    logged = scene_row(1)
    for name in ("luminance", "sharpness", "haze", "white_line_share"):
        assert table[name][0].as_py() == getattr(logged, name)
