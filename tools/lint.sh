#!/bin/sh
# The lint: formatting, floors, external names, headers alone, clang-tidy, man pages.
# $1: a build folder with compile_commands.json. Prints each finding, exits 1 when there is any.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
bad=0
check() { # NAME COMMAND...: a check passes when its command does
    name=$1; shift
    if "$@"; then echo "lint: $name: ok"; else echo "lint: $name: FAILED"; bad=1; fi
}

sources() { git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]'; }

formatted() { sources | xargs clang-format --dry-run --Werror; }

names() { # every external symbol of the libraries begins with lmw_
    found=$(find "$build/src" -name 'liblmw_*.a' -exec nm -g --defined-only {} + 2>/dev/null |
        awk 'NF == 3 && $3 !~ /^(lmw_|__)/ {print "  " $3}' | sort -u)
    [ -z "$found" ] || { echo "$found"; return 1; }
}

headers() { # each header compiles alone
    ok=0
    for h in $(git ls-files 'src/*.h'); do
        printf '#include "%s"\n' "${h#src/}" |
            gcc -std=gnu17 -D_GNU_SOURCE -Isrc -fsyntax-only -x c - || ok=1
    done
    return "$ok"
}

tidy() { # a file a process: several in one confuse its analysis of va_list; the long ones first
    git ls-files 'src/*.c' | xargs ls -S |
        xargs -P "$(nproc)" -n 1 clang-tidy -p "$build" --quiet >"$build/tidy.log" 2>&1 && return 0
    grep -E 'warning:|error:' "$build/tidy.log" || cat "$build/tidy.log"
    return 1
}

man_pages() { mandoc -T lint -W warning docs/man/*.1; }

check format formatted
check floors python3 tools/floors.py
check names names
check headers headers
check shell shellcheck -S warning dev tools/lint.sh bench/run.sh tests/cli/*.sh completions/lmwatt.bash
check man man_pages
check tidy tidy
exit $bad
