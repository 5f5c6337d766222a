//! The last word on a failure: a sentence, what is known of its cause, a way out, the engine, and the code to exit with.

use crate::cli::output::terminal::Terminal;
use crate::compose::plan::PlanError;
use crate::compose::project::model::Project;
use crate::compose::project::place::names_its_subject;
use crate::compose::project::select::SelectError;
use crate::resource::failure::{Failure, FailureKind};

/// What of a project a failure is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// An image, by the reference in the file.
    Image(String),
    /// A container, by name.
    Container(String),
    /// A service.
    Service(String),
    /// The building of a service's image, by the service.
    Build(String),
    /// The health of a container, by name.
    Health(String),
    /// A network, by its name in the engine.
    Network(String),
    /// A volume, by its name in the engine.
    Volume(String),
    /// A service's hook, by the service and the attribute.
    Hook(String, &'static str),
    /// A secret or config, by the section and its key.
    File(&'static str, String),
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandError {
    /// One sentence that names the thing.
    message: String,
    /// So much of the message says what was being done.
    began: usize,
    /// Further sentences, each an error of its own.
    others: Vec<String>,
    /// What is known of the cause: its place in the files, a probe's output, a job's last lines.
    details: Vec<String>,
    /// What it is about, to be found in the project's files.
    about: Option<Box<About>>,
    /// The engine failed of itself: no value in the files is to blame, even if the message happens to hold one.
    inner: bool,
    /// What to do.
    hint: Option<String>,
    /// The code to exit with.
    code: u8,
    /// Nothing is printed: somebody else said it already.
    silent: bool,
    /// No engine was spoken to, or it does not matter which.
    local: bool,
}

impl CommandError {
    /// The code of every failure that has no other.
    pub(crate) const FAILURE: u8 = 1;
    /// The code after an interrupt, even after a clean stop.
    pub(crate) const INTERRUPTED: u8 = 130;

    /// The code after whoever listened has left, as of a program that SIGPIPE ends.
    pub(crate) const UNHEARD: u8 = 141;

    /// A failure that an engine had part in.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            began: 0,
            others: Vec::new(),
            details: Vec::new(),
            about: None,
            inner: false,
            hint: None,
            code: Self::FAILURE,
            silent: false,
            local: false,
        }
    }

    /// A failure of the arguments or the files; no engine had part in it.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self { local: true, ..Self::new(message) }
    }

    /// A failure that was told already.
    pub(crate) fn told(code: u8) -> Self {
        Self { silent: true, code, ..Self::new("") }
    }

    /// Sets the code to exit with.
    #[must_use]
    pub(crate) const fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The keys that lead away were pressed: Docker's words and code, though nothing went wrong.
    pub(crate) fn detached() -> Self {
        Self::local("read escape sequence")
    }

    /// Adds another error that was found beside it.
    #[must_use]
    pub(crate) fn also(mut self, message: String) -> Self {
        self.others.push(message);
        self
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what is known of the cause.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Prefixes the sentence with what was being done.
    #[must_use]
    pub(crate) fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self.began += what.len() + ": ".len();
        self
    }

    /// Says what it is about, if nobody did.
    #[must_use]
    pub(crate) fn about(mut self, about: About) -> Self {
        self.about.get_or_insert_with(|| Box::new(about));
        self
    }

    /// Finds the place in the project's files, and the way out that goes with it.
    #[must_use]
    pub(crate) fn placed(mut self, project: &Project) -> Self {
        let spoken = &self.message[self.began..];
        let spoken = if self.inner && !names_its_subject(spoken) { "" } else { spoken };
        let of_service = |service: Option<&str>, attribute| project.place(service?, attribute, spoken);
        let place = match self.about.as_deref() {
            None => return self,
            Some(About::Image(image)) => {
                let user = project.services.values().find(|service| service.image == *image);
                of_service(user.map(|service| service.name.as_str()), Some("image"))
            }
            Some(About::Service(name)) => of_service(Some(name), None),
            Some(About::Build(name)) => of_service(Some(name), Some("build")),
            Some(About::Container(name)) => of_service(project.service_of(name), None),
            Some(About::Health(name)) => of_service(project.service_of(name), Some("healthcheck")),
            Some(About::Hook(service, attribute)) => of_service(Some(service.as_str()), Some(*attribute)),
            Some(About::File(section, key)) => project.place_of(section, key),
            Some(About::Network(name)) => project.place_of_network(name, spoken),
            Some(About::Volume(name)) => project.place_of_volume(name, spoken),
        };
        let Some(place) = place else { return self };
        let way = match place.attribute.as_deref() {
            Some("image") => {
                "check the name and the registry, or bring it in with `gantry image load -i FILE` or `gantry image import FILE NAME`"
            }
            Some("command" | "entrypoint") => "write a program that is in the image, with its path if it is not in PATH",
            Some("ports") if self.message.contains("cannot listen") => "publish on an address of this host, or on all of them",
            Some("ports") => "publish another port, or stop what holds this one",
            Some("volumes") if ["ot a directory", "s a directory", "nvalid argument"].iter().any(|words| self.message.contains(words)) => {
                "bind a file over a file, and a folder over a folder"
            }
            Some("volumes") => "make what is missing on the host, or bind something else",
            Some("container_name") => "write another name, or remove the container that has it",
            Some("user") => "write a user and a group of the image's /etc/passwd and /etc/group, or their numbers",
            Some("working_dir") => "write an absolute path that is, or may become, a folder in the image",
            Some("stop_signal") => "write the name of a signal, such as SIGTERM, or its number",
            Some("hostname") => "write letters, digits, `-` and `.`, at most 64",
            Some("tmpfs") => "write a path, then `:` and options of a tmpfs, such as `/run:size=64m,mode=1777`",
            Some("sysctls") => "write a parameter that this kernel has, and a value it takes",
            Some("network_mode" | "pid" | "ipc" | "volumes_from" | "external_links")
                if ["No such container", "non running"].iter().any(|words| self.message.contains(words)) =>
            {
                "start that container first, name one that is there, or another service: `service:NAME`"
            }
            Some("healthcheck") => "mend what it checks or the check, or give it longer with `start_period` and `retries`",
            _ => "",
        };
        if !way.is_empty() {
            self.hint.get_or_insert_with(|| way.to_owned());
        }
        self.details.insert(0, format!("--> {place}"));
        self
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Prints the failure and returns the code; `engine` is the one that was spoken to.
    pub(crate) fn report(&self, terminal: &Terminal, engine: Option<&str>, json: bool) -> u8 {
        if self.silent {
            return self.code;
        }
        if json {
            let all: Vec<&str> = std::iter::once(&self.message).chain(&self.others).map(String::as_str).collect();
            let object = serde_json::json!({ "error": true, "message": all.join("\n") });
            terminal.note(&object.to_string());
            return self.code;
        }
        terminal.note(self.text(engine, terminal.stderr_colors()).trim_end());
        self.code
    }

    /// All that is told of it.
    pub(crate) fn text(&self, engine: Option<&str>, color: bool) -> String {
        let paint = |style: &str, text: &str| if color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() };
        let error = |message: &String| format!("{} {message}\n", paint("1;31", "error:"));
        let mut text: String = std::iter::once(&self.message).chain(&self.others).map(error).collect();
        for detail in &self.details {
            detail.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{} {hint}\n", paint("1;36", "hint:")));
        }
        if let (Some(engine), false) = (engine, self.local) {
            text.push_str(&format!("{} {engine}\n", paint("2", "engine:")));
        }
        text
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        let error = Self::new(failure.message);
        match failure.kind {
            FailureKind::Unsupported => error.hint("this engine cannot do that; see `gantry version` for which one it is"),
            FailureKind::Internal => Self { inner: true, ..error },
            _ => error,
        }
    }
}

