//! Which engine a command is for: what the flags, the variables and Docker's configuration say, in Docker's order.
//!
//! | what is there | whose engine |
//! |---|---|
//! | `-H` and `--context` | refused |
//! | `--context` | the context's, whatever DOCKER_HOST says |
//! | `-H`, else DOCKER_HOST | that one |
//! | DOCKER_CONTEXT | the context's |
//! | the configuration's current context | the context's, where we stand in for `docker compose` |
//! | nothing, or the context `default` | Gantry's own; Docker's, where we stand in for `docker compose` |

use std::error::Error as _;
use std::path::{Path, PathBuf};

use crate::api::client::docker_context::{self, ContextError, ContextStore};
use crate::api::client::target::{DOCKERS_SOCKET, Target};
use crate::api::client::tls::TlsFiles;
use crate::cli::args::connection::ConnectionArgs;
use crate::cli::environment::Environment;
use crate::cli::error::CommandError;
use crate::cli::invocation::Invocation;
use crate::engine::root::Root;

/// Where Docker's command line looks for an engine when all it knows is that it speaks TLS.
const DOCKERS_TLS: &str = "tcp://127.0.0.1:2376";

/// Where Docker's command line keeps its configuration, and with it the credentials of registries.
pub(crate) fn docker_config(flags: &ConnectionArgs, environment: &Environment) -> Option<PathBuf> {
    let named = flags.config.as_deref().or_else(|| environment.get("DOCKER_CONFIG").map(Path::new));
    let home = || environment.get("HOME").map(|home| Path::new(home).join(".docker"));
    named.map(|folder| environment.absolute(folder)).or_else(home)
}

/// Chooses the engine.
pub(crate) fn choose(flags: &ConnectionArgs, environment: &Environment, invocation: Invocation) -> Result<Target, CommandError> {
    if flags.host.is_some() && flags.context.is_some() {
        return Err(CommandError::local("conflicting options: cannot specify both --host and --context"));
    }
    let configuration = docker_config(flags, environment);
    if let Some(name) = context(flags, environment, configuration.as_deref(), invocation)? {
        if wants_tls(flags) {
            return Err(CommandError::local(format!(
                "the context `{name}` says itself whether its engine speaks TLS, and with which files"
            ))
            .hint("leave out the flags of TLS, or name the engine with `-H`"));
        }
        let Some(folder) = configuration else {
            return Err(CommandError::local(format!("there is no place for the context `{name}`: set HOME, or DOCKER_CONFIG to a folder")));
        };
        return ContextStore::new(&folder).target(&name).map_err(|error| refused(&error));
    }
    let tls = tls_files(flags, environment, configuration.as_deref())?;
    let target = match flags.host.as_deref().filter(|host| !host.is_empty()).or_else(|| environment.get("DOCKER_HOST")) {
        Some(host) => Target::parse(host, tls).map_err(|error| CommandError::local(error.to_string()))?,
        None => match (invocation, tls) {
            (Invocation::Gantry, _) => own(environment)?,
            (Invocation::Standalone | Invocation::Plugin, None) => Target::Unix(DOCKERS_SOCKET.into()),
            (Invocation::Standalone | Invocation::Plugin, tls) => {
                Target::parse(DOCKERS_TLS, tls).map_err(|error| CommandError::local(error.to_string()))?
            }
        },
    };
    if wants_tls(flags) && !matches!(target, Target::Tls(..)) {
        let error = CommandError::local(format!("the engine at {target} is not spoken to by TLS, and the flags say how to"));
        return Err(error.hint("TLS takes `-H tcp://host:port`, and `--tls` or `--tlsverify`"));
    }
    Ok(target)
}

/// The context that is meant, but for the one that is none.
fn context(
    flags: &ConnectionArgs,
    environment: &Environment,
    configuration: Option<&Path>,
    invocation: Invocation,
) -> Result<Option<String>, CommandError> {
    let name = match (&flags.context, configuration) {
        (Some(name), _) if !name.is_empty() => Some(name.clone()),
        _ if flags.host.is_some() || environment.get("DOCKER_HOST").is_some() => None,
        (_, configuration) => match (environment.get("DOCKER_CONTEXT"), invocation, configuration) {
            (Some(name), ..) => Some(name.to_owned()),
            (None, Invocation::Standalone | Invocation::Plugin, Some(configuration)) => {
                docker_context::current(configuration).map_err(|error| refused(&error))?
            }
            (None, ..) => None,
        },
    };
    Ok(name.filter(|name| name != docker_context::DEFAULT))
}

