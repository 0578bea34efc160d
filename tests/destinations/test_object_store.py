"""A real S3 server behind a network that fails: what is retried, what is refused, what it costs, and what is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redoubt.destinations.access import ACCESS_FILE, ACCESS_ID, ACCESS_KEY, Access, AccessFile
from redoubt.destinations.object_store import ObjectStoreDestination
from redoubt.destinations.store_uri import Scheme, parse_place
from redoubt.model.seams import (
    DestinationError,
    LockedError,
    NotPermittedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
)
from tests.destinations import rgw as server
from tests.destinations.fixtures import BUCKET
from tests.destinations.proxy import Fault, Proxy, proxy
from tests.destinations.rgw import Rgw

CONTENT = os.urandom(300_000)


@pytest.fixture
def network(rgw: Rgw) -> Iterator[Proxy]:
    """The network before the server."""
    with proxy(rgw.port) as running:
        yield running


@pytest.fixture
def store(bucket_uri: str, rgw: Rgw, network: Proxy) -> ObjectStoreDestination:
    """An empty folder, reached through that network."""
    return _opened(bucket_uri.replace(str(rgw.port), str(network.port)))


def _opened(uri: str) -> ObjectStoreDestination:
    return ObjectStoreDestination(uri, parse_place(Scheme.S3, uri.removeprefix("s3://")))


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.CUT_REQUEST])
def test_a_request_that_did_not_arrive_is_sent_again(
    store: ObjectStoreDestination, network: Proxy, fault: Fault
) -> None:
    """At once, without a word."""
    network.once(fault, "PUT")
    store.put_if_absent("a/object", CONTENT)

    assert store.get("a/object", 0, len(CONTENT) + 1) == CONTENT
    assert list(network.requests) == ["PUT", "PUT", "GET"]


def test_a_put_whose_answer_was_lost_finds_its_own_object(store: ObjectStoreDestination, network: Proxy) -> None:
    """That counts as stored. Another object of that name does not."""
    network.once(Fault.LOSE_ANSWER, "PUT")
    store.put_if_absent("a/object", CONTENT)
    assert store.get("a/object", 0, len(CONTENT) + 1) == CONTENT
    assert list(network.requests) == ["PUT", "PUT", "GET", "GET"]
    network.once(Fault.CUT_REQUEST, "PUT")
    with pytest.raises(ObjectExistsError, match="a/object exists already"):
        store.put_if_absent("a/object", CONTENT[1:])
    with pytest.raises(ObjectExistsError):
        store.put_if_absent("a/object", CONTENT)


@pytest.mark.parametrize("length", [100, len(CONTENT), len(CONTENT) + 1])
def test_an_answer_that_is_cut_is_asked_for_again(store: ObjectStoreDestination, network: Proxy, length: int) -> None:
    """No part of an object passes for the whole."""
    store.put_if_absent("a/object", CONTENT)
    network.once(Fault.CUT_ANSWER, "GET")

    assert store.get("a/object", 0, length) == CONTENT[:length]


def test_a_server_that_stays_busy_is_told_of(store: ObjectStoreDestination, network: Proxy) -> None:
    """With the cause, after three tries; when it is no longer busy, all goes on."""
    network.always(Fault.BUSY, "PUT")
    with pytest.raises(DestinationError, match=r"a/object: SlowDown \(the store limits the rate of requests\)$"):
        store.put_if_absent("a/object", CONTENT)
    assert list(network.requests) == ["PUT"] * 3
    network.always(Fault.NONE, "PUT")
    store.put_if_absent("a/object", CONTENT)


def test_a_server_that_is_gone_is_told_of(store: ObjectStoreDestination, network: Proxy) -> None:
    """Every operation says so; nothing that needs an answer is taken for empty."""
    store.put_if_absent("a/object", b"1")
    target, network.target = network.target, 1
    operations = (
        lambda: store.put_if_absent("a/other", b""), lambda: store.get("a/object", 0, 1), lambda: store.list("a"),
        lambda: store.folders(""), lambda: store.delete("a/object"), lambda: store.lock("a/writer", "worker"),
        lambda: store.share("a/writer"), store.probe,
    )  # fmt: skip
    for operation in operations:
        with pytest.raises(DestinationError, match="connection closed") as failed:
            operation()
        assert not isinstance(failed.value, ObjectMissingError | ObjectExistsError | LockedError)
    network.target = target

    assert [ObjectInfo("a/object", 1)] == list(store.list("a"))


def test_a_store_without_preconditions_is_refused(store: ObjectStoreDestination, network: Proxy) -> None:
    """It could not keep two writers apart. Nothing of the probe is left."""
    network.always(Fault.UNCONDITIONAL, "PUT")
    with pytest.raises(DestinationError, match="choose a store that supports conditional writes"):
        store.probe()

    assert list(store.list("")) == []


def test_a_bucket_with_versions_is_refused_where_preconditions_do_not_hold(rgw: Rgw, bucket_uri: str) -> None:
    """Ceph ignores them there: the probe notices that."""
    rgw.make_bucket("versions")
    rgw.keep_versions("versions")
    store = _opened(bucket_uri.replace(BUCKET, "versions", 1))
    with pytest.raises(DestinationError, match="does not in a bucket with versioning"):
        store.probe()


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_rights_that_are_missing_are_named(store: ObjectStoreDestination, network: Proxy, method: str) -> None:
    """By the probe, with what to allow; a refusal is not tried again."""
    network.always(Fault.DENIED, method)
    with pytest.raises(DestinationError, match=r"AccessDenied \(allow the account to read, write, list and delete"):
        store.probe()


def test_what_an_operation_costs(store: ObjectStoreDestination, network: Proxy) -> None:
    """In requests: one to store, one to read however much; a small part that is not there, three."""
    store.put_if_absent("a/object", CONTENT)
    for length in (100, len(CONTENT), len(CONTENT) * 2):
        store.get("a/object", 0, length)
    store.get("a/object", 1000, 100)
    assert list(network.requests) == ["PUT", *["GET"] * 4]
    assert store.get("a/object", len(CONTENT) - 1, 100) == CONTENT[-1:]
    assert list(network.requests)[5:] == ["GET", "HEAD", "GET"]


@pytest.mark.parametrize(
    ("access", "bucket", "hint"),
    [
        (Access(server.ACCESS_ID, "wrong"), BUCKET, "SignatureDoesNotMatch (the access_key is wrong"),
        (Access("NOBODY", server.ACCESS_KEY), BUCKET, "InvalidAccessKeyId (the store does not know this access_id"),
        (Access(server.ACCESS_ID, server.ACCESS_KEY), "no-such-bucket", "NoSuchBucket (create the bucket, or correct"),
    ],
)
def test_what_a_person_must_mend_is_said(rgw: Rgw, access: Access, bucket: str, hint: str) -> None:
    """With the store's own word for it, and without any key."""
    uri = rgw.uri(bucket, "folder")
    store = ObjectStoreDestination(uri, parse_place(Scheme.S3, uri.removeprefix("s3://")), lambda _: access)
    for operation in (lambda: store.put_if_absent("o", b""), lambda: store.list(""), lambda: store.get("o", 0, 1)):
        with pytest.raises(DestinationError) as failed:
            operation()
        assert hint in str(failed.value)
        for secret in (server.ACCESS_ID, server.ACCESS_KEY):
            assert secret not in f"{failed.value!r} {failed.value.__cause__!r} {access!r} {store!r}"


