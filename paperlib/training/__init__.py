"""Training: one configuration and chips to a saved run. Only this room trains."""

from ..utils import backend as _backend

_backend.fix()  # before any module of this room imports Keras
