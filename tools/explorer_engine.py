"""Build the explorer's engine: docs/explorer/engine.c to WebAssembly, with and without threads.

    python tools/explorer_engine.py

Needs clang and wasm-ld (LLVM 14 or newer). The SHA-256 of the source goes into each file as a section of its
own, and a test compares it.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "explorer"
COMMON = "--target=wasm32 -O3 -ffreestanding -nostdlib -msimd128 -Wall -Wextra -Werror"
LINK = ["--no-entry", "--import-memory", "--max-memory=1073741824", "--strip-all"]
LINK += [
    f"--export={name}"
    for name in ("convolve", "dense", "halves", "patches", "pool", "scratch", "__heap_base")
]
THREADS = ["-DTHREADS", "-matomics", "-mbulk-memory", "-mmutable-globals"]
THREADS += ["-Wl,--shared-memory,--export=__stack_pointer"]


def section(name: str, content: bytes) -> bytes:
    """A custom section of a WebAssembly file; name and content are short."""
    body = bytes([len(name)]) + name.encode() + content
    return bytes([0, len(body)]) + body


def build(name: str, options: list[str]) -> Path:
    """Compile one variant; returns its file."""
    source, out = FOLDER / "engine.c", FOLDER / name
    link = f"-Wl,{','.join(LINK)}"
    subprocess.run(["clang", *COMMON.split(), link, *options, "-o", str(out), str(source)], check=True)
    digest = hashlib.sha256(source.read_bytes()).hexdigest().encode()
    out.write_bytes(out.read_bytes() + section("source", digest))
    out.chmod(0o644)
    return out


if __name__ == "__main__":
    for path in (build("engine.wasm", []), build("engine_threads.wasm", THREADS)):
        print(f"{path.name}: {path.stat().st_size:,} bytes")
