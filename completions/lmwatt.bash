# bash completion for lmwatt. Commands, options and what an option takes are read from the program's own --help, so
# there is no second list to keep.
# shellcheck shell=bash

_lmwatt_words() { # WORDS: those that begin with the word at the cursor
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}")
}

_lmwatt_files() {
    local names
    mapfile -t names < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
    COMPREPLY+=("${names[@]}")
    compopt -o filenames 2>/dev/null
}

_lmwatt() {
    local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local help options
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _lmwatt_words "--help --version $("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p')"
        return
    fi
    help=$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null) || return
    # One line an option: its spellings, then the name of its value, if it takes one.
    options=$(sed -n 's/^  \(-., \|    \)\(--[^ ]*\)\( [A-Z]*\)\{0,1\}  *.*/\1\2\3/p' <<<"$help" | tr -d ,)
    if [[ $prev == -* ]]; then
        case $(sed -n "s/^\(.* \)*$prev\( --[^ ]*\)* \([A-Z]*\)\$/\3/p" <<<"$options") in
        FILE | DB) _lmwatt_files; return ;;
        ?*) return ;;
        esac
    fi
    if [[ $cur == -* ]]; then
        _lmwatt_words "--help $(grep -o -e '--*[a-z0-9-]*' <<<"$options" | tr '\n' ' ')"
    else
        # The plain words of the usage line, the formats where there is a TYPE to name, and files.
        options=$(sed -n '1s/^usage: lmwatt [a-z]*//p' <<<"$help" | sed 's/\[[^]]*\]//g' | grep -oE '(^| )[a-z][a-z-]*')
        [[ $help != *' TYPE'* ]] || options+=" $(grep -oE '\b(B?F|Q)[0-9]+[A-Z0-9_]*' <<<"$help")"
        _lmwatt_words "$options"
        _lmwatt_files
    fi
}

complete -F _lmwatt lmwatt
