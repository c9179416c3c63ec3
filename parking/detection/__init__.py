"""From an image to free places, by a model file: contract, detector, spots; no torch here."""
