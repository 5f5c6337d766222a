//! What every command needs: the terminal, the settings resolved once, the project, and the engine.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::api::client::Client;
use crate::api::client::custom_header::{self, CustomHeaders, HeaderError};
use crate::api::client::dial::Dialled;
use crate::api::client::target::Target;
use crate::cli::args::connection::ConnectionArgs;
use crate::cli::args::{GlobalArgs, Toggle};
use crate::cli::choice;
use crate::cli::environment::{Environment, is_yes};
use crate::cli::error::CommandError;
use crate::cli::invocation::Invocation;
use crate::cli::output::progress::{Progress, Style};
use crate::cli::output::terminal::{Ansi, Terminal};
use crate::compose::project::diagnostic::Diagnostics;
use crate::compose::project::model::Project;
use crate::compose::project::source::FileReader;
use crate::compose::project::{self, Model, Sources};
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::name::{ProjectName, ServiceName};

/// What who may not use an engine can do.
const RIGHTS: &str = "run this with sudo, or name an engine you may use with `-H` or DOCKER_HOST";

fn denied(failure: &Failure) -> CommandError {
    CommandError::local(format!("{}: {RIGHTS}", failure.message))
}

/// What every command needs.
pub(crate) struct Context {
    /// Where output goes.
    pub(crate) terminal: Terminal,
    /// What the process was started with.
    pub(crate) environment: Environment,
    /// How many operations may go on at once.
    pub(crate) parallel: Option<usize>,
    /// Nothing is changed, only told.
    pub(crate) dry_run: bool,
    /// As what the program was started.
    pub(crate) invocation: Invocation,
    /// What is wrong with files is told as records.
    records: Cell<bool>,
    style: Style,
    sources: Sources,
    connection: ConnectionArgs,
    target: OnceCell<Result<Target, CommandError>>,
    docker_config: Option<PathBuf>,
    client: tokio::sync::OnceCell<Client>,
}

impl Context {
    /// Resolves the global flags and the environment.
    pub(crate) fn new(
        global: &GlobalArgs,
        environment: Environment,
        terminal: Terminal,
        invocation: Invocation,
    ) -> Result<Self, CommandError> {
        let ansi = match (global.ansi, environment.get("COMPOSE_ANSI")) {
            (Some(ansi), _) => ansi,
            (None, Some(text)) => Toggle::parse(text, "COMPOSE_ANSI")?,
            (None, None) => Ansi::Auto,
        };
        terminal.set_ansi(ansi);
        let style = match (global.progress, environment.get("COMPOSE_PROGRESS")) {
            (Some(style), _) => style,
            (None, Some(text)) => Toggle::parse(text, "COMPOSE_PROGRESS")?,
            (None, None) => Style::Auto,
        };
        let style = match (style, ansi) {
            (Style::Tty, Ansi::Never) => return Err(CommandError::local("can't use --progress tty while ANSI support is disabled")),
            (Style::Plain, Ansi::Always) => return Err(CommandError::local("can't use --progress plain while ANSI support is forced")),
            (Style::Auto, Ansi::Never) => Style::Plain,
            (Style::Auto, _) if terminal.stderr_is_terminal() => Style::Tty,
            (Style::Auto, _) => Style::Plain,
            (style, _) => style,
        };
        let parallel = match (global.parallel, environment.get("COMPOSE_PARALLEL_LIMIT")) {
            (Some(limit), _) => limit,
            (None, Some(text)) => {
                text.parse().map_err(|_| CommandError::local(format!("COMPOSE_PARALLEL_LIMIT must be an integer (found: {text:?})")))?
            }
            (None, None) => -1,
        };
        Ok(Self {
            connection: global.connection.clone(),
            target: OnceCell::new(),
            docker_config: choice::docker_config(&global.connection, &environment),
            sources: sources(global, &environment),
            parallel: usize::try_from(parallel).ok().filter(|limit| *limit > 0),
            dry_run: global.dry_run,
            terminal,
            environment,
            style,
            invocation,
            records: Cell::new(false),
            client: tokio::sync::OnceCell::new(),
        })
    }

    /// The engine, connected to once.
    pub(crate) async fn client(&self) -> Result<&Client, CommandError> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    /// The engine if it runs; asking starts none. One that cannot be reached may run: that is a failure.
    pub(crate) async fn running(&self) -> Result<Option<Client>, CommandError> {
        let running = Client::running(self.target()?, &self.headers()?).await.map_err(|failure| match failure.kind {
            FailureKind::Denied => denied(&failure),
            _ => failure.into(),
        })?;
        running.map(|client| self.fitted(client)).transpose()
    }

    /// A connection to the engine as it is; none where none runs, and none is to be started.
    pub(crate) async fn dial(&self, starts: bool) -> Result<Option<Dialled>, CommandError> {
        let target = self.target()?;
        if !starts {
            return Dialled::running(target).await.map_err(|failure| unreached(target, failure));
        }
        check_rights(target)?;
        Dialled::open(target).await.map(Some).map_err(|failure| unreached(target, failure))
    }

