#!/bin/sh
# The man page and the shell completions against the program's own --help: sh documented.sh LMWATT SOURCE_ROOT
# Every command's help must work and hold an example of that command; its section of the man page must have its options and
# no others, spelled the same; the completions must offer each of them.
set -u
program=$(realpath "$1")
cd "$2" || exit 1
man=docs/man/lmwatt.1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n_bad=0
bad() { echo "$*"; n_bad=$((n_bad + 1)); }

# --help's options as the man page's items, e.g. `.It Fl m , Fl -model Ar FILE`.
items() {
    sed -n -e 's/^  -\(.\), --\([^ ]*\) \([A-Z][A-Z]*\)  *.*/.It Fl \1 , Fl -\2 Ar \3/p' \
        -e 's/^  -\(.\), --\([^ ]*\)  *[^A-Z ].*/.It Fl \1 , Fl -\2/p' \
        -e 's/^      --\([^ ]*\) \([A-Z][A-Z]*\)  *.*/.It Fl -\1 Ar \2/p' \
        -e 's/^      --\([^ ]*\)  *[^A-Z ].*/.It Fl -\1/p' "$1"
}

in_bash() { # COMMAND: what bash offers after `lmwatt COMMAND -`
    bash -c '. completions/lmwatt.bash; COMP_WORDS=("$1" "$2" -); COMP_CWORD=2; _lmwatt; printf "%s\n" "${COMPREPLY[@]}"' \
        bash "$program" "$1"
}

in_zsh() { # The options zsh would be given, _arguments and its like replaced by echoes.
    # shellcheck disable=SC2016
    zsh -f -c '_call_program() { shift; "$@"; }; compdef() { :; }; _arguments() { print -l -- "$@"; }
        words=("$1" "$2" -) CURRENT=3; . completions/_lmwatt; _lmwatt' zsh "$program" "$1" |
        sed -n 's/^\**\(--*[a-z0-9-]*\)\[.*/\1/p'
}

commands=$("$program" --help | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p')
[ -n "$commands" ] || bad "lmwatt --help lists no commands"
command -v zsh >/dev/null || echo "zsh is not installed: its completion is not tried"
for c in $commands; do
    "$program" "$c" --help >"$dir/help" 2>"$dir/errors" || bad "lmwatt $c --help: exit status $?"
    [ ! -s "$dir/errors" ] || bad "lmwatt $c --help writes to standard error: $(cat "$dir/errors")"
    head -n 1 "$dir/help" | grep -q "^usage: lmwatt $c" || bad "lmwatt $c --help does not begin with its usage"
    grep -q "^  lmwatt $c " "$dir/help" || bad "lmwatt $c --help has no example"
    awk 'length > 105 {exit 1}' "$dir/help" || bad "lmwatt $c --help is over 105 columns wide"
    items "$dir/help" | sort >"$dir/want"
    grep -c '^  \(-., \|    \)--' "$dir/help" | grep -qx "$(wc -l <"$dir/want")" ||
        bad "lmwatt $c --help has options this test does not understand"
    awk -v head=".Ss $c" '/^\.S[sh] /{on = $0 == head} on' "$man" >"$dir/section"
    [ -s "$dir/section" ] || bad "$man has no section for $c"
    grep '^\.It Fl' "$dir/section" | sort >"$dir/got"
    diff "$dir/want" "$dir/got" >"$dir/diff" || bad "$man, $c (< --help, > man page):
$(cat "$dir/diff")"
    sed -n -e 's/^  \(-.\), --.*/\1/p' -e 's/^  .\{4\}\(--[^ ]*\).*/\1/p' "$dir/help" >"$dir/want"
    in_bash "$c" >"$dir/bash"
    grep -vxF -e --help -f "$dir/bash" "$dir/want" | sed "s/^/bash does not complete lmwatt $c /" >"$dir/miss"
    if command -v zsh >/dev/null; then
        in_zsh "$c" >"$dir/zsh"
        grep -vxF -e --help -f "$dir/zsh" "$dir/want" | sed "s/^/zsh does not complete lmwatt $c /" >>"$dir/miss"
    fi
    [ ! -s "$dir/miss" ] || bad "$(cat "$dir/miss")"
done
echo "$(echo "$commands" | wc -w) commands, $n_bad findings"
[ "$n_bad" = 0 ]
