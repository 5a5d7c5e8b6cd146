"""onnxruntime-web, which runs a model inside a browser: fetched once, by version and checksum."""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from lib.data.fetch import fetch
from lib.errors import UserError
from lib.paths import weights_root

VERSION = "1.27.0"
ARCHIVE, PACKAGE = f"onnxruntime-web-{VERSION}.tgz", f"onnxruntime-web@{VERSION}"  # of npm
SHA512 = (
    "a200cbb2a228cc767089f3ee377ecea6ba00a346f25fab78dff6cff06cde6560"
    "560fa30e184c6cc05031deea78352fefbd604e836bb63d7a260eddeb3267504a"
)
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


def runtime_files() -> dict[str, bytes]:
    """Return name -> bytes of the script and the WebAssembly of onnxruntime-web.

    Its archive is taken from WEIGHTS_ROOT, else `weights/`, else fetched into it from where npm
    says that it is. Raises `UserError` if it is another file, or if there is no npm or network.
    """
    folder = weights_root()
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE
    if not archive.exists():
        fetch(_address(archive), archive, f"sha512:{SHA512}")
    if hashlib.sha512(archive.read_bytes()).hexdigest() != SHA512:
        raise UserError(f"{archive}: not the published file (its sha512 differs); delete it")
    try:
        return {name: _member(archive, f"package/dist/{name}") for name in (SCRIPT, WASM)}
    except (tarfile.TarError, KeyError, OSError) as error:
        raise UserError(f"{archive}: not the archive of onnxruntime-web ({error})") from error


def _address(archive: Path) -> str:
    remedy = f"run `npm pack {PACKAGE}` where there is a network, and put the file to {archive}"
    if not (npm := shutil.which("npm")):
        raise UserError(f"export: npm is not installed; {remedy}")
    command = [npm, "view", PACKAGE, "dist.tarball"]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode or not said.stdout.strip():
        raise UserError(f"export: npm does not find {PACKAGE}; {remedy}")
    return said.stdout.strip()


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as box:
        return box.extractfile(name).read()
