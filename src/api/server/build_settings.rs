//! The query of `POST /build`: every parameter of Docker's is taken, found to be without meaning here, or refused.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::server::query::Query;
use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::build::{BuildNetwork, BuildSpec, DockerfileSource};
use crate::resource::container::Ulimit;
use crate::resource::extra_host;
use crate::resource::failure::Failure;
use crate::resource::image::{ImageReference, ReferenceError};

/// What a build is to be.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) spec: BuildSpec,
    /// Nothing is told but the image.
    pub(super) quiet: bool,
}

/// What this engine does not do, and the way out. Zero and nothing are no wish.
const REFUSED: &[(&str, &str)] = &[
    ("remote", "a context at an address is not fetched: send it as an archive"),
    ("session", "BuildKit's sessions are not spoken: set DOCKER_BUILDKIT=0, or build with `gantry`"),
    ("buildid", "a build is known by no id: it is cancelled when its connection is closed"),
    ("outputs", "an image is the only output: leave it out"),
    ("squash", "layers are not put into one: leave it out, or build in stages"),
    ("securityopt", "commands of a build have the engine's own profile: leave it out"),
    ("cgroupparent", "control groups of builds are the engine's own: leave it out"),
    ("memory", "commands of a build have no limit of memory: leave it out"),
    ("memswap", "commands of a build have no limit of swap: leave it out"),
    ("cpushares", "commands of a build have no share of processors: leave it out"),
    ("cpusetcpus", "commands of a build run on every processor: leave it out"),
    ("cpusetmems", "commands of a build use all memory: leave it out"),
    ("cpuperiod", "commands of a build have no quota of time: leave it out"),
    ("cpuquota", "commands of a build have no quota of time: leave it out"),
];

/// What has no effect here: commands of a build leave no containers behind, neither good ones (`rm`) nor failed ones (`forcerm`); and
/// `compress` only says what the archive itself shows.
const WITHOUT_MEANING: &[&str] = &["rm", "forcerm", "compress"];

/// Takes the parameters of a build out of a query.
pub(super) fn take(query: &mut Query) -> Result<Settings, Failure> {
    match query.text("version").as_deref() {
        None | Some("1") => {}
        Some(version) => {
            let message = format!(
                "`version={version}`: BuildKit's protocol is not spoken by this engine: set DOCKER_BUILDKIT=0, or build with `gantry image build`"
            );
            return Err(Failure::unsupported(message));
        }
    }
    for (name, why) in REFUSED {
        let value = query.all(name).into_iter().find(|value| !matches!(value.trim(), "" | "0" | "false" | "null" | "[]" | "{}"));
        if let Some(value) = value {
            return Err(Failure::unsupported(format!("`{name}={value}` is not supported by this engine: {why}")));
        }
    }
    for name in WITHOUT_MEANING {
        query.all(name);
    }
    if let Some(isolation) = query.text("isolation").filter(|isolation| isolation != "default") {
        return Err(Failure::unsupported(format!("`isolation={isolation}` is not supported by this engine: leave it out")));
    }
    let hosts: Vec<String> = query.all("extrahosts").into_iter().filter(|host| !host.is_empty()).collect();
    hosts.iter().try_for_each(|host| extra_host::parse(host).map(drop)).map_err(Failure::invalid)?;
    let tags = query.all("t").into_iter().filter(|tag| !tag.is_empty());
    let spec = BuildSpec {
        dockerfile: query.text("dockerfile").map(DockerfileSource::InContext).unwrap_or_default(),
        target: query.text("target"),
        args: texts(query, "buildargs")?,
        labels: texts(query, "labels")?,
        tags: tags.map(|tag| tag_of(&tag)).collect::<Result<_, _>>()?,
        platform: query.text("platform"),
        cache_from: list(query, "cachefrom")?,
        no_cache: query.flag("nocache"),
        pull: query.flag("pull"),
        network: network_of(&query.text("networkmode").unwrap_or_default())?,
        extra_hosts: hosts,
        shm_size: query.number("shmsize")?.filter(|size| *size > 0),
        ulimits: ulimits(query)?,
        ..BuildSpec::default()
    };
    Ok(Settings { spec, quiet: query.flag("q") })
}

/// A name with its tag, as dockerd tells it.
fn tag_of(text: &str) -> Result<String, Failure> {
    let reference: ImageReference =
        text.parse().map_err(|error: ReferenceError| Failure::invalid(format!("`t={text}`: invalid reference format: {error}")))?;
    match reference.digest() {
        Some(_) => Err(Failure::invalid(format!("`t={text}`: a digest cannot be given to an image: name it without"))),
        None => Ok(reference.familiar()),
    }
}

fn network_of(mode: &str) -> Result<BuildNetwork, Failure> {
    match mode {
        "" | "default" | "bridge" => Ok(BuildNetwork::Default),
        "host" => Ok(BuildNetwork::Host),
        "none" => Ok(BuildNetwork::None),
        mode if mode.starts_with("container:") => {
            Err(Failure::unsupported(format!("`networkmode={mode}` is not supported by this engine: name a network, `host` or `none`")))
        }
        mode => Ok(BuildNetwork::Named(mode.to_owned())),
    }
}

/// A parameter that is JSON; `null` is the same as absent.
fn json(query: &mut Query, name: &'static str) -> Result<Value, Failure> {
    match query.text(name) {
        None => Ok(Value::Null),
        Some(text) => serde_json::from_str(&text).map_err(|error| Failure::invalid(format!("`{name}` is not JSON: {error}"))),
    }
}

