"""Annotated images: read, checked, stored as immutable snapshots, cut into tiles; and generated scenes."""
