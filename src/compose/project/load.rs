//! The way from file names to a project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::compose::project::conform::{Base, conform, refuse_nothing};
use crate::compose::project::decode::{Around, Decoded, decode, unique_container_names};
use crate::compose::project::diagnostic::{Diagnostic, Diagnostics};
use crate::compose::project::discover::{Found, discover, is_stdin};
use crate::compose::project::interpolate::{Variable, substitute, variables};
use crate::compose::project::model::{Project, Service};
use crate::compose::project::node::Node;
use crate::compose::project::source::{Reader, RelativeTo, SourceId, SourceMap};
use crate::compose::project::{cycle, env_file, label_file, merge, name, normalize, seccomp_file, select, yaml};
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
    /// Templates such as `${NAME}` stay as they are written: see [`load_templates`].
    pub keep_templates: bool,
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
    let mut loader = Loader { sources, reader, map: SourceMap::default(), problems: Vec::new() };
    let project = loader.load();
    let sources = Arc::new(loader.map);
    let diagnostics = Diagnostics::new(loader.problems, Arc::clone(&sources));
    let project = project.filter(|_| !diagnostics.has_errors()).map(|project| Project { sources, ..project });
    Loaded { project, diagnostics }
}

/// Loads the model of a project's files with every `${NAME}` as it is written: all services, merged and checked as far as that goes.
pub fn load_templates(sources: &Sources, reader: &dyn Reader) -> (Option<Model>, Diagnostics) {
    let sources = Sources { keep_templates: true, ..sources.clone() };
    let mut loader = Loader { sources: &sources, reader, map: SourceMap::default(), problems: Vec::new() };
    let model = loader.document().map(|(_, document, _)| Model(document));
    let diagnostics = Diagnostics::new(loader.problems, Arc::new(loader.map));
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

struct Loader<'a> {
    sources: &'a Sources,
    reader: &'a dyn Reader,
    map: SourceMap,
    problems: Vec<Diagnostic>,
}

impl Loader<'_> {
    fn load(&mut self) -> Option<Project> {
        let (name, document, found) = self.document()?;
        Some(self.project(name, document, found))
    }

    fn document(&mut self) -> Option<(ProjectName, Node, Found)> {
        let mut found = discover(self.sources, self.reader, &mut self.problems)?;
        let documents = self.read(&found);
        let name = name::project_name(self.sources, &found, &documents, &self.map, &mut self.problems)?;
        found.environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.as_str().to_owned());
        let mut document = self.merge(documents, &found)?;
        let nothing = BTreeMap::new();
        let environment = if self.sources.keep_templates { &nothing } else { &found.environment };
        normalize::normalize(&mut document, name.as_str(), Self::base(self.sources, &found), environment);
        Some((name, document, found))
    }

    /// Reads and parses every file; what cannot be read is reported.
    fn read(&mut self, found: &Found) -> Vec<Node> {
        let mut documents = Vec::new();
        for file in &found.files {
            let Some(source) = self.open(file) else { continue };
            let before = self.problems.len();
            let parsed = yaml::parse(&self.map, source, &mut self.problems);
            if parsed.iter().all(Node::is_null) && self.problems.len() == before {
                self.problems.push(
                    Diagnostic::error("empty", format!("empty compose file: {}", self.map.get(source).path.display()))
                        .hint("a project begins with `services:`, and below it a name for each service"),
                );
            }
            documents.extend(parsed.into_iter().filter(|document| !document.is_null()));
        }
        documents
    }

    fn open(&mut self, file: &Path) -> Option<SourceId> {
        let shown = file.strip_prefix(&self.sources.working_dir).unwrap_or(file).to_path_buf();
        if is_stdin(file) {
            let Some(text) = self.sources.stdin.clone() else {
                self.problems.push(Diagnostic::error("read", "`-` names standard input, and nothing was read from it"));
                return None;
            };
            return Some(self.map.add(shown, text));
        }
        match self.reader.read(file).map(String::from_utf8) {
            Ok(Ok(text)) => Some(self.map.add(shown, text)),
            Ok(Err(_)) => {
                self.problems.push(
                    Diagnostic::error("read", format!("{} is no text in UTF-8", shown.display()))
                        .hint("save it as UTF-8, or name the file that was meant"),
                );
                None
            }
            Err(error) => {
                let problem = Diagnostic::error("read", format!("cannot read {}: {error}", shown.display()));
                let is_folder = error.kind() == std::io::ErrorKind::IsADirectory;
                self.problems.push(if is_folder { problem.hint("name the file in it, or go there and leave `-f` out") } else { problem });
                None
            }
        }
    }

    fn base<'b>(sources: &'b Sources, found: &'b Found) -> Base<'b> {
        Base {
            folder: &found.folder,
            home: sources.home.as_deref(),
            keep_relative: sources.keep_relative,
            keep_templates: sources.keep_templates,
        }
    }

    /// Substitutes, checks and merges the documents in order.
    fn merge(&mut self, documents: Vec<Node>, found: &Found) -> Option<Node> {
        let base = Self::base(self.sources, found);
        let mut merged: Option<Node> = None;
        for mut document in documents {
            if !self.sources.keep_templates {
                substitute(&mut document, &found.environment, &self.map, &mut self.problems);
            }
            if let Some(version) = document.as_map().and_then(|map| map.get("version")) {
                let message = "the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion";
                self.problems.push(Diagnostic::warning("version", message).at(version.key));
            }
            conform(&mut document, base, &mut self.problems);
            match &mut merged {
                Some(merged) => merge::documents(merged, document, &mut self.problems),
                None => merged = Some(document),
            }
        }
        let mut merged = merged?;
        merge::settle(&mut merged);
        refuse_nothing(&merged, &mut self.problems);
        merged.as_map()?;
        Some(merged)
    }

    fn project(&mut self, name: ProjectName, mut document: Node, found: Found) -> Project {
        let profiles = self.profiles(&document, &found);
        let wanted = wanted(&document, &self.sources.select, &profiles);
        let reader = &RelativeTo { folder: &found.folder, reader: self.reader };
        for service in &wanted {
            let Some(node) = document.get_mut("services").and_then(|services| services.get_mut(service)) else { continue };
            if !self.sources.keep_env_files {
                env_file::resolve(node, &found.environment, reader, &mut self.problems);
            }
            label_file::resolve(node, reader, &mut self.problems);
        }
        let around = Around { environment: &found.environment, reader };
        let Decoded { mut services, networks, volumes, secrets, configs } =
            decode(&document, around, |node| is_enabled(node, &profiles), &mut self.problems);
        for (name, service) in
            services.iter_mut().filter(|(name, service)| wanted.contains(name.as_str()) && !service.security_opt.is_empty())
        {
            let Some(node) = document.get("services").and_then(|services| services.get(name.as_str())) else { continue };
            let base = Self::base(self.sources, &found);
            seccomp_file::resolve(Arc::make_mut(service), node, base, reader, &mut self.problems);
        }
        unique_container_names(&document, &wanted, &mut self.problems);
        let (services, disabled) = select::split(services, &profiles);
        self.required(&services, &disabled, &document);
        cycle::refuse(&services, &document, &mut self.problems);
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
            document: Arc::new(document),
            sources: Arc::default(),
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
