"""The one network door: MySQL packets, logins, and sessions whose statements are the engine's or Redoubt's own."""

from redoubt.gateway.seams import EngineSession, StatementHandler, TenantDirectory, WriteGate
from redoubt.gateway.server import Gateway

__all__ = ["EngineSession", "Gateway", "StatementHandler", "TenantDirectory", "WriteGate"]
