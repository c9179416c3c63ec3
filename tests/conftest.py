"""Fixtures that more than one room uses."""

from collections.abc import Iterator

import pytest

from tests.servers import S3Server, weed


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, one for the whole run: give each test a bucket or prefix of its own."""
    with weed(tmp_path_factory.mktemp("weed")) as server:
        yield server
