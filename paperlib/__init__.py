"""Dehaze, train, recalibrate and judge: the library behind the numbered notebooks."""

__version__ = "0.1.0"
