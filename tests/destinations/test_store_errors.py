"""From a client's error to what a person reads."""

from __future__ import annotations

import pytest
from opendal import exceptions

from redoubt.destinations.store_errors import destination_error
from redoubt.model.seams import DestinationError, NotPermittedError, ObjectExistsError, ObjectMissingError

_CONTEXT = "\n\nContext:\n   uri: http://h/b/o\n   response: Parts { status: %d, version: HTTP/1.1 }\n   service: s3\n"


def _s3(code: str, status: int) -> str:
    return f'X (permanent) at write => S3Error {{ code: "{code}", message: "<b>", resource: "" }}' + _CONTEXT % status


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (exceptions.NotFound(_s3("NoSuchKey", 404)), ObjectMissingError, "p does not exist"),
        (
            OSError('NotFound (permanent) at read, context: {} => S3Error { code: "NoSuchKey", message: "" }'),
            ObjectMissingError,
            "p does not exist",
        ),
        (
            exceptions.NotFound("NotFound (permanent) at stat => S3Error\n\n   service_operation: HeadObject\n"),
            ObjectMissingError,
            "p does not exist",
        ),
        (
            exceptions.NotFound("NotFound (permanent) at read => 404 page not found" + _CONTEXT % 404),
            DestinationError,
            "p: the store answered with status 404",
        ),
        (
            exceptions.NotFound(_s3("NoSuchBucket", 404)),
            DestinationError,
            "p: NoSuchBucket (create the bucket, or correct its name or the host)",
        ),
        (
            exceptions.NotFound('NotFound (permanent) at read => AzblobError { code: "ContainerNotFound" }'),
            DestinationError,
            "p: ContainerNotFound (create the container, or correct its name or the host)",
        ),
        (exceptions.ConditionNotMatch(_s3("PreconditionFailed", 412)), ObjectExistsError, "p exists already"),
        (exceptions.AlreadyExists("…"), ObjectExistsError, "p exists already"),
        (
            exceptions.PermissionDenied(_s3("RequestTimeTooSkewed", 403)),
            NotPermittedError,
            "p: RequestTimeTooSkewed (the clock of this machine is wrong: set the clock)",
        ),
        (exceptions.Unexpected(_s3("NeverHeardOf", 500)), DestinationError, "p: NeverHeardOf"),
        (
            exceptions.Unexpected("Unexpected (temporary) at write => <html>" + _CONTEXT % 502),
            DestinationError,
            "p: the store answered with status 502",
        ),
        (
            exceptions.Unexpected(
                "Unexpected (persistent) at write => send http request\n\nContext:\n   url: http://h\n\nSource:\n"
                "   error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)"
                "\n\nBacktrace:\n   0: <unknown>\n"
            ),
            DestinationError,
            "p: client error (Connect): tcp connect error: Connection refused (os error 111)",
        ),
        (exceptions.Unexpected("Unexpected (temporary) at  => io timeout\n\n…"), DestinationError, "p: io timeout"),
        (
            exceptions.Unexpected(
                "Unexpected (permanent) at write => signing http request\n\nContext:\n   called: reqsign::Sign\n\n"
                "Source:\n   failed to load signing credential\n\nBacktrace:\n   0: <unknown>\n"
            ),
            DestinationError,
            (
                "p: failed to load signing credential (there are no keys: add access_id and access_key, or start the "
                "service with REDOUBT_ACCESS_ID and REDOUBT_ACCESS_KEY)"
            ),
        ),
        (
            OSError(
                "Unexpected (temporary) at read, context: { url: http://h:1/b/x, called: reqwest::send, range: 0- } => "
                "send http request, source: error sending request"
            ),
            DestinationError,
            "p: the store cannot be reached",
        ),
        (exceptions.Unexpected("x" * 1000), DestinationError, "p: " + "x" * 200),
    ],
)  # fmt: skip
def test_the_cause_is_told_in_a_line(error: Exception, kind: type[DestinationError], text: str) -> None:
    """With a hint where a person can do something; without context and backtrace."""
    found = destination_error("p", error, is_read=True)

    assert (type(found), str(found)) == (kind, text)


def test_only_what_was_read_by_name_can_be_missing() -> None:
    """A listing and a PUT that get 404 have met no object store."""
    found = destination_error("p", exceptions.NotFound(_s3("NoSuchKey", 404)))

    assert (type(found), str(found)) == (DestinationError, "p: NoSuchKey")
