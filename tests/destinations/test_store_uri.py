"""URIs of object stores: what they name, the keys in them, and what is said of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.destinations.access import Access
from redoubt.destinations.object_store import ObjectStoreDestination
from redoubt.destinations.store_uri import Addressing, Scheme, StorePlace, UriError, parse_place, without_keys
from redoubt.destinations.uri import inside, open_destination

HOST = "host=s3.example.com"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"bucket?{HOST}", StorePlace(Scheme.S3, "bucket", "", "https://s3.example.com")),
        (f"bucket/?{HOST}", StorePlace(Scheme.S3, "bucket", "", "https://s3.example.com")),
        (f"bu.ck-et/a/b/?{HOST}", StorePlace(Scheme.S3, "bu.ck-et", "a/b", "https://s3.example.com")),
        (
            "bucket/a?host=http://127.0.0.1:9000&addressing_model=path_style&s3_region=eu-west-1",
            StorePlace(Scheme.S3, "bucket", "a", "http://127.0.0.1:9000", "eu-west-1", Addressing.PATH),
        ),
        (
            f"bucket/备份?{HOST}&checksum_type=crc32&delete_mode=delete",
            StorePlace(Scheme.S3, "bucket", "备份", "https://s3.example.com"),
        ),
        ("bucket?host=[::1]:9000", StorePlace(Scheme.S3, "bucket", "", "https://[::1]:9000")),
    ],
)
def test_a_uri_names_a_folder_in_a_bucket(text: str, place: StorePlace) -> None:
    """As OceanBase spells it: host without the bucket, https unless it says http."""
    assert parse_place(Scheme.S3, text) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bucket", "name the store's host"),
        ("bucket?host=", "name the store's host"),
        ("bucket?host=ftp://x", "name the store's host"),
        ("bucket?host=x/y", "name the store's host"),
        (f"b?{HOST}", "3 to 63 small letters"),
        (f"Bucket?{HOST}", "3 to 63 small letters"),
        (f"?{HOST}", "3 to 63 small letters"),
        (f"bucket/a//b?{HOST}", "single slashes"),
        (f"bucket/../b?{HOST}", "single slashes"),
        (f"bucket/{'x' * 1025}?{HOST}", "at most 1,024 characters"),
        (f"bucket?{HOST}&host=y", "host is given twice"),
        (f"bucket?{HOST}&Host=y", "'Host' is not supported: the part after . has access_id, access_key, host"),
        (f"bucket?{HOST}&s3_region", "'s3_region' is not supported"),
        (f"bucket?{HOST}&s3_region={'x' * 257}", "s3_region is too long: write at most 256"),
        (f"bucket?{HOST}&addressing_model=other", "addressing_model is virtual_hosted_style or path_style"),
        (f"bucket?{HOST}&checksum_type=sha1", "checksum_type is md5 or crc32 or no_checksum"),
        (f"bucket?{HOST}&appid=1", "appid is only for cos://: leave it out"),
        ("bucket?host=x.example.com/account", "name the store's host"),
        (f"bucket?{HOST}&delete_mode=tagging", "delete_mode=tagging is not supported: leave delete_mode out"),
        (f"bucket?{HOST}&encrypt_key=ab", "contains encrypt_key, which is not a valid uri"),
        (f"bucket/a b?{HOST}", "a space or a zero byte"),
        (f"bucket/a\0b?{HOST}", "a space or a zero byte"),
        (f"bucket?{HOST}&access_id=a&access_key=b", "leave access_id and access_key out of the URI, which others can"),
    ],
)
def test_other_texts_are_refused_with_the_way_to_write_it(text: str, said: str) -> None:
    """The message says how it should look."""
    with pytest.raises(UriError, match=said):
        parse_place(Scheme.S3, text)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (
            "oss://bucket/a?host=oss-cn-hangzhou.aliyuncs.com",
            StorePlace(Scheme.OSS, "bucket", "a", "https://oss-cn-hangzhou.aliyuncs.com"),
        ),
        (
            "cos://bucket?host=cos.ap-guangzhou.myqcloud.com&appid=1250000000",
            StorePlace(Scheme.COS, "bucket-1250000000", "", "https://cos.ap-guangzhou.myqcloud.com"),
        ),
        (
            "cos://bucket-125?host=cos.ap-guangzhou.myqcloud.com&appid=125",
            StorePlace(Scheme.COS, "bucket-125", "", "https://cos.ap-guangzhou.myqcloud.com"),
        ),
        (
            "azblob://container/a?host=https://account.blob.core.windows.net",
            StorePlace(Scheme.AZBLOB, "container", "a", "https://account.blob.core.windows.net"),
        ),
        (
            "azblob://container?host=http://127.0.0.1:10000/devstoreaccount1",
            StorePlace(Scheme.AZBLOB, "container", "", "http://127.0.0.1:10000/devstoreaccount1"),
        ),
    ],
)
def test_each_kind_of_store_has_its_own_options(uri: str, place: StorePlace) -> None:
    """A destination opens without I/O, with keys or without."""
    scheme, _, text = uri.partition("://")

    assert parse_place(Scheme(scheme), text) == place
    for keys in ({}, {uri: Access("bmFtZQ==", "a2V5")}):
        destination = ObjectStoreDestination(uri, place, keys.get)
        assert destination._opened(keys.get(uri))[0] == keys.get(uri)
    assert isinstance(open_destination(uri), ObjectStoreDestination)


@pytest.mark.parametrize(
    ("scheme", "text", "said"),
    [
        (Scheme.COS, f"bucket?{HOST}", "name the account's appid"),
        (Scheme.COS, f"bucket?{HOST}&appid=x", "name the account's appid"),
        (Scheme.OSS, f"bucket?{HOST}&s3_region=x", "s3_region is only for s3://"),
        (Scheme.AZBLOB, f"bucket?{HOST}&addressing_model=path_style", "addressing_model is only for s3://"),
    ],
)
def test_options_of_other_kinds_are_refused(scheme: Scheme, text: str, said: str) -> None:
    """They would mean nothing."""
    with pytest.raises(UriError, match=said):
        parse_place(scheme, text)


@pytest.mark.parametrize("keys", ["access_id=a", "access_key=b", "access_id=&access_key=b"])
def test_half_a_pair_of_keys_is_refused(keys: str) -> None:
    """It would be taken for none."""
    with pytest.raises(UriError, match="give both access_id and access_key, or neither"):
        without_keys(f"bucket?{HOST}&{keys}")


@given(
    keys=st.none() | st.tuples(*[st.text("aB3/+=_-.%", min_size=1, max_size=20)] * 2),
    options=st.permutations([HOST, "s3_region=x", "addressing_model=path_style"]),
    folder=st.sampled_from(["", "/", "/a", "/a/b/"]),
)
def test_keys_are_taken_out_and_one_name_is_left(keys: tuple[str, str] | None, options: list[str], folder: str) -> None:
    """Whatever the order; the name is a URI that opens, and its own name. No key is in it."""
    typed = list(options)
    if keys is not None:
        escaped = [key.replace("%", "%25") for key in keys]
        typed[1:1] = [f"access_key={escaped[1]}", f"access_id={escaped[0]}"]
    public, found = without_keys(f"bucket{folder}?{'&'.join(typed)}")

    assert found == keys
    assert public == f"bucket{folder.rstrip('/')}?{HOST}&s3_region=x&addressing_model=path_style"
    assert without_keys(public) == (public, None)
    assert isinstance(open_destination(f"s3://{public}"), ObjectStoreDestination)


def test_a_path_inside_stands_before_the_parameters() -> None:
    """For people who read where a backup lies."""
    assert inside("file:///a/", "b/c") == "file:///a/b/c"
    assert inside(f"s3://bucket/a?{HOST}", "b/c") == f"s3://bucket/a/b/c?{HOST}"
