"""Prefect flows: each reads like the picture in ARCHITECTURE.md, every step a call into `parking` or `monitoring`."""
