//! The command line as a program: exit codes, and what is said on which stream. No engine runs, and none is started.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

mod engine;

/// Somebody who may do nothing.
const NOBODY: u32 = 65_534;

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A folder with a project, and nothing of this machine's environment.
struct Folder {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let root = folder.path().join("root").display().to_string();
        Self { folder, variables: vec![("GANTRY_ROOT", root), ("HOME", "/nowhere".to_owned())] }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    #[expect(clippy::disallowed_methods, reason = "this test runs the program")]
    fn command(&self, program: &Path, arguments: &str) -> Command {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(self.path()).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &str) -> Outcome {
        outcome(&mut self.command(Path::new(env!("CARGO_BIN_EXE_gantry")), arguments))
    }

    /// Runs it with a file of the folder on standard input.
    fn run_with_input(&self, arguments: &str, input: &str) -> Outcome {
        let input = std::fs::File::open(self.path().join(input)).expect("the input");
        outcome(self.command(Path::new(env!("CARGO_BIN_EXE_gantry")), arguments).stdin(input))
    }
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().expect("gantry runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Outcome { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

const WEB: &str = "name: shop\nservices:\n  web: {image: \"web:${TAG:-1}\"}\n  job: {image: job, profiles: [jobs]}\n";

/// It fails with code 1, says nothing on standard output and all of `words` on standard error.
#[track_caller]
fn refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "`{word}` is not in:\n{}", outcome.stderr);
    }
}

#[test]
fn data_goes_to_standard_output_and_the_rest_to_standard_error() {
    let folder = Folder::new(&[("compose.yaml", "version: '3'\nservices: {a: {image: \"x$UNSET\"}}\n")]);
    let outcome = folder.run("config --images");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "x\n"), "{}", outcome.stderr);
    for word in ["`version` is obsolete", "The \"UNSET\" variable is not set. Defaulting to a blank string.", "compose.yaml:2:"] {
        assert!(outcome.stderr.contains(word), "{}", outcome.stderr);
    }
    let quiet = folder.run("config --quiet");
    assert_eq!((quiet.code, quiet.stdout.as_str()), (0, ""));
}

#[test]
fn config_answers_every_question() {
    let folder = Folder::new(&[("compose.yaml", WEB), (".env", "TAG=2\n")]);
    for (arguments, expect) in [
        ("config --services", "web\n"),
        ("config --images", "web:2\n"),
        ("config --networks", "default\n"),
        ("config --volumes", ""),
        ("config --profiles", "jobs\n"),
        ("--profile jobs config --services", "job\nweb\n"),
        ("--profile * config --services", "job\nweb\n"),
        ("config --services job", "job\n"),
        ("config --services w*", "web\n"),
        ("-p other config --environment", "COMPOSE_PROJECT_NAME=other\n"),
        (
            "config",
            "name: shop\nservices:\n  web:\n    image: web:2\n    networks:\n      default: null\nnetworks:\n  default:\n    name: shop_default\n",
        ),
        ("config --variables", "TAG                 false               1                   \n"),
        (
            "config --variables --format yaml",
            "TAG:\n    name: TAG\n    defaultvalue: \"1\"\n    presencevalue: \"\"\n    required: false\n",
        ),
        ("config --variables --format json", "{\n    \"TAG\": {\n        \"Name\": \"TAG\",\n        \"DefaultValue\": \"1\",\n"),
        ("config --no-interpolate", "image: web:${TAG:-1}\n"),
        ("config --format json", "\"image\": \"web:2\""),
    ] {
        let outcome = folder.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments}: {}", outcome.stderr);
        assert!(outcome.stdout.contains(expect) && (!expect.is_empty() || outcome.stdout.is_empty()), "{arguments}: {}", outcome.stdout);
    }
    let hash = folder.run("config --hash web").stdout;
    assert_eq!((hash.len(), folder.run("config --hash *").stdout), ("web ".len() + 65, hash));
    assert_eq!(folder.run("config -o out.yaml").stdout, "");
    assert_eq!(std::fs::read_to_string(folder.path().join("out.yaml")).expect("it was written"), folder.run("config").stdout);
}

#[test]
fn a_project_comes_from_standard_input_too() {
    let folder = Folder::new(&[("in.yaml", "services: {a: {image: x, volumes: ['./d:/d']}}\n"), ("nothing", "")]);
    let outcome = folder.run_with_input("-f - -p piped config", "in.yaml");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("name: piped\n"), "{}", outcome.stdout);
    let source = format!("source: {}/d\n", folder.path().canonicalize().expect("the folder").display());
    assert!(outcome.stdout.contains(&source), "{}", outcome.stdout);
    refused(&folder.run_with_input("-f - config", "nothing"), &["empty compose file: -"]);
}

