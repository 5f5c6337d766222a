//! Whole projects, from files in memory.

use super::*;

/// Files by path.
struct Files(BTreeMap<PathBuf, String>);

impl Reader for Files {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    fn is_dir(&self, _: &Path) -> bool {
        false
    }

    fn real(&self, _: &Path) -> Option<PathBuf> {
        None
    }
}

/// What is said of files of which the first is the project's.
fn told(files: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let folder = Path::new("/p");
    let files = files.into_iter().map(|(name, text)| (folder.join(name), text)).collect();
    let loaded = load(&Sources { working_dir: folder.to_path_buf(), ..Sources::default() }, &Files(files));
    loaded.diagnostics.errors().map(|problem| problem.message.clone()).collect()
}

#[test]
fn ranges_of_ports_end_before_the_memory_does() {
    let project = |count: usize| {
        let ranges = (1..=count).map(|first| format!("'{first}-65535', ")).collect::<String>();
        told([("compose.yaml".to_owned(), format!("services: {{a: {{image: i, ports: [{ranges}'127.0.0.1:80:80']}}}}\n"))])
    };
    assert!(project(1).is_empty());
    // A hundred would be nine gigabytes.
    assert_eq!(project(100), ["the port ranges of this project stand for more than 262144 ports"]);
}

#[test]
fn files_that_include_one_another_in_all_ways_are_read_once_or_twice() {
    struct Counted(Files, std::cell::Cell<usize>);
    impl Reader for Counted {
        fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
            self.1.set(self.1.get() + 1);
            self.0.read(path)
        }

        fn exists(&self, path: &Path) -> bool {
            self.0.exists(path)
        }

        fn is_dir(&self, path: &Path) -> bool {
            self.0.is_dir(path)
        }

        fn real(&self, path: &Path) -> Option<PathBuf> {
            self.0.real(path)
        }
    }
    // Twelve files, each of which includes the next by two names: 4,095 ways.
    let name = |number: usize| if number == 0 { "compose.yaml".to_owned() } else { format!("c{number}.yaml") };
    let text = |number: usize| match number {
        11 => "services: {s11: {image: i}}\n".to_owned(),
        _ => format!("include: [{0}, ./{0}]\nservices: {{s{number}: {{image: i}}}}\n", name(number + 1)),
    };
    let files = (0..12).map(|number| (Path::new("/p").join(name(number)), text(number))).collect();
    let reader = Counted(Files(files), std::cell::Cell::default());
    let loaded = load(&Sources { working_dir: "/p".into(), ..Sources::default() }, &reader);
    assert_eq!(loaded.project.map(|project| project.services.len()), Some(12));
    assert!(reader.1.get() <= 60, "{} reads", reader.1.get());
}

#[test]
fn chains_end_before_the_stack_does() {
    let extending = |count: usize| {
        let service = |number: usize| format!("  s{number:05}: {{extends: s{:05}}}\n", number + 1);
        let text = (0..count).map(service).collect::<String>();
        told([("compose.yaml".to_owned(), format!("services:\n{text}  s{count:05}: {{image: i}}\n"))])
    };
    assert!(extending(150).is_empty());
    assert!(extending(5000).contains(&"more than 200 services extend one another".to_owned()));
    let including = |count: usize| {
        let name = |number: usize| if number == 0 { "compose.yaml".to_owned() } else { format!("c{number}.yaml") };
        let file = |number: usize| (name(number), format!("include: [{}]\n", name(number + 1)));
        told((0..count).map(file).chain([(name(count), "services: {a: {image: i}}\n".to_owned())]))
    };
    assert!(including(50).is_empty());
    assert_eq!(including(2000), ["more than 100 files include one another"]);
}
