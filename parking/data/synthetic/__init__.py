"""Generated scenes: the dataset that needs no download, with exact outlines of its free places."""

from parking.data.synthetic.scene import SyntheticScene, generate_scene
from parking.data.synthetic.style import Style, draw_style
from parking.data.synthetic.writer import generate_dataset

__all__ = ["Style", "SyntheticScene", "draw_style", "generate_dataset", "generate_scene"]
