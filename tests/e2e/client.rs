//! Foreign clients that tests/support/clients installs: Docker's SDK for Python, Testcontainers, the devcontainers CLI.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bottle::Bottle;
use crate::program::{foreign, top};

/// A file of tests/clients.
pub(crate) fn script(path: &str) -> PathBuf {
    top().join("tests/clients").join(path)
}

/// A foreign client, set to the engine behind a socket; it has twenty minutes.
pub(crate) fn client(bottle: &Bottle, socket: &Path, program: &str) -> Command {
    let clients = top().join("target/clients");
    assert!(clients.join("complete").exists(), "{} is missing: run tests/run, which installs it", clients.display());
    let folders = [clients.join("python/bin"), clients.join("node/node_modules/.bin")].map(|folder| folder.display().to_string());
    let docker = foreign("usr/bin/docker");
    let path = format!("{}:{}", folders.join(":"), docker.parent().expect("a folder").display());
    let home = bottle.project().with_file_name("home");
    let plugins = foreign("usr/libexec/docker/cli-plugins");
    let configuration = serde_json::json!({ "cliPluginsExtraDirs": [plugins] }).to_string();
    std::fs::create_dir_all(home.join(".docker")).expect("the folder of docker's configuration");
    std::fs::write(home.join(".docker/config.json"), configuration).expect("docker's configuration");
    // `timeout` looks the program up, and whatever the program starts is found in the same way.
    let mut command = bottle.server(program);
    command
        .env("PATH", format!("{path}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
        .env("CLIENTS", clients)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TMPDIR", bottle.project().with_file_name("home"));
    command
}

/// Keeps an engine from leaving while nobody calls: it waits for events that do not come, as long as what is returned lives.
pub(crate) fn stay(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("the engine takes connections");
    let request = b"GET /events?filters=%7B%22type%22%3A%5B%22daemon%22%5D%7D HTTP/1.1\r\nHost: engine\r\n\r\n";
    stream.write_all(request).expect("the engine reads");
    stream.read_exact(&mut [0]).expect("the engine answers");
    stream
}

/// Has the bottle's engine look for images in a registry on port 5000 before it asks Docker Hub.
pub(crate) fn with_mirror(bottle: &Bottle) {
    let etc = bottle.root().join("etc");
    std::fs::create_dir_all(&etc).expect("the folder of the configuration");
    std::fs::write(etc.join("engine.json"), r#"{"registry-mirrors": ["http://127.0.0.1:5000"]}"#).expect("the configuration");
}
