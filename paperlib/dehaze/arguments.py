"""What the dark channel prior accepts, checked in one place; messages name the argument."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

import numpy as np

from ..utils.system import cores

SCALE = {
    np.dtype(np.uint8): 255.0,
    np.dtype(np.uint16): 65535.0,
    np.dtype(np.float32): 1.0,
    np.dtype(np.float64): 1.0,
}


@dataclass(frozen=True)
class Parameters:
    """The prior's parameters, checked; `patch` and `radius` in pixels, the others without unit."""

    patch: int = 15
    omega: float = 0.95
    t0: float = 0.1
    fraction: float = 0.01
    radius: int = 40
    eps: float = 1e-3

    def __post_init__(self) -> None:
        whole("patch", self.patch, 1)
        whole("radius", self.radius, 0)
        real("omega", self.omega, 0, 1, "from 0 to 1", closed=True)
        real("t0", self.t0, 0, 1, "above 0, at most 1")
        real("fraction", self.fraction, 0, 1, "above 0, at most 1")
        real("eps", self.eps, 0, math.inf, "above 0")
        for name, kind in (("patch", int), ("radius", int), ("omega", float), ("t0", float),
                           ("fraction", float), ("eps", float)):  # fmt: skip
            # one type for each: for 1 in place of 1.0 all kernels would be compiled anew
            object.__setattr__(self, name, kind(getattr(self, name)))

    @property
    def halo(self) -> int:
        """Pixels around a tile that its own result depends on."""
        return self.patch // 2 + 2 * self.radius


def whole(name: str, value: object, least: int) -> None:
    if (
        not isinstance(value, numbers.Integral)
        or isinstance(value, bool | np.bool_)
        or value < least
    ):
        raise ValueError(f"{name}: a whole number, {least} or more, not {value!r}")


def real(name: str, value: object, low: float, high: float, text: str, closed=False) -> None:
    good = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    good = good and math.isfinite(value) and (low <= value if closed else low < value)
    if not (good and value <= high):
        raise ValueError(f"{name}: a number {text}, not {value!r}")


def pixels(image: object, name: str = "image", *, alpha: bool = True, batch: bool = False):
    """`image` as an array of an accepted dtype and shape, or `ValueError`; values not looked at."""
    if np.ma.is_masked(image):
        raise ValueError(
            f"{name}: a masked array here; give its data, and mask=~{name}.mask.all(2)"
        )
    array = np.asarray(image)
    if array.dtype not in SCALE:
        raise ValueError(
            f"{name}: uint8, uint16, float32 or float64, not {array.dtype}"
            + (" (arrays of different shapes?)" if array.dtype == object else "")
        )
    lead = ("N",) if batch else ()
    channels = (1, 3, 4) if alpha else (1, 3)
    grey, colour = 2 + len(lead), 3 + len(lead)
    if array.ndim not in (grey, colour) or (
        array.ndim == colour and array.shape[-1] not in channels
    ):
        shapes = [(*lead, "H", "W"), *((*lead, "H", "W", c) for c in channels)]
        text = ", ".join(f"({', '.join(map(str, shape))})" for shape in shapes)
        raise ValueError(f"{name}: a shape out of {text}, not {array.shape}")
    if 0 in array.shape[len(lead) :]:
        raise ValueError(f"{name}: no pixels in an array of shape {array.shape}")
    return array


def unmasked(image: object, mask: object) -> tuple[object, object, np.ma.MaskedArray | None]:
    """A masked array as its data, and its mask as `mask` (True where a pixel counts).

    A pixel counts if any band has data; where a missing band holds what no pixel can (NaN, -9999),
    it does not count.
    """
    if not isinstance(image, np.ma.MaskedArray):
        return image, mask, None
    data, hidden = image.data, np.ma.getmaskarray(image)
    if data.ndim not in (2, 3):
        return data, mask, None
    hidden, values_ = (hidden, data) if data.ndim == 3 else (hidden[..., None], data[..., None])
    hidden, values_ = hidden[..., :3], values_[..., :3]
    valid = ~hidden.all(axis=2)
    if data.dtype.kind == "f":
        valid &= ~(hidden & ~((values_ >= 0) & (values_ <= 1))).any(axis=2)
    given = mask_of(mask, data.shape[:2])
    return data, valid if given is None else valid & given, image


def masked_again(result: np.ndarray, image: np.ma.MaskedArray | None) -> np.ndarray:
    """`result` under the mask that its image had, if any."""
    if image is None:
        return result
    return np.ma.masked_array(result, np.ma.getmaskarray(image), fill_value=image.fill_value)


def values(array: np.ndarray, valid: np.ndarray | None = None, name: str = "image") -> None:
    """`ValueError` where a float image holds NaN, infinity or anything outside 0…1.

    Only valid pixels count: no-data may well be NaN or -9999.
    """
    if array.dtype.kind != "f":
        return
    low, high = (array.min(), array.max()) if valid is None else _range(array, valid)
    if low >= 0 and high <= 1:
        return
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"{name}: NaN or infinite pixels; mark them as no-data with mask, or fill them"
        )
    raise ValueError(
        f"{name}: float pixels lie in 0…1, these in {low:g}…{high:g}; divide by their maximum"
    )


def _range(array: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    inside = array[valid]
    return (inside.min(), inside.max()) if inside.size else (0.0, 0.0)


def mask_of(mask: object, shape: tuple[int, ...], name: str = "mask") -> np.ndarray | None:
    """`mask` as bool, True where a pixel counts, or None where all do."""
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise ValueError(f"{name}: expected the image's {shape}, not {mask.shape}")
    if mask.dtype != bool:
        raise ValueError(f"{name}: bool, True where a pixel counts, not {mask.dtype}")
    return None if mask.all() else mask


def split_alpha(image: np.ndarray, mask: object) -> tuple[np.ndarray, np.ndarray | None]:
    """The colours of an image, and which pixels count (None: all): `mask` and alpha above 0."""
    valid = mask_of(mask, image.shape[:2])
    if image.ndim < 3 or image.shape[2] != 4:
        return image, valid
    seen = image[..., 3] > 0  # NaN is not above 0
    if not seen.all():
        valid = seen if valid is None else valid & seen
    return image[..., :3], valid


def plane(value: object, name: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """`value` as a finite float64 plane (of `shape`)."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: numbers, not {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim != 2 or 0 in array.shape or (shape is not None and array.shape != shape):
        raise ValueError(f"{name}: expected shape {shape or '(H, W)'}, not {array.shape}")
    return array


def light_of(light: object, channels: int) -> np.ndarray:
    """`light` as `(channels,)` float64 above 0 and at most 1."""
    array = np.asarray(light, dtype=np.float64)
    if array.shape not in ((), (1,), (channels,)):
        raise ValueError(f"light: one number per channel, shape ({channels},), not {array.shape}")
    if not ((array > 0) & (array <= 1)).all():
        raise ValueError(f"light: above 0 and at most 1 whatever the image's dtype, not {light}")
    return np.broadcast_to(array, (channels,))


def threads(workers: int | None) -> int:
    """The number of threads: `workers`, or one per core this process may use."""
    if workers is not None:
        whole("workers", workers, 1)
        return int(workers)
    return cores()
