//! A case of the loader: one text file with a sentence, then files, each after a line `-- PATH --`.
//!
//! `-- folder/ --` makes a folder, `-- link -> target --` a symbolic link. Some names are no files of the project: `options` says how it is
//! loaded, a word and its value a line; `expected.yaml`, `expected.out` and `expected.stderr` are what is printed; `differs` says why Docker
//! Compose 2.40 prints something else; `fixed: PATH` is a file after the hint was followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A case as it is written.
pub(crate) struct Case {
    /// The file it is in.
    pub(crate) file: PathBuf,
    /// The sentence, without a name; its files and what is expected, by name.
    pub(crate) sections: Vec<(String, String)>,
}

/// How a case is loaded.
#[derive(Default)]
pub(crate) struct Options {
    /// `--file`, `--env-file`, `--profile`, `--project-name`, `--project-directory`, with their values.
    pub(crate) global: Vec<(String, String)>,
    /// Flags of `config`.
    pub(crate) flags: Vec<String>,
    /// Services named.
    pub(crate) select: Vec<String>,
    /// Variables of the environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where the program stands.
    pub(crate) folder: PathBuf,
    /// What it reads from standard input.
    pub(crate) stdin: Option<PathBuf>,
}

/// Returns every case of the folder, in order.
pub(crate) fn all() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/cases");
    let mut files = Vec::new();
    for topic in std::fs::read_dir(root).expect("cases") {
        let cases = std::fs::read_dir(topic.expect("a topic").path()).expect("a topic's cases");
        files.extend(cases.map(|case| case.expect("a case").path()));
    }
    files.sort();
    files.into_iter().map(Case::read).collect()
}

impl Case {
    fn read(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut sections = vec![(String::new(), String::new())];
        for line in text.split_inclusive('\n') {
            let name = line.trim_end_matches('\n').strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --"));
            match (name, sections.last_mut()) {
                (Some(name), _) => sections.push((name.to_owned(), String::new())),
                (None, Some((_, text))) => text.push_str(line),
                (None, None) => {}
            }
        }
        Self { file, sections }
    }

    /// Its topic and name, `ports/short`.
    pub(crate) fn name(&self) -> String {
        let topic = self.file.parent().and_then(Path::file_name).expect("a topic").to_string_lossy();
        format!("{topic}/{}", self.stem())
    }

    fn stem(&self) -> String {
        self.file.file_stem().expect("a name").to_string_lossy().into_owned()
    }

    /// Returns a section.
    pub(crate) fn section(&self, name: &str) -> Option<&str> {
        self.sections.iter().find(|(section, _)| section == name).map(|(_, text)| text.as_str())
    }

    /// Writes its files into a folder of its name below another, and returns the folder.
    pub(crate) fn unpack(&self, below: &Path) -> PathBuf {
        let folder = below.join(self.stem());
        std::fs::create_dir_all(&folder).expect("a folder");
        for (name, text) in &self.sections {
            let own = ["", "options", "differs", "expected.yaml", "expected.out", "expected.stderr"];
            if own.contains(&name.as_str()) || name.starts_with("fixed: ") {
                continue;
            }
            if let Some((link, target)) = name.split_once(" -> ") {
                std::os::unix::fs::symlink(target, folder.join(link)).expect("a link");
                continue;
            }
            let path = folder.join(name);
            if name.ends_with('/') {
                std::fs::create_dir_all(path).expect("a folder");
                continue;
            }
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        folder
    }

    /// How it is loaded from the folder it was unpacked to.
    pub(crate) fn options(&self, folder: &Path) -> Options {
        self.read_options(self.section("options").unwrap_or_default(), folder)
    }

    /// The same, of options in other words.
    pub(crate) fn read_options(&self, text: &str, folder: &Path) -> Options {
        let mut options = Options {
            folder: folder.to_path_buf(),
            environment: BTreeMap::from([
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("HOME".to_owned(), "/home/user".to_owned()),
                ("FROM_SHELL".to_owned(), "shell".to_owned()),
            ]),
            ..Options::default()
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (word, value) = line.split_once(' ').unwrap_or((line, ""));
            let global = |flag: &str| (flag.to_owned(), value.to_owned());
            match word {
                "file" | "env-file" | "profile" => options.global.push(global(&format!("--{word}"))),
                "project" => options.global.push(global("--project-name")),
                "directory" => options.global.push(global("--project-directory")),
                "flag" => options.flags.push(value.to_owned()),
                "select" => options.select.push(value.to_owned()),
                "cwd" => options.folder = folder.join(value),
                "stdin" => options.stdin = Some(folder.join(value)),
                "set" => {
                    let (name, value) = value.split_once('=').expect("NAME=VALUE");
                    options.environment.insert(name.to_owned(), value.replace("CASE", &folder.display().to_string()));
                }
                _ => panic!("{}: there is no option `{word}`", self.file.display()),
            }
        }
        let folder = options.folder.display().to_string();
        options.environment.insert("PWD".to_owned(), folder);
        options
    }
}
