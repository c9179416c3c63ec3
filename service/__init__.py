"""The HTTP service; it runs without torch."""
