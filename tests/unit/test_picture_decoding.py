"""Pictures of strangers: every format comes out as upright RGB, and what may not be decoded says why."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.errors import BadPicture
from bodega.understanding.image import Limits, decode
from bodega.understanding.image.decoding import sniffed

Image = pytest.importorskip("PIL.Image", reason="the extra 'images' (pillow) is not installed")

RED, GREEN, BLUE = (220, 20, 20), (20, 200, 20), (20, 20, 220)


def quarters(mode: str = "RGB", size: int = 64) -> Image.Image:
    """Red above left, green above right, blue below left, white below right."""
    picture = Image.new("RGB", (size, size), (255, 255, 255))
    half = size // 2
    for colour, box in ((RED, (0, 0)), (GREEN, (half, 0)), (BLUE, (0, half))):
        picture.paste(colour, (*box, box[0] + half, box[1] + half))
    return picture.convert(mode)


def written(picture: Image.Image, kind: str, **told: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **told)
    return stream.getvalue()


def near(pixel: np.ndarray, colour: tuple[int, int, int], off: int = 40) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= off)


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG of any claimed size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "RGBA"), ("WEBP", "RGB"),
        ("WEBP", "RGBA"), ("GIF", "P"), ("BMP", "RGB"), ("AVIF", "RGB"),
    ],
)  # fmt: skip
def test_every_format_comes_out_as_rgb(kind: str, mode: str) -> None:
    pixels = decode(written(quarters(mode), kind))
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    assert near(pixels[16, 16], RED, 60)
    assert near(pixels[16, 48], GREEN, 60)
    assert near(pixels[48, 16], BLUE, 60)
    assert near(pixels[48, 48], (255, 255, 255))


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_applied(turn: int) -> None:
    """The camera held as EXIF says: what comes out is the same upright picture."""
    upright = quarters()
    undo = {
        1: lambda one: one,
        2: lambda one: one.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda one: one.transpose(Image.Transpose.ROTATE_180),
        4: lambda one: one.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda one: one.transpose(Image.Transpose.TRANSPOSE),
        6: lambda one: one.transpose(Image.Transpose.ROTATE_90),
        7: lambda one: one.transpose(Image.Transpose.TRANSVERSE),
        8: lambda one: one.transpose(Image.Transpose.ROTATE_270),
    }
    stored = undo[turn](upright)
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels = decode(written(stored, "JPEG", exif=exif.tobytes(), quality=95))
    assert near(pixels[16, 16], RED)
    assert near(pixels[16, 48], GREEN)
    assert near(pixels[48, 16], BLUE)


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (10, 10), (200, 0, 0, 0))
    assert (decode(written(clear, "PNG")) == 255).all()
    half = Image.new("RGBA", (10, 10), (0, 0, 0, 128))
    assert near(decode(written(half, "PNG"))[5, 5], (127, 127, 127), 2)
    keyed = Image.new("P", (10, 10), 3)
    assert (decode(written(keyed, "GIF", transparency=3)) == 255).all()


def test_sixteen_bits_and_one_bit() -> None:
    deep = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    assert near(decode(written(deep, "PNG"))[0, 0], (156, 156, 156), 1)
    assert (decode(written(Image.new("1", (8, 8), 1), "PNG")) == 255).all()


def test_a_profile_is_applied_and_a_broken_one_is_ignored() -> None:
    from PIL import ImageCms

    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for profile in (lab, b"nonsense" * 20):
        assert decode(written(quarters(), "PNG", icc_profile=profile)).shape == (64, 64, 3)
    same = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert near(decode(written(quarters(), "PNG", icc_profile=same))[16, 16], RED, 1)


def test_animations_give_their_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), (place % 256, 0, 0)) for place in range(1_000)]
    frames[0] = Image.new("RGB", (20, 20), GREEN)
    data = written(frames[0], "GIF", save_all=True, append_images=frames[1:])
    began = time.thread_time()
    assert near(decode(data)[5, 5], GREEN, 8)
    assert time.thread_time() - began < 0.5
    moving = written(frames[0], "WEBP", save_all=True, append_images=frames[1:20])
    assert near(decode(moving)[5, 5], GREEN, 20)


def test_large_ones_are_shrunk_and_keep_their_proportions() -> None:
    assert decode(written(Image.new("RGB", (3_000, 1_500), RED), "JPEG")).shape == (256, 512, 3)
    assert decode(written(Image.new("RGB", (5_000, 1), RED), "PNG")).shape == (1, 512, 3)
    assert decode(written(quarters(), "PNG"), Limits(long_side=16)).shape == (16, 16, 3)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bombs = [
        png(40_000, 40_000, bytes(1_000_000)),
        png(2**31 - 1, 1),
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(50),
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x00" * 4 + b"\xff\x3f\x00" * 2,
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 60_000, -60_000) + bytes(40),
    ]
    for bomb in bombs:
        began = time.thread_time()
        with pytest.raises(BadPicture) as told:
            decode(bomb)
        assert told.value.reason == "too_many_pixels"
        assert told.value.status == 422
        assert time.thread_time() - began < 0.2


def test_a_jpeg_of_endless_passes_is_refused() -> None:
    data = written(quarters(), "JPEG", progressive=True)
    with pytest.raises(BadPicture) as told:
        decode(data[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 5_000 + data[-2:])
    assert told.value.reason == "too_many_scans"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "svg"),
        (b"  <svg onload='x()'/>", "svg"),
        (b"\xef\xbb\xbf<!DOCTYPE html><html>not found</html>", "html"),
        (b"%PDF-1.7 ...", "not_a_picture"),
        (b"II*\x00" + bytes(40), "unsupported_format"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(40), "unsupported_format"),
        (b"hello, this is no picture", "not_a_picture"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"RIFF\x00\x00\x00\x00WEBP", "truncated"),
    ],
)
def test_what_is_no_picture_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(BadPicture) as told:
        decode(data)
    assert told.value.reason == reason
    assert told.value.next


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "AVIF"])
def test_half_a_picture_is_refused(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (80, 80, 3), np.uint8))
    data = written(noise, kind)
    with pytest.raises(BadPicture) as told:
        decode(data[: len(data) // 2])
    assert told.value.reason in ("truncated", "broken")


def test_too_many_bytes() -> None:
    with pytest.raises(BadPicture) as told:
        decode(written(quarters(), "PNG"), Limits(bytes=10))
    assert told.value.reason == "too_many_bytes"


WHOLE = [written(quarters(size=16), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")]


@settings(max_examples=150)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 2_000), st.binary(min_size=1, max_size=8)), max_size=6),
    st.integers(0, 2_000),
)
def test_hostile_bytes_give_pixels_or_a_reason(data: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    broken = bytearray(data)
    for at, values in changes:
        place = at % len(broken)
        broken[place : place + len(values)] = values
    try:
        pixels = decode(bytes(broken[: cut or None]), Limits(pixels=1_000_000, side=4_000))
    except BadPicture as problem:
        reason = problem.reason
    else:
        reason = "" if pixels.ndim == 3 and pixels.shape[2] == 3 and max(pixels.shape) <= 512 else "other shapes!"
    assert reason.replace("_", "").isalpha() or not reason


@given(st.binary(max_size=300))
def test_any_bytes_are_sniffed_or_refused(data: bytes) -> None:
    try:
        said = sniffed(data)
    except BadPicture as problem:
        said = problem.reason
    formats = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP")
    assert said in (*formats, "empty", "svg", "html", "not_a_picture", "unsupported_format")
