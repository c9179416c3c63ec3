"""What can go wrong, one class a cause.

Every message is one sentence or two: what failed, the value it failed on, what to do next. The command line
prints it and exits with 1; the service turns it into a 4xx or 5xx through one table (`service/errors.py`).
"""

__all__ = [
    "AmbiguousAnswerError",
    "AnnotationError",
    "BaysError",
    "CorrectionError",
    "DatasetError",
    "FolderError",
    "ImageError",
    "ImageTooLargeError",
    "LabelsError",
    "MissingKeyError",
    "ModelError",
    "MonitoringError",
    "NoVersionError",
    "NotInstalledError",
    "OutputError",
    "ParkingError",
    "PlatformError",
    "QuarantineError",
    "RegistryError",
    "SettingsError",
    "StoreError",
    "SurveyError",
    "TrainingError",
    "UnknownAnswerError",
]


class ParkingError(Exception):
    """Anything that a person can mend; its text is meant for that person."""


class SettingsError(ParkingError):
    """A setting has a value that cannot work."""


class AnnotationError(ParkingError):
    """An annotation file is missing, or of no form that we read."""


class LabelsError(AnnotationError):
    """A mapping of labels that cannot be read, or names a label that is not there."""


class DatasetError(ParkingError):
    """A dataset cannot be made from, or found in, what was given."""


class QuarantineError(DatasetError):
    """Too large a share of the scenes cannot be used; the message lists them."""


class ImageError(ParkingError):
    """Bytes that are no image we read, or an image beyond the limits."""


class ImageTooLargeError(ImageError):
    """An image with more pixels than the limit."""


class StoreError(ParkingError):
    """The store (folder or bucket) refused a read or a write."""


class MissingKeyError(StoreError):
    """The store has nothing under that key."""


class FolderError(ParkingError):
    """A folder to work in is held by another process, or cannot be written."""


class TrainingError(ParkingError):
    """Training cannot start or go on."""


class ModelError(ParkingError):
    """A file is not a model of ours, or breaks its own contract."""


class RegistryError(ParkingError):
    """MLflow cannot be reached, or refused."""


class NoVersionError(RegistryError):
    """No such version or alias in the registry."""


class SurveyError(ParkingError):
    """A survey cannot begin or go on: its imagery, its area, its folder or its cluster."""


class MonitoringError(ParkingError):
    """A report cannot be made from what was logged."""


class UnknownAnswerError(ParkingError):
    """A correction is of an answer that is not kept, or not any more."""


class AmbiguousAnswerError(ParkingError):
    """A correction is of a request whose name several requests had."""


class CorrectionError(ParkingError):
    """A correction does not fit the answer that it corrects."""


class BaysError(ParkingError):
    """A layer of known bays cannot be used with an image."""


class OutputError(ParkingError):
    """A file that a person asked for cannot be written where they want it."""


class NotInstalledError(ParkingError):
    """A package that this work needs is not installed."""


class PlatformError(ParkingError):
    """A server of the platform cannot start, or stopped."""
