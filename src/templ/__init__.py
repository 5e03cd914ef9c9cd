"""TEMPL predicts how a small molecule binds by copying co-crystal templates."""

__version__ = "0.1.0"
