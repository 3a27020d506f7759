#!/bin/sh
# Print the command of the Python that the environment is built with.
#
# The first of the versions below that is on the PATH and runs; then python3, where it is one of them; then one
# that uv manages, where uv is there. A name on the PATH proves nothing: pyenv's python3.12 fails where no 3.12
# is chosen, and Debian's Python makes no environments without its package python3-venv.
set -u
versions="3.11 3.12"

runs() { # COMMAND VERSION
    "$1" -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null | grep -qx "$2"
}

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
echo "error: no Python 3.11 or 3.12 runs here; install one with its venv module (Debian, Ubuntu: apt install" \
    "python3-venv; elsewhere: conda, pyenv or uv), or name it: make setup PYTHON=/path/to/python3.12" >&2
exit 1
