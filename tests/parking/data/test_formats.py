"""Sets in the forms of YOLO, Pascal VOC and CVAT: what is read, and what is a sentence."""

from pathlib import Path
from typing import Any

import pytest

from parking.data.dataset import Snapshot, ingest
from parking.data.imagery import encode_png
from parking.data.snapshot import Scene
from parking.errors import AnnotationError, LabelsError, QuarantineError
from parking.storage import FolderStore
from tests.parking.data.places import HEIGHT, WIDTH, picture, write_images

BAYS = "1 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4\n1 0.5 0.1 0.7 0.1 0.7 0.4 0.5 0.4\n"
CAR = "0 0.6 0.25 0.2 0.3\n"


def yolo_set(folder: Path, names: str = "names: [car, stall]\n", **texts: str) -> str:
    """Images in `images`, labels in `labels`, an image a text."""
    for number, (name, text) in enumerate(texts.items()):
        write_images(folder, {f"images/{name}.png": encode_png(picture(number)), f"labels/{name}.txt": text.encode()})
    if names:
        write_images(folder, {"data.yaml": names.encode()})
    return str(folder)


def taken_in(folder: str, tmp_path: Path, **options: Any) -> Snapshot:
    return ingest(folder, FolderStore(tmp_path / "store"), max_quarantined=1.0, **options).snapshot


def scenes(folder: str, tmp_path: Path, **options: Any) -> dict[str, Scene]:
    return {scene.name: scene for scene in taken_in(folder, tmp_path, **options).scenes}


def test_bays_and_boxes_of_cars_make_free_places(tmp_path: Path) -> None:
    found = scenes(yolo_set(tmp_path / "in", a=BAYS + CAR, b=CAR), tmp_path)
    a, b = found["a.png"], found["b.png"]
    left, right = WIDTH * 0.5, WIDTH * 0.7
    assert list(a.rings) == [((12, 8), (36, 8), (36, 32), (12, 32))]
    assert list(a.vehicles) == [((left, 8), (right, 8), (right, 32), (left, 32))]
    assert (len(a.stalls), a.annotated) == (2, ("free", "vehicle", "stall"))
    assert (b.rings, b.annotated) == ((), ("vehicle",))


@pytest.mark.parametrize(
    "names", ["names: {0: car, 1: stall}", "names:\n  '0': car\n  1: stall", "nc: 2\nnames:\n- car\n- stall"]
)
def test_names_are_a_list_or_a_mapping(tmp_path: Path, names: str) -> None:
    assert scenes(yolo_set(tmp_path / "in", names, a=BAYS + CAR), tmp_path)["a.png"].annotated[0] == "free"


@pytest.mark.parametrize("image", ["train/images/a.png", "images/train/a.png", "a.png", "all/a.png"])
@pytest.mark.parametrize("listed", ["data.yaml", "classes.txt"])
def test_labels_lie_where_tools_put_them(tmp_path: Path, image: str, listed: str) -> None:
    label = image.replace("images", "labels").replace(".png", ".txt")
    names = b"names: [car, stall]" if listed == "data.yaml" else b"car\nstall\n"
    write_images(tmp_path / "in", {image: encode_png(picture(0)), label: BAYS.encode(), listed: names})
    assert len(scenes(str(tmp_path / "in"), tmp_path)["a.png"].stalls) == 2


def test_images_of_one_name_in_two_splits_keep_their_own_labels(tmp_path: Path) -> None:
    files = {f"{split}/images/1.png": encode_png(picture(n)) for n, split in enumerate(("train", "val"))}
    files |= {
        "train/labels/1.txt": BAYS.encode(),
        "val/labels/1.txt": CAR.encode(),
        "data.yaml": b"names: [car, stall]",
    }
    write_images(tmp_path / "in", files)
    found = scenes(str(tmp_path / "in"), tmp_path)
    assert {name: len(scene.stalls) for name, scene in found.items()} == {
        "train/images/1.png": 2,
        "val/images/1.png": 0,
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7 0.1 0.1 0.1 0.1", "class 7 is not in 'data.yaml', which names 2: add it there"),
        ("0 12 30 40 20", "coordinates are in pixels"),
        ("0 0.1 0.1 0.1", "neither a box nor a polygon"),
        ("car 0.1 0.1 0.1 0.1", "no row of numbers"),
        ("0 0.1 0.1 0 0.1", "has no area"),
        ("0 nan 0.1 0.2 0.1", "has no area"),
    ],
)
def test_a_line_that_cannot_be_read_is_listed_and_the_others_stay(tmp_path: Path, line: str, reason: str) -> None:
    snapshot = taken_in(yolo_set(tmp_path / "in", a=f"{line}\n{CAR}", b=CAR), tmp_path)
    assert [len(scene.vehicles) for scene in snapshot.scenes] == [1, 1]
    assert [item.image for item in snapshot.quarantine] == ["a.png"]
    assert reason in snapshot.quarantine[0].reason