def test_keys_are_changed_under_a_running_writer(
    bucket_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the store refuses those that it has, the writer reads the file again; wrong ones are told of."""
    monkeypatch.delenv(ACCESS_ID)
    monkeypatch.delenv(ACCESS_KEY)
    monkeypatch.setenv(ACCESS_FILE, str(tmp_path / "access.json"))
    file, store = AccessFile(tmp_path / "access.json"), _opened(bucket_uri)
    for access_id in ("FORMER", "MISTYPED"):
        file.remember(bucket_uri, Access(access_id, "secret"))
        with pytest.raises(DestinationError, match="InvalidAccessKeyId"):
            store.put_if_absent("one", b"1")
    file.remember(bucket_uri, Access(server.ACCESS_ID, server.ACCESS_KEY))
    store.put_if_absent("one", b"1")

    assert [info.name for info in store.list("")] == ["one"]
    again = _opened(bucket_uri)
    file.remember(bucket_uri, Access("FORMER", "secret"))
    with pytest.raises(NotPermittedError, match="InvalidAccessKeyId"):
        again.get("one", 0, 100_000)
    file.remember(bucket_uri, Access(server.ACCESS_ID, server.ACCESS_KEY))
    assert again.get("one", 0, 100_000) == b"1"
    file.path.write_text("damaged")
    with pytest.raises(DestinationError, match="is damaged: remove it"):
        _opened(bucket_uri).get("one", 0, 1)


def test_what_was_stored_is_there_when_the_server_is_back(rgw: Rgw, bucket_uri: str) -> None:
    """The same client goes on."""
    store = _opened(bucket_uri)
    store.put_if_absent("a/object", CONTENT)
    rgw.stop_gateway()
    try:
        with pytest.raises(DestinationError, match="Connection refused"):
            store.get("a/object", 0, 1)
    finally:
        rgw.start_gateway()

    assert store.get("a/object", 0, len(CONTENT)) == CONTENT


def test_a_lease_of_a_process_that_was_killed_is_free(rgw: Rgw, bucket_uri: str) -> None:
    """On its own machine at once; while it lives, others are told who has it."""
    code = (
        "import sys; from redoubt.destinations.uri import open_destination\n"
        f"lock = open_destination({bucket_uri!r}).lock('a/writer', 'worker 1 on host-a')\n"
        "print('locked', flush=True); sys.stdin.read()"
    )
    store = _opened(bucket_uri)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(LockedError, match="is being written by worker 1 on host-a"):
            store.lock("a/writer", "worker 2")
        holder.kill()
    lock = store.lock("a/writer", "worker 2")

    assert lock.is_in_place()
    lock.release()
