//! Names for containers that were given none: an adjective and somebody to whom computing owes something.

const ADJECTIVES: [&str; 40] = [
    "admiring",
    "amazing",
    "bold",
    "brave",
    "busy",
    "calm",
    "clever",
    "cool",
    "dazzling",
    "eager",
    "elegant",
    "epic",
    "festive",
    "friendly",
    "funny",
    "gallant",
    "gifted",
    "happy",
    "hopeful",
    "inspiring",
    "jolly",
    "keen",
    "kind",
    "lucid",
    "magical",
    "modest",
    "nice",
    "optimistic",
    "patient",
    "quirky",
    "relaxed",
    "serene",
    "sharp",
    "silly",
    "stoic",
    "sweet",
    "tender",
    "vibrant",
    "wizardly",
    "zen",
];

const SURNAMES: [&str; 48] = [
    "allen",
    "babbage",
    "backus",
    "bartik",
    "bell",
    "boole",
    "booth",
    "borg",
    "bose",
    "clarke",
    "curie",
    "darwin",
    "dijkstra",
    "easley",
    "einstein",
    "engelbart",
    "euclid",
    "euler",
    "fermat",
    "feynman",
    "galileo",
    "gauss",
    "goldberg",
    "hamilton",
    "hopper",
    "jennings",
    "johnson",
    "kepler",
    "knuth",
    "lamport",
    "lamarr",
    "liskov",
    "lovelace",
    "mccarthy",
    "meitner",
    "mirzakhani",
    "moser",
    "newton",
    "noether",
    "pascal",
    "perlman",
    "ritchie",
    "shannon",
    "tesla",
    "thompson",
    "torvalds",
    "turing",
    "wozniak",
];

/// The name that random bytes choose; later attempts have a number at the end, as Docker's.
pub(super) fn from_bytes(bytes: [u8; 32], attempt: u8) -> String {
    let pick = |from: &[&'static str], at: usize| from[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) % from.len()];
    let name = format!("{}_{}", pick(&ADJECTIVES, 0), pick(&SURNAMES, 2));
    if attempt == 0 { name } else { format!("{name}{attempt}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::name::ContainerName;

    #[test]
    fn every_generated_name_is_a_name() {
        for byte in 0..=255 {
            for attempt in [0, 7] {
                let name = from_bytes([byte; 32], attempt);
                assert!(name.parse::<ContainerName>().is_ok(), "{name}");
            }
        }
        assert_eq!(from_bytes([0; 32], 0), "admiring_allen");
        assert_eq!(from_bytes([0; 32], 2), "admiring_allen2");
    }
}