#[test]
fn every_mistake_of_a_file_is_said_at_once_with_its_place_and_the_way_out() {
    let text = "services:\n  web:\n    imgae: x\n    tty: maybe\n    gpus: all\n    depends_on: [db]\n  db:\n    image: ${DB:?set it to an image}\n    depends_on: [web]\n";
    let folder = Folder::new(&[("compose.yaml", text)]);
    let places = [
        "compose.yaml:3:5",
        "did you mean `image`?",
        "compose.yaml:4:10",
        "compose.yaml:5:5",
        "not yet supported",
        "compose.yaml:8:12",
        "set it to an image",
    ];
    for command in ["config", "up -d", "up", "ps", "down", "logs", "exec web sh"] {
        refused(&folder.run(command), &places);
    }
}

#[test]
fn a_cycle_is_told_with_its_path_and_lines() {
    let text = "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n  c: {image: x, depends_on: [a]}\n";
    let words = ["dependency cycle detected: a -> b -> c -> a", "compose.yaml:2:", "b waits for c", "c waits for a", "3 |", "4 |"];
    refused(&Folder::new(&[("compose.yaml", text)]).run("up -d"), &words);
}

#[test]
fn what_is_not_there_is_named() {
    let empty = Folder::new(&[]);
    refused(&empty.run("up"), &["no configuration file provided: not found", "compose.yaml"]);
    refused(&empty.run("-f nope.yaml config"), &["nope.yaml"]);
    refused(&empty.run("--env-file nope.env config"), &["couldn't find env file", "nope.env"]);
    let folder = Folder::new(&[("compose.yaml", WEB)]);
    for command in ["config wbe", "up wbe"] {
        refused(&folder.run(command), &["no such service: wbe", "did you mean `web`?"]);
    }
    refused(&folder.run("-p Shop config"), &["invalid project name \"Shop\"", "`shop` would do"]);
    refused(&folder.run("up --scale wbe=2"), &["no such service: wbe"]);
}

