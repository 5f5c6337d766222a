# Tells fish what can follow `gantry`. Printed by `gantry completion fish`.
function __gantry_complete
    set -l words (commandline -opc)
    $words[1] __complete $words[2..-1] (commandline -ct | string collect -a) 2>/dev/null | string match -rv '^:\d+$'
end
complete -c gantry -f -a '(__gantry_complete)'
