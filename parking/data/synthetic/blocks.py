"""What stands on the ground between the streets."""

import numpy as np

from parking.data.synthetic.buildings import Building, Roof
from parking.data.synthetic.canvas import Canvas, rectangle
from parking.data.synthetic.plan import Block
from parking.data.synthetic.streets import draw_car_park
from parking.data.synthetic.style import Colour, grey, shade
from parking.data.synthetic.trees import Tree

__all__ = ["furnish"]

_FELTS: tuple[Colour, ...] = ((150, 150, 148), (96, 98, 102), (190, 188, 182), (120, 130, 140))


def furnish(canvas: Canvas, block: Block) -> tuple[list[Building], list[Tree]]:
    """Draw a block's ground at once; return what stands on it, for shadows and roofs come later."""
    match block.use:
        case "car park":
            draw_car_park(canvas, block)
            return [], []
        case "houses":
            return _houses(canvas, block)
        case "flats":
            return _flats(canvas, block)
        case "works":
            return _works(canvas, block)
        case "green":
            return [], _park(canvas, block)


def _houses(canvas: Canvas, block: Block) -> tuple[list[Building], list[Tree]]:
    """Two rows of houses, each facing its street, with gardens back to back."""
    rng, houses = canvas.rng, []
    terraced = rng.random() < 0.5
    setback = 0.3 if terraced else float(rng.uniform(1.5, 4.5))
    depth = min(float(rng.uniform(8.5, 12)), (block.y1 - block.y0 - 2 * setback) / 2 - 1)
    if depth < 5:
        return [], _trees(canvas, block, 0.01)
    for top in (block.y0 + setback, block.y1 - setback - depth):
        x = block.x0 + setback
        while x + 7 < block.x1 - setback:
            width = min(float(rng.uniform(7, 14)), block.x1 - setback - x)
            shift = 0.0 if terraced else float(rng.uniform(-1, 1))
            houses.append(_house(canvas, x, top + shift, x + width, top + shift + depth))
            x += width if terraced else width + float(rng.uniform(2.5, 6))
    gardens = Block(block.x0, block.y0 + setback + depth, block.x1, block.y1 - setback - depth, "green")
    _plots(canvas, gardens)
    return houses + _sheds(canvas, gardens), _trees(canvas, gardens, 0.013)


def _house(canvas: Canvas, x0: float, y0: float, x1: float, y1: float) -> Building:
    rng = canvas.rng
    roof: Roof = ("gable", "gable", "hip", "flat")[int(rng.integers(4))]
    colour = canvas.style.roofs[int(rng.integers(len(canvas.style.roofs)))]
    if roof == "flat":
        colour = grey(float(rng.uniform(96, 186)))
    drive = rng.random() < 0.4
    if drive:
        canvas.polygon(rectangle(x1, y0 - 4, x1 + 2.8, y1), grey(canvas.style.asphalt + float(rng.uniform(0, 50))))
    return Building(x0, y0, x1, y1, float(rng.uniform(4.5, 8.5)), roof, shade(colour, float(rng.uniform(0.86, 1.14))))


def _plots(canvas: Canvas, gardens: Block) -> None:
    """Lawns, terraces and beds, divided by hedges."""
    rng, x = canvas.rng, gardens.x0
    hedge = shade(canvas.style.leaves, 0.8)
    while x < gardens.x1:
        width = float(rng.uniform(7, 13))
        colour = shade(canvas.style.grass if rng.random() < 0.7 else canvas.style.soil, float(rng.uniform(0.85, 1.2)))
        if rng.random() < 0.6:
            canvas.polygon(rectangle(x, gardens.y0, min(x + width, gardens.x1), gardens.y1), colour)
        if rng.random() < 0.5:
            terrace = rectangle(x + 1, gardens.y0, x + width - 2, gardens.y0 + 3)
            canvas.polygon(terrace, grey(float(rng.uniform(130, 190))))
        if rng.random() < 0.06 and gardens.y1 - gardens.y0 > 9:
            middle = (gardens.y0 + gardens.y1) / 2
            canvas.polygon(rectangle(x + 1.5, middle - 2, x + 6.5, middle + 1.2), (200, 204, 200))
            canvas.polygon(rectangle(x + 1.9, middle - 1.6, x + 6.1, middle + 0.8), (84, 160, 186))
        canvas.line(np.array([(x, gardens.y0), (x, gardens.y1)]), hedge, float(rng.uniform(0.4, 1.0)))
        x += width


