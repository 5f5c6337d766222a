//! Patterns of a `.dockerignore` and, below a line `--`, paths: where a folder can be skipped, each path below it is left out.
#![no_main]

use gantry::dockerfile::{Ignore, glob, is_pattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (patterns, paths) = text.split_once("\n--\n").unwrap_or((text, text));
    // Paths as a walk through a folder has them.
    let is_name = |name: &str| !matches!(name, "" | "." | "..");
    let paths: Vec<&str> = paths.lines().filter(|path| path.split('/').all(is_name)).take(16).collect();
    for (pattern, path) in patterns.lines().take(16).flat_map(|pattern| paths.iter().map(move |path| (pattern, *path))) {
        // What holds no letter of a pattern matches itself alone.
        if !is_pattern(pattern) && !pattern.contains('\\') {
            assert_eq!(glob(pattern, path), Some(pattern == path), "{pattern} {path}");
        }
        glob(pattern, path);
    }
    let lines: Vec<String> = patterns.lines().map(str::to_owned).collect();
    for ignore in [Ignore::parse(patterns), Ignore::of(&lines)].into_iter().flatten() {
        for path in &paths {
            for (end, _) in path.match_indices('/').take(8) {
                let folder = &path[..end];
                assert!(!ignore.can_skip(folder) || ignore.matches(path), "{path} is kept, and its folder {folder} is skipped");
            }
            if !ignore.has_exceptions() {
                assert_eq!(ignore.can_skip(path), ignore.matches(path), "{path}");
            }
        }
    }
});