    async fn connect(&self) -> Result<Client, CommandError> {
        let target = self.target()?;
        check_rights(target)?;
        self.fitted(Client::connect(target, &self.headers()?).await.map_err(|failure| unreached(target, failure))?)
    }

    /// A client with the configuration and the version of the API that are meant.
    fn fitted(&self, client: Client) -> Result<Client, CommandError> {
        let client = client.with_docker_config(self.docker_config.clone());
        match self.environment.get("DOCKER_API_VERSION") {
            Some(version) => {
                client.speaking(version.trim_start_matches('v')).map_err(|failure| CommandError::from(failure).during("DOCKER_API_VERSION"))
            }
            None => Ok(client),
        }
    }

    /// The headers that requests are to have. As for Docker, a configuration that cannot be read has none.
    fn headers(&self) -> Result<CustomHeaders, CommandError> {
        let read = match (self.environment.get(custom_header::VARIABLE), &self.docker_config) {
            (Some(text), _) => CustomHeaders::of_variable(text),
            (None, Some(folder)) => CustomHeaders::of_configuration(folder),
            (None, None) => Ok(CustomHeaders::default()),
        };
        match read {
            Err(error @ HeaderError::Configuration(_)) => {
                self.terminal.warn(&format!("{error}: requests go without them"));
                Ok(CustomHeaders::default())
            }
            read => read.map_err(|error| CommandError::local(error.to_string())),
        }
    }

    /// Where Docker's command line keeps its configuration.
    pub(crate) fn docker_config(&self) -> Option<PathBuf> {
        self.docker_config.clone()
    }

    /// The engine that was spoken to, if one was.
    pub(crate) fn engine_name(&self) -> Option<String> {
        self.client.get().map(|client| client.target().to_string()).or_else(|| match self.target.get()? {
            Ok(Target::Own(_)) | Err(_) => None,
            Ok(target) => Some(target.to_string()),
        })
    }

    /// The engine that is meant, chosen when a command first wants one: others need none, and no context of Docker's configuration.
    pub(crate) fn target(&self) -> Result<&Target, CommandError> {
        let choose = || choice::choose(&self.connection, &self.environment, self.invocation);
        self.target.get_or_init(choose).as_ref().map_err(Clone::clone)
    }

    /// Whether the last word on a failure is to be a JSON object.
    pub(crate) fn reports_json(&self) -> bool {
        self.style == Style::Json
    }

    /// Begins to tell of a command.
    pub(crate) fn progress(&self, title: &'static str) -> Progress {
        Progress::new(&self.terminal, self.style, title, self.environment.is_true("COMPOSE_STATUS_STDOUT"))
    }

    /// The same in a style of the command's own, if it has one.
    pub(crate) fn progress_as(&self, style: Option<Style>, title: &'static str) -> Progress {
        let style = match style {
            Some(Style::Auto) if self.terminal.stderr_is_terminal() => Style::Tty,
            Some(Style::Auto) => Style::Plain,
            Some(style) => style,
            None => self.style,
        };
        Progress::new(&self.terminal, style, title, self.environment.is_true("COMPOSE_STATUS_STDOUT"))
    }

    /// Loads the project; `select` are services named on the command line, whose profiles count as active.
    pub(crate) fn project(&self, select: &[String]) -> Result<Project, CommandError> {
        self.project_with(|sources| sources.select = select.to_vec())
    }

    /// Loads the project from sources that the command adjusts.
    pub(crate) fn project_with(&self, adjust: impl FnOnce(&mut Sources)) -> Result<Project, CommandError> {
        let mut sources = self.sources()?;
        adjust(&mut sources);
        let loaded = project::load(&sources, &FileReader);
        let told = self.tell(&loaded.diagnostics);
        loaded.project.ok_or(told)
    }

    /// From here on, what is wrong with files is told as records, one JSON object a line.
    pub(crate) fn tell_records(&self) {
        self.records.set(true);
    }

    /// Tells what this engine cannot do of a project that it is to run.
    pub(crate) fn runnable(&self, project: &Project) -> Result<(), CommandError> {
        self.refuse(project.run_refusals())
    }

    /// Tells what this engine cannot do of builds that it is to do.
    pub(crate) fn buildable(&self, project: &Project, services: &BTreeSet<ServiceName>) -> Result<(), CommandError> {
        self.refuse(project.build_refusals(services))
    }

    fn refuse(&self, refusals: Diagnostics) -> Result<(), CommandError> {
        let refusals = refusals.enforced();
        let told = self.tell(&refusals);
        if refusals.has_errors() { Err(told) } else { Ok(()) }
    }

    /// Tells the same where nothing is to be run, and nothing fails for it.
    pub(crate) fn forewarn(&self, project: &Project) {
        self.tell(&project.refusals());
    }

