"""Start MediaPipe where it would otherwise fail or load what it does not need."""

import locale
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def mediapipe_start() -> Iterator[None]:
    """Import MediaPipe's solutions and build their graphs in this block.

    In a Turkish locale, where `I` is no capital of `i`, MediaPipe derives names that it then refuses. Where
    programs write decimal commas, it cannot read its own decimal points. So the block runs as in English.
    """
    # at the first frame MediaPipe calls a function that its own protobuf deprecates
    warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    try:
        with _no_matplotlib():
            yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


@contextmanager
def _no_matplotlib() -> Iterator[None]:
    """Import MediaPipe without matplotlib, which only its plots need and which is slow to load."""
    names = ("matplotlib", "matplotlib.pyplot")
    missing = [name for name in names if name not in sys.modules]
    stand_ins = {name: ModuleType(name) for name in missing} if len(missing) == len(names) else {}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
