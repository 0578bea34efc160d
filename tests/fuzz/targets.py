"""All targets by name."""

from __future__ import annotations

from . import clients, effects, palf, replies, rounds, segments, settings, texts
from .target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        *palf.TARGETS,
        *segments.TARGETS,
        *rounds.TARGETS,
        *replies.TARGETS,
        *clients.TARGETS,
        *texts.TARGETS,
        *effects.TARGETS,
        *settings.TARGETS,
    )
}