    /// Loads the model of the files with every `${NAME}` as it is written.
    pub(crate) fn templates(&self, adjust: impl FnOnce(&mut Sources)) -> Result<Model, CommandError> {
        let mut sources = self.sources()?;
        adjust(&mut sources);
        let (model, diagnostics) = project::load_model(&sources, &FileReader);
        let told = self.tell(&diagnostics);
        model.ok_or(told)
    }

    /// Tells what is wrong with the files; returns what the command fails with if it cannot go on.
    fn tell(&self, diagnostics: &Diagnostics) -> CommandError {
        if self.reports_json() && diagnostics.has_errors() {
            return CommandError::local(diagnostics.render(false).trim_end());
        }
        if self.records.get() {
            for record in diagnostics.records() {
                self.terminal.note(&serde_json::json!(record).to_string());
            }
            return CommandError::told(CommandError::FAILURE);
        }
        let rendered = diagnostics.render(self.terminal.stderr_colors());
        if !rendered.is_empty() {
            self.terminal.note(rendered.trim_end());
        }
        CommandError::told(CommandError::FAILURE)
    }

    /// Where the project is, standard input read if it is named.
    fn sources(&self) -> Result<Sources, CommandError> {
        let mut sources = self.sources.clone();
        if sources.files.iter().any(|file| file.as_os_str() == "-") {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| CommandError::local(format!("cannot read the project from standard input: {error}")))?;
            sources.stdin = Some(text);
        }
        Ok(sources)
    }

    /// Whether a variable says yes: of `.env`, too, where there is a project; what it knows has the process's own variables above it.
    pub(crate) fn says(&self, project: Option<&Project>, name: &str) -> bool {
        project.map_or_else(|| self.environment.is_true(name), |it| it.environment.get(name).is_some_and(|text| is_yes(text)))
    }

    /// The name of the project, and the project itself where there are files: for commands that can do with labels alone.
    pub(crate) fn project_or_name(&self, select: &[String]) -> Result<(ProjectName, Option<Project>), CommandError> {
        match project::name_without_files(&self.sources, &FileReader) {
            Some(name) => Ok((name.parse().map_err(|error| CommandError::local(format!("{error}")))?, None)),
            // There are files, or there is no name either: the loader says so in its own words.
            None => self.project(select).map(|project| (project.name.clone(), Some(project))),
        }
    }

    /// The project with the services of all profiles, if it can be loaded; what is wrong with its files is not told, and standard input not read.
    pub(crate) fn whole_project(&self) -> Option<Project> {
        if self.sources.files.iter().any(|file| file.as_os_str() == "-") {
            return None;
        }
        let sources = Sources { profiles: vec!["*".to_owned()], ..self.sources.clone() };
        project::load(&sources, &FileReader).project
    }

    /// The project's name, if it can be told without a word.
    pub(crate) fn quiet_name(&self) -> Option<ProjectName> {
        let named = project::name_without_files(&self.sources, &FileReader).and_then(|name| name.parse().ok());
        named.or_else(|| self.whole_project().map(|project| project.name))
    }

    /// A path of the command line, absolute.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        self.sources.working_dir.join(path)
    }
}

/// Our own engine is started by root alone.
fn check_rights(target: &Target) -> Result<(), CommandError> {
    if let Target::Own(root) = target
        && !rustix::process::geteuid().is_root()
        && !root.socket().exists()
    {
        return Err(CommandError::local(format!("Gantry's engine does not run, and only root can start it: {RIGHTS}")));
    }
    Ok(())
}

fn unreached(target: &Target, failure: Failure) -> CommandError {
    match failure.kind {
        FailureKind::Denied => denied(&failure),
        FailureKind::Unavailable if !matches!(target, Target::Own(_)) => {
            let way =
                "start that engine, or name another with `-H`, `--context` or DOCKER_HOST; with none, Gantry's own is used and started";
            CommandError::from(failure).hint(way)
        }
        _ => failure.into(),
    }
}

fn sources(global: &GlobalArgs, environment: &Environment) -> Sources {
    let list = |name: &str| -> Vec<PathBuf> {
        environment.get(name).map(|text| text.split(',').filter(|it| !it.is_empty()).map(PathBuf::from).collect()).unwrap_or_default()
    };
    Sources {
        files: global.files.clone(),
        env_files: if global.env_files.is_empty() { list("COMPOSE_ENV_FILES") } else { global.env_files.clone() },
        project_directory: global.project_directory.clone(),
        project_name: global.project_name.clone(),
        profiles: global.profiles.clone(),
        environment: environment.variables().clone(),
        working_dir: environment.working_dir().cloned().unwrap_or_else(|| PathBuf::from("/")),
        home: environment.get("HOME").map(PathBuf::from),
        compatibility: global.compatibility || environment.is_true("COMPOSE_COMPATIBILITY"),
        all_resources: global.all_resources,
        ..Sources::default()
    }
}

/// Labels of a filter of the engine's lists.
pub(crate) type Filters = BTreeMap<String, Vec<String>>;
