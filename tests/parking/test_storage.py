"""The store keeps the same promises over a folder and over a real S3 server."""

import errno
import io
import os
import socket
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from parking.errors import MissingKeyError, StoreError
from parking.s3 import endpoint
from parking.storage import FolderStore, Store, open_store
from tests.servers import S3Server


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket("storage-tests")
    return f"s3://storage-tests/{uuid4().hex[:12]}"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.e2e)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3_url")
    return open_store(url)


def test_what_is_written_is_read_back(store: Store) -> None:
    store.write("a/b.bin", b"\0\xff" * 1000)
    assert store.read("a/b.bin") == b"\0\xff" * 1000
    assert store.size("a/b.bin") == 2000
    assert store.exists("a/b.bin")


def test_a_second_write_replaces_the_first_everywhere(store: Store) -> None:
    store.write("latest", b"one")
    assert store.read("latest") == b"one"
    store.write("latest", b"two")
    assert store.read("latest") == b"two"


def test_a_missing_key_is_named(store: Store) -> None:
    assert not store.exists("no/such")
    for ask in (store.read, store.size):
        with pytest.raises(MissingKeyError, match="no/such"):
            ask("no/such")
    store.delete("no/such")


def test_keys_come_sorted_and_by_prefix(store: Store) -> None:
    for key in ("b/2", "a", "b/10", "bc", "b/1/x"):
        store.write(key, b"")
    assert list(store.keys()) == ["a", "b/1/x", "b/10", "b/2", "bc"]
    assert list(store.keys("b/1")) == ["b/1/x", "b/10"]
    assert list(store.keys("b/")) == ["b/1/x", "b/10", "b/2"]
    assert list(store.keys("none/here")) == []
    store.delete("b/10")
    assert list(store.keys("b/1")) == ["b/1/x"]


def test_a_tag_changes_with_the_value_even_where_its_size_does_not(store: Store) -> None:
    for key in ("b/2", "a", "b/10"):
        store.write(key, b"one")
    before = dict(store.tags("b/"))
    assert list(before) == ["b/10", "b/2"]
    assert dict(store.tags("b/")) == before
    store.write("b/2", b"two")
    after = dict(store.tags("b/"))
    assert after["b/10"] == before["b/10"]
    assert after["b/2"] != before["b/2"]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../out", "a/../../out", "a/./b", "nul\0"])
def test_a_key_cannot_leave_its_store(store: Store, key: str) -> None:
    for ask in (store.read, store.exists, store.delete):
        with pytest.raises(StoreError, match="is no key"):
            ask(key)
    with pytest.raises(StoreError, match="is no key"):
        store.write(key, b"")


def test_a_reader_never_sees_half_a_value(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    values = [bytes([letter]) * 400_000 for letter in b"ab"]
    store.write("value", values[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(40):
            store.write("value", values[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = {store.read("value") for _ in iter(done.is_set, True)}
    writer.join()
    assert seen <= set(values)


class _FullDisk(io.FileIO):
    """A file on a disk that has room for ten bytes."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_value_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    store.write("value", b"old")
    monkeypatch.setattr(Path, "open", lambda path, mode: _FullDisk(str(path), "w"))
    with pytest.raises(StoreError, match=r"No space is left .* 'value' \(5000 bytes\)"):
        store.write("value", b"n" * 5000)
    monkeypatch.undo()
    assert store.read("value") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["value"]


def test_what_another_writer_has_not_finished_is_no_key(tmp_path: Path) -> None:
    (tmp_path / ".partial-123").write_bytes(b"half")
    assert list(FolderStore(tmp_path).keys()) == []


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="is a file"):
        open_store(str(tmp_path / "file"))


@pytest.mark.parametrize("url", ["", "gs://bucket", "s3://"])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="Give"):
        open_store(url)


def test_a_large_value_goes_in_parts_and_comes_back_whole(s3_url: str) -> None:
    store, value = open_store(s3_url), os.urandom(33 * 2**20)
    store.write("large", value)
    assert store.read("large") == value


def test_stores_of_one_bucket_do_not_see_each_other(s3_url: str) -> None:
    one, other = open_store(f"{s3_url}/one"), open_store(f"{s3_url}/other")
    one.write("key", b"1")
    assert list(other.keys()) == []
    assert list(open_store(s3_url).keys()) == ["one/key"]


def test_a_missing_bucket_is_a_sentence(s3_url: str) -> None:
    with pytest.raises(StoreError, match=r"no bucket 'never-made'\. Create it"):
        open_store("s3://never-made/prefix")


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_bad_key_is_refused_in_a_sentence(s3_url: str, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "wrong")
    with pytest.raises(StoreError, match="refused the keys"):
        open_store(s3_url)


@pytest.mark.parametrize("ending", ["\n", " ", "\r\n"])
def test_a_key_out_of_a_secret_made_with_echo_is_taken_without_its_line_break(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(variable, os.environ[variable] + ending)
    open_store(s3_url).write("key", b"1")
    assert open_store(s3_url).read("key") == b"1"


def test_absent_keys_are_a_sentence(s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreError, match="Set AWS_ACCESS_KEY_ID"):
        open_store(s3_url)


def test_a_server_out_of_reach_is_a_sentence(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(StoreError, match=f"{address} cannot be reached"):
        open_store(s3_url)


def test_an_endpoint_without_scheme_is_understood(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_S3_ENDPOINT", bare)
    store = open_store(s3_url)
    store.write("key", b"1")
    assert store.exists("key")
    monkeypatch.setenv("AWS_S3_ENDPOINT", "minio.lab.sspcloud.fr")
    assert endpoint() == "https://minio.lab.sspcloud.fr"
