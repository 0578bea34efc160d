"""The cluster's parameters that Redoubt adds to the engine's: their values, what they may be, how they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from redoubt.catalog.catalog import Catalog
from redoubt.sql.log_archive_option import LogArchiveOption, as_text, parse_option

BACKUP_DEST = "backup_dest"
LOG_ARCHIVE_OPTION = "backup_log_archive_option"
_EFFECTIVE_OPTION = "_effective_backup_log_archive_option"


@dataclass(frozen=True)
class Parameter:
    """A parameter as `SHOW PARAMETERS` lists it."""

    name: str
    default: str
    info: str
    data_type: str = "STRING"
    section: str = "OBSERVER"
    scope: str = "CLUSTER"
    edit_level: str = "DYNAMIC_EFFECTIVE"


PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter(BACKUP_DEST, "", "the destination of log backups: file:///absolute/path"),
        Parameter(
            LOG_ARCHIVE_OPTION,
            "OPTIONAL COMPRESSION=ENABLE",
            "mode (MANDATORY, OPTIONAL) and COMPRESSION (enable, disable, lz4_1.0, zstd_1.3.8) of log backups",
        ),
    )
}
"""The parameters by name."""


class Parameters:
    """The present values. `load` reads them from the catalog; a change is in the catalog before it is in effect."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._values: dict[str, str] = {}
        self._option = LogArchiveOption.DEFAULT

    def load(self) -> None:
        """Take over what the catalog has. Blocks."""
        kept = self._catalog.parameters()
        effective = kept.pop(_EFFECTIVE_OPTION, None)
        self._values = kept
        self._option = LogArchiveOption.DEFAULT
        if effective is not None:
            self._option = self._option.changed_by(parse_option(effective))

    @property
    def backup_dest(self) -> str:
        """The backup destination, empty while none is set."""
        return self._values.get(BACKUP_DEST, "")

    @property
    def log_archive_option(self) -> LogArchiveOption:
        """The log archive option in effect, fields that were never named included."""
        return self._option

    def value(self, name: str) -> str:
        """The value of a parameter as typed, its default if it was never set."""
        return self._values.get(name, PARAMETERS[name].default)

    def check_option(self, text: str) -> LogArchiveOption:
        """The option that would be in effect after `backup_log_archive_option = text`. Raises SqlError 4147."""
        return self._option.changed_by(parse_option(text))

    def change(self, values: dict[str, str]) -> None:
        """Keep values that have been checked, all or none, and put them into effect. Blocks."""
        option = self._option
        kept = dict(values)
        if LOG_ARCHIVE_OPTION in values:
            option = self.check_option(values[LOG_ARCHIVE_OPTION])
            kept[_EFFECTIVE_OPTION] = as_text(option)
        self._catalog.set_parameters(kept)
        self._values |= values
        self._option = option

    def rows_sql(self, columns: list[str], quote: Callable[[str], str]) -> str:
        """A SELECT that gives the parameters as rows of `SHOW PARAMETERS`, with these columns of the engine's."""
        selects = []
        for parameter in PARAMETERS.values():
            value = self.value(parameter.name)
            shown = {
                "svr_type": "observer",
                "name": parameter.name,
                "data_type": parameter.data_type,
                "value": value,
                "info": parameter.info,
                "section": parameter.section,
                "scope": parameter.scope,
                "source": "DEFAULT",
                "edit_level": parameter.edit_level,
                "default_value": parameter.default,
                "isdefault": "1" if value == parameter.default else "0",
            }
            fields = (f"{quote(shown.get(column, ''))} AS {column}" for column in columns)
            selects.append(f"SELECT {', '.join(fields)}")
        return " UNION ALL ".join(selects)
