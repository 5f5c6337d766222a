#compdef gantry
# Tells zsh what can follow `gantry`. Printed by `gantry completion zsh`.
_gantry() {
    local line directive=0
    local -a lines values shown options
    lines=("${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${lines[@]}"; do
        if [[ $line == :<-> ]]; then
            directive=${line#:}
        elif [[ -n $line ]]; then
            values+=("${line%%$'\t'*}")
            if [[ $line == *$'\t'* ]]; then
                shown+=("${line%%$'\t'*}  -- ${line#*$'\t'}")
            else
                shown+=("$line")
            fi
        fi
    done
    ((directive & 2)) && options=(-S '')
    compadd -l -d shown "${options[@]}" -- "${values[@]}"
}
if [[ $funcstack[1] == _gantry ]]; then
    _gantry "$@"
else
    compdef _gantry gantry
fi
