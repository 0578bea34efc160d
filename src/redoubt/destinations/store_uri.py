"""URIs of object stores, as OceanBase spells them: `s3://bucket/path?host=…&access_id=…&access_key=…`. Pure.

The schemes are `s3`, `oss` (Alibaba Cloud), `cos` (Tencent Cloud) and `azblob` (Azure; the bucket is a container).

Keys of the part after `?` are case-sensitive (OceanBase 4.x). The URI without the two keys of the account names the
destination; see `access`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import quote, unquote

from redoubt.errors import RedoubtError


class Scheme(StrEnum):
    """The kinds of object stores."""

    S3 = "s3"
    OSS = "oss"
    COS = "cos"
    AZBLOB = "azblob"


_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_HOST = re.compile(
    r"(?P<scheme>https?://)?([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?(?P<path>/[a-z0-9]{3,24})?\Z"
)
_SECRET: Final = ("access_id", "access_key")
_KNOWN: Final = ("host", "appid", "s3_region", "addressing_model", "checksum_type", "delete_mode")
_OWN: Final = {"appid": {Scheme.COS}, "s3_region": {Scheme.S3}, "addressing_model": {Scheme.S3}}
"""The schemes of options that only some have."""
_PLAIN = ":/[]"
_LONGEST_VALUE = 256
_LONGEST_PATH = 1024
E = TypeVar("E", bound=StrEnum)
_DEFAULT_REGION = "us-east-1"
_DEFAULTS = {
    "s3_region": _DEFAULT_REGION,
    "addressing_model": "virtual_hosted_style",
    "delete_mode": "delete",
    "checksum_type": "md5",
}
"""What means the same as nothing, so that one destination has one name."""


class UriError(RedoubtError):
    """The text does not name a destination; the message gives the right form."""


class Addressing(StrEnum):
    """Where the bucket's name stands in a request: in the host's name, or in the path."""

    VIRTUAL_HOST = "virtual_hosted_style"
    PATH = "path_style"


class Checksum(StrEnum):
    """With which checksum the store checks what it receives."""

    MD5 = "md5"
    CRC32 = "crc32"
    NONE = "no_checksum"


@dataclass(frozen=True)
class StorePlace:
    """A folder in a bucket. `endpoint` is a URL without the bucket; `folder` has no `/` at its ends."""

    scheme: Scheme
    bucket: str
    folder: str
    endpoint: str
    region: str = _DEFAULT_REGION
    addressing: Addressing = Addressing.VIRTUAL_HOST


def parse_place(scheme: Scheme, text: str) -> StorePlace:
    """The place that the text after `s3://` names. Raises UriError, also if it holds keys of an account."""
    path, options = _split(text)
    for name, schemes in _OWN.items():
        if name in options and scheme not in schemes:
            raise UriError(f"{name} is only for {' and '.join(schemes)}://: leave it out")
    if secret := [name for name in _SECRET if name in options]:
        raise UriError(
            f"leave {' and '.join(secret)} out of the URI, which others can see: put the keys into the environment "
            "variables REDOUBT_ACCESS_ID and REDOUBT_ACCESS_KEY"
        )
    bucket, _, folder = path.partition("/")
    if scheme is Scheme.COS:
        bucket = _with_appid(bucket, options.get("appid", ""))
    if not _BUCKET.match(bucket):
        raise UriError("the name of a bucket has 3 to 63 small letters, digits, dots and hyphens")
    folder = folder.strip("/")
    if len(folder) > _LONGEST_PATH or any(part in {"", ".", ".."} for part in folder.split("/") if folder):
        raise UriError(
            f"write the path as names with single slashes between them, at most {_LONGEST_PATH:,} characters"
        )
    return StorePlace(
        scheme,
        bucket,
        folder,
        _endpoint(scheme, options.get("host", "")),
        options.get("s3_region", _DEFAULT_REGION),
        _one_of(Addressing, "addressing_model", options, Addressing.VIRTUAL_HOST),
    )


def without_keys(text: str) -> tuple[str, tuple[str, str] | None]:
    """The text after `s3://` without the account's keys, and these: access_id and access_key. Raises UriError.

    The rest is in one order, so that one destination has one URI.
    """
    path, options = _split(text)
    found = [options.pop(name, None) for name in _SECRET]
    bucket, _, folder = path.partition("/")
    path = f"{bucket}/{folder.strip('/')}".rstrip("/")
    options["host"] = _shortest(options.get("host", "").lower())
    kept = {name: value for name, value in options.items() if value and value != _DEFAULTS.get(name)}
    public = f"{path}?{'&'.join(f'{name}={quote(kept[name], safe=_PLAIN)}' for name in _KNOWN if name in kept)}"
    public = public.rstrip("?")
    access_id, access_key = found
    if not access_id and not access_key:
        return public, None
    if not access_id or not access_key:
        raise UriError("give both access_id and access_key, or neither")
    return public, (access_id, access_key)


def _split(text: str) -> tuple[str, dict[str, str]]:
    path, _, rest = text.partition("?")
    options: dict[str, str] = {}
    for part in filter(None, rest.split("&")):
        name, separator, value = part.partition("=")
        if name == "encrypt_key":
            raise UriError("backup destination contains encrypt_key, which is not a valid uri")
        if name not in (*_KNOWN, *_SECRET) or not separator:
            raise UriError(f"{name[:64]!r} is not supported: the part after ? has {', '.join((*_SECRET, *_KNOWN))}")
        if name in options:
            raise UriError(f"{name} is given twice: give it once")
        if name == "s3_region" and not value:
            raise UriError("s3_region is empty: name the region, or leave s3_region out")
        if len(value) > _LONGEST_VALUE:
            raise UriError(f"{name} is too long: write at most {_LONGEST_VALUE} characters")
        options[name] = unquote(value)
    if "\0" in text or any(character.isspace() for character in text):
        raise UriError("the URI contains a space or a zero byte: remove it")
    _one_of(Checksum, "checksum_type", options, Checksum.MD5)
    if options.get("delete_mode", "delete") != "delete":
        raise UriError("delete_mode=tagging is not supported: leave delete_mode out")
    return path, options


def _shortest(host: str) -> str:
    """A host without what is the default."""
    host = host.removeprefix("https://")
    return host if host.startswith("http://") else host.removesuffix(":443")


def _with_appid(bucket: str, appid: str) -> str:
    """The bucket's whole name in COS. Raises UriError."""
    if not (appid.isascii() and appid.isdecimal()):
        raise UriError("name the account's appid: cos://bucket/path?host=…&appid=1250000000")
    return bucket if bucket.endswith(f"-{appid}") else f"{bucket}-{appid}"


def _endpoint(scheme: Scheme, host: str) -> str:
    """The URL of a host, with https unless it says http. Raises UriError."""
    match = _HOST.match(host)
    if match is None or (match["path"] and scheme is not Scheme.AZBLOB):
        raise UriError(f"name the store's host, without the bucket: {scheme}://bucket/path?host=store.example.com")
    return host if match["scheme"] else f"https://{host}"


def _one_of(kind: type[E], name: str, options: dict[str, str], default: E) -> E:
    try:
        return kind(options.get(name, default))
    except ValueError:
        raise UriError(f"{name} is {' or '.join(kind)}") from None
