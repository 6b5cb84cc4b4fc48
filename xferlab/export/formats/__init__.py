"""One file a format: what it is, how it is written, and how it is read back."""

from xferlab.export.formats.base import FORMATS, Format, refuse_missing_modules, register

__all__ = ["FORMATS", "Format", "refuse_missing_modules", "register"]
