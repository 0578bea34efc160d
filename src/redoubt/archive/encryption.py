"""AES-256-GCM for the objects of an archive, without I/O; `docs/FORMAT.md` describes the bytes.

An object's bytes are encrypted with a *data key*, which is random. A data key is stored beside the objects, *wrapped*:
encrypted with a *master key*, which is never stored. The header of an encrypted object stays readable, and is
authenticated with the bytes.

Nonces are a keyed hash of what is encrypted. So the same object is encrypted to the same bytes again, which is how a
retry is told from another writer's object; and two objects never share a nonce, whoever cut the log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Protocol, Self, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from redoubt.archive.record import INFO_FORMAT, Hex, Lines, RecordError, dump_record, load_record, unseal
from redoubt.model.seams import DestinationError

CIPHER = "AES-256-GCM"
SUFFIX = ".aes"
"""The end of the name of an encrypted segment."""
KEY_SIZE = 32
"""Bytes of a key."""
_NONCE_SIZE = 12
SALT_SIZE = 16
"""Bytes of the salt of a password."""
_ID_DIGITS = 16
_MOST_KEYS = 64
_LAST_AUTHENTICATED = b',"stored_crc":'


class KeyMissingError(DestinationError):
    """An object is encrypted with a key that this process does not have; the text names the key, and what to do."""


class KeyLostError(KeyMissingError):
    """The object with a wrapped data key is gone or damaged: what is encrypted with that key is lost."""


class DecryptionError(ValueError):
    """Encrypted bytes, or the header that belongs to them, were changed; or the key is another one."""


@dataclass(frozen=True)
class Key:
    """A key for AES-256: 32 secret bytes, which `repr` does not show."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """A random key."""
        return cls(os.urandom(KEY_SIZE))

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits that name the key, and do not tell it."""
        return hashlib.sha256(b"redoubt key id" + self.secret).hexdigest()[:_ID_DIGITS]

    def nonce(self, plain: bytes, associated: bytes) -> bytes:
        """The nonce with which to encrypt exactly this: the beginning of an HMAC-SHA-256, with a key of its own."""
        own = hmac.digest(self.secret, b"redoubt nonce", "sha256")
        code = hmac.new(own, len(associated).to_bytes(8, "big") + associated, "sha256")
        code.update(plain)
        return code.digest()[:_NONCE_SIZE]

    def encrypt(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        """The encrypted bytes, and 16 bytes of tag."""
        return self._cipher.encrypt(nonce, plain, associated)

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """What `encrypt` was given. Raises DecryptionError."""
        try:
            return self._cipher.decrypt(nonce, data, associated)
        except (InvalidTag, ValueError) as error:
            raise DecryptionError(f"it cannot be decrypted with its key {self.id}") from error

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self.secret)


Keys = Callable[[str], Key]
"""Finds a data key by its id. Raises KeyMissingError."""


def no_keys(data_key: str) -> Key:
    """The `Keys` of a reader without any."""
    raise KeyMissingError(f"its log is encrypted with the data key {data_key}, which is not known here")


class Header(Protocol):
    """A header of stored bytes, see `encrypted_with`."""

    @property
    def data_key(self) -> str:
        """The id of the data key; empty if the bytes are not encrypted."""
        ...

    @property
    def nonce(self) -> str:
        """The nonce, in hexadecimal digits."""
        ...

    @property
    def format(self) -> int:
        """The version of the record."""
        ...


H = TypeVar("H", bound=Header)


def encrypted_with(key: Key, header: H, stored: bytes) -> tuple[H, bytes]:
    """The header and the stored bytes, encrypted. Of the header, the fields before `stored_crc` are authenticated."""
    named = replace(header, data_key=key.id, nonce="")  # type: ignore[type-var]  # each Header is a dataclass
    nonce = key.nonce(stored, _associated(dump_record(named)))  # type: ignore[arg-type]
    named = replace(named, nonce=nonce.hex())  # type: ignore[type-var]
    return named, key.encrypt(nonce, stored, _associated(dump_record(named)))  # type: ignore[arg-type]


