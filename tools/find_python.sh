#!/bin/sh
# Print the command of the Python to build the environment with: the one that is named, if it can.
#
# Without a name it takes the first version below that is on the PATH and runs, else python3 if it is one of
# them, else one that uv manages, if uv is installed. A name on the PATH is not enough: pyenv's python3.12 fails
# if no 3.12 is selected, Debian's Python cannot make environments without its package python3-venv, and a Python
# that was compiled where sqlite3 or bz2 had no headers lacks what both engines import.
set -u
versions="3.11 3.12"

runs() { # COMMAND VERSION
    "$1" -c 'import bz2, ctypes, ensurepip, sqlite3, ssl, sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null | grep -qx "$2"
}

if [ -n "${1:-}" ]; then
    for version in $versions; do
        runs "$1" "$version" && echo "$1" && exit
    done
    echo "error: $1 does not run as Python 3.11 or 3.12 with venv, sqlite3, bz2, ctypes and ssl; name another with PYTHON=, or none" >&2
    exit 1
fi
for version in $versions; do
    runs "python$version" "$version" && echo "python$version" && exit
done
for version in $versions; do
    runs python3 "$version" && echo python3 && exit
done
if command -v uv >/dev/null; then
    for version in $versions; do
        found=$(uv python find --managed-python "$version" 2>/dev/null) ||
            found=$(uv python install --quiet "$version" && uv python find --managed-python "$version") || continue
        runs "$found" "$version" && echo "$found" && exit
    done
fi
echo "error: no Python 3.11 or 3.12 with venv, sqlite3, bz2, ctypes and ssl runs here; install one (Debian, Ubuntu:" \
    "apt install python3-venv; elsewhere: conda, pyenv or uv), or name it: make setup PYTHON=/path/to/python3.12" >&2
exit 1