impl From<PlanError> for CommandError {
    fn from(error: PlanError) -> Self {
        let message = error.to_string();
        match error {
            PlanError::ExternalNetwork(name) => {
                Self::new(message).about(About::Network(name)).hint("create it, or drop `external: true` to have it made here")
            }
            PlanError::ExternalVolume(name) => {
                Self::new(message).about(About::Volume(name)).hint("create it, or drop `external: true` to have it made here")
            }
            PlanError::ImageMissing { image, .. } => Self::new(message)
                .about(About::Image(image))
                .hint("bring it in with `gantry image load -i FILE`, `gantry image import FILE NAME`, `gantry pull` or `gantry build`"),
            PlanError::Content { kind, key, .. } => Self::local(message)
                .about(About::File(kind.section(), key))
                .hint("set the variable, in the environment or in `.env`, or make the file"),
            PlanError::NothingToShare { service, with, .. } => {
                let hint = format!("give `{with}` a container: start it, or do not scale it to 0");
                Self::new(message).about(About::Service(service.to_string())).hint(hint)
            }
            PlanError::PlatformUnbuilt { service, platform } => Self::local(message)
                .about(About::Build(service.to_string()))
                .hint(format!("add {platform} to `build.platforms`, or name another in `platform` or DOCKER_DEFAULT_PLATFORM")),
            PlanError::SeveralPlatforms { service, .. } => Self::local(message).about(About::Build(service.to_string())).hint(
                "keep one in `build.platforms`; or let `gantry up --build` build the one of `platform`, or of DOCKER_DEFAULT_PLATFORM",
            ),
            PlanError::NoAgent { service, .. } => Self::local(message)
                .about(About::Build(service.to_string()))
                .hint("start one: `eval $(ssh-agent)`, or name its socket: `ID=PATH`"),
            PlanError::Elsewhere { service, .. } => {
                Self::local(message).about(About::Build(service.to_string())).hint("fetch it, and name the folder")
            }
            PlanError::NothingToStart(_) => Self::new(message).hint("`gantry up` creates it"),
            PlanError::Cycle(_) | PlanError::NamedTwice { .. } | PlanError::Name(_) | PlanError::UnknownService(_) => Self::local(message),
        }
    }
}

impl From<SelectError> for CommandError {
    fn from(error: SelectError) -> Self {
        Self::local(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::plan::simulate::project;

    #[test]
    fn a_value_is_blamed_only_for_what_was_asked() {
        let project = project("services: {db: {image: x, command: [serve, /data]}}");
        let placed = |failure: Failure| CommandError::from(failure).about(About::Container("p-db-1".to_owned())).placed(&project);
        let wrong = placed(Failure::invalid("exec: `/data`: permission denied"));
        assert!(wrong.details[0].ends_with("services.db.command") && wrong.hint.is_some(), "{wrong:?}");
        let full = placed(Failure::internal("cannot write `/root/data/spec.json`: No space left on device"));
        assert!(full.details[0].ends_with("services.db") && full.hint.is_none(), "{full:?}");
    }
}
