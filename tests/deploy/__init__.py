"""Image, chart and Application, checked with the real tools."""
