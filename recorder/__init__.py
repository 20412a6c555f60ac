"""opsnap's recorder: middleware that writes every request's duration where opsnap reads it."""

from .asgi import AsgiLatencyRecorder
from .wsgi import LatencyRecorder

__all__ = ["AsgiLatencyRecorder", "LatencyRecorder"]
__version__ = "0.1.0"
