"""Train, evaluate and use sequence-to-sequence translation models."""

__version__ = "0.1.0"
