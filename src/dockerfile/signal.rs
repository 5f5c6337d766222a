//! Names of signals.

const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT",
    "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
    "RTMIN", "RTMAX",
];

/// Whether a text is a signal: a number, or a name with or without `SIG`.
pub(super) fn known(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let within = |text: &str, last: u8| text.parse::<u8>().is_ok_and(|it| (1..=last).contains(&it));
    NAMES.contains(&name)
        || name.strip_prefix("RTMIN+").is_some_and(|it| within(it, 15))
        || name.strip_prefix("RTMAX-").is_some_and(|it| within(it, 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known() {
        for text in ["SIGTERM", "term", "9", "64", "SIGRTMIN+3", "RTMAX-1"] {
            assert!(known(text), "{text}");
        }
        for text in ["", "SIGWHAT", "0", "65", "SIGRTMIN+99", "-1"] {
            assert!(!known(text), "{text}");
        }
    }
}
