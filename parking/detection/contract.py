"""What a model declares of itself and carries in its file, checked whenever it is loaded."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from parking.detection.onnx_model import open_session
from parking.errors import ModelError

__all__ = [
    "AS_PREDICTED",
    "METADATA_KEY",
    "STRIDE",
    "BayCalibration",
    "Contract",
    "CountCalibration",
    "CueWeights",
    "CutChooser",
    "InstanceRules",
    "LearntFrom",
    "MapName",
    "PlaceCalibration",
    "parse_contract",
    "read_contract",
]

METADATA_KEY = "parking.contract"
"""Key of the ONNX file's metadata under which the contract stands, as JSON."""

STRIDE = 32
"""Height and width of a tile are multiples of this: the network halves its input five times."""


class CountCalibration(BaseModel):
    """How the number of places found relates to the number there are, measured on out-of-fold predictions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ratio: float = Field(1.0, gt=0)
    """True places for each one found. Above 1: the model misses some, and the interval moves up."""

    dispersion: float = Field(1.0, gt=0)
    """Spread of the errors against a Poisson count's. Larger: wider intervals."""

    by_uncertainty: float | None = Field(None, gt=0)
    """The same for each unit of the uncertainty of an image's map, where that is known: images with blurred maps get
    wider intervals. None: the dispersion holds for every image, as in models of before."""


class PlaceCalibration(BaseModel):
    """How sure one can be of a place, given the mean probability inside it: a logistic curve over its log-odds.

    Platt (1999), fitted to out-of-fold predictions. Slope 1 and offset 0 leave the mean as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    slope: float = Field(1.0, gt=0)
    """Larger: confidences lie nearer to 0 and 1."""

    offset: float = 0.0
    """Larger: every place is surer."""


AS_PREDICTED = PlaceCalibration()
"""A place is as sure as the mean probability inside it says."""

MapName = Literal["probability", "vehicle", "free_core", "vehicle_core"]
"""A map that a model can give: free ground, vehicles, and the cores that tell adjoining bays and vehicles apart."""


class InstanceRules(BaseModel):
    """How single bays or vehicles are told apart, see `parking.detection.instances`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    core_threshold: float = Field(0.5, gt=0, lt=1)
    """Probability from which a pixel belongs to a core. Larger: fewer and surer outlines."""

    least_mean: float = Field(0.4, ge=0, lt=1)
    """Mean probability of the class inside an outline from which it is kept. Larger: fewer and surer outlines."""

    inset: float = Field(0.24, gt=0, lt=0.5)
    """Share of an outline's width that was taken away on each side to make its core."""

    usual_width_m: float = Field(gt=0)
    """Width of a usual outline in metres. Larger: small parts of a core count less."""

    min_area_m2: float = Field(ge=0)
    """Smallest outline that is kept, in m²."""


class BayCalibration(BaseModel):
    """How likely a known bay is taken: a logistic curve over what the maps say inside it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    vehicle: float = 1.0
    """Weight of the log-odds of the mean vehicle probability inside."""

    free: float = -1.0
    """Weight of the log-odds of the mean probability of free ground inside."""

    offset: float = 0.0
    """Larger: every bay is more likely taken."""


class CueWeights(BaseModel):
    """What each cue of a cut-out place adds to the log-odds that a person would draw it so."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mean: float
    """Mean probability inside."""

    low: float
    """The probability that nine in ten pixels inside exceed."""

    around: float
    """Mean probability just outside."""

    fill: float
    """Share of the smallest rectangle round it that it fills."""

    parts: float
    """Log of how many of its size the free shape would hold."""

    larger: float
    """Log of its size over the size that places are expected to have in the scene."""

    off: float
    """The same without its sign."""

    long: float
    """Log of its length over its width."""

    edge: float
    """Mean brightness gradient along its outline, in those of the whole image."""

    inside: float
    """Mean brightness gradient inside, in those of the whole image."""


class CutChooser(BaseModel):
    """Which of several cuts of a free shape a person would draw; learnt from out-of-fold predictions.

    How large places are in an image, in pixels, is seldom known: annotated scenes differ threefold. So a shape is cut
    by bays of several sizes, and the cut is taken whose places look most like places.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    weights: CueWeights
    """Of a logistic model of one place."""

    offset: float
    """Of the same."""

    least: float = Field(ge=0, lt=1)
    """Chance of being right from which a place is kept. Larger: fewer places, and surer ones."""

    usual_size_m: float = Field(gt=0)
    """Root of the area of a usual place in metres, where the scene does not say."""


class LearntFrom(BaseModel):
    """The scenes that a model learnt from, told by digests: none of them may ever judge it.

    `parking.learning.known_scenes` writes and reads it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    checksums: str = ""
    """Base64 of the last eight bytes of the SHA-256 of each image's file."""

    fingerprints: str = ""
    """Base64 of the 32 bytes of each image's difference hash, see `parking.data.duplicates`."""


