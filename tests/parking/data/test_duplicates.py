import cv2
import numpy as np
from numpy.typing import NDArray

from parking.data.duplicates import NEAR, alike, fingerprint
from parking.data.grouping import connected
from parking.data.synthetic import generate_scene

SCENES = [generate_scene(seed, 256).raster.pixels for seed in range(12)]


def test_copies_are_alike_and_other_places_are_not() -> None:
    def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
        return int(np.bitwise_count(fingerprint(one) ^ fingerprint(other)).sum())

    for pixels in SCENES:
        smaller = np.asarray(cv2.resize(pixels, (180, 180), interpolation=cv2.INTER_AREA), np.uint8)
        darker = (pixels * 0.8).astype(np.uint8)
        jpeg = np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels)[1], cv2.IMREAD_COLOR), np.uint8)
        assert max(distance(pixels, copy) for copy in (smaller, darker, jpeg)) <= NEAR
    between = [distance(one, other) for n, one in enumerate(SCENES) for other in SCENES[:n]]
    assert min(between) > 2 * NEAR


def test_likeness_passes_on_through_others() -> None:
    step = (1 << NEAR) - 1
    chain = [np.array(words, np.uint64) for words in ([0, 0, 0, 0], [step, 0, 0, 0], [step, step, 0, 0])]
    far = np.array([0, 0, 0, 2**64 - 1], np.uint64)
    assert connected(4, alike([chain[2], far, chain[0], chain[1]])) == [0, 1, 0, 0]
    assert alike([]) == []
