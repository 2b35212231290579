"""What does this photo show? From an address, a data URI or an upload to a vector, before a page is asked for.

    data: or https:  ->  bytes     bounded; an address only where the shop allows it, by the safe client
                     ->  pixels    decoded with bounds (`understanding.image`)
                     ->  vector    by the shop's image encoder, at most `TOGETHER` at a time
                     ->  vector:<digest of the encoder>:<numbers>      what the engine understands

The photo becomes the text in the last line, a *token*: the same numbers in 8 bits each. It stands for the photo in the
next requests (another page, a filter), is good until the shop changes its encoder, and says nothing that has to be
kept: no photo is stored, and every process and machine of the shop reads it alike. Whoever writes a token by hand gets
the neighbours of a direction, no more. A photo that cannot be read is an error of who sent it (BadPicture, 422); a shop
that cannot look at photos (no encoder, no pictures learned) answers by the words alone, and says so in `degraded`.
Cost: 15 to 60 ms a photo by encoder; a token 20 microseconds. Not for: searching (`retrieval.pictures`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import threading
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bodega.errors import BadRequest, MissingExtra, Overloaded, TooLarge
from bodega.protocols import ImageEncoder, Pixels, Source
from bodega.schema import Request
from bodega.schema.arrays import NO_FLOATS, Floats

LARGEST = 10_000_000
"""Bytes of a photo."""
TOGETHER = 2
"""Photos that are looked at in one moment: each is a core for some ten milliseconds."""
WAIT = 2.0
"""Seconds that a photo waits for its turn."""
KEPT = 256
"""Tokens of the newest photos that are kept, 2 kB each: the same photo comes again with every filter."""
DIRECTIONS = 8_192
MARK = "vector:"
UNSEEN = "unseen:"
"""In place of a photo that nobody here can look at, with the reason."""

NO_PICTURES = "this shop has learned no pictures; next: bodega pictures, then bodega learn"
OTHER_ENCODER = "its pictures were looked at by another encoder; next: bodega pictures, then bodega learn"

_POINTING = re.compile(
    r"\b(?:(?:something|some|one|ones|items?|products?|things?)\s+)?"
    r"(?:(?:just|exactly|similar|same|looks?|looking|more)\s+)*"
    r"(?:like|to|as)\s+(?:this|that|these|those|it|the (?:photo|picture|image))(?:\s+(?:one|photo|picture|image))?\b"
    r"|\b(?:the\s+)?same(?:\s+(?:one|thing))?\s*(?=,|\bbut\b|$)"
    r"|\bthis(?:\s+one)?\s*(?=,|\bbut\b|\bin\b)"
    r"|\b(?:but|only|instead|please)\b"
    r"|(?:就?像|跟|和|与)?(?:这个|这种|这款|这件|这张(?:图|照片)?|图片|照片)(?:一样|类似|相似|里|中)?的?|类似的?|同款|但是?|不过|换成|要",
    re.IGNORECASE,
)
"""Words that point at the photo and name nothing themselves: "like this, but red"."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a shop looks at photos with."""

    encoder: Callable[[], ImageEncoder]
    """Opens the encoder, at the first photo. Raises MissingExtra, and what else an encoder raises."""
    decode: Callable[[bytes], Pixels]
    """Raises BadPicture (an UsageError) for what is no picture."""
    fetch: Callable[[str], bytes] | None = None
    """Gets the bytes of an address; None: this shop fetches none."""