class Contract(BaseModel):
    """All that a reader of a model file must know to use it as it was meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal[1, 2] = 1
    """Version of this contract's form; a reader refuses one it does not know. 2 has cores and vehicles."""

    classes: tuple[str, ...] = ("free",)
    """What the maps speak of."""

    maps: tuple[MapName, ...] = ("probability",)
    """The maps that the model gives, by the names of its outputs."""

    gsd: float = Field(gt=0)
    """Metres per pixel that the model was trained at. Larger: rasters are shrunk more before they are read."""

    tile: int = Field(512, ge=STRIDE, multiple_of=STRIDE)
    """Largest side of a tile in pixels. Larger: fewer seams and more memory a step."""

    overlap: int = Field(96, ge=0)
    """Pixels that neighbouring tiles share. Larger: smoother seams and more work for the same area."""

    threshold: float = Field(gt=0, lt=1)
    """Probability from which a pixel is free. Larger: fewer and surer places."""

    min_area_m2: float = Field(4.0, ge=0)
    """Smallest place that is kept, in m². Larger: fewer specks, and narrow places get lost."""

    bay_width_m: float = Field(2.5, gt=0)
    """Width of one bay in metres. Larger: a free stretch is cut into fewer places."""

    bay_length_m: float = Field(5.0, gt=0)
    """Length of one bay in metres. Larger: a free kerb is cut into fewer places."""

    count: CountCalibration = CountCalibration()
    """Turns the number of places found into an interval for the number there are."""

    place: PlaceCalibration = AS_PREDICTED
    """Turns the mean probability inside a place into its confidence."""

    bays: InstanceRules | None = None
    """How single bays are told apart by their cores; without it, free shapes are cut by the bay's size."""

    vehicles: InstanceRules | None = None
    """How vehicles are told apart; without it, the model sees none."""

    vehicle_length_m: float | None = Field(None, gt=0)
    """Length of the median vehicle as this model outlines it: what the ground resolution is estimated by."""

    usual_size_m: float | None = Field(None, gt=0)
    """Root of the area of a usual place in metres: what the resolution is estimated by where vehicles are few."""

    known_bays: BayCalibration | None = None
    """How likely a known bay is taken."""

    cuts: CutChooser | None = None
    """Which cut of a free shape into places is taken; without it, the one by the bay's size above."""

    dataset_version: str
    """Snapshot that the model was trained on."""

    learnt_from: LearntFrom | None = None
    """The scenes that shaped it; without it, nobody can say which scenes judge the model fairly."""

    calibrated_on: LearntFrom | None = None
    """Further scenes, which taught the network nothing and chose thresholds and calibrations."""

    code_version: str
    """Code that trained it."""

    trained: datetime
    """When it was trained."""

    scores: dict[str, float] = {}
    """What was measured before it was registered, by name."""

    golden_tile: str
    """An image to try the model on when it is loaded: base64 of a PNG, 256x256."""

    golden_grid: tuple[tuple[float, ...], ...]
    """What the model answered to it where it was exported: 16x16 means of blocks of 16x16 pixels."""

    @model_validator(mode="after")
    def _tiles_advance(self) -> "Contract":
        if self.overlap >= self.tile:
            raise ValueError(f"overlap {self.overlap} must be smaller than tile {self.tile}")
        return self

    @model_validator(mode="after")
    def _rules_have_their_maps(self) -> "Contract":
        needed = {"probability"} | ({"free_core"} if self.bays else set())
        needed |= {"vehicle", "vehicle_core"} if self.vehicles else set()
        if missing := sorted(needed - {*self.maps}):
            raise ValueError(f"the maps {', '.join(missing)} are needed and not among {', '.join(self.maps)}")
        return self


def parse_contract(metadata: dict[str, str], name: str) -> Contract:
    """The contract among the metadata of a model file.

    Args:
        metadata: the file's custom metadata.
        name: how to call the file in a message.

    Raises:
        ModelError: there is none, or it is not valid.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"{name} carries no contract ({METADATA_KEY}). Export it with `parking train`.")
    try:
        return Contract.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'contract'}: {e['msg']}" for e in error.errors())
        raise ModelError(f"The contract of {name} is not valid ({wrong}). Export the model again.") from error


def read_contract(path: Path) -> Contract:
    """The contract that a model file carries.

    Raises:
        ModelError: the file is not a model, or carries no valid contract.
    """
    session = open_session(path, threads=1)
    return parse_contract(session.get_modelmeta().custom_metadata_map, path.name)
