import json
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest

from parking.data.dataset import Snapshot, free_mask, ingest, load_raster, load_snapshot
from parking.data.imagery import encode_png
from parking.errors import AnnotationError, DatasetError, MissingKeyError, QuarantineError, StoreError
from parking.storage import FolderStore, open_store
from tests.parking.data.places import HEIGHT, SQUARE, WIDTH, picture, task, write_images, write_places
from tests.servers import S3Server


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def reasons(snapshot: Snapshot) -> dict[str, str]:
    return {item.image: item.reason for item in snapshot.quarantine}


def test_scenes_carry_their_places_and_their_pixels(tmp_path: Path, store: FolderStore) -> None:
    snapshot = ingest(str(write_places(tmp_path / "in")), store).snapshot
    scene = snapshot.scenes[3]
    assert (scene.name, scene.width, scene.height, scene.annotator) == ("3.png", WIDTH, HEIGHT, "label-studio:1")
    assert np.allclose(scene.rings, [SQUARE], atol=0.01)
    assert np.array_equal(load_raster(store, scene).pixels, picture(3))
    assert free_mask(scene.rings, HEIGHT, WIDTH).sum() == 400
    assert snapshot.quarantine == ()


def test_ingesting_the_same_files_again_copies_nothing_and_gives_the_same_version(
    tmp_path: Path, store: FolderStore
) -> None:
    first = ingest(str(write_places(tmp_path / "in")), store)
    again = ingest(str(write_places(tmp_path / "elsewhere")), store)
    assert (first.copied, first.is_new) == (10, True)
    assert (again.copied, again.is_new) == (0, False)
    assert again.snapshot == first.snapshot
    assert len(list(store.keys("datasets/snapshots/"))) == 1


def test_a_set_of_free_places_alone_keeps_the_version_that_it_had_before_there_were_other_classes(
    tmp_path: Path, store: FolderStore
) -> None:
    assert ingest(str(write_places(tmp_path / "in")), store).snapshot.version == "0488929f202b"


def test_a_polygon_moved_by_a_hair_is_another_version(tmp_path: Path, store: FolderStore) -> None:
    folder = write_places(tmp_path / "in")
    before = ingest(str(folder), store).snapshot
    text = (folder / "export.json").read_text()
    (folder / "export.json").write_text(text.replace("37.5", "38.5", 1))
    after = ingest(str(folder), store).snapshot
    assert after.version != before.version
    assert load_snapshot(store).version == after.version
    assert load_snapshot(store, before.version) == before


def test_what_cannot_be_used_is_listed_with_its_reason_and_the_run_goes_on(tmp_path: Path, store: FolderStore) -> None:
    good = encode_png(picture(99))
    _, jpeg = cv2.imencode(".jpg", picture(98))
    folder = write_places(
        tmp_path / "in",
        30,
        0,
        task("gone.png", [SQUARE]),
        task("text.png", [SQUARE]),
        task("cut.jpg", [SQUARE]),
        task("twice.png", [SQUARE]),
        task("tree.png", [SQUARE], label="Tree"),
        task("partly.png", [SQUARE, [(200, 200), (220, 200), (220, 220)]]),
        task("empty.png", []),
    )
    images = dict.fromkeys(("one/twice.png", "two/twice.png", "tree.png", "partly.png", "empty.png"), good)
    images |= {"text.png": b"not an image", "cut.jpg": jpeg.tobytes()[:900], "alone.png": good, "old.bmp": b"BM"}
    write_images(folder, images)
    snapshot = ingest(str(folder), store).snapshot
    found = reasons(snapshot)
    assert found["gone.png"] == "no image file of this name"
    assert "is not a PNG" in found["text.png"]
    assert "damaged" in found["cut.jpg"]
    assert found["twice.png"].startswith("2 images have this name: one/twice.png, two/twice.png")
    assert found["tree.png"] == (
        "none of the 1 shapes in it can be used: label 'Tree' is not a free place, nor another word that we know; see "
        "--labels"
    )
    assert "has no area inside the image" in found["partly.png"]
    assert found["alone.png"] == "no annotation"
    assert "convert it" in found["old.bmp"]
    assert len(found) == len(snapshot.quarantine) == 8
    names = {scene.name: len(scene.rings) for scene in snapshot.scenes}
    assert (len(names), names["partly.png"], names["empty.png"]) == (32, 1, 0)


