"""Train, evaluate and use sequence-to-sequence translation models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator

__all__ = ["Translator", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`nmt.Translator`, imported with torch only when it is asked for."""
    if name == "Translator":
        from nmt.decoding.translator import Translator

        return Translator
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")
