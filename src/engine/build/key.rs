//! Keys of steps: the digest of everything that decides what a step comes to, and of nothing else. Times are never in it.

use sha2::{Digest as _, Sha256};

use crate::resource::id::Digest;

/// The first word of every key. Another one, and nothing that was built before counts any more.
const VERSION: &str = "gantry step 2";

/// A key that is put together. Every part goes in with its length, so that no two lists of parts look alike.
#[derive(Clone, Debug)]
pub(super) struct Key(Sha256);

impl Key {
    /// Begins the key of a kind of step.
    pub(super) fn of(kind: &str) -> Self {
        Self(Sha256::new()).text(VERSION).text(kind)
    }

    /// Adds a text.
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds bytes.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number.
    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.update(number.to_be_bytes());
        self
    }

    /// Adds a list of texts.
    pub(super) fn texts<T: AsRef<str>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        let texts: Vec<T> = texts.into_iter().collect();
        let counted = self.number(texts.len() as u64);
        texts.iter().fold(counted, |key, text| key.text(text.as_ref()))
    }

    /// Adds a text that may be missing.
    pub(super) fn maybe(self, text: Option<&str>) -> Self {
        self.texts(text)
    }

    /// Adds a digest.
    pub(super) fn digest(mut self, digest: &Digest) -> Self {
        self.0.update(digest.as_bytes());
        self
    }

    /// The key.
    pub(super) fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_look_alike() {
        let keys = [
            Key::of("run"),
            Key::of("copy"),
            Key::of("run").text("ab"),
            Key::of("run").text("a").text("b"),
            Key::of("run").texts(["a", "b"]),
            Key::of("run").texts(["ab"]),
            Key::of("run").maybe(None),
            Key::of("run").maybe(Some("")),
        ];
        let mut digests: Vec<Digest> = keys.map(Key::finish).to_vec();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 8);
        assert_eq!(Key::of("run").text("x").finish(), Key::of("run").text("x").finish());
    }
}