def test_too_many_unusable_images_stop_the_run_with_the_list(tmp_path: Path, store: FolderStore) -> None:
    folder = write_places(tmp_path / "in", 6, 0, *(task(f"gone-{n}.png", [SQUARE]) for n in range(4)))
    with pytest.raises(
        QuarantineError, match=r"(?s)4 of 10 annotated images .*gone-0\.png: no image file.*gone-3"
    ) as stop:
        ingest(str(folder), store)
    assert "limit of 20%" in str(stop.value)
    with pytest.raises(MissingKeyError):
        store.read("datasets/latest")
    assert len(ingest(str(folder), store, max_quarantined=0.5).snapshot.scenes) == 6


def test_a_point_just_past_the_edge_is_clipped(tmp_path: Path, store: FolderStore) -> None:
    past = [(WIDTH - 20, 10), (WIDTH + 0.4, 10), (WIDTH + 0.4, 30), (WIDTH - 20, 30)]
    folder = write_places(tmp_path / "in", 3, 0, task("edge.png", [past]))
    write_images(folder, {"edge.png": encode_png(picture(50))})
    snapshot = ingest(str(folder), store).snapshot
    (ring,) = next(scene.rings for scene in snapshot.scenes if scene.name == "edge.png")
    assert max(x for x, _ in ring) == WIDTH
    assert snapshot.quarantine == ()


def test_an_image_is_found_by_name_with_or_without_its_upload_prefix(tmp_path: Path, store: FolderStore) -> None:
    names = ["abcdef12-uploaded.png", "plain.png", "0123abcd-kept.png"]
    folder = tmp_path / "in"
    write_images(folder, {"a/uploaded.png": encode_png(picture(1)), "b/c/plain.png": encode_png(picture(2))})
    write_images(folder, {"0123abcd-kept.png": encode_png(picture(3))})
    (folder / "deep").mkdir()
    (folder / "deep" / "export.json").write_text(json.dumps([task(name, [SQUARE]) for name in names]))
    snapshot = ingest(str(folder), store).snapshot
    assert [scene.name for scene in snapshot.scenes] == ["0123abcd-kept.png", "plain.png", "uploaded.png"]


def test_two_uploads_of_one_name_keep_their_own_places(tmp_path: Path, store: FolderStore) -> None:
    uploads = ["aaaaaaaa-1.png", "bbbbbbbb-1.png"]
    folder = tmp_path / "in"
    write_images(folder, {name: encode_png(picture(number)) for number, name in enumerate(uploads)})
    tasks = [task(name, [SQUARE] * number) for number, name in enumerate(uploads, 1)]
    (folder / "export.json").write_text(json.dumps([*tasks, task("1.png", [SQUARE])]))
    snapshot = ingest(str(folder), store, max_quarantined=0.5).snapshot
    assert {scene.name: len(scene.rings) for scene in snapshot.scenes} == {"aaaaaaaa-1.png": 1, "bbbbbbbb-1.png": 2}
    assert reasons(snapshot) == {"1.png": "2 images could be meant: aaaaaaaa-1.png, bbbbbbbb-1.png; name it in full"}


def test_a_scene_in_which_two_people_found_nothing_is_a_scene(tmp_path: Path, store: FolderStore) -> None:
    twice = task("empty.png", [])
    twice["annotations"] *= 2
    folder = write_places(tmp_path / "in", 3, 0, twice)
    write_images(folder, {"empty.png": encode_png(picture(50))})
    snapshot = ingest(str(folder), store).snapshot
    assert next(scene.rings for scene in snapshot.scenes if scene.name == "empty.png") == ()
    assert reasons(snapshot) == {"empty.png": "1 further annotations of this image were not used"}


