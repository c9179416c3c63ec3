import json
from typing import Any

import pytest

from parking.data.annotations import detect_format, read_annotations
from parking.data.exports.addresses import file_name
from parking.data.vocabulary import FREE_LABELS, OCCUPIED_LABELS
from parking.errors import AnnotationError

SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20]]


def polygon(points: Any = SQUARE, label: str = "Parking", **more: Any) -> dict[str, Any]:
    value = {"points": points, "polygonlabels": [label]}
    return {"type": "polygonlabels", "original_width": 200, "original_height": 100, "value": value, **more}


def task(*results: dict[str, Any], image: str = "a.jpg", **more: Any) -> dict[str, Any]:
    return {"data": {"image": image}, "annotations": [{"completed_by": 7, "result": list(results)}], **more}


def row(*polygons: Any, name: str = "Car Park", image: str = "a.jpg", project: str = "cl1") -> dict[str, Any]:
    objects = [{"name": name, "polygon": [{"x": x, "y": y} for x, y in points]} for points in polygons]
    return {
        "data_row": {"external_id": image},
        "media_attributes": {"width": 200, "height": 100},
        "projects": {project: {"labels": [{"annotations": {"objects": objects}}]}},
    }


def coco(*segmentations: Any, category: str = "free") -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "train/a.jpg", "width": 200, "height": 100}],
        "categories": [{"id": 1, "name": category}],
        "annotations": [
            {"id": number, "image_id": 5, "category_id": 1, "segmentation": one}
            for number, one in enumerate(segmentations)
        ],
    }


def test_label_studio_percents_become_pixels() -> None:
    (found,) = read_annotations(json.dumps([task(polygon())]), "export.json")
    assert list(found.rings) == [((20, 10), (40, 10), (40, 20), (20, 20))]
    assert (found.image, found.annotator, found.size, found.problems) == ("a.jpg", "label-studio:7", (200, 100), ())


def test_labelbox_repeats_the_first_point_and_we_do_not() -> None:
    (found,) = read_annotations(json.dumps([row([*SQUARE, SQUARE[0]], project="any-id")]), "export.json")
    assert list(found.rings) == [((10, 10), (20, 10), (20, 20), (10, 20))]
    assert found.size == (200, 100)


def test_labelbox_comes_as_an_array_and_as_lines() -> None:
    rows = [row(SQUARE, image=f"{n}.jpg", project=f"p{n}") for n in range(3)]
    array, lines = json.dumps(rows), "\n".join(map(json.dumps, rows)) + "\n\n"
    one_line = json.dumps(rows[0])
    assert read_annotations(array, "a") == read_annotations(lines, "a")
    assert [one.image for one in read_annotations(array, "a")] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(read_annotations(one_line, "c")) == 1


def test_every_project_of_a_labelbox_row_counts() -> None:
    both = row(SQUARE)
    both["projects"]["p2"] = row([[50, 50], [60, 50], [60, 60]])["projects"]["cl1"]
    assert len(read_annotations(json.dumps([both]), "a")[0].rings) == 2


def test_the_parts_of_a_coco_object_are_polygons_each() -> None:
    (found,) = read_annotations(json.dumps(coco([[0, 0, 9, 0, 9, 9], [20, 20, 30, 20, 30, 30, 20, 30]])), "coco.json")
    assert list(found.rings) == [((0, 0), (9, 0), (9, 9)), ((20, 20), (30, 20), (30, 30), (20, 30))]
    assert found.image == "a.jpg"


def test_a_run_length_mask_is_a_problem_with_its_reason() -> None:
    (found,) = read_annotations(json.dumps(coco({"counts": [1, 2], "size": [9, 9]}, [])), "coco.json")
    assert found.rings == ()
    assert found.problems == (
        "annotation 0: a run-length mask (RLE) is not a polygon; export polygons",
        "annotation 1: it has neither a polygon nor a box",
    )


