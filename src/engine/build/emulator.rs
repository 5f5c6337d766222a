//! Programs for other machines: the kernel hands them to an emulator that was registered with it (binfmt_misc, Linux 2.1.43).

use std::fs;

/// Where the kernel tells what is registered, a file each.
const REGISTERED: &str = "/proc/sys/fs/binfmt_misc";

/// Whether programs for an architecture can be run here by an emulator, whatever it is called.
pub(super) fn is_registered(architecture: &str) -> bool {
    let Some(program) = program(architecture) else { return false };
    // All of them can be put out of use at once.
    let is_on = fs::read_to_string(format!("{REGISTERED}/status")).is_ok_and(|status| status.starts_with("enabled"));
    let entries = fs::read_dir(REGISTERED).into_iter().flatten().flatten();
    is_on && entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).any(|entry| takes(&entry, &program))
}

/// How an ELF program for an architecture begins (System V ABI: `e_ident`, `e_type`, `e_machine`).
fn program(architecture: &str) -> Option<[u8; 20]> {
    const NARROW: u8 = 1;
    const WIDE: u8 = 2;
    const LITTLE: u8 = 1;
    const BIG: u8 = 2;
    let (class, order, machine) = match architecture {
        "386" => (NARROW, LITTLE, 3),
        "amd64" => (WIDE, LITTLE, 62),
        "arm" => (NARROW, LITTLE, 40),
        "arm64" => (WIDE, LITTLE, 183),
        "loong64" => (WIDE, LITTLE, 258),
        "mips64le" => (WIDE, LITTLE, 8),
        "ppc64le" => (WIDE, LITTLE, 21),
        "riscv64" => (WIDE, LITTLE, 243),
        "s390x" => (WIDE, BIG, 22),
        _ => return None,
    };
    let bytes = |number: u16| if order == BIG { number.to_be_bytes() } else { number.to_le_bytes() };
    let mut program = [0; 20];
    program[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
    program[16..18].copy_from_slice(&bytes(2));
    program[18..].copy_from_slice(&bytes(machine));
    Some(program)
}

/// Whether an entry, as the kernel shows it, is for what begins so.
fn takes(entry: &str, program: &[u8]) -> bool {
    let field = |name| entry.lines().find_map(|line| line.strip_prefix(name));
    let Some(magic) = field("magic ").and_then(bytes) else { return false };
    let mask = field("mask ").and_then(bytes).unwrap_or_else(|| vec![0xff; magic.len()]);
    entry.lines().next() == Some("enabled")
        && field("offset ") == Some("0")
        && magic.len() <= program.len()
        && magic.iter().zip(&mask).zip(program).all(|((magic, mask), byte)| magic & mask == byte & mask)
}

/// Reads digits of base 16.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_for_one_machine() {
        let entry = |state: &str, rest: &str| format!("{state}\ninterpreter /usr/bin/emulator\nflags: F\noffset 0\n{rest}\n");
        let arm = "magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff";
        let check = |entry: &str, architecture: &str, expect: bool| {
            assert_eq!(takes(entry, &program(architecture).expect("it is known")), expect, "{architecture}: {entry}");
        };
        check(&entry("enabled", arm), "arm64", true);
        check(&entry("enabled", arm), "riscv64", false);
        check(&entry("enabled", arm), "arm", false);
        check(&entry("disabled", arm), "arm64", false);
        check(&entry("enabled", arm).replace("offset 0", "offset 4"), "arm64", false);
        check(&entry("enabled", "magic 7f454c4602020100000000000000000000020016"), "s390x", true);
        check(&entry("enabled", "magic 7f454c4602020100000000000000000000020016"), "arm64", false);
        check(&entry("enabled", "magic 4d5a"), "amd64", false);
        check(&entry("enabled", "magic 7f454c4"), "amd64", false);
        check("enabled\ninterpreter /usr/bin/emulator\nflags: \nextension .exe\n", "amd64", false);
        check("enabled\n", "amd64", false);
        assert_eq!(program("wasm"), None);
    }
}
