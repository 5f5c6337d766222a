//! One build: what goes along with it is looked at, the engine is asked, and what went wrong is put into words.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tokio::io::AsyncRead;
use tokio::sync::mpsc::Receiver;

use crate::api::client::Client;
use crate::api::client::build::{BuildRequest, ContextSource};
use crate::api::client::docker_configuration::DockerConfiguration;
use crate::cli::debug_shell::DebugShell;
use crate::cli::error::CommandError;
use crate::cli::output::build::Teller;
use crate::resource::build::{BuildEvent, BuildNetwork, DockerfileSource, ImageBuild, NamedContext, SecretSource, ShellInput};
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;

/// A context that comes as an archive.
pub(crate) type Archive = Box<dyn AsyncRead + Send + Unpin>;

/// Builds an image, and returns its id; there is none where the Dockerfile was only checked.
pub(crate) async fn run(
    client: &Client,
    build: ImageBuild,
    archive: Option<Archive>,
    mut teller: Teller,
    mut shell: Option<&mut DebugShell>,
    name: &str,
) -> Result<Option<ImageId>, CommandError> {
    let failed = |error: CommandError| error.during(&format!("cannot build {name}"));
    look(&build).map_err(failed)?;
    let retrace = retrace(&build);
    let asks_for_shell = shell.is_some();
    let typed = shell.as_mut().and_then(|shell| shell.typed());
    let hear = |event| match &mut shell {
        Some(shell) => shell.hear(event, &mut teller),
        None => teller.hear(event),
    };
    let asked = ask(client, build, archive, typed, hear).await;
    let (step, image) = teller.outcome();
    match (asked, step) {
        (Ok(()), _) => Ok(image),
        (Err(failure), Some(step)) => {
            let message = if step.failure.message.is_empty() {
                failure.message
            } else {
                // The step's name has the command.
                let message = step.failure.message.rsplit_once("\" did not complete successfully: ");
                let message = message.filter(|_| step.failure.code.is_some()).map_or(step.failure.message.as_str(), |(_, how)| how);
                format!("{}: {message}", step.step)
            };
            let mut error = CommandError::new(message);
            for detail in step.details() {
                error = error.detail(detail);
            }
            // A base that cannot be pulled, and the end of the engine, have no state before them.
            let has_state = step.failure.place.is_some() && !step.step.starts_with(INTERNAL);
            if !asks_for_shell && has_state {
                error = error.hint(format!("to look around in the state before it: {retrace}"));
            }
            Err(failed(error))
        }
        (Err(failure), None) => Err(failed(each(failure))),
    }
}

/// How the steps begin that are none of the Dockerfile's.
const INTERNAL: &str = "[internal]";

/// A failure in several lines is several: of a Dockerfile, all that is wrong is told at once.
fn each(failure: Failure) -> CommandError {
    let mut lines = failure.message.lines().map(str::to_owned);
    let first = lines.next().unwrap_or_default();
    let error = CommandError::from(Failure { message: first, ..failure.clone() });
    lines.fold(error, CommandError::also)
}

/// Asks an engine for a build, or looks at its Dockerfile alone, and hands on what is told.
async fn ask(
    client: &Client,
    build: ImageBuild,
    archive: Option<Archive>,
    typed: Option<Receiver<ShellInput>>,
    mut tell: impl FnMut(BuildEvent),
) -> Result<(), Failure> {
    let context = match (archive, build.context) {
        (Some(archive), _) => ContextSource::Archive(archive),
        (None, Some(folder)) => ContextSource::Folder(folder),
        (None, None) => ContextSource::None,
    };
    let request = BuildRequest { spec: build.spec, context, folders: build.folders, secrets: build.secrets, ssh: build.ssh, typed };
    if build.check {
        client.check(request).await?.into_iter().for_each(tell);
        return Ok(());
    }
    client.build(request, &mut tell).await.map(drop)
}

