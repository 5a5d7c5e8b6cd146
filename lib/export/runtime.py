"""onnxruntime-web, which runs a model inside a browser: fetched once, by version and checksum."""

import tarfile
from pathlib import Path

from lib.data.fetch import fetch
from lib.errors import UserError
from lib.paths import weights_root

VERSION = "1.27.0"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{ARCHIVE}"
CHECKSUM = (
    "sha512:a200cbb2a228cc767089f3ee377ecea6ba00a346f25fab78dff6cff06cde6560"
    "560fa30e184c6cc05031deea78352fefbd604e836bb63d7a260eddeb3267504a"
)
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


def runtime_files() -> dict[str, bytes]:
    """Return name -> bytes of the script and the WebAssembly of onnxruntime-web.

    Its archive is taken from WEIGHTS_ROOT, else `weights/`, else fetched into it. Raises
    `UserError` if there is neither the archive nor a network.
    """
    folder = weights_root()
    folder.mkdir(parents=True, exist_ok=True)
    archive = fetch(URL, folder / ARCHIVE, CHECKSUM)
    try:
        return {name: _member(archive, f"package/dist/{name}") for name in (SCRIPT, WASM)}
    except (tarfile.TarError, KeyError, OSError) as error:
        raise UserError(f"{archive}: not the archive of onnxruntime-web ({error})") from error


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as box:
        return box.extractfile(name).read()
