"""The recipe: every choice that shapes a model, in one immutable object that is stored beside what came of it."""

import hashlib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from parking.detection.contract import STRIDE, MapName
from parking.errors import TrainingError

__all__ = ["SEARCHED", "Recipe", "load_recipe", "recipe_names"]

SEARCHED = frozenset(
    {
        "learning_rate",
        "weight_decay",
        "loss",
        "positive_weight",
        "free_share",
        "scale_min",
        "scale_max",
        "light",
    }
)
"""Settings that a search varies."""


class Recipe(BaseModel):
    """How a model is trained. Two fits of one recipe on one snapshot give the same model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    encoder: str = "tu-tf_efficientnet_lite0"
    """Encoder's name in segmentation-models-pytorch. A larger one sees more and is slower to serve."""

    encoder_weights: str = "imagenet"
    """`imagenet`, `none`, or a file: an encoder's or a whole network's state dict."""

    decoder_channels: tuple[int, int, int, int, int] = (96, 64, 48, 32, 16)
    """Width of the decoder from coarse to fine. Wider draws finer edges at a cost in every megapixel served."""

    maps: tuple[MapName, ...] = ("probability", "vehicle", "free_core", "vehicle_core")
    """What the network answers with. Without the cores adjoining bays are told apart by their size alone."""

    inset: float = Field(0.24, gt=0, lt=0.5)
    """Share of an outline's width that is taken away on each side to make its core. Larger: cores that touch less, and
    that are harder to see."""

    crop: int = Field(256, ge=STRIDE, multiple_of=STRIDE)
    """Side of a training crop in pixels. Larger shows more surroundings; the time of a step grows with its square."""

    batch: int = Field(8, ge=1)
    """Crops a step. Larger steadies the gradient and batch norm; the time of a step grows with it."""

    steps: int = Field(1500, ge=1)
    """Optimiser steps of a fit. More fits better, until it fits the training scenes only."""

    learning_rate: float = Field(1e-3, gt=0)
    """Peak of the one-cycle schedule. Larger learns faster and forgets the encoder's pretraining sooner."""

    weight_decay: float = Field(1e-2, ge=0)
    """AdamW's pull of the weights towards zero (not of biases and norms). Larger fits the training scenes less."""

    loss: Literal["bce", "dice", "bce+dice", "tversky", "focal"] = "bce+dice"
    """What a step minimises; see `parking.learning.losses`."""

    positive_weight: float = Field(3.0, gt=0)
    """Weight of a free pixel against another one in `bce` and `focal`. Larger finds more, and more falsely."""

    ema_decay: float = Field(0.998, ge=0, lt=1)
    """Memory of the averaged weights, after its warm-up. Larger averages over more steps."""

    free_share: float = Field(0.7, ge=0, le=1)
    """Share of crops taken near a free place. Larger sees more places and fewer of the streets without one."""

    scale_min: float = Field(0.7, gt=0)
    """Smallest zoom of a crop; under 1 things look smaller than in the scene."""

    scale_max: float = Field(1.5, gt=0)
    """Largest zoom of a crop."""

    pasted_share: float = Field(0.0, ge=0, le=1)
    """Share of crops from scenes in which vehicles were pasted onto some free places. Larger: more examples of taken
    places, but artificial ones."""

    light: float = Field(0.5, ge=0, le=1)
    """Strength of changes in light, colour, sharpness and shadow. 0 leaves the pixels as they are."""

    gsd: float = Field(0.18, gt=0)
    """Ground resolution in metres a pixel that scenes are learnt and read at. Larger is faster a square kilometre."""

    evaluations: int = Field(4, ge=1)
    """Validation rounds of a fit; the best one's weights are kept. With 1 the validation scenes choose nothing."""

    patience: int = Field(3, ge=1)
    """Validation rounds in a row without a gain after which a fit stops early."""

    clip: float = Field(1.0, gt=0)
    """Largest gradient norm of a step; a longer gradient is shortened to it."""

    tile: int = Field(384, ge=STRIDE, multiple_of=STRIDE)
    """Largest side of a tile at prediction, in pixels. Larger: less is read twice, but a pixel takes longer from about
    512 on, where a tile outgrows a core's cache."""

    overlap: int = Field(32, ge=0)
    """Pixels that neighbouring tiles share. Larger hides the seams better and costs time; from 16 to 64 the scores of
    the shipped model are the same within their noise."""

    pretrain_scenes: int = Field(0, ge=0)
    """Generated scenes to learn from before the real ones. More are more varied, and take longer to draw."""

    pretrain_steps: int = Field(0, ge=0)
    """Steps on them, with the defaults of what a search varies. 0 starts from the encoder's weights alone."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one; `cuda` insists on it."""

    workers: int = Field(0, ge=0)
    """Processes that cut crops beside the training. 0 cuts them in the training process, right on a CPU."""

    seed: int = Field(0, ge=0)
    """Start of every random choice."""

    @model_validator(mode="after")
    def _ranges_make_sense(self) -> Self:
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min {self.scale_min} is above scale_max {self.scale_max}")
        if bool(self.pretrain_steps) != bool(self.pretrain_scenes):
            raise ValueError("pretrain_steps and pretrain_scenes go together")
        if self.maps[:1] != ("probability",) or len({*self.maps}) < len(self.maps):
            raise ValueError("maps begins with `probability` and names each map once")
        if ("vehicle_core" in self.maps) != ("vehicle" in self.maps):
            raise ValueError("the maps vehicle and vehicle_core go together")
        if self.overlap >= self.tile:
            raise ValueError(f"overlap {self.overlap} leaves nothing of a tile of {self.tile}")
        return self

    def pretraining(self) -> "Recipe":
        """How the generated scenes are learnt from.

        What a search varies is left at its defaults there: all trials then start from the same weights, which are
        made once, and differ by what they were meant to try on the real scenes.
        """
        varied = {name: type(self).model_fields[name].default for name in SEARCHED}
        apart = {"steps": self.pretrain_steps, "pretrain_steps": 0, "pretrain_scenes": 0}
        return self.model_copy(update=varied | apart)

    def fingerprint(self) -> str:
        """12 hex digits of everything that shapes the weights: where and how parallel it ran does not."""
        text = self.model_dump_json(exclude={"device", "workers", "tile", "overlap"})
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_FOLDER = Path(__file__).with_name("recipes")


def recipe_names() -> tuple[str, ...]:
    """Recipes with a name: `demo` learns what it can in two minutes on a CPU, `shipped` made the model we ship."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def load_recipe(name: str) -> Recipe:
    """A recipe by its name, or from a JSON file; what the file leaves out is as in `default`.

    Raises:
        TrainingError: there is no such name or file, or the file is no recipe.
    """
    path = _FOLDER / f"{name}.json" if name in recipe_names() else Path(name)
    try:
        return Recipe.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(recipe_names())
        raise TrainingError(f"There is no recipe {name!r}: give one of {known}, or a JSON file.") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise TrainingError(f"The recipe {name} cannot work: {wrong}. Correct it there.") from error
