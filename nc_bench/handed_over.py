"""What Python code hands over to a run, a model or data: found by its digest for as long as the call lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_OBJECTS: ContextVar[Mapping[str, Any]] = ContextVar("handed over", default=MappingProxyType({}))


@contextmanager
def handing_over(objects: Mapping[str, Any]) -> Iterator[None]:
    """Let `handed_over` find these objects inside the block, in this thread."""
    token = _OBJECTS.set(objects)
    try:
        yield
    finally:
        _OBJECTS.reset(token)


def handed_over(digest: str) -> Any:
    """The object of this digest, None where it was not handed over."""
    return _OBJECTS.get().get(digest)
