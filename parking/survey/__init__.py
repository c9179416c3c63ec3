"""A whole city instead of one image: many rasters in, read block by block; one map of places out."""
