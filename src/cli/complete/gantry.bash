# Tells bash what can follow `gantry`. Printed by `gantry completion bash`.
_gantry() {
    local words=() joins=0 index word head line value lines=()
    # Bash takes words apart at `=` and `:`; the command does not.
    for ((index = 0; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if ((${#words[@]} > 1)) && { ((joins)) || [[ $word == [=:]* ]]; }; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        [[ $word == [=:]* ]] && joins=1 || joins=0
    done
    # What is before the part that bash replaces is no part of an answer.
    if [[ $word == *[=:] ]]; then head=${words[-1]}; else head=${words[-1]%"$word"}; fi
    mapfile -t lines < <("${1/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    for line in "${lines[@]}"; do
        if [[ $line =~ ^:([0-9]+)$ ]]; then
            ((BASH_REMATCH[1] & 2)) && compopt -o nospace
            continue
        fi
        value=${line%%$'\t'*}
        value=${value#"$head"}
        [[ $value != *' '* ]] || printf -v value %q "$value"
        COMPREPLY+=("$value")
    done
    return 0
}
complete -F _gantry gantry
