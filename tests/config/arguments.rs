//! A case's options, as arguments of the program.

use super::case::Options;

/// The arguments of `config`.
pub(crate) fn arguments(options: &Options) -> Vec<String> {
    let global = options.global.iter().flat_map(|(flag, value)| [flag.clone(), value.clone()]);
    global.chain(["config".to_owned()]).chain(options.flags.iter().cloned()).chain(options.select.iter().cloned()).collect()
}
