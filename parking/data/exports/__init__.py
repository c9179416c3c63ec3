"""One reader for each annotation tool; each returns an `Annotation` per image."""