def test_a_smaller_copy_keeps_its_places_and_another_shape_is_refused(tmp_path: Path, store: FolderStore) -> None:
    folder = write_places(tmp_path / "in", 8)
    half = np.asarray(cv2.resize(picture(0), (WIDTH // 2, HEIGHT // 2)), np.uint8)
    turned = np.ascontiguousarray(np.rot90(picture(1)))
    write_images(folder, {"images/0.png": encode_png(half), "images/1.png": encode_png(turned)})
    snapshot = ingest(str(folder), store).snapshot
    assert np.allclose(snapshot.scenes[0].rings, [[(x / 2, y / 2) for x, y in SQUARE]], atol=0.01)
    assert reasons(snapshot) == {"1.png": "annotated at 120 x 80 pixels, but the file has 80 x 120"}


def test_an_image_annotated_in_two_exports_is_used_once_and_said(tmp_path: Path, store: FolderStore) -> None:
    folder = write_places(tmp_path / "in", 9)
    (folder / "second.json").write_text(json.dumps([task("4.png", [SQUARE, SQUARE], by=2)]))
    snapshot = ingest(str(folder), store).snapshot
    assert "that of 'second.json' was used, by name the last" in reasons(snapshot)["4.png"]
    assert [len(scene.rings) for scene in snapshot.scenes].count(2) == 1
    assert len(snapshot.scenes) == 9


def test_of_an_image_in_two_sources_the_first_ones_annotation_counts(tmp_path: Path, store: FolderStore) -> None:
    one = write_places(tmp_path / "one", 6)
    other = write_places(tmp_path / "other", 6, 4)
    text = (other / "export.json").read_text()
    (other / "export.json").write_text(text.replace('"completed_by": 1', '"completed_by": 2'))
    snapshot = ingest(str(one), store, also=[str(other)]).snapshot
    assert len(snapshot.scenes) == len({scene.sha256 for scene in snapshot.scenes}) == 10
    assert {scene.annotator for scene in snapshot.scenes if scene.name in ("4.png", "5.png")} == {"label-studio:1"}
    assert set(reasons(snapshot)) == {"4.png", "5.png"}
    assert "in another source too" in reasons(snapshot)["4.png"]


def test_scenes_of_another_source_teach_and_test_only_if_a_person_says_so(tmp_path: Path, store: FolderStore) -> None:
    reviewed, corrected = write_places(tmp_path / "in", 10), write_places(tmp_path / "corrected", 30, 10)
    alone = ingest(str(reviewed), store).snapshot
    beside = ingest(str(reviewed), store, also=[str(corrected)]).snapshot
    assert {scene.sha256 for scene in beside.test} == {scene.sha256 for scene in alone.test}
    assert len(beside.train) == len(alone.train) + 30
    insisted = ingest(str(reviewed), store, also=[str(corrected)], also_test=True).snapshot
    assert len(insisted.test) > len(alone.test)


def test_a_correction_of_what_a_test_scene_shows_is_left_out(tmp_path: Path, store: FolderStore) -> None:
    reviewed, corrected = write_places(tmp_path / "in", 10), tmp_path / "corrected"
    alone = ingest(str(reviewed), store).snapshot
    jpegs = {
        f"again-{n}.jpg": cv2.imencode(".jpg", cv2.cvtColor(picture(n), cv2.COLOR_RGB2BGR))[1].tobytes()
        for n in range(10)
    }
    write_images(corrected, jpegs)
    (corrected / "export.json").write_text(json.dumps([task(name, [SQUARE]) for name in jpegs]))
    beside = ingest(str(reviewed), store, also=[str(corrected)]).snapshot
    assert [scene.name for scene in beside.test] == [scene.name for scene in alone.test]
    left_out = {f"again-{scene.name.removesuffix('.png')}.jpg" for scene in alone.test}
    assert {image for image, why in reasons(beside).items() if "spoil the test" in why} == left_out
    assert len(beside.train) == len(alone.train) + 10 - len(left_out)


def test_linked_folders_are_looked_into_and_dead_links_cost_themselves(tmp_path: Path, store: FolderStore) -> None:
    elsewhere = write_places(tmp_path / "elsewhere", 6)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "export.json").symlink_to(elsewhere / "export.json")
    (folder / "linked").symlink_to(elsewhere / "images")
    (elsewhere / "images" / "back").symlink_to(folder)
    (folder / "again").symlink_to(folder / "linked")
    (folder / "above").symlink_to(tmp_path)
    (elsewhere / "images" / "5.png").unlink()
    (elsewhere / "images" / "5.png").symlink_to(tmp_path / "nowhere.png")
    snapshot = ingest(str(folder), store).snapshot
    assert len(snapshot.scenes) == 5
    assert reasons(snapshot) == {"5.png": "the file is gone, or a link that leads nowhere"}


def test_near_duplicates_share_a_group_and_a_side_of_the_split(tmp_path: Path, store: FolderStore) -> None:
    folder = tmp_path / "in"
    images = {f"{n}.png": encode_png(picture(n)) for n in range(12)}
    for n in range(12):
        brighter = np.clip(picture(n) * 1.05 + 4, 0, 255).astype(np.uint8)
        images[f"{n}-again.jpg"] = cv2.imencode(".jpg", cv2.cvtColor(brighter, cv2.COLOR_RGB2BGR))[1].tobytes()
    write_images(folder, images)
    (folder / "export.json").write_text(json.dumps([task(name, [SQUARE]) for name in images]))
    snapshot = ingest(str(folder), store).snapshot
    assert len({scene.group for scene in snapshot.scenes}) == 12
    assert not {scene.group for scene in snapshot.test} & {scene.group for scene in snapshot.train}
    assert 0 < len(snapshot.test) <= 6


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "There is no folder"),
        (lambda folder: folder.mkdir(), "holds no PNG, JPEG, WebP or TIFF image"),
        (lambda folder: write_images(folder, {"a.png": b""}), "holds 1 images but no annotation file"),
        (lambda folder: write_images(folder, {"a.png": b"", "a.json": b"{}"}), "'a.json' is no annotation file"),
        (lambda folder: write_images(folder, {"a.png": b"", "a.json": b"\xff\xfe"}), "'a.json' is no text in UTF-8"),
    ],
)
def test_a_source_that_is_no_dataset_is_a_sentence(
    tmp_path: Path, store: FolderStore, make: object, sentence: str
) -> None:
    assert callable(make)
    make(tmp_path / "in")
    with pytest.raises((DatasetError, AnnotationError), match=sentence):
        ingest(str(tmp_path / "in"), store)


