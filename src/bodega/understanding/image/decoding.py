"""Which pixels do these bytes hold, if they may be decoded at all? The one door for pictures of strangers.

What a picture is, is told by its first bytes, never by a name or a content type. Its size is read from its header and
checked before anything is allocated; a JPEG is decoded at a fraction of its size where that is enough; of animations
only the first frame is looked at. What comes out is upright, without transparency (over white), in sRGB as far as the
picture's own profile tells, and at most `long_side` pixels long. Cost: 2 to 8 ms for a photo of 1,000 px.
Not for: vector graphics, PDF, raw camera files. No network and no file is touched here (`adapters.pictures` does).
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from bodega.errors import BadPicture, MissingExtra
from bodega.protocols import Pixels


@dataclass(frozen=True, slots=True)
class Limits:
    """What is decoded at most."""

    bytes: int = 20_000_000
    pixels: int = 40_000_000
    side: int = 20_000
    """Longest side of what comes in, in pixels."""
    long_side: int = 512
    """Longest side of what goes out; no encoder here looks at more than 384."""


NORMAL = Limits()
ALLOWED = "JPEG, PNG, WebP, GIF, AVIF or BMP"
SCANS = 100
"""A progressive JPEG has some ten passes over its pixels; thousands of empty ones keep a core busy for minutes."""
_PROFILE_BYTES = 4_000_000
_TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
          8: "ROTATE_90"}  # fmt: skip
"""EXIF orientation -> what makes it upright."""


def decode(data: bytes, limits: Limits = NORMAL) -> Pixels:
    """(height, width, 3) uint8, at most `limits.long_side` long. Raises BadPicture, MissingExtra (extra `images`)."""
    kind = sniffed(data)
    if len(data) > limits.bytes:
        raise _refused("too_many_bytes", f"at most {limits.bytes:,} bytes", f"{len(data):,} bytes")
    check_size(_header_size(kind, data), limits)
    if kind == "JPEG" and data.count(b"\xff\xda") > SCANS:
        raise _refused("too_many_scans", f"at most {SCANS} scans in a JPEG", f"{data.count(bytes([255, 218])):,}")
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra.named("images", needed_for="reading pictures") from error
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as picture:
            check_size(picture.size, limits)
            return _pixels(picture, limits)
    except BadPicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused("too_many_pixels", f"at most {limits.pixels:,} pixels", error) from error
    except MemoryError as error:
        raise _refused("too_many_pixels", "a picture that fits into memory", "not enough memory") from error
    except Exception as error:  # a decoder of foreign bytes raises whatever its parser met: a dozen kinds are known
        reason = "truncated" if "truncated" in str(error).lower() else "broken"
        raise _refused(reason, "a whole picture", error) from error


def sniffed(data: bytes) -> str:
    """What the first bytes say: `JPEG`, `PNG`, ... Raises BadPicture with a reason that tells what it is instead."""
    if not data:
        raise _refused("empty", ALLOWED, "0 bytes")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and (b"avif" in data[8:64] or b"avis" in data[8:64]):
        return "AVIF"
    if data.startswith(b"BM") and len(data) > 26:
        return "BMP"
    raise _refused(*_instead(data))


def _instead(data: bytes) -> tuple[str, str, str]:
    """(reason, what is allowed, what it is) of bytes that are no picture of ours."""
    start = data[:1024].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n").lower().replace(b"\x00", b"")
    if b"<svg" in start and start.startswith(b"<"):
        return "svg", f"{ALLOWED}; a vector graphic may hold scripts and is never run", "an SVG"
    if start.startswith(b"<"):
        return "html", ALLOWED, "a page of HTML or XML, perhaps the error page of a server"
    if start.startswith(b"%pdf"):
        return "not_a_picture", ALLOWED, "a PDF"
    if data[4:8] == b"ftyp" or start.startswith((b"ii*", b"mm")):
        return "unsupported_format", ALLOWED, "another format (HEIC, TIFF, video)"
    return "not_a_picture", ALLOWED, f"{len(data):,} bytes that begin with {data[:8].hex(' ')}"


def check_size(size: tuple[int, int], limits: Limits) -> None:
    """Raise BadPicture where a picture of this (width, height) may not be decoded."""
    width, height = size
    if width < 1 or height < 1:
        raise _refused("broken", "at least 1 pixel", f"{width} x {height}")
    if max(size) > limits.side or width * height > limits.pixels:
        allowed = f"at most {limits.pixels:,} pixels, no side above {limits.side:,}"
        raise _refused("too_many_pixels", allowed, f"{width:,} x {height:,}")


def _header_size(kind: str, data: bytes) -> tuple[int, int]:
    """(width, height) as the header says, for formats whose decoder would allocate when it is opened; else (1, 1)."""
    try:
        if kind == "PNG":
            return struct.unpack(">II", data[16:24])
        if kind == "GIF":
            return struct.unpack("<HH", data[6:10])
        if kind == "WEBP":
            return _webp_size(data)
        if kind == "BMP" and data[14:18] != b"\x0c\0\0\0":
            width, height = struct.unpack("<ii", data[18:26])
            return abs(width), abs(height)
    except struct.error as error:
        raise _refused("truncated", "a whole picture", f"{len(data):,} bytes") from error
    return 1, 1


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        wide, high = data[24:27], data[27:30]
        return int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _pixels(picture: Any, limits: Limits) -> Pixels:
    """Decode, shrink, turn upright, lay over white, bring into sRGB."""
    from PIL import Image

    most = (limits.long_side, limits.long_side)
    scale = min(1.0, limits.long_side / max(picture.size))
    wanted = (math.ceil(picture.width * scale), math.ceil(picture.height * scale))
    turn, profile = _turn(picture), picture.info.get("icc_profile")
    picture.draft("RGB", wanted)  # JPEG only: at a half, a quarter or an eighth of its size
    picture.load()
    check_size(picture.size, limits)
    plain = _plain(picture)
    if max(plain.size) > limits.long_side:
        plain.thumbnail(most, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if plain.mode in ("RGBA", "LA"):
        over = Image.new("RGB", plain.size, (255, 255, 255))
        over.paste(plain.convert("RGB"), mask=plain.getchannel("A"))
        plain = over
    plain = _in_srgb(plain, profile)
    if turn:
        plain = plain.transpose(getattr(Image.Transpose, turn))
    return np.array(plain, np.uint8, order="C")


def _plain(picture: Any) -> Any:
    """The same in one of the modes L, RGB, RGBA, LA, CMYK, in which it can be shrunk."""
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits a pixel, grey
        values = np.asarray(picture)
        deep = np.clip(values, 0, 65_535).astype(np.uint16) >> 8
        return Image.fromarray(deep.astype(np.uint8))
    if "transparency" in picture.info or picture.mode in ("PA", "La", "RGBa"):
        return picture.convert("RGBA")
    if picture.mode in ("L", "RGB", "RGBA", "LA", "CMYK"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _in_srgb(picture: Any, profile: object) -> Any:
    """The picture in sRGB; where its profile is nonsense, as if it had none."""
    if isinstance(profile, bytes) and 0 < len(profile) <= _PROFILE_BYTES:
        try:
            from PIL import ImageCms

            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(own).lower():
                made = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
                picture = made or picture
        except Exception:  # noqa: S110 - a broken profile changes shades, it is no reason to lose the picture
            pass
    return picture.convert("RGB")


def _turn(picture: Any) -> str:
    """What makes it upright: the name of a transposition, or ""."""
    try:
        return _TURNS.get(int(picture.getexif().get(0x0112, 1)), "")
    except Exception:  # broken EXIF is a picture without EXIF
        return ""


def _refused(reason: str, allowed: str, got: object) -> BadPicture:
    told = {
        "too_many_pixels": "the picture is too large to be decoded",
        "too_many_bytes": "the picture is too large to be read",
        "too_many_scans": "the picture would take too long to decode",
        "truncated": "the picture ends too early",
        "broken": "the picture cannot be decoded",
    }
    what = told.get(reason, "this is no picture that can be read")
    return BadPicture(what, reason=reason, where="picture", allowed=allowed, got=got, next="send another picture")
