#!/usr/bin/env python3
"""Set the course up and run it: `python3 course.py` opens JupyterLab, `… --help` lists the rest.

Needs Python and pip only. Finds uv (or puts it into .uv/) and makes .venv from requirements.lock: once, and
again when that file changes, when the folder has moved, or when an earlier attempt was cut short.
`python3 course.py exec COMMAND` runs anything in that environment.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV, STAMP = str(ROOT / ".venv"), ROOT / ".venv" / "course-stamp"
EXPLORER = ROOT / "course_utils" / "cli" / "_explorer.py"
NO_UV = """uv could not be installed: it takes a network, and pip (on Debian: sudo apt install python3-pip).
Or install uv yourself and run this again: https://docs.astral.sh/uv/"""
NO_PYTHON = f"""No .venv could be made; the reason stands above. The course needs Python 3.11, 3.12 or 3.13
(https://www.python.org/downloads/); this one is {sys.version.split()[0]}."""
CUT_SHORT = """The installation did not finish; the reason stands above. The same command again repairs it.
Where it speaks of a certificate: the network reads what passes (schools and firms do), so let the variable
SSL_CERT_FILE name the file with its certificate, which whoever runs the network has. Where it speaks of no
connection: `course.py bundle` on another machine makes a folder that installs without a network."""

DEEPEST = 200  # letters of the longest name below this folder: one of TensorFlow's, in .venv
LONG_PATH = """The name of this folder has {} letters. Windows refuses names of more than 259 in all unless
long paths are switched on, and the installation adds up to {}: if it fails, move the course to a folder with
a shorter name, such as C:\\course."""


def long_path(folder):
    """What to say before installing into a folder whose name is too long for Windows; else nothing."""
    letters = len(folder)
    return LONG_PATH.format(letters, DEEPEST) if letters + DEEPEST > 259 else ""


def find_uv():
    """The path of a uv that starts; installs one for the course alone where there is none."""
    private = os.pathsep.join(str(ROOT / ".uv" / name) for name in ("bin", "Scripts"))
    for found in (shutil.which("uv"), shutil.which("uv", path=private)):
        if found and subprocess.call([found, "--version"], stdout=subprocess.DEVNULL) == 0:
            return found
    print("Putting uv, which installs the rest, into .uv/", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
    subprocess.call([*pip, "--target", str(ROOT / ".uv"), "uv"])
    installed = shutil.which("uv", path=private)
    if not installed:
        sys.exit(NO_UV)
    return installed


def run_uv(uv, *arguments, otherwise):
    """Run uv with the certificates that this system trusts; where it fails, stop with a sentence."""
    environment = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", **os.environ}
    if subprocess.call([uv, *arguments], env=environment) != 0:
        sys.exit(otherwise)


def make_venv(uv):
    """A fresh, empty .venv, with this Python or another that fits."""
    if STAMP.exists():
        STAMP.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    python = sys.executable
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        find = [uv, "python", "find", "--system", ">=3.11,<3.14"]
        python = subprocess.run(find, stdout=subprocess.PIPE).stdout.decode().strip() or "3.12"
    run_uv(uv, "venv", "--quiet", "--python", python, VENV, otherwise=NO_PYTHON)


def install():
    """Bring .venv up to date: everything where the lock or the folder is new, else only the project."""
    lock, project = ((ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml"))
    wanted = [hashlib.sha256(content).hexdigest() for content in (lock + os.fsencode(VENV), project)]
    present = STAMP.read_text().split() if STAMP.exists() else []
    if present == wanted:
        return
    uv = find_uv()
    pip = ["pip", "install", "--compile-bytecode", "--python", VENV]
    if not sys.stderr.isatty():  # in a terminal uv shows its progress
        pip.append("--quiet")
    if present[:1] != wanted[:1]:
        print("Making .venv: 3 GB, once; it may take some minutes", file=sys.stderr)
        if os.name == "nt" and long_path(str(ROOT)):
            print(long_path(str(ROOT)), file=sys.stderr)
        make_venv(uv)
        locked = ["--require-hashes", "-r", str(ROOT / "requirements.lock")]
        run_uv(uv, *pip, *locked, otherwise=CUT_SHORT)
    run_uv(uv, *pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT), otherwise=CUT_SHORT)
    STAMP.write_text("\n".join(wanted))


def main(arguments):
    """Install what is missing, then become the command."""
    if arguments[0] == "explore" and not STAMP.exists():  # nothing needs to be installed for it
        return subprocess.call([sys.executable, str(EXPLORER), *arguments[1:]])
    install()
    tools = str(Path(VENV, "Scripts" if os.name == "nt" else "bin"))
    path = os.pathsep.join([tools, os.environ.get("PATH", os.defpath)])
    command = arguments[1:] if arguments[0] == "exec" else ["course", *arguments]
    program = shutil.which(command[0], path=path) if command else None
    if not program:
        sys.exit(f"{command[0]}: no such command" if command else "exec needs a command")
    environment = dict(os.environ, PATH=path, VIRTUAL_ENV=VENV)
    if os.name != "nt":
        os.execve(program, command, environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command to answer
    return subprocess.call([program, *command[1:]], env=environment)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:] or ["lab"]))
    except KeyboardInterrupt:
        sys.exit(130)
