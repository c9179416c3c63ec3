"""One reader an annotation tool; each returns an `Annotation` an image."""
