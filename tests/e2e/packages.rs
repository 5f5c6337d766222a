//! Applications that are built with real package managers: pip, npm, cargo and apt, which find their packages in an index of the bottle.

use crate::bottle::Bottle;
use crate::index::Index;
use crate::program::{Outcome, run, top};
use crate::registry::Registry;

/// An application of tests/e2e/packages in a bottle, with the images it begins with and the index of its package manager.
struct Application<'a> {
    bottle: &'a Bottle,
    index: Index,
    _registry: Registry,
}

impl<'a> Application<'a> {
    fn new(bottle: &'a Bottle, manager: &str) -> Self {
        let registry = Registry::of_the_packages(bottle, 5000);
        let etc = bottle.root().join("etc");
        std::fs::create_dir_all(&etc).expect("the folder of the configuration");
        std::fs::write(etc.join("engine.json"), r#"{"registry-mirrors": ["http://127.0.0.1:5000"]}"#).expect("the configuration");
        let application = top().join("tests/e2e/packages").join(manager);
        bottle.shell(&format!("cp -r {}/. .", application.display())).success();
        Self { bottle, index: Index::start(manager), _registry: registry }
    }

    /// Runs gantry, which has as long as a compiler needs on a busy machine.
    fn gantry(&self, arguments: &[&str]) -> Outcome {
        run(self.bottle.server(Bottle::binary()).args(arguments))
    }

    /// Changes who is greeted: one line of one file.
    fn greet_the_moon(&self, file: &str) {
        let path = self.bottle.project().join(file);
        let text = std::fs::read_to_string(&path).expect("a file of the application");
        assert_eq!(text.matches("\"world\"").count(), 1);
        std::fs::write(&path, text.replace("\"world\"", "\"moon\"")).expect("a file of the application");
    }

    /// The layers of an image.
    fn layers(&self, image: &str) -> Vec<String> {
        let image = self.bottle.get(&format!("/images/{image}:latest/json"));
        let layers = image["RootFS"]["Layers"].as_array().expect("a list");
        layers.iter().map(|layer| layer.as_str().expect("a digest").to_owned()).collect()
    }

    /// Every package came from the index, and none twice.
    #[track_caller]
    fn assert_fetched_once(&self, packages: &[&str]) {
        let mut fetched: Vec<_> = self.index.asked().into_iter().filter(|path| is_package(path)).collect();
        for package in packages {
            assert_eq!(fetched.iter().filter(|path| path.contains(package)).count(), 1, "{package}: {fetched:?}");
        }
        fetched.sort();
        let count = fetched.len();
        fetched.dedup();
        assert_eq!(fetched.len(), count, "{fetched:?}");
    }

    /// Steps that are made anew ask what there is, and fetch nothing: their package manager's own cache was kept for them.
    #[track_caller]
    fn assert_cache_is_kept(&self) {
        self.gantry(&["build", "--no-cache"]).success();
        let asked = self.index.asked();
        assert!(!asked.is_empty(), "no step was made anew");
        assert_eq!(asked.iter().filter(|path| is_package(path)).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    /// A server: it is built, says its word, and after a change of one line another one, for which only what follows is made.
    #[track_caller]
    fn assert_serves(&self, file: &str) {
        let page = || self.bottle.shell("curl -sS --fail --max-time 20 http://127.0.0.1:8080/").success();
        self.gantry(&["up", "--build", "-d", "--wait", "--quiet-pull"]).success();
        assert_eq!(page(), "Good morning, dear world\n");
        self.assert_fetched_once(&["greeting-1.0.0", "politeness-1.0.0"]);
        let before = self.layers("project-web");
        // Nothing has changed: not even the container is another one.
        let pid = self.bottle.pid("project-web-1");
        self.gantry(&["up", "--build", "-d", "--wait"]).success();
        assert_eq!((self.bottle.pid("project-web-1"), self.layers("project-web")), (pid, before.clone()));
        self.greet_the_moon(file);
        self.gantry(&["up", "--build", "-d", "--wait"]).success();
        assert_eq!(page(), "Good morning, dear moon\n");
        self.assert_only_the_last_layer_changed("project-web", &before);
        self.assert_cache_is_kept();
        self.gantry(&["down"]).success();
    }

    #[track_caller]
    fn assert_only_the_last_layer_changed(&self, image: &str, before: &[String]) {
        let after = self.layers(image);
        assert_eq!(self.index.asked(), Vec::<String>::new(), "a step that nothing changed for was made anew");
        assert_eq!(after.len(), before.len());
        assert_eq!(after[..after.len() - 1], before[..before.len() - 1]);
        assert_ne!(after.last(), before.last());
    }
}

/// Whether a path of an index is a package's, and no list of packages.
fn is_package(path: &str) -> bool {
    [".whl", ".tar.gz", ".tgz", ".crate", ".deb"].iter().any(|end| path.ends_with(end))
}

#[test]
fn a_python_application_is_built_with_pip() {
    let bottle = Bottle::new();
    Application::new(&bottle, "pip").assert_serves("app.py");
}

#[test]
fn a_node_application_is_built_with_npm() {
    let bottle = Bottle::new();
    Application::new(&bottle, "npm").assert_serves("server.js");
}

#[test]
fn a_rust_application_is_built_with_cargo() {
    let bottle = Bottle::new();
    Application::new(&bottle, "cargo").assert_serves("src/main.rs");
}

#[test]
fn a_c_application_is_built_with_apt_in_two_stages() {
    let bottle = Bottle::new();
    let application = Application::new(&bottle, "apt");
    let says = || application.gantry(&["run", "--rm", "-T", "--quiet-pull", "greet"]).success();
    application.gantry(&["build"]).success();
    assert_eq!(says(), "Good morning, dear world\n");
    // Both stages need the library; whoever comes second finds it in the cache.
    application.assert_fetched_once(&["libgreet1_1.0.0", "libgreet-dev_1.0.0", "/gcc_"]);
    let before = application.layers("project-greet");
    // The compiler stays where it was needed.
    assert_eq!(bottle.gantry(["run", "--rm", "-T", "greet", "sh", "-c", "command -v cc"]).code, 127);
    application.greet_the_moon("main.c");
    application.gantry(&["build"]).success();
    assert_eq!(says(), "Good morning, dear moon\n");
    application.assert_only_the_last_layer_changed("project-greet", &before);
    application.assert_cache_is_kept();
}