/// A word by which builds of one command know one another; without one, each does everything anew that is to be done anew.
pub(crate) fn word() -> Option<String> {
    let mut bytes = [0; 16];
    let drawn = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    drawn.ok().map(|_| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Looks at what goes along: what is wrong with it is better said before anything is done.
fn look(build: &ImageBuild) -> Result<(), CommandError> {
    for (what, folder) in
        build.context.iter().map(|folder| ("the context", folder)).chain(build.folders.values().map(|it| ("a context", it)))
    {
        match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(CommandError::local(format!("{what} {} is not a folder", folder.display()))),
            Err(error) => return Err(CommandError::local(format!("cannot read {what} {}: {error}", folder.display()))),
        }
    }
    if let (DockerfileSource::InContext(file), Some(folder)) = (&build.spec.dockerfile, &build.context)
        && let Err(error) = fs::metadata(folder.join(file))
        // Where nobody said how it is called, it may be in small letters.
        && !(file == "Dockerfile" && folder.join("dockerfile").exists())
    {
        let path = folder.join(file);
        return Err(CommandError::local(format!("cannot read the Dockerfile {}: {error}", path.display()))
            .hint("write one there, or name another: `dockerfile` in the file, `-f` of `image build`"));
    }
    for (id, secret) in &build.secrets {
        if let SecretSource::File(path) = secret
            && let Err(error) = fs::File::open(path)
        {
            return Err(CommandError::local(format!("cannot read the secret `{id}` from {}: {error}", path.display())));
        }
    }
    for (id, path) in &build.ssh {
        let metadata = fs::metadata(path)
            .map_err(|error| CommandError::local(format!("cannot reach the agent `{id}` at {}: {error}", path.display())))?;
        if !metadata.file_type().is_socket() {
            return Err(CommandError::local(format!("the agent `{id}` is to be reached at {}, which is no socket", path.display()))
                .hint("a key goes into an agent first: `ssh-add FILE`; then write `default`, or the path of the agent's socket"));
        }
    }
    Ok(())
}

/// The variables of Docker's configuration that every build gets, as `docker build` has it: what its containers are told of proxies.
pub(crate) fn proxies(folder: Option<&Path>, engine: Option<&str>) -> Vec<(String, String)> {
    // As for Docker, a file that cannot be read has none; where its headers count, the user has been warned of it.
    let read = folder.and_then(|folder| DockerConfiguration::read(folder).ok().flatten());
    let Some(all) = read.as_ref().and_then(|read| read.field("proxies")) else { return Vec::new() };
    let own = engine.and_then(|engine| all.get(engine)).unwrap_or(&all["default"]);
    let names = [
        ("httpProxy", "HTTP_PROXY"),
        ("httpsProxy", "HTTPS_PROXY"),
        ("noProxy", "NO_PROXY"),
        ("ftpProxy", "FTP_PROXY"),
        ("allProxy", "ALL_PROXY"),
    ];
    let set = names.into_iter().filter_map(|(key, name)| Some((name, own[key].as_str().filter(|value| !value.is_empty())?)));
    set.flat_map(|(name, value)| [(name.to_owned(), value.to_owned()), (name.to_lowercase(), value.to_owned())]).collect()
}

/// The command that builds the same and opens a shell where it fails.
fn retrace(build: &ImageBuild) -> String {
    let spec = &build.spec;
    let mut command = "gantry image build --debug-shell".to_owned();
    let mut flag = |flag: &str, value: &str| {
        let _ = write!(command, " {flag} {}", quoted(value));
    };
    match &spec.dockerfile {
        DockerfileSource::InContext(file) if file == "Dockerfile" => {}
        DockerfileSource::InContext(file) => flag("-f", &build.context.clone().unwrap_or_default().join(file).display().to_string()),
        DockerfileSource::Text { .. } => flag("-f", "FILE"),
    }
    spec.target.iter().for_each(|target| flag("--target", target));
    spec.args.iter().for_each(|(name, value)| flag("--build-arg", &format!("{name}={value}")));
    spec.platform.iter().for_each(|platform| flag("--platform", platform));
    match &spec.network {
        BuildNetwork::Default => {}
        BuildNetwork::Host => flag("--network", "host"),
        BuildNetwork::None => flag("--network", "none"),
        BuildNetwork::Named(name) => flag("--network", name),
    }
    spec.extra_hosts.iter().for_each(|host| flag("--add-host", host));
    spec.shm_size.iter().for_each(|bytes| flag("--shm-size", &bytes.to_string()));
    spec.ulimits.iter().for_each(|(name, limit)| flag("--ulimit", &format!("{name}={}:{}", limit.soft, limit.hard)));
    for (name, context) in &spec.contexts {
        let place = match context {
            NamedContext::Image(image) | NamedContext::Built(image) => format!("docker-image://{image}"),
            NamedContext::Folder => build.folders.get(name).map(|folder| folder.display().to_string()).unwrap_or_default(),
        };
        flag("--build-context", &format!("{name}={place}"));
    }
    for (id, secret) in &build.secrets {
        match secret {
            SecretSource::File(path) => flag("--secret", &format!("id={id},src={}", path.display())),
            // Whoever sees this line is not to see what is secret.
            SecretSource::Value(_) => flag("--secret", &format!("id={id},env=NAME")),
        }
    }
    build.ssh.iter().for_each(|(id, path)| flag("--ssh", &format!("{id}={}", path.display())));
    let context = build.context.as_ref().map_or_else(|| "-".to_owned(), |folder| folder.display().to_string());
    format!("{command} {}", quoted(&context))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Where a context given on the command line is.
pub(crate) fn folder(path: &Path, base: impl Fn(&Path) -> PathBuf) -> Result<PathBuf, CommandError> {
    let written = path.to_string_lossy();
    if written.contains("://") || written.starts_with("git@") || written.starts_with("github.com/") {
        return Err(CommandError::local(format!("`{written}` is no folder of this machine, and what lies elsewhere is not fetched yet"))
            .hint("fetch it, and name the folder"));
    }
    Ok(base(path))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::resource::build::BuildSpec;

    #[test]
    fn the_way_back_is_a_command() {
        let mut build = ImageBuild { context: Some("/p/a b".into()), ..ImageBuild::default() };
        assert_eq!(retrace(&build), "gantry image build --debug-shell '/p/a b'");
        build.spec = BuildSpec {
            dockerfile: DockerfileSource::InContext("docker/Dev".to_owned()),
            target: Some("dev".to_owned()),
            args: BTreeMap::from([("A".to_owned(), "it's $x".to_owned())]),
            network: BuildNetwork::Host,
            contexts: BTreeMap::from([("base".to_owned(), NamedContext::Image("p-base".to_owned()))]),
            ..BuildSpec::default()
        };
        build.secrets =
            BTreeMap::from([("k".to_owned(), SecretSource::File("/k".into())), ("t".to_owned(), SecretSource::Value(b"hush".to_vec()))]);
        assert_eq!(
            retrace(&build),
            "gantry image build --debug-shell -f '/p/a b/docker/Dev' --target dev --build-arg 'A=it'\\''s $x' --network host \
             --build-context base=docker-image://p-base --secret id=k,src=/k --secret id=t,env=NAME '/p/a b'"
        );
    }

    #[test]
    fn each_problem_of_a_dockerfile_is_an_error() {
        let error = each(Failure::invalid("D:1:1: one\nD:2:1: two")).during("cannot build x");
        assert_eq!(error.text(None, false), "error: cannot build x: D:1:1: one\nerror: D:2:1: two\n");
    }

    #[test]
    fn proxies_are_those_of_dockers_configuration() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(proxies(Some(folder.path()), None).is_empty());
        let text = r#"{"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": ""}, "tcp://h:1": {"allProxy": "socks://s"}}}"#;
        fs::write(folder.path().join("config.json"), text).expect("a file");
        let names =
            |engine| proxies(Some(folder.path()), engine).into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        assert_eq!(names(None), ["HTTP_PROXY=http://p:1", "http_proxy=http://p:1"]);
        assert_eq!(names(Some("tcp://h:1")), ["ALL_PROXY=socks://s", "all_proxy=socks://s"]);
    }

    #[test]
    fn what_goes_along_is_looked_at_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("Dockerfile"), "FROM scratch").expect("a file");
        let build = || ImageBuild { context: Some(folder.path().to_path_buf()), ..ImageBuild::default() };
        let said = |build: ImageBuild| look(&build).map_err(|error| error.message().replace(&folder.path().display().to_string(), "."));
        assert_eq!(said(build()), Ok(()));
        let missing = "No such file or directory (os error 2)";
        let nowhere = ImageBuild { context: Some(path("no")), ..build() };
        assert_eq!(said(nowhere), Err(format!("cannot read the context ./no: {missing}")));
        assert_eq!(
            said(ImageBuild { context: Some(path("Dockerfile")), ..build() }),
            Err("the context ./Dockerfile is not a folder".to_owned())
        );
        let mut other = build();
        other.spec.dockerfile = DockerfileSource::InContext("Dev".to_owned());
        assert_eq!(said(other), Err(format!("cannot read the Dockerfile ./Dev: {missing}")));
        let key = ImageBuild { ssh: BTreeMap::from([("default".to_owned(), path("Dockerfile"))]), ..build() };
        assert_eq!(said(key), Err("the agent `default` is to be reached at ./Dockerfile, which is no socket".to_owned()));
        let secret = ImageBuild { secrets: BTreeMap::from([("k".to_owned(), SecretSource::File(path("k")))]), ..build() };
        assert_eq!(said(secret), Err(format!("cannot read the secret `k` from ./k: {missing}")));
        let mut outside = build();
        outside.spec.dockerfile = DockerfileSource::InContext(path("Dockerfile").display().to_string());
        assert_eq!(said(outside), Ok(()));
    }
}
