"""Pascal VOC and CVAT: shapes, names of images, and files that are odd."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.data.dataset import Snapshot, ingest
from parking.data.exports import xml
from parking.data.imagery import encode_png
from parking.data.vocabulary import LabelMap
from parking.errors import AnnotationError
from parking.storage import FolderStore
from tests.parking.data.places import HEIGHT, WIDTH, picture, write_images

SIZE = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
CAR = "<object><name>car</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>60</ymax></bndbox></object>"
FREE = (
    "<object><name>free</name><polygon><x1>40</x1><y1>10</y1><x2>60</x2><y2>10</y2><x3>60</x3><y3>50</y3>"
    "<x4>40</x4><y4>50</y4></polygon></object>"
)


def voc(*objects: str, name: str = "a.png") -> bytes:
    return f"<annotation><filename>{name}</filename>{SIZE}{''.join(objects)}</annotation>".encode()


def cvat(*shapes: str, name: str = "a.png") -> bytes:
    labels = "<labels><label><name>car</name></label><label><name>free</name></label></labels>"
    image = f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}">{"".join(shapes)}</image>'
    dated = "<updated>2026-03-01 10:00:00.5+00:00</updated>"
    return f"<annotations><version>1.1</version><meta><task>{dated}{labels}</task></meta>{image}</annotations>".encode()


def taken_in(folder: Path, **files: bytes) -> Snapshot:
    write_images(folder / "in", {"a.png": encode_png(picture(0)), "b.png": encode_png(picture(1))})
    write_images(folder / "in", {f"{name}.xml": data for name, data in files.items()})
    return ingest(str(folder / "in"), FolderStore(folder / "store"), max_quarantined=1.0).snapshot


def test_voc_gives_boxes_of_cars_and_polygons_of_places(tmp_path: Path) -> None:
    a, b = taken_in(tmp_path, a=voc(CAR, FREE), b=voc(name="b.png")).scenes
    assert list(a.vehicles) == [((10, 20), (30, 20), (30, 60), (10, 60))]
    assert list(a.rings) == [((40, 10), (60, 10), (60, 50), (40, 50))]
    assert (b.rings, b.annotated) == ((), ("free", "vehicle"))


@pytest.mark.parametrize("name", ["C:\\old\\place.jpg", "", "a", "frame_000001"])
def test_a_voc_file_is_named_after_its_image_whatever_it_says_inside(tmp_path: Path, name: str) -> None:
    snapshot = taken_in(tmp_path, a=voc(CAR, name=name))
    assert [(scene.name, len(scene.vehicles)) for scene in snapshot.scenes] == [("a.png", 1)]


def test_a_turned_box_of_voc_is_a_polygon() -> None:
    turned = "<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>0.7853981634</angle></robndbox>"
    (found,) = xml.read(voc(f"<object><name>free</name>{turned}</object>"), "a.xml", LabelMap())
    (ring,) = found.rings
    assert sum(x for x, _ in ring) / 4 == pytest.approx(50)
    assert max(y for _, y in ring) == pytest.approx(40 + 15 * 0.5**0.5)


def test_cvat_gives_boxes_polygons_and_turned_boxes(tmp_path: Path) -> None:
    shapes = (
        '<box label="car" xtl="10" ytl="20" xbr="30" ybr="60" occluded="0"/>',
        '<box label="free" xtl="40" ytl="20" xbr="60" ybr="30" rotation="90"/>',
        '<polygon label="free" points="70,10;90,10;90,50;70,50;70,10"/>',
        '<box label="free" xtl="95" ytl="20" xbr="110" ybr="30" rotation="30"/>',
        '<tag label="street"/>',
    )
    snapshot = taken_in(tmp_path, all=cvat(*shapes))
    (scene,) = snapshot.scenes
    assert (len(scene.vehicles), len(scene.rings), len(scene.ignored)) == (1, 2, 1)
    assert "a box takes in more than the free place" in snapshot.quarantine[0].reason
    assert xml.read(cvat(), "all.xml", LabelMap())[0].updated.startswith("2026-03-01T10:00")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&\"'\ufffe\uffff"), max_size=12))
def test_no_value_stops_the_others(text: str) -> None:
    """Whatever stands where a number should: that shape is a problem, and the other stays."""
    odd_box = CAR.replace("10", text)
    (found,) = xml.read(voc(odd_box, FREE), "a.xml", LabelMap())
    assert len(found.rings) == 1
    (found,) = xml.read(cvat(f'<polygon label="car" points="{text}"/>', FREE_CVAT), "a.xml", LabelMap())
    assert len(found.rings) == 1


FREE_CVAT = '<polygon label="free" points="70,10;90,10;90,50"/>'


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"<kml></kml>", "begins with <kml>"),
        (b"<annotation>", "is no XML that can be read"),
        (b"not xml", "is no XML that can be read"),
        (b"<annotations><track id='0'/></annotations>", "tracks of a video"),
        (
            b'<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;&x;">]><annotation>&y;</annotation>',
            "is no XML that can be read",
        ),
    ],
)
def test_a_file_that_is_no_annotation_is_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(AnnotationError, match=sentence):
        xml.read(data, "a.xml", LabelMap())


def test_files_that_gdal_leaves_beside_images_are_passed_over(tmp_path: Path) -> None:
    write_images(tmp_path / "in", {"a.png.aux.xml": b"<PAMDataset/>"})
    assert len(taken_in(tmp_path, a=voc(CAR)).scenes) == 1