def test_a_box_round_a_free_place_is_refused_with_the_reason(tmp_path: Path) -> None:
    free, names = "1 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4\n", "names: [car, free]"
    folder = yolo_set(tmp_path / "in", names, a=f"1 0.5 0.5 0.2 0.2\n{CAR}", b=f"1 0.5 0.5 0.2 0.2\n{free}")
    snapshot = taken_in(folder, tmp_path)
    a, b = snapshot.scenes
    assert (a.annotated, b.annotated) == (("vehicle",), ("free", "vehicle"))
    assert (len(b.rings), len(b.ignored)) == (1, 1)
    assert "a box takes in more than the free place" in snapshot.quarantine[0].reason


def test_labels_without_names_or_without_images_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no data\.yaml or classes\.txt above it names its classes"):
        taken_in(yolo_set(tmp_path / "in", "", a=CAR), tmp_path)
    with pytest.raises(AnnotationError, match="neither list nor mapping: 'car'"):
        taken_in(yolo_set(tmp_path / "in", "names: car", a=CAR), tmp_path)
    folder = yolo_set(tmp_path / "two", a=CAR)
    write_images(tmp_path / "two", {"labels/gone.txt": CAR.encode()})
    assert [item.reason for item in taken_in(folder, tmp_path).quarantine] == ["no image file of this name"]


def test_an_empty_label_file_was_looked_at_and_a_missing_one_was_not(tmp_path: Path) -> None:
    folder = yolo_set(tmp_path / "in", a=CAR, b="")
    write_images(tmp_path / "in", {"images/c.png": encode_png(picture(9)), "README.txt": b"about this set"})
    snapshot = taken_in(folder, tmp_path)
    assert [(scene.name, scene.annotated) for scene in snapshot.scenes] == [
        ("a.png", ("vehicle",)),
        ("b.png", ("vehicle",)),
    ]
    assert [item.reason for item in snapshot.quarantine] == ["no annotation"]


def test_a_mapping_says_what_other_labels_mean(tmp_path: Path) -> None:
    folder = yolo_set(tmp_path / "in", "names: [Pkw, Bucht]", a=BAYS + CAR)
    with pytest.raises(QuarantineError, match="label 'Bucht' is not a free place, nor another word that we know"):
        ingest(folder, FolderStore(tmp_path / "store"))
    assert len(scenes(folder, tmp_path, labels="pkw=vehicle, Bucht = stall")["a.png"].rings) == 1


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ("stal=stall", "names 'stal', but the annotations use 'car', 'stall'"),
        ("stall=bay", "'stall=bay' is no mapping of a label"),
        ("stall", "'stall' is no mapping of a label"),
        ("car=vehicle,Cars=ignore", "gives 'Cars' two meanings"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_a_sentence(tmp_path: Path, labels: str, sentence: str) -> None:
    with pytest.raises(LabelsError, match=sentence):
        taken_in(yolo_set(tmp_path / "in", a=BAYS + CAR), tmp_path, labels=labels)


def test_tiles_of_one_lot_share_a_group(tmp_path: Path) -> None:
    names = [
        f"{lot}_r{row}_c{column}" for lot in ("North", "South", "East", "West") for row in (0, 1) for column in (0, 1)
    ]
    found = scenes(yolo_set(tmp_path / "in", **dict.fromkeys(names, CAR)), tmp_path)
    assert len({scene.group for scene in found.values()}) == 4
    assert all(found["North_r0_c0.png"].group == found[f"North_r{r}_c{c}.png"].group for r in (0, 1) for c in (0, 1))


def test_a_pattern_says_which_images_belong_together(tmp_path: Path) -> None:
    folder = yolo_set(tmp_path / "in", **dict.fromkeys(("a-1", "a-2", "b-1", "c"), CAR))
    assert len({scene.group for scene in scenes(folder, tmp_path).values()}) == 4
    assert len({scene.group for scene in scenes(folder, tmp_path, group_by=r"([ab])-\d").values()}) == 3


def test_size_of_a_scene_decides_the_pixels(tmp_path: Path) -> None:
    (ring,) = scenes(yolo_set(tmp_path / "in", a="0 0.5 0.5 1.2 1.2\n"), tmp_path)["a.png"].vehicles
    assert set(ring) == {(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)}