class FullAfter(FolderStore):
    """A store whose disk is full after a number of writes."""

    def __init__(self, folder: Path, left: int) -> None:
        super().__init__(folder)
        self.left = left

    def write(self, key: str, data: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreError("No space is left")
        super().write(key, data)


@pytest.mark.parametrize("written", [0, 4, 10, 11])
def test_a_full_disk_leaves_the_dataset_as_it_was(tmp_path: Path, store: FolderStore, written: int) -> None:
    """Of ten images, the manifest and the pointer to it, in this order."""
    before = ingest(str(write_places(tmp_path / "before", first=50)), store).snapshot
    folder = str(write_places(tmp_path / "in"))
    with pytest.raises(StoreError, match="No space"):
        ingest(folder, FullAfter(store.root, written))
    assert load_snapshot(store) == before
    assert ingest(folder, store).copied == max(0, 10 - written)
    assert load_snapshot(store).scenes[0].name == "0.png"


def test_without_a_dataset_one_is_told_to_ingest(store: FolderStore) -> None:
    with pytest.raises(DatasetError, match=r"no dataset snapshot 'latest' .* Run `parking ingest"):
        load_snapshot(store)


def test_a_manifest_that_was_torn_is_named(tmp_path: Path, store: FolderStore) -> None:
    version = ingest(str(write_places(tmp_path / "in")), store).snapshot.version
    store.write(f"datasets/snapshots/{version}.json", b'{"version": ')
    with pytest.raises(DatasetError, match=f"'{version}'.* is damaged"):
        load_snapshot(store, version)
    assert len(ingest(str(tmp_path / "in"), store).snapshot.scenes) == 10
    assert load_snapshot(store).version == version


def test_an_image_gone_from_the_store_is_named(tmp_path: Path, store: FolderStore) -> None:
    scene = ingest(str(write_places(tmp_path / "in")), store).snapshot.scenes[0]
    store.delete(scene.image)
    with pytest.raises(DatasetError, match=r"'0\.png'.* is gone"):
        load_raster(store, scene)


def test_a_bucket_is_ingested_into_a_bucket(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket("dataset-tests")
    base = f"s3://dataset-tests/{uuid4().hex}"
    folder = write_places(tmp_path / "in")
    source, target = open_store(f"{base}/in"), open_store(f"{base}/out")
    for key in FolderStore(folder).keys(""):
        source.write(key, (folder / key).read_bytes())
    found = ingest(f"{base}/in", target)
    assert (found.copied, found.is_new) == (10, True)
    assert found.snapshot.version == ingest(str(folder), FolderStore(tmp_path / "store")).snapshot.version
    assert np.array_equal(load_raster(target, load_snapshot(target).scenes[0]).pixels, picture(0))


def test_progress_counts_to_the_end(tmp_path: Path, store: FolderStore) -> None:
    seen: list[tuple[int, int]] = []
    ingest(str(write_places(tmp_path / "in", 4)), store, progress=lambda done, total, what: seen.append((done, total)))
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
