//! Signals by name or number, as Docker reads them.

use nix::sys::signal::Signal;

use crate::resource::failure::Failure;

/// The first and the last real-time signal as glibc and Docker count them.
const REAL_TIME: (i32, i32) = (34, 64);

/// Parses `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`.
pub fn parse(text: &str) -> Result<i32, Failure> {
    let invalid = || Failure::invalid(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=REAL_TIME.1).contains(&number) { Ok(number) } else { Err(invalid()) };
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str| if rest.is_empty() { Some(0) } else { rest.get(1..).and_then(|digits| digits.parse::<i32>().ok()) };
    let real_time = match (bare.strip_prefix("RTMIN"), bare.strip_prefix("RTMAX")) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => offset(rest).map(|by| REAL_TIME.0 + by),
        (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => offset(rest).map(|by| REAL_TIME.1 - by),
        _ => None,
    };
    match real_time {
        Some(number) if (REAL_TIME.0..=REAL_TIME.1).contains(&number) => Ok(number),
        Some(_) => Err(invalid()),
        // glibc's older names for two of them.
        None => match bare {
            "CLD" => Ok(Signal::SIGCHLD as i32),
            "POLL" => Ok(Signal::SIGIO as i32),
            _ => format!("SIG{bare}").parse::<Signal>().map(|signal| signal as i32).map_err(|_| invalid()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let check = |text: &str, expected: Option<i32>| assert_eq!(parse(text).ok(), expected, "{text}");
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            check(text, Some(15));
        }
        check("SIGRTMIN+3", Some(37));
        check("RTMAX-1", Some(63));
        check("RTMAX", Some(64));
        for text in ["", "0", "65", "SIG", "TERMINATE", "RTMIN+99", "RTMIN3", "-9"] {
            check(text, None);
        }
    }
}
