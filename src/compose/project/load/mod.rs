//! The way from file names to a project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::compose::project::conform::{conform, refuse_incomplete};
use crate::compose::project::decode::{Around, Decoded, decode, unique_container_names};
use crate::compose::project::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::compose::project::discover::{Found, discover, is_stdin};
use crate::compose::project::expand::PORTS;
use crate::compose::project::include::Repeated;
use crate::compose::project::interpolate::{Variable, substitute, variables};
use crate::compose::project::merge::Overridden;
use crate::compose::project::model::{Project, Refusal, Service, Subject};
use crate::compose::project::node::Node;
use crate::compose::project::path::Base;
use crate::compose::project::source::{Reader, RelativeTo, SourceId, SourceMap, Span};
use crate::compose::project::variable_file::VariableFiles;
use crate::compose::project::{cycle, env_file, label_file, merge, name, normalize, seccomp_file, select, short, yaml};
use crate::resource::name::{ProjectName, ServiceName};

/// What the caller says about where a project is.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files named by `-f`, in order; `-` is standard input. `COMPOSE_FILE` and discovery when empty.
    pub files: Vec<PathBuf>,
    /// Files named by `--env-file`; they replace the default `.env`.
    pub env_files: Vec<PathBuf>,
    /// `--project-directory`.
    pub project_directory: Option<PathBuf>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--profile`; `COMPOSE_PROFILES` when empty.
    pub profiles: Vec<String>,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub working_dir: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// What `-` reads.
    pub stdin: Option<String>,
    /// Environment files stay as they are written instead of being read into `environment`.
    pub keep_env_files: bool,
    /// Relative paths stay as they are written.
    pub keep_relative: bool,
    /// Templates such as `${NAME}` stay as they are written: see [`load_model`].
    pub keep_templates: bool,
    /// Names, the default network and what else is implied are not filled in.
    pub keep_implied: bool,
    /// What services refer to need not exist, and what they say need not fit together.
    pub keep_dangling: bool,
    /// `--compatibility`: the parts of names are separated as in Compose 1.
    pub compatibility: bool,
    /// `--all-resources`: what no service uses is a part of the project, too.
    pub all_resources: bool,
    /// Services named on the command line: they turn their own profiles on. Nothing else is selected here.
    pub select: Vec<String>,
}

/// What came of a load: a project unless there are errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The project.
    pub project: Option<Project>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// Loads a project: every problem of all its files at once, or the project and warnings.
pub fn load(sources: &Sources, reader: &dyn Reader) -> Loaded {
    let mut loader = Loader::new(sources, reader);
    let project = loader.load();
    let sources = Arc::new(loader.map);
    let mut problems = loader.problems;
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    // Whoever has to mend something hears of everything there is to mend.
    if let Some(project) = project.as_ref().filter(|_| failed) {
        // What cannot be read is not judged as well.
        let wrong: BTreeSet<Span> =
            problems.iter().filter(|problem| problem.severity == Severity::Error).filter_map(|problem| problem.span).collect();
        let refusals = project.refusals.iter().map(|refusal| &refusal.diagnostic);
        problems.extend(refusals.filter(|refusal| refusal.span.is_none_or(|span| !wrong.contains(&span))).cloned());
    }
    let diagnostics = Diagnostics::new(problems, Arc::clone(&sources)).enforced().with_overridden(&loader.overridden);
    let project = project.filter(|_| !failed).map(|project| Project { sources, ..project });
    Loaded { project, diagnostics }
}

/// Loads the model of a project's files with every `${NAME}` as it is written: all services, merged and checked as far as that goes.
pub fn load_model(sources: &Sources, reader: &dyn Reader) -> (Option<Model>, Diagnostics) {
    let sources = Sources { keep_templates: true, ..sources.clone() };
    let mut loader = Loader::new(&sources, reader);
    let model = loader.document().map(|(_, document, _)| Model(document));
    let diagnostics = Diagnostics::new(loader.problems, Arc::new(loader.map)).with_overridden(&loader.overridden);
    (model.filter(|_| !diagnostics.has_errors()), diagnostics)
}

/// Merged and completed files.
#[derive(Clone, Debug)]
pub struct Model(pub(crate) Node);

impl Model {
    /// The variables its templates name, and what they say of each.
    pub fn variables(&self) -> BTreeMap<String, Variable> {
        let mut found = BTreeMap::new();
        variables(&self.0, &mut found);
        found
    }
}

/// What a load goes through: everything read, and everything wrong with it.
pub(super) struct Loader<'a> {
    pub(super) sources: &'a Sources,
    pub(super) reader: &'a dyn Reader,
    pub(super) map: SourceMap,
    pub(super) problems: Vec<Diagnostic>,
    /// Values of files that lie below others of the same attribute.
    overridden: Overridden,
    /// How many ports more its ranges may stand for.
    ports: Option<usize>,
    /// What is included more than once.
    pub(super) included: BTreeMap<Vec<PathBuf>, Repeated>,
}

/// Where the files that make up a project, or a part of one, stand.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The project's own folder.
    pub(super) project: &'a Path,
    /// What relative paths start from.
    pub(super) folder: &'a Path,
    /// What interpolation sees.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// The files that are being included, the outermost first.
    pub(super) chain: &'a [PathBuf],
}

impl<'a> Loader<'a> {
    fn new(sources: &'a Sources, reader: &'a dyn Reader) -> Self {
        Self {
            sources,
            reader,
            map: SourceMap::default(),
            problems: Vec::new(),
            overridden: Overridden::default(),
            ports: Some(PORTS),
            included: BTreeMap::new(),
        }
    }

    fn load(&mut self) -> Option<Project> {
        let (name, document, found) = self.document()?;
        Some(self.project(name, document, found))
    }

    fn document(&mut self) -> Option<(ProjectName, Node, Found)> {
        let mut found = discover(self.sources, &mut self.variable_files(self.reader))?;
        let documents: Vec<Node> = found.files.iter().flat_map(|file| self.read(file, None)).collect();
        let name = name::project_name(self.sources, &found, &documents, &self.map, &mut self.problems)?;
        found.environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.as_str().to_owned());
        let scope = Scope { project: &found.folder, folder: &found.folder, environment: &found.environment, chain: &found.files };
        let mut document = self.merge(documents, scope)?;
        merge::settle(&mut document);
        refuse_incomplete(&document, &mut self.problems);
        document.as_map()?;
        let nothing = BTreeMap::new();
        let environment = if self.sources.keep_templates { &nothing } else { &found.environment };
        normalize::complete(&mut document, name.as_str(), Base::new(self.sources, &found.folder, &found.folder));
        if !self.sources.keep_implied {
            normalize::normalize(&mut document, name.as_str(), environment);
        }
        if !self.sources.keep_relative {
            normalize::watched(&mut document, self.reader);
        }
        Some((name, document, found))
    }

    /// What reads files of variables.
    pub(super) fn variable_files<'b>(&'b mut self, reader: &'b dyn Reader) -> VariableFiles<'b> {
        VariableFiles { reader, map: &mut self.map, problems: &mut self.problems, shown_from: &self.sources.working_dir }
    }

    /// Reads and parses a file; what cannot be read is reported, at the place that names it.
    pub(super) fn read(&mut self, file: &Path, via: Option<(Span, &'static str)>) -> Vec<Node> {
        let Some(source) = self.open(file, via) else { return Vec::new() };
        let before = self.problems.len();
        let parsed = yaml::parse(&self.map, source, &mut self.problems);
        if parsed.iter().all(Node::is_null) && self.problems.len() == before {
            let message = format!("empty compose file: {}", self.map.get(source).path.display());
            let mut problem = Diagnostic::error("empty", message);
            problem.span = via.map(|(span, _)| span);
            self.problems.push(problem.hint("a project begins with `services:`, and below it a name for each service"));
        }
        parsed.into_iter().filter(|document| !document.is_null()).collect()
    }

    fn open(&mut self, file: &Path, via: Option<(Span, &'static str)>) -> Option<SourceId> {
        let shown = file.strip_prefix(&self.sources.working_dir).unwrap_or(file).to_path_buf();
        let mut problem = Diagnostic::error("read", String::new());
        problem.span = via.map(|(span, _)| span);
        if is_stdin(file) {
            // Named by a variable, it is not read before.
            let read = || self.reader.read(Path::new("/dev/stdin")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = self.sources.stdin.clone().or_else(read) else {
                "`-` names standard input, and nothing was read from it".clone_into(&mut problem.message);
                self.problems.push(problem.hint("pass the project to standard input, or name a file"));
                return None;
            };
            return Some(self.map.add(shown, text, via));
        }
        match self.reader.read(file).map(String::from_utf8) {
            Ok(Ok(text)) => return Some(self.map.add(shown, text, via)),
            Ok(Err(_)) => {
                problem.message = format!("{} is no text in UTF-8", shown.display());
                self.problems.push(problem.hint("save it as UTF-8, or name the file that was meant"));
            }
            Err(error) => {
                if short::is_remote(&shown.to_string_lossy()) && error.kind() == std::io::ErrorKind::NotFound {
                    let message =
                        format!("`{}` is no file of this machine, and files from elsewhere are not yet supported", shown.display());
                    self.problems.push(Diagnostic { code: "not-yet", message, ..problem }.hint("fetch it, and name the file"));
                    return None;
                }
                problem.message = format!("cannot read {}: {error}", shown.display());
                let is_folder = error.kind() == std::io::ErrorKind::IsADirectory;
                let hint = if is_folder { "name the file in it, or go there and leave `-f` out" } else { "make the file, or name another" };
                self.problems.push(problem.hint(hint));
            }
        }
        None
    }

    /// Brings each document into its long form, with what it includes and extends, and merges them in order.
    pub(super) fn merge(&mut self, documents: Vec<Node>, scope: Scope<'_>) -> Option<Node> {
        let mut merged: Option<Node> = None;
        for mut document in documents {
            self.conform(&mut document, scope);
            self.include(&mut document, scope);
            self.extend(&mut document, scope);
            match &mut merged {
                Some(merged) => self.put(merged, document),
                None => merged = Some(document),
            }
        }
        merged
    }

    /// Puts a document on top of another.
    pub(super) fn put(&mut self, base: &mut Node, over: Node) {
        merge::documents(base, over, &mut self.problems, &mut self.overridden);
    }

    /// Puts an entry of a section on top of another: a service on top of the one it extends.
    pub(super) fn put_part(&mut self, section: &str, base: &mut Node, over: Node) {
        merge::parts(section, base, over, &mut self.problems, &mut self.overridden);
    }

    /// Substitutes variables, checks, and expands short forms.
    pub(super) fn conform(&mut self, document: &mut Node, scope: Scope<'_>) {
        if !self.sources.keep_templates {
            substitute(document, scope.environment, &self.map, &mut self.problems);
        }
        if let Some(version) = document.as_map().and_then(|map| map.get("version")) {
            let message = "the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion";
            self.problems.push(Diagnostic::warning("version", message).at(version.key));
        }
        conform(document, Base::new(self.sources, scope.project, scope.folder), &mut self.ports, &mut self.problems);
    }

    fn project(&mut self, name: ProjectName, mut document: Node, found: Found) -> Project {
        let profiles = self.profiles(&document, &found);
        let wanted = wanted(&document, &self.sources.select, &profiles);
        let reader = &RelativeTo { folder: &found.folder, reader: self.reader };
        self.read_variables(&mut document, &found, |service| wanted.contains(service));
        let before = self.problems.len();
        // Compose 1 had another one.
        let separator = if self.sources.compatibility { '_' } else { '-' };
        let around = Around { environment: &found.environment, reader, separator };
        let Decoded { mut services, networks, volumes, secrets, configs, models, mut refusals } =
            decode(&document, around, |node| is_enabled(node, &profiles), &mut self.problems);
        for (name, service) in
            services.iter_mut().filter(|(name, service)| wanted.contains(name.as_str()) && !service.security_opt.is_empty())
        {
            let Some(node) = document.get("services").and_then(|services| services.get(name.as_str())) else { continue };
            let base = Base::new(self.sources, &found.folder, &found.folder);
            let mut own = Vec::new();
            seccomp_file::resolve(Arc::make_mut(service), node, base, reader, &mut own);
            refusals.extend(own.into_iter().map(|diagnostic| Refusal { subject: Subject::Service(name.clone()), diagnostic }));
        }
        unique_container_names(&document, &wanted, &mut self.problems);
        cycle::refuse_builds(&services, &document, &mut refusals);
        let (services, disabled) = select::split(services, &profiles);
        self.required(&services, &disabled, &document);
        cycle::refuse(&services, &document, &mut self.problems);
        if self.sources.keep_dangling {
            self.problems.truncate(before);
        }
        Project {
            name,
            working_dir: found.folder,
            files: found.files,
            env_files: found.env_files,
            environment: found.environment,
            services: drop_optional(services),
            disabled,
            networks,
            volumes,
            secrets,
            configs,
            refusals,
            models,
            separator,
            all_resources: self.sources.all_resources,
            document: Arc::new(document),
            sources: Arc::default(),
        }
    }

    /// Reads the files with variables and labels of some services.
    fn read_variables(&mut self, document: &mut Node, found: &Found, wanted: impl Fn(&str) -> bool) {
        let keep = self.sources.keep_env_files;
        let reader = RelativeTo { folder: &found.folder, reader: self.reader };
        let mut files = self.variable_files(&reader);
        for (name, entry) in document.get_mut("services").and_then(Node::as_map_mut).into_iter().flatten() {
            if !wanted(name) {
                continue;
            }
            if !keep {
                env_file::resolve(&mut entry.node, &found.environment, &mut files);
            }
            label_file::resolve(&mut entry.node, &mut files);
        }
    }

    /// The active profiles: `--profile`, else `COMPOSE_PROFILES`; and those of the services that were named.
    fn profiles(&self, document: &Node, found: &Found) -> BTreeSet<String> {
        let listed = found.environment.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
        let mut profiles: BTreeSet<String> = if self.sources.profiles.is_empty() {
            listed.split(',').map(str::trim).filter(|profile| !profile.is_empty()).map(str::to_owned).collect()
        } else {
            self.sources.profiles.iter().cloned().collect()
        };
        for (name, node) in services(document) {
            if self.sources.select.iter().any(|pattern| select::matches(pattern, name)) {
                profiles.extend(declared_profiles(node).map(str::to_owned));
            }
        }
        profiles
    }

    /// Reports what an enabled service requires and no profile enables.
    fn required(
        &mut self,
        services: &BTreeMap<ServiceName, Arc<Service>>,
        disabled: &BTreeMap<ServiceName, Arc<Service>>,
        document: &Node,
    ) {
        for service in services.values() {
            for (dependency, _) in service.depends_on.iter().filter(|(_, terms)| terms.required) {
                let Some(missing) = disabled.get(dependency) else { continue };
                let profiles = missing.profiles.iter().cloned().collect::<Vec<_>>().join(" ");
                let message = format!(
                    "service \"{dependency}\" is required by \"{}\" but is disabled. Can be enabled by profiles [{profiles}]",
                    service.name
                );
                let mut problem = Diagnostic::error("disabled", message);
                let node = document.get("services").and_then(|services| services.get(service.name.as_str()));
                let entry = node.and_then(|node| node.get("depends_on")).and_then(|node| node.as_map()?.get(dependency.as_str()));
                problem.span = entry.map(|entry| entry.key);
                let first = missing.profiles.first().cloned().unwrap_or_default();
                self.problems.push(problem.hint(format!("add `--profile {first}`, or make it `required: false`")));
            }
        }
    }
}

fn services(document: &Node) -> impl Iterator<Item = (&str, &Node)> {
    crate::compose::project::decode::entries(document, "services").map(|(name, entry)| (name, &entry.node))
}

fn declared_profiles(service: &Node) -> impl Iterator<Item = &str> {
    service.get("profiles").and_then(Node::as_list).unwrap_or_default().iter().filter_map(Node::as_text)
}

fn is_enabled(service: &Node, profiles: &BTreeSet<String>) -> bool {
    let mut declared = declared_profiles(service).peekable();
    declared.peek().is_none() || profiles.contains("*") || declared.any(|profile| profiles.contains(profile))
}

/// The services whose files (environment, labels, seccomp profiles) are to be read: those that are enabled and, where some were named, those and what they need.
fn wanted(document: &Node, select: &[String], profiles: &BTreeSet<String>) -> BTreeSet<String> {
    let enabled = |node: &Node| is_enabled(node, profiles);
    let named = |name: &str| select.is_empty() || select.iter().any(|pattern| select::matches(pattern, name));
    let mut open: Vec<&str> = services(document).filter(|(name, node)| enabled(node) && named(name)).map(|(name, _)| name).collect();
    let mut wanted = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(node) = document.get("services").and_then(|services| services.get(name)) else { continue };
        if enabled(node) && wanted.insert(name.to_owned()) {
            open.extend(node.get("depends_on").and_then(Node::as_map).into_iter().flatten().map(|(name, _)| name.as_str()));
        }
    }
    wanted
}

/// Drops dependencies that are not enabled; those that are required were reported.
fn drop_optional(services: BTreeMap<ServiceName, Arc<Service>>) -> BTreeMap<ServiceName, Arc<Service>> {
    let enabled: BTreeSet<ServiceName> = services.keys().cloned().collect();
    let mut services = services;
    for service in services.values_mut() {
        if service.depends_on.keys().any(|dependency| !enabled.contains(dependency)) {
            Arc::make_mut(service).depends_on.retain(|dependency, _| enabled.contains(dependency));
        }
    }
    services
}

#[cfg(test)]
mod tests;
