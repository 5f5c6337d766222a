//! Changes of permissions: they stay permissions, and an octal one is what it says.
#![no_main]

use gantry::archive::mode::ModeChange;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(change) = text.parse::<ModeChange>() else { return };
    for mode in [0, 0o644, 0o4755, 0o1777, 0o7777] {
        for is_folder in [false, true] {
            let changed = change.apply(mode, is_folder);
            assert!(changed <= 0o7777, "{text} makes {mode:o} {changed:o}");
            if let ModeChange::Octal(octal) = change {
                let written: ModeChange = format!("{octal:o}").parse().expect("what was read");
                assert_eq!((changed, written), (octal, change.clone()), "{text}");
            }
        }
    }
});
