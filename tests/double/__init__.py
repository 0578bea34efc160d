"""An engine kind of the tests' own: no engine runs, and the tests write its log. `plugin/` goes on PYTHONPATH."""

from pathlib import Path

PLUGIN = Path(__file__).parent / "plugin"
