"""The base of the errors that a person can do something about.

    RedoubtError
    ├── what a person typed: cli/ MomentError, DurationError, WishError, NothingThereError, TlsOptionsError;
    │   destinations/ UriError
    ├── the home and its files: ConfigError, HomeError; gateway/ TlsError; cli/ NoServiceError
    ├── a destination: model/ DestinationError (ObjectExistsError, ObjectMissingError, NotPermittedError,
    │   LockedError); destinations/ AccessError; archive/ MasterKeyError, KeyMissingError (KeyLostError)
    ├── an archive in a destination: archive/ ArchiveError, CopyError, ForeignDestinationError
    ├── an engine: model/ EngineStartError, AccountError (OpenDoorError), OpenedError, UnknownEngineKindError,
    │   SourceError; engines/ UnprovenEngineError; catalog/ CatalogError
    ├── a data backup: backup/ BackupFailedError; model/ NotRolledError
    ├── a restore: restore/ RestoreError, BeingDeletedError, UnknownTenantError; model/
    │   NotRecoverableError; rehearsal/ NoScratchError
    └── a standby: model/ NoLogError, NoPrivateNetworkError, TakeOverError; cli/ ServeError

Each class stands in the module that raises it. A command prints the text of such an error and ends with exit status 1.
"""

from __future__ import annotations

from redoubt.printable import printable


class RedoubtError(Exception):
    """Something cannot be done; the text says why, and what to do. No traceback is shown.

    The text is made printable, because it may quote a destination, a file or an engine.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(text))