fn refused(error: &ContextError) -> CommandError {
    let text = error.source().filter(|_| matches!(error, ContextError::Unreadable { .. }));
    let told = CommandError::local(text.map_or_else(|| error.to_string(), |source| format!("{error}: {source}")));
    match error {
        ContextError::Missing { .. } => told.hint("`docker context create` makes one; `-H` and DOCKER_HOST name an engine without"),
        _ => told,
    }
}

/// Whether flags speak of TLS; variables may be there for other commands.
fn wants_tls(flags: &ConnectionArgs) -> bool {
    flags.tls == Some(true)
        || flags.tlsverify.is_some()
        || [&flags.tlscacert, &flags.tlscert, &flags.tlskey].into_iter().any(Option::is_some)
}

/// The files of TLS, if it is to be spoken.
fn tls_files(flags: &ConnectionArgs, environment: &Environment, configuration: Option<&Path>) -> Result<Option<TlsFiles>, CommandError> {
    // As Docker: any text says yes, even `0`.
    let is_set = |name: &str| environment.get(name).is_some();
    let verify = flags.tlsverify.unwrap_or_else(|| is_set("DOCKER_TLS_VERIFY"));
    if !verify && flags.tlsverify.is_none() && !flags.tls.unwrap_or_else(|| is_set("DOCKER_TLS")) {
        return Ok(None);
    }
    let folder = environment.get("DOCKER_CERT_PATH").map(|path| environment.absolute(path.as_ref()));
    let folder = folder.or_else(|| configuration.map(Path::to_owned));
    let usual = |name: &str| folder.as_ref().map(|folder| folder.join(name));
    let named = |flag: &Option<PathBuf>| flag.as_ref().map(|path| environment.absolute(path));
    let optional = |flag: &Option<PathBuf>, name: &str| {
        let Some(path) = usual(name).filter(|_| flag.is_none()) else { return Ok(named(flag)) };
        let unreadable = |error| CommandError::local(format!("{} cannot be looked at: {error}", path.display()));
        path.try_exists().map_err(unreadable).map(|is_there| is_there.then_some(path.clone()))
    };
    let (certificate, key) = (optional(&flags.tlscert, "cert.pem")?, optional(&flags.tlskey, "key.pem")?);
    if certificate.is_some() != key.is_some() && (flags.tlscert.is_some() || flags.tlskey.is_some()) {
        return Err(CommandError::local("a certificate is of no use without its key, nor a key without its certificate")
            .hint("name both: `--tlscert` and `--tlskey`"));
    }
    Ok(Some(TlsFiles { authority: named(&flags.tlscacert).or_else(|| usual("ca.pem")), certificate, key, verify }))
}

