"""One file a format: what it is, how it is written, and how it is read back."""

from xferlab.export.formats.base import Format, formats, refuse_missing_modules, register

__all__ = ["Format", "formats", "refuse_missing_modules", "register"]
