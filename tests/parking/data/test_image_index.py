"""Exports name images by addresses of many kinds; the image is found, or the reason says why not."""

import base64
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.data.exports.addresses import file_name, looks_like_image, paths
from parking.data.image_index import ImageIndex, NoImageError

URI = base64.b64encode(b"s3://bucket/lots/lot 1.png").decode()
NAME = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(
    lambda text: f"{text.strip() or 'x'}.png"
)


@given(name=NAME, folder=st.sampled_from(["", "deep/", "s3://bucket/", "C:\\photos\\", "/data/upload/4/"]))
def test_an_image_is_found_by_whatever_name_it_has(name: str, folder: str) -> None:
    """Percent signs, `?`, `#`, `%20`, accents: the literal name counts first."""
    others = ["other.png", "x y.png"]
    assert ImageIndex([name, *others]).find([folder + name]) == name
    for form in ("NFC", "NFD"):
        assert ImageIndex([unicodedata.normalize(form, name), *others]).find([folder + name])


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("/data/upload/1/lot%201.png", "lot 1.png"),
        ("https://host/lots/lot%201.png?X-Amz-Signature=ab%2Fc&Expires=3", "lot 1.png"),
        ("/data/local-files/?d=set%5Clot%201.png", "lot 1.png"),
        (f"/tasks/12/presign/?fileuri={URI}", "lot 1.png"),
        (f"/projects/3/resolve/?fileuri={URI.rstrip('=')}", "lot 1.png"),
        ("https://host/storage/get?file=lots/lot%201.png&v=2", "lot 1.png"),
        ("gs://bucket/LOT 1.PNG", "lot 1.png"),
        ("abcdef12-lot 1.png", "lot 1.png"),
        ("lot 1", "lot 1.png"),
    ],
)
def test_addresses_of_tools_lead_to_the_file(address: str, key: str) -> None:
    assert ImageIndex([key, "other.png"]).find([address]) == key


@pytest.mark.parametrize("address", ["http://[broken/lot.png", "/x/?fileuri=***", "?d=", "%", "s3://", "a" * 5000])
def test_no_address_is_too_odd(address: str) -> None:
    assert isinstance(paths(address), list)
    assert isinstance(file_name(address), str)
    assert looks_like_image(address) == address.endswith(".png")


IMAGES = ["train/images/1.png", "val/images/1.png", "lyon/t1.png", "paris/t1.png", "2.png"]


@pytest.mark.parametrize(
    ("address", "export", "key"),
    [
        ("train/images/1.png", "all.json", "train/images/1.png"),
        ("images/1.png", "val/coco.json", "val/images/1.png"),
        ("1.png", "val/_annotations.coco.json", "val/images/1.png"),
        ("s3://bucket/set/lyon/t1.png", "all.json", "lyon/t1.png"),
        ("/home/me/paris/t1.png", "exports/all.json", "paris/t1.png"),
        ("../2.png", "lyon/export.json", "2.png"),
    ],
)
def test_folders_tell_images_of_one_name_apart(address: str, export: str, key: str) -> None:
    assert ImageIndex(IMAGES).find([address], export) == key


def test_what_nothing_tells_apart_is_not_guessed() -> None:
    with pytest.raises(NoImageError, match=r"2 images have this name: lyon/t1\.png, paris/t1\.png; name it with its"):
        ImageIndex(IMAGES).find(["t1.png"], "all.json")
    with pytest.raises(NoImageError, match=r"2 images could be meant: a\.png, A\.PNG; name it in full"):
        ImageIndex(["a.png", "A.PNG"]).find(["A.png"])
    with pytest.raises(NoImageError, match="no image file of this name"):
        ImageIndex(IMAGES).find(["3.png", ""])
