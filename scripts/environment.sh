# Sourced by demo.sh and test.sh: keeps .venv in the repository, with the package installed in it.
#
# .venv holds four files of ours: made_for (interpreter and place; a virtual environment cannot be moved),
# installed_run and installed_dev (for which pyproject.toml and constraints.txt), and, only while it is being
# changed, unfinished: whoever finds that one knows that the work was cut short, and starts again.

repository="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
environment="$repository/.venv"
log="$environment/install.log"

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# ensure_environment run|dev: afterwards $environment has the package (dev: and the tools of the tests).
ensure_environment() {
    local made_for requirements
    find_python
    made_for="$("$python" -c 'import sys; print(sys.version, sys.base_prefix, sys.argv[1])' "$environment")"
    requirements="$("$python" -c '
import hashlib, sys
print(*(hashlib.sha256(open(name, "rb").read()).hexdigest() for name in sys.argv[1:]))
' "$repository/pyproject.toml" "$repository/constraints.txt")"
    if [ -e "$environment/unfinished" ] || [ "$(note made_for)" != "$made_for" ]; then
        make_environment "$made_for"
    fi
    if [ "$(note "installed_$1")" != "$requirements" ]; then
        install_package "$1" "$requirements"
    fi
}

# Sets $python. An active .venv does not count: it may have to be made again.
find_python() {
    local candidate found="there is no python3 on PATH"
    if [ -n "${PYTHON:-}" ]; then
        python="$PYTHON"
        supported || fail "Python 3.11 or newer is needed, but PYTHON=$PYTHON is $(release)"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        python="$(PATH="${PATH//"$environment/bin:"/}" command -v "$candidate")" || continue
        if supported; then
            return
        fi
        found="$python is $(release)"
    done
    fail "Python 3.11 or newer is needed, but $found; PYTHON=/path/to/python chooses another one"
}

supported() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

release() {
    "$python" --version 2>/dev/null || echo "not a working Python"
}

note() {
    [ ! -f "$environment/$1" ] || cat "$environment/$1"
}

make_environment() {
    if [ -d "$environment" ] && [ ! -e "$environment/made_for" ] && [ ! -e "$environment/unfinished" ]; then
        rmdir "$environment" 2>/dev/null || fail "$environment was not made by these scripts; move it away"
    fi
    echo "Making $environment with $(release)."
    rm -rf "$environment" && mkdir "$environment" && : >"$environment/unfinished" || fail "cannot write $environment"
    "$python" -m venv "$environment" >"$log" 2>&1 || make_environment_without_venv
    printf '%s\n' "$1" >"$environment/made_for"
}

# Some distributions give Python without venv or ensurepip; virtualenv, fetched by pip, replaces both.
make_environment_without_venv() {
    local tool="$environment/virtualenv"
    {
        "$python" -m pip install --constraint "$repository/constraints.txt" --target "$tool" virtualenv &&
            PYTHONPATH="$tool" "$python" -m virtualenv --no-periodic-update --app-data "$tool/data" "$environment"
    } >>"$log" 2>&1 || fail "neither venv nor virtualenv by pip works with $python$(reason)"
    rm -rf "$tool"
}

install_package() {
    local package="."
    [ "$1" = run ] || package=".[$1]"
    echo "Installing nc_bench in $environment; this takes a minute or two."
    : >"$environment/unfinished"
    if ! (cd "$repository" &&
        "$environment/bin/python" -m pip install --constraint constraints.txt --editable "$package") >"$log" 2>&1; then
        # Before pip says this, it has only looked and downloaded: what was installed still works.
        grep -q '^Installing collected packages' "$log" || rm "$environment/unfinished"
        fail "installing nc_bench failed (is there a network?)$(reason)"
    fi
    rm -f "$environment"/installed_*
    printf '%s\n' "$2" >"$environment/installed_run"
    [ "$1" = run ] || printf '%s\n' "$2" >"$environment/installed_$1"
    rm "$environment/unfinished"
}

# The last error that pip wrote, and where the rest is.
reason() {
    local line
    line="$(grep 'ERROR: ' "$log" | tail -n 1)" || true
    printf '%s; see %s' "${line:+: ${line#*ERROR: }}" "$log"
}
