"""From an error of an object store's client to the cause, and what to do about it. Pure.

The client's exceptions tell kinds apart; the store's own code is in their text, as `code: "NoSuchBucket"`.
"""

from __future__ import annotations

import re

from opendal import exceptions

from redoubt.model.seams import DestinationError, NotPermittedError, ObjectExistsError, ObjectMissingError

_CODE = re.compile(r'code: "([A-Za-z0-9]{1,64})"')
_STATUS = re.compile(r"status: ([0-9]{3})")
_SOURCE = re.compile(r"^Source:\n\s+(?:error sending request: )?(.+)", re.MULTILINE)
_FIRST_LINE = re.compile(r"(?:\w+ \(\w+\) at [\w:]*(?:, context: \{.*?\})? => )?(.*)")
_NO_DETAIL = "send http request, source: error sending request"
"""What the error of an open object says instead of the source."""
_LONGEST_CAUSE = 200
_NO_OBJECT = {"NoSuchKey", "BlobNotFound"}
_OF_A_HEAD = re.compile(r"service_operation: (HeadObject|GetBlobProperties)|at stat")
"""In the text of an error that has no code, because the answer to HEAD has no body."""


_HINTS = {
    "SignatureDoesNotMatch": "the access_key is wrong: set the destination with the right keys",
    "InvalidAccessKeyId": "the store does not know this access_id: set the destination with the right keys",
    "InvalidAccessKey": "the store does not know this access_id: set the destination with the right keys",
    "AccessDenied": "allow the account to read, write, list and delete in this folder of the bucket",
    "NoSuchBucket": "create the bucket, or correct its name or the host",
    "ContainerNotFound": "create the container, or correct its name or the host",
    "AuthenticationFailed": "the keys are wrong: set the destination with the right keys",
    "AuthorizationFailure": "the keys are wrong: set the destination with the right keys",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set the clock",
    "QuotaExceeded": "raise the quota, or choose another destination",
    "AccountProblem": "look at the account in the store's console",
    "InvalidBucketName": "correct the bucket's name",
    "PermanentRedirect": "the bucket is in another region: correct host and s3_region",
    "AuthorizationHeaderMalformed": "the bucket is in another region: correct host and s3_region",
    "SlowDown": "the store limits the rate of requests",
    "ServiceUnavailable": "the store is busy",
    "failed to load signing credential": (
        "there are no keys: add access_id and access_key, or start the service with REDOUBT_ACCESS_ID and "
        "REDOUBT_ACCESS_KEY"
    ),
    "invalid IPv4 address": "no bucket's name can be added to an address: add addressing_model=path_style",
}
"""By the store's code, or by the cause in the client's words."""


def destination_error(place: str, error: Exception, *, is_read: bool = False) -> DestinationError:
    """The error to raise for one of the client's, about the object or folder `place`.

    Only with `is_read`, where an object was asked for by its name, it may be missing: a server that is no object store,
    or has no such bucket, says "not found" to everything.
    """
    text = str(error)
    cause = match[1] if (match := _CODE.search(text)) else _plain_cause(text)
    if is_read and _kind(error, exceptions.NotFound) and (cause in _NO_OBJECT or _OF_A_HEAD.search(text)):
        return ObjectMissingError(f"{place} does not exist")
    if isinstance(error, exceptions.AlreadyExists | exceptions.ConditionNotMatch):
        return ObjectExistsError(f"{place} exists already")
    hint = _HINTS.get(cause)
    message = f"{place}: {cause} ({hint})" if hint else f"{place}: {cause}"
    return NotPermittedError(message) if is_refusal(error) else DestinationError(message)


def is_refusal(error: Exception) -> bool:
    """Whether the store refuses a request to this account."""
    return _kind(error, exceptions.PermissionDenied)


def _kind(error: Exception, kind: type[Exception]) -> bool:
    """Whether an error is of a kind; that of an open object is an OSError whose text begins with the kind."""
    return isinstance(error, kind) or (isinstance(error, OSError) and str(error).startswith(f"{kind.__name__} ("))


def passes_by_itself(error: Exception) -> bool:
    """Whether the client takes an error for one that may pass: a busy store, a connection that is gone, a time-out."""
    return "(temporary)" in str(error).partition("\n")[0]


def _plain_cause(text: str) -> str:
    """The cause without the client's context and backtrace."""
    if status := _STATUS.search(text):
        return f"the store answered with status {status[1]}"
    match = _SOURCE.search(text) or _FIRST_LINE.match(text)
    cause = " ".join(match[1].split())[:_LONGEST_CAUSE] if match else ""
    return "the store cannot be reached" if cause == _NO_DETAIL else cause