def test_looked_at_and_empty_is_not_the_same_as_waiting() -> None:
    waiting = {"data": {"image": "b.jpg"}, "annotations": []}
    cancelled = {"data": {"image": "c.jpg"}, "annotations": [{"was_cancelled": True, "result": []}]}
    assert [one.image for one in read_annotations(json.dumps([task(), waiting, cancelled]), "a")] == ["a.jpg"]
    unlabelled, skipped = row(image="b.jpg"), row(image="c.jpg")
    unlabelled["projects"]["cl1"]["labels"] = []
    skipped["projects"]["cl1"]["labels"][0]["performance_details"] = {"skipped": True}
    assert [one.image for one in read_annotations(json.dumps([row(), unlabelled, skipped]), "a")] == ["a.jpg"]
    assert read_annotations(json.dumps(coco()), "a")[0].rings == ()


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (polygon(label="Tree"), "label 'Tree' is not a free place"),
        (polygon([[1, 1], [2, 2]]), "a polygon of 2 points has no area"),
        (polygon([[1, 1], [2, float("nan")], [3, 3]]), "no number"),
        (polygon(image_rotation=90), "turned by 90 degrees"),
        ({**polygon(), "type": "brushlabels"}, "a region of type 'brushlabels' is not a polygon"),
    ],
)
def test_a_polygon_that_cannot_be_read_is_a_problem_and_the_others_stay(result: Any, reason: str) -> None:
    (found,) = read_annotations(json.dumps([task(polygon(), result)]), "a")
    assert len(found.rings) == 1
    assert len(found.problems) == 1
    assert reason in found.problems[0]


def test_of_two_opinions_on_an_image_one_counts_and_the_other_is_named() -> None:
    twice = task(polygon())
    twice["annotations"].append({"completed_by": 8, "result": [polygon(), polygon()]})
    (found,) = read_annotations(json.dumps([twice]), "a")
    assert (found.annotator, len(found.rings), found.problems) == ("label-studio:8", 2, ())
    assert found.notes == ("1 further annotations of this image were not used",)


@pytest.mark.parametrize(
    "label", ["Parking", "car_park", "Car Park", "FREE-PARKING", "free places", "Empty", "Car Parks"]
)
def test_words_for_a_free_place_are_understood(label: str) -> None:
    (found,) = read_annotations(json.dumps([task(polygon(label=label))]), "a")
    assert found.problems == ()


def test_the_opposite_of_free_is_not_among_the_words() -> None:
    assert not any(word in label.split() for label in FREE_LABELS for word in ("occupied", "taken", "not"))
    assert not FREE_LABELS & OCCUPIED_LABELS


@pytest.mark.parametrize("label", ["occupied", "Space-Occupied", "occupied parking spots", "taken"])
def test_a_place_that_is_taken_is_understood_and_is_no_free_one(label: str) -> None:
    documents = ([task(polygon(label=label))], [row(SQUARE, name=label)], coco([0, 0, 9, 0, 9, 9], category=label))
    for document in documents:
        (found,) = read_annotations(json.dumps(document), "a")
        assert (found.rings, found.problems) == ((), ())


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/4/my%20street.jpg",
        "https://host/data/upload/1/my%20street.jpg?token=1",
        "/data/local-files/?d=set/one/my%20street.jpg",
        "s3://bucket/deep/my street.jpg",
        "my street.jpg",
        "C:\\photos\\my street.jpg",
    ],
)
def test_an_image_is_named_without_its_address(image: str) -> None:
    (found,) = read_annotations(json.dumps([task(polygon(), image=image)]), "a")
    assert found.image == "my street.jpg"


def test_the_prefix_of_an_upload_stays_for_two_uploads_may_have_one_name() -> None:
    (found,) = read_annotations(json.dumps([task(image="/data/upload/4/2e5aef8d-a.jpg")]), "a")
    assert found.image == "2e5aef8d-a.jpg"
    assert file_name("s3://b/abcdef12-a.jpg") == "abcdef12-a.jpg"
    assert read_annotations(json.dumps([task(image="s3://b/abcdef12-a.jpg")]), "a")[0].image == "abcdef12-a.jpg"


def test_the_three_forms_are_told_apart() -> None:
    assert detect_format(json.dumps([task()])) == "label-studio"
    assert detect_format("\ufeff" + json.dumps([row()])) == "labelbox"
    assert detect_format(json.dumps(coco())) == "coco"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[1, 2]", '"text"', '{"type": "FeatureCollection", "features": []}', "null"]
)
def test_an_unknown_form_is_a_sentence(text: str) -> None:
    with pytest.raises(AnnotationError, match=r"'geo\.json' is no annotation file that we read: .* Export as"):
        read_annotations(text, "geo.json")


