"""The catalog's views. Each family has a module; this is the one registry."""

from __future__ import annotations

from redoubt.catalog.archive_views import ARCHIVE_VIEWS
from redoubt.catalog.backup_views import BACKUP_VIEWS
from redoubt.catalog.drills import DRILL_VIEWS
from redoubt.catalog.own_views import OWN_VIEWS
from redoubt.catalog.restore_views import RESTORE_VIEWS
from redoubt.catalog.set_views import SET_VIEWS
from redoubt.catalog.tenant_views import TENANT_VIEWS

VIEWS = {**BACKUP_VIEWS, **ARCHIVE_VIEWS, **TENANT_VIEWS, **RESTORE_VIEWS, **OWN_VIEWS, **SET_VIEWS, **DRILL_VIEWS}
"""SELECT statements, by the name of the view in schema `oceanbase`."""
