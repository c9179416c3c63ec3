"""A store in an S3 bucket: AWS, MinIO, or any other that speaks its protocol."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from parking.errors import StoreError
from parking.settings import clean_environment
from parking.store_keys import check_key, missing_key

__all__ = ["S3Store", "endpoint"]

_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT")
_LOCAL_HOSTS = ("localhost", "127.", "[::1]")
_CONFIG = Config(
    connect_timeout=5,
    # Three tries of it are the longest that anything waits for a server that takes a request and never answers.
    read_timeout=15,
    retries={"max_attempts": 3, "mode": "standard"},
    # MinIO and its like rarely have a DNS name a bucket, and older ones refuse the newer checksums.
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
_TRANSFER = TransferConfig(multipart_threshold=32 * 2**20, multipart_chunksize=16 * 2**20, max_concurrency=4)
_REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_ABSENT = {"404", "NoSuchKey", "NotFound"}


def endpoint() -> str | None:
    """The S3 server that the environment names, or None for AWS itself.

    `AWS_S3_ENDPOINT` may lack the scheme, as on Onyxia: then it is https, but http for this machine or where
    `AWS_HTTPS` says no.
    """
    named = next((value for name in _ENDPOINT_VARIABLES if (value := os.environ.get(name, "").strip())), None)
    if named is None or "://" in named:
        return named
    plain = named.startswith(_LOCAL_HOSTS) or os.environ.get("AWS_HTTPS", "").lower() in ("no", "false", "0")
    return f"{'http' if plain else 'https'}://{named}"


class S3Store:
    """A store in a bucket; a key is an object's name after the prefix."""

    def __init__(self, url: str) -> None:
        clean_environment()
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not self._bucket:
            raise StoreError(f"'{url}' names no bucket. Give s3://bucket/prefix.")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.url = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        self._endpoint = endpoint()
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        with self._failures("opening"):
            # A session of its own: boto3's shared one keeps the first keys it saw, and is not safe between threads.
            session = boto3.Session(region_name=region)
            self._client = session.client("s3", endpoint_url=self._endpoint, config=_CONFIG)
            # A listing, not a HEAD: its answer has a body that says why it refuses.
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        with self._failures("reading", key):
            return self._client.get_object(Bucket=self._bucket, Key=self._name(key))["Body"].read()

    def write(self, key: str, data: bytes) -> None:
        """See `Store.write`: one put, or a multipart upload that shows when it is complete."""
        with self._failures("writing", key):
            self._client.upload_fileobj(io.BytesIO(data), self._bucket, self._name(key), Config=_TRANSFER)

    def exists(self, key: str) -> bool:
        """See `Store.exists`."""
        name = self._name(key)
        try:
            self._client.head_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if _code(error) in _ABSENT:
                return False
            self._raise(error, "looking for", key)
        except BotoCoreError as error:
            self._raise(error, "looking for", key)
        return True

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with self._failures("deleting", key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See `Store.keys`; S3 lists in order."""
        return (key for key, _ in self.tags(prefix))

    def tags(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """See `Store.tags`: S3 calls it the ETag."""
        with self._failures("listing", prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for entry in page.get("Contents", ()):
                    if not entry["Key"].endswith("/"):
                        yield entry["Key"].removeprefix(self._prefix), entry["ETag"]

    def size(self, key: str) -> int:
        """See `Store.size`."""
        with self._failures("reading", key):
            return self._client.head_object(Bucket=self._bucket, Key=self._name(key))["ContentLength"]

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    @contextmanager
    def _failures(self, doing: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError, Boto3Error, ValueError) as error:
            self._raise(error, doing, key)

    def _raise(self, error: Exception, doing: str, key: str) -> NoReturn:
        """Say in a sentence what S3 said in codes."""
        where = self._endpoint or "AWS"
        code = _code(error)
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            reason = f"there are no keys for {where}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        elif code == "NoSuchBucket" or (code in _ABSENT and not key):
            reason = f"{where} has no bucket '{self._bucket}'. Create it, or correct the store's address."
        elif code in _ABSENT:
            raise missing_key(key, self.url) from error
        elif code in _REFUSED:
            reason = (
                f"{where} refused the keys ({code}). Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their rights."
            )
        elif code:
            reason = f"{where} answered {code}: {error}."
        else:
            reason = f"{where} cannot be reached: {error}. Check AWS_ENDPOINT_URL and the network."
        what = f"{doing} '{key}' in {self.url}" if key else f"{doing} {self.url}"
        raise StoreError(f"S3 failed at {what}: {reason}") from error


def _code(error: BaseException | None) -> str:
    """S3's code for an error, also where boto3 has wrapped it; empty where S3 never answered."""
    while error is not None:
        if isinstance(error, ClientError):
            return str(error.response.get("Error", {}).get("Code", "unknown"))
        error = error.__cause__ or error.__context__
    return ""
