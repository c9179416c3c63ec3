"""Watching it: what was asked of the model, whether that still looks like its training, and how we know."""