def decrypted(header: Header, text: bytes, stored: bytes, keys: Keys) -> bytes:
    """The stored bytes, decrypted if they are encrypted; `text` is the header's. Raises DecryptionError."""
    if not header.data_key:
        return stored
    return keys(header.data_key).decrypt(bytes.fromhex(header.nonce), stored, _associated(text))


def _associated(text: bytes) -> bytes:
    """The authenticated part of a header's text. A checksum of the encrypted bytes cannot be a part of it."""
    return text.partition(_LAST_AUTHENTICATED)[0]


@dataclass(frozen=True)
class WrappedKey:
    """`data_key-<data key>-<master key>`: a data key, encrypted with a master key; each is named by its id.

    With a `salt`, the master key is made of a password, see `key_of`.
    """

    data_key: str
    master_key: str
    nonce: Hex
    wrapped: Hex
    salt: Hex = ""
    cipher: str = CIPHER
    format: int = INFO_FORMAT


@lru_cache(_MOST_KEYS)
def key_of(password: str, salt: bytes) -> Key:
    """The master key that a password makes (scrypt); takes a tenth of a second and 32 MB, so that guessing is dear."""
    cost, blocks = 2**15, 8
    secret = hashlib.scrypt(
        os.fsencode(password), salt=salt, n=cost, r=blocks, p=1, maxmem=2 * 128 * cost * blocks, dklen=KEY_SIZE
    )
    return Key(secret)


def wrap(data_key: Key, master_key: Key, salt: bytes = b"") -> WrappedKey:
    """The data key, encrypted with the master key; the same bytes each time."""
    associated = _names(data_key.id, master_key.id)
    nonce = master_key.nonce(data_key.secret, associated)
    encrypted = master_key.encrypt(nonce, data_key.secret, associated)
    return WrappedKey(data_key.id, master_key.id, nonce.hex(), encrypted.hex(), salt.hex())


def unwrap(wrapped: WrappedKey, master_key: Key) -> Key:
    """The data key. Raises DecryptionError."""
    if wrapped.cipher != CIPHER:
        raise DecryptionError(f"its cipher is not {CIPHER}")
    associated = _names(wrapped.data_key, wrapped.master_key)
    key = Key(master_key.decrypt(bytes.fromhex(wrapped.nonce), bytes.fromhex(wrapped.wrapped), associated))
    if key.id != wrapped.data_key:
        raise DecryptionError(f"it holds the data key {key.id}")
    return key


@dataclass(frozen=True)
class EncryptedText:
    """An info object that tells of the content of a database, encrypted; `content` is base64."""

    data_key: str
    nonce: Hex
    content: Lines
    cipher: str = CIPHER
    format: int = INFO_FORMAT


def encrypt_text(key: Key, name: str, text: bytes) -> bytes:
    """The object for the info object `text`, which is called `name` in the destination."""
    nonce = key.nonce(text, name.encode())
    content = base64.b64encode(key.encrypt(nonce, text, name.encode())).decode()
    return dump_record(EncryptedText(key.id, nonce.hex(), content), indent=2)


def decrypt_text(keys: Keys, name: str, data: bytes) -> bytes:
    """The text of an info object, decrypted if it is encrypted. Raises RecordError, KeyMissingError."""
    if "data_key" not in unseal(data):
        return data
    record = load_record(EncryptedText, data)
    try:
        content = base64.b64decode(record.content, validate=True)
        return keys(record.data_key).decrypt(bytes.fromhex(record.nonce), content, name.encode())
    except (DecryptionError, binascii.Error) as error:
        raise RecordError(str(error)) from error


def _names(data_key: str, master_key: str) -> bytes:
    return f"{data_key} {master_key}".encode()