def test_a_text_is_neither_json_nor_ndjson() -> None:
    with pytest.raises(AnnotationError, match=r"'notes\.json' is neither JSON nor NDJSON"):
        read_annotations("hello", "notes.json")


@pytest.mark.parametrize(
    "broken",
    [
        [{"data": None, "annotations": [{"result": []}]}],
        [{"data_row": {}, "projects": []}],
        {"images": [{"no": "id"}], "annotations": []},
        {"images": [], "annotations": [{"image_id": 1}]},
    ],
)
def test_an_export_that_breaks_its_own_form_is_a_sentence(broken: Any) -> None:
    with pytest.raises(AnnotationError, match="breaks its form"):
        read_annotations(json.dumps(broken), "a.json")


ODD: list[Any] = [None, 5, "text", [], {}, {"data": None}, {"annotations": 3}, float("nan")]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_record_costs_itself_alone(odd: Any) -> None:
    for good in (task(polygon()), row(SQUARE)):
        found = read_annotations(json.dumps([good, odd]), "a")
        assert [len(one.rings) for one in found if not one.broken] == [1]
        assert all(one.problems for one in found if one.broken)


@pytest.mark.parametrize("odd", [*ODD, polygon(points=None), polygon(points=[[1]]), {**polygon(), "value": None}])
def test_an_odd_shape_costs_itself_alone(odd: Any) -> None:
    labelbox = row(SQUARE)
    labelbox["projects"]["cl1"]["labels"][0]["annotations"]["objects"].append(odd)
    shapes = coco([0, 0, 9, 0, 9, 9])
    shapes["annotations"].append(odd)
    for document in ([task(polygon(), odd)], [labelbox], shapes):
        found = read_annotations(json.dumps(document), "a")
        assert [len(one.rings) for one in found if not one.broken] == [1]


@pytest.mark.parametrize("size", [None, 0, -3, "wide", float("nan"), [200]])
def test_a_size_that_is_none_is_not_said(size: Any) -> None:
    shapes = coco([0, 0, 9, 0, 9, 9])
    shapes["images"][0]["width"] = size
    (found,) = read_annotations(json.dumps(shapes), "a")
    assert (found.size, len(found.rings)) == (None, 1)
    (found,) = read_annotations(json.dumps([task(polygon(original_width=size))]), "a")
    assert (found.size, found.relative) == ((100, 100), True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b"])
def test_only_line_ends_end_a_line(end: str, odd: str) -> None:
    lines = [json.dumps(row(SQUARE, image=f"a{odd}{n}.jpg"), ensure_ascii=odd == "\x0b") for n in range(3)]
    found = read_annotations(end.join(lines), "a")
    assert [one.image for one in found] == [f"a{odd}{n}.jpg" for n in range(3)]


def test_a_line_that_was_cut_off_costs_itself_alone() -> None:
    lines = [json.dumps(row(SQUARE, image=f"{n}.jpg")) for n in range(3)]
    found = read_annotations("\n".join([*lines, lines[0][:60]]), "a")
    assert [one.broken for one in found] == [False, False, False, True]


def test_vehicles_may_be_boxes_and_free_places_may_be_boxes_that_were_turned() -> None:
    def rectangle(label: str, rotation: float = 0) -> dict[str, Any]:
        value = {"x": 10, "y": 10, "width": 5, "height": 10, "rotation": rotation, "rectanglelabels": [label]}
        return {"type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": value}

    (found,) = read_annotations(json.dumps([task(rectangle("car"), rectangle("free"), rectangle("free", 90.5))]), "a")
    assert [(shape.label, shape.box) for shape in found.shapes] == [
        ("vehicle", True),
        ("ignore", True),
        ("free", False),
    ]
    assert list(found.shapes[0].ring) == [(20, 10), (30, 10), (30, 20), (20, 20)]
    assert "a box takes in more than the free place" in found.problems[0]


def test_what_an_export_only_declares_is_known_where_it_is_free() -> None:
    shapes = coco([0, 0, 9, 0, 9, 9], category="car")
    shapes["categories"] += [{"id": 2, "name": "free"}, {"id": 3, "name": "stall"}]
    (found,) = read_annotations(json.dumps(shapes), "a")
    assert found.known == {"vehicle", "free"}