@dataclass(slots=True)
class Photos:
    """Turns photos of requests into tokens. Safe from several threads."""

    sight: Sight | None
    """None: photos are switched off."""
    files: Callable[[str], bytes] | None = None
    """Reads a file of the shop's folder of pictures by the path that items name; None: there is none. Raises
    BadPicture for what lies elsewhere."""
    _encoder: ImageEncoder | None = None
    _turns: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(TOGETHER))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def token(self, data: bytes) -> str:
        """The token of a photo, from its bytes. Raises BadPicture, MissingExtra, TooLarge, Overloaded."""
        if len(data) > LARGEST:
            raise TooLarge(
                "the photo is too large", where="image", allowed=f"{LARGEST:,} bytes", got=f"{len(data):,}",
                next="send a smaller one: 512 pixels are enough",
            )  # fmt: skip
        if self.sight is None:
            raise MissingExtra("this shop does not look at photos", where="image", next='[pictures] encoder = "auto"')
        name = hashlib.sha256(data).hexdigest()
        with self._lock:
            known = self._kept.get(name)
            if known is not None:
                self._kept.move_to_end(name)
                return known
        pixels = self.sight.decode(data)
        if not self._turns.acquire(timeout=WAIT):
            raise Overloaded("too many photos are being looked at", where="image", next="ask again in a second")
        try:
            encoder = self._opened(self.sight)
            made = token_of(encoder.encode([pixels])[0], encoder.info.digest)
        finally:
            self._turns.release()
        with self._lock:
            self._kept[name] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    @property
    def encoder_name(self) -> str:
        """Which encoder looks; "" before the first photo."""
        return "" if self._encoder is None else self._encoder.info.name

    def seen(self, request: Request) -> Request:
        """The request with a token in place of its photo, or with the reason why there is none.

        Raises BadPicture, BadRequest (no photo, an address where none is fetched), TooLarge, Overloaded.
        """
        if not request.image or request.image.startswith((MARK, UNSEEN)):
            return request
        try:
            image = self.token(self._bytes(request.image))
        except MissingExtra as error:
            image = UNSEEN + error.what + (f"; next: {error.next}" if error.next else "")
        return msgspec.structs.replace(request, image=image)

    def asked(self, request: Request, pictures: Source | None) -> Request:
        """The request as the engine of a shop with these learned pictures understands it; raises as `seen` does.

        A photo alone that cannot be searched by becomes a list of the whole shop, so that nobody is left with nothing.
        """
        if not request.image:
            return request
        info = getattr(pictures, "info", None)
        if info is None:
            request = msgspec.structs.replace(request, image=UNSEEN + NO_PICTURES)
        else:
            sent = is_photo(request.image)
            request = self.seen(request)
            digest, _ = picture_of(request.image)
            if is_photo(request.image) and digest != info.digest:
                if sent:
                    raise BadRequest(
                        "this photo was looked at by another encoder than the shop's pictures", where="image",
                        allowed=f"encoder {info.name} ({info.digest})", got=digest[:40], next="send the photo again",
                    )  # fmt: skip
                request = msgspec.structs.replace(request, image=UNSEEN + OTHER_ENCODER)
        if request.image.startswith(UNSEEN) and request.place == "search" and not request.query.strip():
            request = msgspec.structs.replace(request, place="category")
        return request

    def _opened(self, sight: Sight) -> ImageEncoder:
        with self._lock:
            if self._encoder is None:
                self._encoder = sight.encoder()
            return self._encoder

    def _bytes(self, image: str) -> bytes:
        if image[:5].lower() == "data:":
            return bytes_of(image)
        if image[:7].lower() != "http://" and image[:8].lower() != "https://":
            raise _no_photo(image)
        if self.sight is None or self.sight.fetch is None:
            raise BadRequest(
                "this shop fetches no photos from other addresses", where="image", allowed="the photo as a data URI",
                got=image, next="send the photo itself (POST /v1/photo), or switch [pictures] fetch on",
            )  # fmt: skip
        return self.sight.fetch(image)


def bytes_of(uri: str) -> bytes:
    """What a data URI holds. Raises BadRequest, TooLarge.

    >>> bytes_of("data:image/png;base64,aGk=")
    b'hi'
    """
    if len(uri) > LARGEST * 4 // 3 + 200:
        raise TooLarge("the photo is too large", where="image", allowed=f"{LARGEST:,} bytes", got=f"{len(uri):,}")
    head, comma, body = uri.partition(",")
    if not comma:
        raise _no_photo(uri)
    try:
        if head.lower().endswith(";base64"):
            return base64.b64decode(urllib.parse.unquote(body) if "%" in body else body, validate=True)
        return urllib.parse.unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise _no_photo(uri) from error


def token_of(vector: Floats, digest: str) -> str:
    """A vector as a text: 8 bits a number, to the largest. The cosine of both is above .999."""
    largest = float(np.abs(vector).max(initial=0.0)) or 1.0
    codes = np.rint(vector * np.float32(127 / largest)).astype(np.int8)
    return f"{MARK}{digest}:{base64.urlsafe_b64encode(codes.tobytes()).decode().rstrip('=')}"


def picture_of(image: str) -> tuple[str, Floats]:
    """(digest of the encoder, vector of length 1) of a token; ("", nothing) of anything else. Raises BadRequest.

    >>> digest, vector = picture_of(token_of(np.array([3, 4], np.float32), "abc"))
    >>> digest, [round(float(number), 1) for number in vector]
    ('abc', [0.6, 0.8])
    """
    if not image.startswith(MARK):
        return "", NO_FLOATS
    digest, _, text = image[len(MARK) :].partition(":")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _no_photo(image) from error
    vector = np.frombuffer(raw, np.int8).astype(np.float32)
    length = float(np.linalg.norm(vector))
    if not 0 < len(vector) <= DIRECTIONS or length == 0:
        raise _no_photo(image)
    return digest, (vector / np.float32(length)).astype(np.float32)


def beside_photo(query: str) -> str:
    """The words of a question beside a photo, without those that only point at it; every other one keeps its place.

    >>> beside_photo("like this, but red").strip(" ,"), beside_photo("要红色的").strip()
    ('red', '红色的')
    """
    return _POINTING.sub(lambda found: " " * len(found[0]), query)


def is_photo(image: str) -> bool:
    """Is this a photo that was looked at?"""
    return image.startswith(MARK)


def _no_photo(image: str) -> BadRequest:
    return BadRequest(
        "this is no photo",
        where="image",
        allowed="data:image/...;base64,..., an https address, or what POST /v1/photo answered",
        got=image[:60],
    )
