"""What a confined program of a test does."""

from __future__ import annotations

import sys

INTERPRETER = tuple({sys.prefix, sys.base_prefix, "/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache"})
"""What an interpreter needs."""

TRIES = """\
import json, os, socket, sys
for source in json.loads(sys.argv[1]):
    try:
        print(eval(source))
    except OSError as error:
        print(type(error).__name__)
"""
"""Prints the values of expressions, given as a JSON list, or the names of the errors."""