/// Texts by their names. One that is `null` is one that the client has not, and counts as absent.
fn texts(query: &mut Query, name: &'static str) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = || Failure::from(WireError::malformed(name, "an object of texts"));
    match json(query, name)? {
        Value::Null => Ok(BTreeMap::new()),
        Value::Object(map) => {
            let pairs = map.into_iter().filter(|(_, value)| !value.is_null());
            pairs.map(|(key, value)| value.as_str().map(|value| (key, value.to_owned())).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

fn list(query: &mut Query, name: &'static str) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::from(WireError::malformed(name, "a list of texts"));
    match json(query, name)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
        _ => Err(wrong()),
    }
}

fn ulimits(query: &mut Query) -> Result<BTreeMap<String, Ulimit>, Failure> {
    let wrong = |what| Failure::from(WireError::malformed("ulimits", what));
    let items = match json(query, "ulimits")? {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        _ => return Err(wrong("a list of limits")),
    };
    let mut ulimits = BTreeMap::new();
    for item in items {
        let mut fields = Fields::of("ulimits", item, Mood::Request)?;
        let name = fields.text("Name")?.unwrap_or_default();
        if !Ulimit::NAMES.contains(&name.as_str()) {
            return Err(wrong("the name of a limit"));
        }
        let mut limit = |name| fields.take(name).map_or(Some(0), |value| value.as_i64()).ok_or_else(|| wrong("a number"));
        ulimits.insert(name, Ulimit { soft: limit("Soft")?, hard: limit("Hard")? });
    }
    Ok(ulimits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, Failure> {
        let mut query = Query::parse(text).expect("a good query");
        let settings = take(&mut query)?;
        query.finish().map(|()| settings)
    }

    #[test]
    fn what_docker_sends_is_understood() {
        let text = "buildargs=%7B%22A%22%3A%22b%22%2C%22none%22%3Anull%7D&cachefrom=%5B%22a%3A1%22%5D&cgroupparent=&cpuperiod=0&cpuquota=0\
            &cpusetcpus=&cpusetmems=&cpushares=0&dockerfile=d%2FDockerfile&labels=%7B%22l%22%3A%22v%22%7D&memory=0&memswap=0&networkmode=host\
            &rm=1&forcerm=1&shmsize=67108864&t=one&t=127.0.0.1%3A5000%2Ftwo%3A2&target=last&platform=linux%2Farm64&version=1&nocache=1&pull=1&q=1\
            &extrahosts=a%3A1.2.3.4&extrahosts=b%3Ahost-gateway&isolation=default&squash=0&session=&remote=&outputs=%5B%5D\
            &ulimits=%5B%7B%22Name%22%3A%22nofile%22%2C%22Hard%22%3A2%2C%22Soft%22%3A1%7D%5D";
        let Settings { spec, quiet } = settings(text).expect("understood");
        let text = |text: &str| text.to_owned();
        let expect = BuildSpec {
            dockerfile: DockerfileSource::InContext(text("d/Dockerfile")),
            target: Some(text("last")),
            args: BTreeMap::from([(text("A"), text("b"))]),
            labels: BTreeMap::from([(text("l"), text("v"))]),
            tags: vec![text("one:latest"), text("127.0.0.1:5000/two:2")],
            platform: Some(text("linux/arm64")),
            cache_from: vec![text("a:1")],
            no_cache: true,
            pull: true,
            network: BuildNetwork::Host,
            extra_hosts: vec![text("a:1.2.3.4"), text("b:host-gateway")],
            shm_size: Some(64 << 20),
            ulimits: BTreeMap::from([(text("nofile"), Ulimit { soft: 1, hard: 2 })]),
            ..BuildSpec::default()
        };
        assert!(quiet);
        assert_eq!(spec, expect);
        assert_eq!(settings("ulimits=null&labels=null&shmsize=0").expect("nothing").spec, BuildSpec::default());
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_name() {
        for text in [
            "version=2",
            "remote=https%3A%2F%2Fexample.org%2Fa.git",
            "session=abc",
            "buildid=abc",
            "outputs=%5B%7B%22Type%22%3A%22local%22%7D%5D",
            "squash=1",
            "securityopt=seccomp%3Dx",
            "cgroupparent=%2Fx",
            "memory=1000",
            "memswap=-1",
            "cpushares=5",
            "cpusetcpus=0-1",
            "cpusetmems=0-1",
            "cpuperiod=1",
            "cpuquota=1",
            "isolation=hyperv",
            "networkmode=container%3Ax",
            "new=1",
        ] {
            let refused = settings(text).expect_err(text);
            let name = text.split('=').next().unwrap_or_default();
            assert!(refused.message.contains(&format!("`{name}")), "{text}: {refused}");
        }
        for text in [
            "buildargs=x",
            "buildargs=%5B%5D",
            "labels=%7B%22a%22%3A1%7D",
            "ulimits=%7B%7D",
            "ulimits=%5B%7B%7D%5D",
            "t=UPPER",
            "shmsize=x",
            "extrahosts=a",
            "extrahosts=a%3Ab",
            "extrahosts=a%0Ab%3A1.2.3.4",
        ] {
            assert!(settings(text).is_err(), "{text}");
        }
    }
}