/// Gantry's own engine.
fn own(environment: &Environment) -> Result<Target, CommandError> {
    let moved = environment.get("GANTRY_ROOT").map(|root| environment.absolute(root.as_ref()));
    let root = Root::new(moved.as_deref());
    let (length, most) = (root.socket().as_os_str().len(), Root::LONGEST_SOCKET);
    if length > most {
        return Err(CommandError::local(format!("GANTRY_ROOT is too long: the path of its socket has {length} bytes"))
            .hint(format!("the kernel allows {most}; name a shorter folder, or a symbolic link to this one")));
    }
    Ok(Target::Own(root))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: ConnectionArgs,
    }

    /// A folder of Docker's configuration with the contexts `far` and `near`, of which `far` is the current one.
    fn configuration() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::File::create(path).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())).expect("a file");
        };
        write(folder.path().join("config.json"), r#"{"currentContext":"far"}"#);
        for (name, host) in [("far", "tcp://far:1"), ("near", "unix:///near")] {
            let id: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
            let text = format!(r#"{{"Name":"{name}","Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
            write(folder.path().join("contexts/meta").join(id).join("meta.json"), &text);
        }
        folder
    }

    fn chosen(folder: &Path, line: &str, variables: &[(&str, &str)], invocation: Invocation) -> Result<Target, String> {
        let line = Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).expect("flags");
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let configured = [(OsString::from("DOCKER_CONFIG"), folder.as_os_str().to_owned())];
        let environment = Environment::new(variables.chain(configured), Ok(PathBuf::from("/here")));
        choose(&line.flags, &environment, invocation).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_nearer_to_the_command_counts() {
        let folder = configuration();
        let check = |line: &str, variables: &[(&str, &str)], invocation, expect: &str| {
            let target = chosen(folder.path(), line, variables, invocation).map(|target| target.to_string());
            assert_eq!(target.as_deref(), Ok(expect), "{line} {variables:?}");
        };
        let (own, docker) = ("unix:///run/gantry/engine.sock", "unix:///var/run/docker.sock");
        let host = ("DOCKER_HOST", "tcp://host:1");
        let context = ("DOCKER_CONTEXT", "near");
        check("", &[], Invocation::Gantry, own);
        check("", &[], Invocation::Standalone, "tcp://far:1");
        check("", &[("DOCKER_CONTEXT", "default")], Invocation::Gantry, own);
        check("", &[("DOCKER_CONTEXT", "default")], Invocation::Standalone, docker);
        for invocation in [Invocation::Gantry, Invocation::Plugin] {
            check("", &[host], invocation, "tcp://host:1");
            check("", &[context], invocation, "unix:///near");
            check("", &[host, context], invocation, "tcp://host:1");
            check("-H tcp://flag:1", &[host, context], invocation, "tcp://flag:1");
            check("--context near", &[host], invocation, "unix:///near");
            check("-c far", &[context], invocation, "tcp://far:1");
            check("--context default", &[host, context], invocation, "tcp://host:1");
        }
        check("--context default", &[context], Invocation::Gantry, own);
        check("", &[("DOCKER_CONTEXT", "default"), ("DOCKER_TLS", "1")], Invocation::Standalone, "tcp://127.0.0.1:2376");
        check("", &[("DOCKER_TLS_VERIFY", "1")], Invocation::Gantry, own);
    }

    #[test]
    fn tls_is_set_as_for_docker() {
        let folder = configuration();
        let files = |authority: &str, certificate: Option<&str>, key: Option<&str>, verify| TlsFiles {
            authority: Some(authority.into()),
            certificate: certificate.map(PathBuf::from),
            key: key.map(PathBuf::from),
            verify,
        };
        let check = |line: &str, variables: &[(&str, &str)], expect: Option<TlsFiles>| {
            let line = format!("-H tcp://h:1 {line}");
            let expect = match expect {
                Some(files) => Target::Tls("h:1".to_owned(), files),
                None => Target::Tcp("h:1".to_owned()),
            };
            assert_eq!(chosen(folder.path(), &line, variables, Invocation::Gantry), Ok(expect), "{line} {variables:?}");
        };
        let usual = folder.path().join("ca.pem").display().to_string();
        check("", &[], None);
        check("--tls=false", &[("DOCKER_TLS", "1")], None);
        check("", &[("DOCKER_TLS", "1")], Some(files(&usual, None, None, false)));
        check("--tls", &[], Some(files(&usual, None, None, false)));
        check("--tlsverify", &[], Some(files(&usual, None, None, true)));
        check("--tlsverify=false", &[("DOCKER_TLS_VERIFY", "1")], Some(files(&usual, None, None, false)));
        check("", &[("DOCKER_TLS_VERIFY", "0")], Some(files(&usual, None, None, true)));
        check("", &[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "c")], Some(files("/here/c/ca.pem", None, None, true)));
        let all = "--tlsverify --tlscacert a --tlscert /c --tlskey k";
        check(all, &[], Some(files("/here/a", Some("/c"), Some("/here/k"), true)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let folder = configuration();
        let check = |line: &str, variables: &[(&str, &str)], word: &str| {
            let told = chosen(folder.path(), line, variables, Invocation::Gantry).expect_err(line);
            assert!(told.contains(word), "{told}");
        };
        check("-H tcp://h --context near", &[], "conflicting options: cannot specify both --host and --context");
        check("--context nowhere", &[], "there is no context `nowhere` in ");
        check("--context nowhere", &[], "contexts/meta: far, near");
        check("", &[("DOCKER_CONTEXT", "nowhere")], "there is no context `nowhere`");
        check("--context far --tls", &[], "says itself whether its engine speaks TLS");
        check("--tlsverify", &[], "unix:///run/gantry/engine.sock is not spoken to by TLS");
        check("-H ssh://h --tls", &[], "ssh://h is not spoken to by TLS");
        check("-H tcp://h --tlscacert x", &[], "tcp://h:2375 is not spoken to by TLS");
        check("-H tcp://h --tls --tlscert x", &[], "without its key");
        check("-H https://h", &[], "tcp://host:port");
    }
}
