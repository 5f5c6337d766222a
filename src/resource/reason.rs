//! What the system says went wrong.

use std::fmt::Display;
use std::io;

/// The words without the number that Rust puts behind them (`(os error 2)`): it is for nobody to look up.
pub fn plain(error: &(impl Display + ?Sized)) -> String {
    let mut text = error.to_string();
    text.truncate(text.find(" (os error").unwrap_or(text.len()));
    text
}

/// Whether it says that a disk is full, or a share of it.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out() {
        assert_eq!(plain(&std::io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(plain("it is torn"), "it is torn");
    }
}