#[test]
fn arguments_that_do_not_fit_are_refused_with_code_one() {
    let folder = Folder::new(&[("compose.yaml", WEB)]);
    for (arguments, words) in [
        ("up --bulid", ["--bulid", "--help"]),
        ("config --lock-image-digests", ["--lock-image-digests is not supported", "gantry images"]),
        ("config --resolve-image-digests", ["--resolve-image-digests is not supported", "gantry images"]),
        ("up --wait --abort-on-container-exit", ["--wait", "--abort-on-container-exit"]),
        ("up -d --exit-code-from web", ["--detach", "--exit-code-from"]),
        ("up --force-recreate --no-recreate", ["--force-recreate", "--no-recreate"]),
        ("up --abort-on-container-exit --abort-on-container-failure", ["--abort-on-container-exit", "--abort-on-container-failure"]),
        ("up --attach web --attach-dependencies", ["--attach", "--attach-dependencies"]),
        ("up --wait-timeout=-1", ["--wait-timeout", "-1"]),
        ("up --scale web", ["`web` is not SERVICE=NUMBER", "--scale"]),
        ("config --format xml", ["xml", "yaml, json"]),
        ("exec web", ["COMMAND", "Usage"]),
        ("logs --index 2", ["--index requires exactly one service", ""]),
        ("logs --tail many", ["--tail is `many`", ""]),
        ("ps --filter name=x", ["--filter is `name=x`", "status=WORD"]),
        ("--progress tty --ansi never config", ["can't use --progress tty", ""]),
        ("--dry-run kill", ["no dry run", ""]),
        ("up --wait --abort-on-container-failure", ["--wait", "--abort-on-container-failure"]),
        ("up --wait --exit-code-from web", ["--wait", "--exit-code-from"]),
        ("up --wait --attach web", ["--wait", "--attach"]),
        ("up --wait --attach-dependencies", ["--wait", "--attach-dependencies"]),
        ("up --wait --watch", ["--wait", "--watch"]),
        ("up -d --abort-on-container-exit", ["--detach", "--abort-on-container-exit"]),
        ("up -d --abort-on-container-failure", ["--detach", "--abort-on-container-failure"]),
        ("up -d --attach web", ["--detach", "--attach"]),
        ("up -d --attach-dependencies", ["--detach", "--attach-dependencies"]),
        ("up -d --watch", ["--detach", "--watch"]),
        ("up --build --no-build", ["--build", "--no-build"]),
        ("up --no-build --watch", ["--no-build", "--watch"]),
        ("up --no-recreate -V", ["--no-recreate", "--renew-anon-volumes"]),
        ("up --no-recreate --always-recreate-deps", ["--no-recreate", "--always-recreate-deps"]),
        ("up --watch", ["--watch is not supported", "gantry up"]),
        ("up --menu", ["--menu is not supported", "--menu=false"]),
        ("up --pull sometimes", ["sometimes", "always, missing, never"]),
        ("pull --policy never", ["never", "always, missing"]),
        ("pull --policy build", ["build", "always, missing"]),
        ("pull wbe", ["no such service: wbe", "did you mean `web`?"]),
        ("up --attach wbe", ["no such service: wbe", ""]),
        ("up --no-attach wbe", ["no such service: wbe", ""]),
        ("up --exit-code-from wbe", ["no such service: wbe", ""]),
        ("up job --no-deps web-that-is-not", ["no such service: web-that-is-not", ""]),
        ("create --force-recreate --no-recreate", ["--force-recreate", "--no-recreate"]),
        ("create --build --no-build", ["--build", "--no-build"]),
        ("build wbe", ["no such service: wbe", "did you mean `web`?"]),
        ("build --builder remote", ["--builder is not supported", "-H names another engine"]),
        ("build --memory 1g", ["--memory is not supported", "leave it out"]),
        ("build --provenance true", ["--provenance is not supported", "`false`"]),
        ("build --sbom generator=x", ["--sbom is not supported", "`false`"]),
        ("build --ssh x", ["invalid ssh key \"x\"", "`x=SOCKET`"]),
        ("build --build-arg =x", ["`=x` has no name", "--build-arg"]),
        ("image build", ["PATH", "Usage"]),
        ("image build -f - -", ["cannot both come from standard input", "`.` say"]),
        ("image build --debug-shell -", ["--debug-shell needs standard input", "-f"]),
        ("image build -t Not/Good .", ["--tag", "Not/Good"]),
        ("image build --platform linux/amd64,linux/arm64 .", ["one build makes an image for one platform", "once for each"]),
        ("image build --platform linux/a/b/c .", ["--platform", "linux/a/b/c"]),
        ("image build --progress rawjson .", ["rawjson", "--progress json"]),
        ("image build --secret src=x .", ["a secret needs an id", "--secret"]),
        ("image build --secret id=x,env=NOT_SET .", ["the environment has no variable NOT_SET", "set it"]),
        ("image build --ssh default .", ["SSH_AUTH_SOCK names no agent", "ssh-agent"]),
        ("image build --ulimit nofiles=1 .", ["there is no process limit `nofiles`", "nofile"]),
        ("image build --shm-size big .", ["`big` is no size", "64m"]),
        ("image build --add-host nowhere .", ["missing IP: nowhere", "--add-host"]),
        ("image build --cache-from type=gha .", ["--cache-from type=gha is not read", "name an image"]),
        ("image build --build-context x=https://x.test/y .", ["is no folder of this machine", "name the folder"]),
        ("image build https://x.test/y.git", ["is no folder of this machine", "name the folder"]),
        ("image build --check --debug-shell .", ["--check", "--debug-shell"]),
        ("image build --output x .", ["--output", "--help"]),
        ("create --scale web=x", ["`x` is not a number of containers", "--scale"]),
        ("create wbe", ["no such service: wbe", "did you mean `web`?"]),
        ("scale", ["SERVICE=N", "Usage"]),
        ("scale web", ["`web` is not SERVICE=NUMBER", ""]),
        ("scale web=-1", ["`-1` is not a number of containers", ""]),
        ("scale wbe=1", ["no such service: wbe", ""]),
        ("wait", ["SERVICE", "Usage"]),
        ("attach", ["SERVICE", "Usage"]),
        ("attach --detach-keys ctrl-1 web", ["Invalid escape keys (ctrl-1) provided", "--detach-keys"]),
        ("down --rmi some", ["some", "local, all"]),
        ("down -t -1", ["-1", "--help"]),
        ("run", ["SERVICE", "Usage"]),
        ("run wbe", ["no such service: wbe", "did you mean `web`?"]),
        ("run --nosuch web", ["--nosuch", "--help"]),
        ("run -p 80 -P web", ["--publish", "--service-ports"]),
        ("run -p 80/http web", ["`http` is no protocol", "--publish"]),
        ("run --tty -T web", ["--tty", "--no-tty"]),
        ("run --tty web", ["the input device is not a TTY", "`-T`"]),
        ("run -T --label team web", ["label must be set as KEY=VALUE", "--label"]),
        ("run -T --cap-add NET_ADMN web", ["`NET_ADMN` is not a capability", "did you mean `NET_ADMIN`?"]),
        ("run -T --entrypoint 'a web", ["--entrypoint", "quote"]),
        ("run -T -v a:b:c:d web", ["invalid spec: a:b:c:d", ""]),
        ("run -T -v ./x:y web", ["the target `y` must be an absolute path", ""]),
        ("run -T --env-from-file nope.env web", ["--env-from-file nope.env", "No such file"]),
        ("run -T --name not/good web", ["not/good", ""]),
        ("run -T --build --no-build web", ["--build", "--no-build"]),
    ] {
        refused(&folder.run(arguments), &words);
        assert!(!folder.folder.path().join("root").exists(), "`{arguments}` started an engine to be refused");
    }
    let unknown = folder.run("upp");
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("unrecognized subcommand 'upp'") && unknown.stdout.contains("Commands:"), "{}", unknown.stderr);
}

