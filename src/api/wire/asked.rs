//! For tests: which parameters of queries and fields of bodies were asked for on this thread.

use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    static PARAMETERS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    static FIELDS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Somebody asks for a parameter of a query.
pub(crate) fn parameter(name: &str) {
    PARAMETERS.with_borrow_mut(|names| names.insert(name.to_owned()));
}

/// Somebody asks for a field of a body.
pub(crate) fn field(path: String) {
    FIELDS.with_borrow_mut(|paths| paths.insert(path));
}

/// Takes the parameters and the fields that were asked for since the last time.
pub(crate) fn take() -> (BTreeSet<String>, BTreeSet<String>) {
    (PARAMETERS.take(), FIELDS.take())
}