def _sheds(canvas: Canvas, gardens: Block) -> list[Building]:
    rng = canvas.rng
    sheds = []
    for _ in range(int((gardens.x1 - gardens.x0) / 16)):
        x, y = rng.uniform(gardens.x0, gardens.x1 - 4), rng.uniform(gardens.y0, max(gardens.y0 + 0.1, gardens.y1 - 4))
        size = rng.uniform(2, 3.6, 2)
        sheds.append(Building(x, y, x + size[0], y + size[1], 2.4, "gable", grey(float(rng.uniform(70, 170)))))
    return sheds


def _flats(canvas: Canvas, block: Block) -> tuple[list[Building], list[Tree]]:
    """Long slabs on a lawn, with a path round them."""
    rng, slabs = canvas.rng, []
    path = grey(float(rng.uniform(150, 190)))
    y = block.y0 + float(rng.uniform(4, 9))
    while y + 11 < block.y1 - 3:
        depth = float(rng.uniform(10.5, 14))
        x0, x1 = block.x0 + float(rng.uniform(3, 10)), block.x1 - float(rng.uniform(3, 10))
        if x1 - x0 > 12 and y + depth < block.y1 - 1:
            canvas.polygon(rectangle(x0 - 1.6, y - 1.6, x1 + 1.6, y + depth + 1.6), path)
            slabs.append(Building(x0, y, x1, y + depth, float(rng.uniform(10, 19)), "flat", _felt(rng)))
        y += depth + float(rng.uniform(14, 24))
    return slabs, _trees(canvas, block, 0.009, [*slabs])


def _works(canvas: Canvas, block: Block) -> tuple[list[Building], list[Tree]]:
    """Large halls in a paved yard: asphalt where nobody may park, which a model must learn to leave alone."""
    rng, halls = canvas.rng, []
    yard = rectangle(block.x0, block.y0, block.x1, block.y1)
    canvas.polygon(yard, grey(canvas.style.asphalt + float(rng.uniform(-8, 30))))
    x = block.x0 + 5
    while x + 14 < block.x1:
        width = min(float(rng.uniform(18, 38)), block.x1 - x - 3)
        roof: Roof = "ribbed" if rng.random() < 0.6 else "flat"
        back, height = block.y1 - float(rng.uniform(4, 9)), float(rng.uniform(6, 10))
        halls.append(Building(x, block.y0 + 5, x + width, back, height, roof, _felt(rng)))
        x += width + float(rng.uniform(6, 11))
    return [hall for hall in halls if hall.y1 - hall.y0 > 6], []


def _felt(rng: np.random.Generator) -> Colour:
    return shade(_FELTS[int(rng.integers(len(_FELTS)))], float(rng.uniform(0.85, 1.15)))


def _park(canvas: Canvas, block: Block) -> list[Tree]:
    rng = canvas.rng
    path = shade((196, 184, 158), float(rng.uniform(0.8, 1.05)))
    corners = rectangle(block.x0, block.y0, block.x1, block.y1)
    middle = corners.mean(axis=0) + rng.uniform(-4, 4, 2)
    for corner in corners:
        canvas.line(np.array([corner, middle]), path, 1.8)
    canvas.circles(middle[None], np.array([3.5]), [path])
    return _trees(canvas, block, 0.012)


def _trees(canvas: Canvas, block: Block, density: float, keep_off: list[Building] | None = None) -> list[Tree]:
    """Trees at random on a block, `density` of them a square metre, none on a building."""
    rng = canvas.rng
    if block.y1 <= block.y0:
        return []
    count = int((block.x1 - block.x0) * (block.y1 - block.y0) * density * rng.uniform(0.5, 1.4))
    trees = []
    for _ in range(count):
        place = rng.uniform((block.x0, block.y0), (block.x1, block.y1))
        x, y = place
        radius = float(rng.uniform(1.0, 3.9))
        free = not any(b.x0 - 1 < x < b.x1 + 1 and b.y0 - 1 < y < b.y1 + 1 for b in keep_off or [])
        inside = min(x - block.x0, block.x1 - x, y - block.y0, block.y1 - y) > radius * 0.6
        if free and inside and canvas.sees(place, radius * 4):
            trees.append(Tree(place, radius, canvas.style.leaves, rng))
    return trees