#[test]
fn orphans_cannot_be_both_left_alone_and_removed() {
    let folder = Folder::new(&[("compose.yaml", WEB)]).with("COMPOSE_IGNORE_ORPHANS", "true");
    for command in ["up -d --remove-orphans", "create --remove-orphans", "run -T --remove-orphans web"] {
        refused(&folder.run(command), &["cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans"]);
    }
}

#[test]
fn help_and_versions_are_data() {
    let folder = Folder::new(&[]);
    for arguments in ["", "--help", "-h", "up --help", "image", "image --help"] {
        let outcome = folder.run(arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{arguments}");
        assert!(outcome.stdout.contains("Usage:"), "{arguments}: {}", outcome.stdout);
    }
    let number = env!("CARGO_PKG_VERSION");
    for (arguments, expect) in [
        ("version --short", format!("{number}\n")),
        ("version -f json", format!("{{\"version\":\"{number}\"}}\n")),
        ("-v", format!("gantry {number}\n")),
        ("--version", format!("gantry {number}\n")),
    ] {
        let outcome = folder.run(arguments);
        assert_eq!((outcome.code, outcome.stdout, outcome.stderr), (0, expect, String::new()), "{arguments}");
    }
    assert!(folder.run("version").stdout.starts_with(&format!("Gantry version v{number}\nEngine: none runs at unix://")));
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let folder = Folder::new(&[("compose.yaml", "services: {a: {imgae: x}}\n")]);
    assert!(!folder.run("config").stderr.contains('\u{1b}'), "no terminal");
    assert!(folder.run("--ansi always config").stderr.contains('\u{1b}'), "asked for");
    assert!(!folder.run("--ansi never config").stderr.contains('\u{1b}'), "refused");
    let asked = Folder::new(&[("compose.yaml", "services: {a: {imgae: x}}\n")]).with("COMPOSE_ANSI", "always");
    assert!(asked.run("config").stderr.contains('\u{1b}'), "asked for by the environment");
}

#[test]
fn variables_of_the_environment_stand_for_flags() {
    let text =
        [("one.yaml", "services: {a: {image: x}}\n"), ("two.yaml", "services: {b: {image: y, profiles: [p]}}\n"), ("x.env", "A=1\n")];
    let folder =
        Folder::new(&text).with("COMPOSE_FILE", "one.yaml:two.yaml").with("COMPOSE_PROFILES", "p").with("COMPOSE_PROJECT_NAME", "named");
    assert_eq!(folder.run("config --services").stdout, "a\nb\n");
    assert!(folder.run("config").stdout.starts_with("name: named\n"));
    assert_eq!(folder.run("--profile q config --services").stdout, "a\n");
    let other =
        Folder::new(&text).with("COMPOSE_FILE", "one.yaml").with("COMPOSE_ENV_FILES", "x.env").with("COMPOSE_PARALLEL_LIMIT", "many");
    refused(&other.run("config"), &["COMPOSE_PARALLEL_LIMIT must be an integer"]);
    refused(&Folder::new(&text).with("COMPOSE_PROGRESS", "loud").run("-f one.yaml config"), &["COMPOSE_PROGRESS is `loud`"]);
}

#[test]
fn a_folder_entered_by_a_link_gives_its_name() {
    let folder = Folder::new(&[("real/compose.yaml", "services: {a: {image: x}}\n")]);
    let link = folder.path().join("shown");
    std::os::unix::fs::symlink(folder.path().join("real"), &link).expect("a link");
    let mut command = folder.command(Path::new(env!("CARGO_BIN_EXE_gantry")), "config");
    let outcome = outcome(command.current_dir(&link).env("PWD", &link));
    assert!(outcome.stdout.starts_with("name: shown\n"), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn what_standard_output_does_not_take_is_an_error_unless_its_reader_left() {
    let folder = Folder::new(&[("compose.yaml", "services: {a: {image: x}}")]);
    let full = outcome(folder.command(Path::new("/bin/sh"), "-c").arg(format!("{} config > /dev/full", env!("CARGO_BIN_EXE_gantry"))));
    assert_eq!(full.code, 1);
    assert!(full.stderr.contains("standard output: No space left on device"), "{}", full.stderr);
    let left = outcome(folder.command(Path::new("/bin/sh"), "-c").arg(format!("{} config | true", env!("CARGO_BIN_EXE_gantry"))));
    assert_eq!((left.code, left.stderr.as_str()), (0, ""));
}

#[test]
fn a_root_is_found_from_where_one_stands_and_not_too_long() {
    let folder = Folder::new(&[]).with("GANTRY_ROOT", &"long/".repeat(30));
    let refused = folder.run("image ls");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("GANTRY_ROOT is too long") && refused.stderr.contains("hint:"), "{}", refused.stderr);
}

/// Docker Compose 2.40 prints the same for this project, but for its version.
#[test]
fn a_bake_file_is_printed_and_no_engine_is_asked() {
    let project = "name: p\nservices:\n  base: {build: ./base}\n  web: {build: {additional_contexts: {b: 'service:base'}, args: [A]}, image: web:1}\n  other: {image: x}\n";
    let folder = Folder::new(&[("compose.yaml", project)]).with("A", "here");
    let printed = folder.run("build --print --build-arg B=flag --no-cache web");
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    let place = folder.path().canonicalize().expect("the folder").display().to_string();
    let labels = |service: &str| {
        format!(
            "{{\"com.docker.compose.project\":\"p\",\"com.docker.compose.service\":\"{service}\",\"com.docker.compose.version\":\"{}\"}}",
            env!("CARGO_PKG_VERSION")
        )
    };
    refused(&folder.run("build --check --push"), &["--push makes no sense with --check", "hint:"]);
    assert!(folder.run("build --print --push web").stdout.contains("type=registry"));
    let planned = folder.run("--dry-run build --push").stdout;
    assert!(planned.contains("web:1") && planned.lines().last().is_some_and(|line| line.contains("push image web:1")), "{planned}");
    let expect = format!(
        r#"{{"group":{{"default":{{"targets":["base","web"]}}}},"target":{{"base":{{"context":"{place}/base","dockerfile":"{place}/base/Dockerfile","args":{{"B":"flag"}},"labels":{},"tags":["p-base"],"no-cache":true,"output":["type=docker"]}},"web":{{"context":"{place}","contexts":{{"b":"target:base"}},"dockerfile":"{place}/Dockerfile","args":{{"A":"here","B":"flag"}},"labels":{},"tags":["web:1"],"no-cache":true,"output":["type=docker"]}}}}}}"#,
        labels("base"),
        labels("web")
    );
    let value: serde_json::Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(value.to_string(), expect);
    let nothing = folder.run("build other");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ""));
    assert!(nothing.stderr.contains("No services to build"), "{}", nothing.stderr);
    assert!(!folder.path().join("root").exists(), "an engine was started");
}

#[test]
fn what_cannot_be_built_here_is_told_with_its_place() {
    for (service, words) in [
        ("build: https://x.test/y.git", ["services.a.build.context: `https://x.test/y.git` is no folder", "compose.yaml:2:"]),
        ("build: {privileged: true}", ["services.a.build.privileged", "the service"]),
        ("build: {cache_to: [type=gha]}", ["services.a.build.cache_to: `type=gha`", "remove it"]),
        ("build: {sbom: true}", ["services.a.build.sbom", "`sbom: false`"]),
        ("build: {platforms: [linux/amd64, linux/arm64]}", ["one build makes an image for one platform", "compose.yaml:2:"]),
        ("build: {ssh: [default]}", ["SSH_AUTH_SOCK names none", "compose.yaml:2:"]),
    ] {
        let folder = Folder::new(&[("compose.yaml", &format!("services:\n  a: {{{service}}}\n"))]);
        refused(&folder.run("build"), &words);
        // Nothing stands against reading it.
        assert_eq!(folder.run("config -q").code, 0, "{service}");
        assert!(!folder.path().join("root").exists(), "`{service}` started an engine to be refused");
    }
}
