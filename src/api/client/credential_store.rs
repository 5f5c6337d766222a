//! Where credentials of registries are put: in Docker's `config.json`, or with the helper that it names.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

use crate::api::client::credential::key_of;
use crate::api::client::docker_configuration::DockerConfiguration;
use crate::resource::failure::Failure;
use crate::resource::image::Credentials;

/// Docker's configuration as it is on disk; keys that are not ours stay as they are.
struct Config {
    path: PathBuf,
    value: Value,
}

impl Config {
    fn read(folder: &Path) -> Result<Self, Failure> {
        // Somebody may keep his configuration elsewhere and have a link here.
        let path = DockerConfiguration::place(folder);
        let path = fs::canonicalize(&path).unwrap_or(path);
        let read = DockerConfiguration::read(folder).map_err(|error| Failure::denied(format!("the credentials in {error}")))?;
        let value = read.map_or_else(|| json!({}), DockerConfiguration::into_fields);
        Ok(Self { path, value })
    }

    /// The helper that keeps the credentials of a registry.
    fn helper(&self, key: &str) -> Option<String> {
        helper_of(&self.value, key)
    }

    fn set(&mut self, key: &str, entry: Value) {
        if !self.value["auths"].is_object() {
            self.value["auths"] = json!({});
        }
        self.value["auths"][key] = entry;
    }

    fn unset(&mut self, key: &str) -> bool {
        self.value.get_mut("auths").and_then(Value::as_object_mut).is_some_and(|auths| auths.shift_remove(key).is_some())
    }

    /// Puts it in the place of what is there, whole or not at all, for its owner's eyes only.
    fn write(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::denied(format!("the credentials cannot be written to {}: {error}", self.path.display()));
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(failed)?;
        let partial = self.path.with_extension(format!("json.{}", std::process::id()));
        // Docker's own way to write it.
        let mut text = Vec::new();
        let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"\t"));
        self.value.serialize(&mut writer).map_err(|error| Failure::internal(error.to_string()))?;
        text.push(b'\n');
        let written = || -> io::Result<()> {
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)
        };
        written().map_err(|error| {
            // Half a file is of no use.
            let _ = fs::remove_file(&partial);
            failed(error)
        })
    }
}

/// The helper that a configuration names for a registry.
pub(super) fn helper_of(configuration: &Value, key: &str) -> Option<String> {
    let own = configuration["credHelpers"][key].as_str();
    own.or_else(|| configuration["credsStore"].as_str()).filter(|name| !name.is_empty()).map(|name| format!("docker-credential-{name}"))
}

/// Why a helper cannot be spoken to.
#[expect(clippy::disallowed_methods, reason = "credentials are kept by the helper that the user's configuration names")]
pub(super) fn trouble_with(helper: &str) -> String {
    match Command::new(helper).arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "is not found in PATH".to_owned(),
        Err(error) => format!("cannot be run: {error}"),
        Ok(_) => "does not listen".to_owned(),
    }
}

/// Keeps the credentials of a registry. Returns where, for people.
pub(super) fn store(folder: &Path, registry: &str, credentials: &Credentials) -> Result<String, Failure> {
    let Credentials::Password { username, password } = credentials else {
        return Err(Failure::invalid("only a user and a password can be kept"));
    };
    let mut config = Config::read(folder)?;
    let key = key_of(registry);
    if let Some(helper) = config.helper(key) {
        run(&helper, "store", &json!({ "ServerURL": key, "Username": username, "Secret": password }).to_string())?;
        config.set(key, json!({}));
        config.write()?;
        return Ok(helper);
    }
    config.set(key, json!({ "auth": STANDARD.encode(format!("{username}:{password}")) }));
    config.write()?;
    Ok(config.path.display().to_string())
}

/// Forgets the credentials of a registry; false where there were none.
pub(super) fn erase(folder: &Path, registry: &str) -> Result<bool, Failure> {
    let mut config = Config::read(folder)?;
    let key = key_of(registry);
    if let Some(helper) = config.helper(key) {
        run(&helper, "erase", key)?;
    }
    let was_there = config.unset(key);
    if was_there {
        config.write()?;
    }
    Ok(was_there)
}

/// Runs a helper, what it is told on its standard input: the protocol of docker-credential-helpers.
#[expect(clippy::disallowed_methods, reason = "credentials are kept by the helper that the user's configuration names")]
fn run(helper: &str, verb: &str, input: &str) -> Result<(), Failure> {
    let failed = |reason: String| Failure::denied(format!("`{helper} {verb}` failed: {reason}"));
    let spawned = Command::new(helper).arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("it is not found in PATH".to_owned()),
        _ => failed(error.to_string()),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not listen says why by its end.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    // The words that helpers agree on; there is nothing to erase then.
    if verb == "erase" && words.contains("credentials not found") { Ok(()) } else { Err(failed(words)) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::api::client::credential::find;
    use crate::resource::image::DOCKER_HUB;

    fn password() -> Credentials {
        Credentials::Password { username: "ann".to_owned(), password: "se:cret".to_owned() }
    }

    #[test]
    fn what_is_kept_is_found_and_forgotten_and_the_rest_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join(".docker");
        assert!(!erase(&home, DOCKER_HUB).expect("nothing there"));
        for registry in [DOCKER_HUB, "127.0.0.1:5000"] {
            store(&home, registry, &password()).expect("kept");
            assert!(find(&home, registry).expect("found") == Some(password()), "{registry}");
        }
        let file = home.join("config.json");
        assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).expect("the file").replacen('{', "{\"psFormat\": \"a  b\",", 1);
        fs::write(&file, text).expect("written");
        assert!(erase(&home, "127.0.0.1:5000").expect("erased") && !erase(&home, "127.0.0.1:5000").expect("none"));
        assert!(find(&home, "127.0.0.1:5000").expect("no failure").is_none());
        assert!(find(&home, DOCKER_HUB).expect("found").is_some());
        assert!(fs::read_to_string(&file).expect("the file").starts_with("{\n\t\"psFormat\": \"a  b\","));
    }

    #[test]
    fn a_helper_is_asked_where_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = |helper: &str| fs::write(folder.path().join("config.json"), helper).expect("written");
        config(r#"{"credHelpers": {"r.example": "nosuchhelper"}}"#);
        let refused = store(folder.path(), "r.example", &password()).expect_err("no such program").message;
        assert!(refused.contains("docker-credential-nosuchhelper store"), "{refused}");
        store(folder.path(), "other.example", &password()).expect("the file keeps the others");
        for wrong in ["{", "[]"] {
            config(wrong);
            assert!(store(folder.path(), "r.example", &password()).is_err() && erase(folder.path(), "r.example").is_err());
        }
    }
}
