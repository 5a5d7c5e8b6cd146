"""The published page that listens, and what is packed in it."""

import base64
import gzip

from bs4 import BeautifulSoup

from lib.paths import PROJECT

PUBLISHED = PROJECT / "reports/listen.html"


def unpack(text: str, name: str) -> bytes:
    """A part of a page: model, detectors, runtime or wasm."""
    packed = BeautifulSoup(text, "html.parser").find(id=name).string
    return gzip.decompress(base64.b64decode(packed))
