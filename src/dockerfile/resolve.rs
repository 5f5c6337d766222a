//! Instructions to steps.

use super::body::{Body, Pair, Script, Words};
use super::bound::Room;
use super::heredoc::Heredoc;
use super::instruction::{Instruction, Kind};
use super::lexer::Lexer;
use super::mount;
use super::path;
use super::port;
use super::problem::Problem;
use super::scope::Scope;
use super::signal;
use super::step::{Command, Copy, CopySource, InlineFile, Run, Source, Step};
use super::transfer::Transfer;

/// Where a heredoc that names its own interpreter lies while it runs.
const PIPES: &str = "/dev/pipes";

/// The name of a heredoc that becomes a file: one part of a path, and no way out of the folder it lies in.
fn file_name(name: &str) -> Result<&str, Problem> {
    match name {
        "" | "." | ".." => {}
        name if name.contains(['/', '\0']) => {}
        name => return Ok(name),
    }
    Err(Problem::new(format!("the heredoc `{name}` cannot be the name of a file"))
        .hint("give it a name without slashes, and say in the destination where it goes"))
}

impl Instruction {
    /// What this comes to. ENV, ARG, SHELL, USER and WORKDIR change the scope.
    pub fn resolve(&self, scope: &mut Scope) -> Result<Step, Problem> {
        scope.place = self.place;
        self.step(scope).map_err(|problem| problem.at(self.place))
    }

    /// The same where a base may not be known; and whether it may come to something else with that.
    pub(super) fn guess(&self, scope: &mut Scope) -> (Result<Step, Problem>, bool) {
        scope.doubtful = false;
        let step = self.resolve(scope);
        if scope.doubtful {
            match &step {
                Ok(Step::Env(pairs)) => scope.taint(pairs.iter().map(|it| it.0.clone())),
                Ok(Step::Arg(arguments)) => scope.taint(arguments.iter().map(|it| it.0.clone())),
                _ => {}
            }
        }
        (step, scope.doubtful)
    }

    /// The instruction on one line with the values of its variables, for progress.
    pub fn shown(&self, scope: &Scope) -> String {
        let (text, raw) = match &self.body {
            Body::Run(script) => (summary(&self.text, script), true),
            _ => (self.text.clone(), false),
        };
        let (word, rest) = text.split_at(self.word.len());
        let lexer = Lexer { raw_quotes: raw, keep_unset: raw, ..Lexer::new(scope.knowledge.escape) };
        let rest = lexer.expand(rest, &scope.variables, &mut Room::default()).map_or_else(|_| rest.to_owned(), |it| it.text);
        word.to_uppercase() + &rest
    }

    fn step(&self, scope: &mut Scope) -> Result<Step, Problem> {
        let name = self.kind.as_str();
        let of = |problem: Problem| Problem { message: format!("{name}: {}", problem.message), ..problem };
        Ok(match (&self.body, self.kind) {
            (Body::Run(script), _) => Step::Run(run(script, scope)?),
            (Body::Transfer(transfer), kind) => Step::Copy(copy(transfer, kind == Kind::Add, scope)?),
            (Body::Pairs(pairs), kind) => {
                let pairs = expand_pairs(pairs, scope).map_err(of)?;
                if kind == Kind::Label {
                    return Ok(Step::Label(pairs));
                }
                for (name, value) in &pairs {
                    scope.set(name, value).map_err(of)?;
                }
                Step::Env(pairs)
            }
            (Body::Arguments(arguments), _) => {
                let mut declared = Vec::new();
                for (name, default) in arguments {
                    declared.push((name.clone(), scope.declare(name, default.as_deref()).map_err(of)?));
                }
                Step::Arg(declared)
            }
            (Body::Command(words), kind) => {
                let command = Command { words: in_shell(words, scope), shell_form: matches!(words, Words::Shell(_)) };
                if kind == Kind::Cmd { Step::Cmd(command) } else { Step::Entrypoint(command) }
            }
            (Body::Health(health), _) => Step::Healthcheck(health.clone()),
            (Body::List(words), Kind::Expose) => {
                let mut words = words.clone();
                words.sort();
                let mut ports = Vec::new();
                for word in &words {
                    for word in scope.split(word).map_err(of)? {
                        let found = port::parse(&word).map_err(|reason| Problem::new(format!("EXPOSE: {reason}")))?;
                        scope.room.expose(found.count()).map_err(|reason| Problem::new(format!("EXPOSE: {reason}")))?;
                        ports.extend(found.ports());
                    }
                }
                Step::Expose(ports)
            }
            (Body::List(paths), Kind::Volume) => {
                let paths: Vec<String> = paths.iter().map(|it| scope.expand(it)).collect::<Result<_, _>>().map_err(of)?;
                if paths.iter().any(String::is_empty) {
                    return Err(Problem::new("a path of VOLUME is empty"));
                }
                Step::Volume(paths)
            }
            (Body::List(words), _) => {
                scope.shell.clone_from(words);
                Step::Shell(words.clone())
            }
            (Body::Text(text), Kind::Workdir) => {
                let path = scope.expand(text).map_err(of)?;
                scope.working_dir = path::join(&scope.working_dir, &path);
                Step::Workdir(scope.working_dir.clone())
            }
            (Body::Text(text), Kind::User) => {
                scope.user = scope.expand(text).map_err(of)?;
                Step::User(scope.user.clone())
            }
            (Body::Text(text), Kind::Stopsignal) => {
                let text = scope.expand(text).map_err(of)?;
                if !signal::known(&text) {
                    return Err(Problem::new(format!("`{text}` of STOPSIGNAL is not a signal")).hint("write it like `SIGTERM`"));
                }
                Step::Stopsignal(text)
            }
            (Body::Text(text), Kind::Onbuild) => Step::Onbuild(text.clone()),
            (Body::Text(text), _) => Step::Maintainer(text.clone()),
            (Body::Base { .. }, _) => return Err(Problem::new("FROM begins a stage and is no part of one")),
        })
    }
}

fn expand_pairs(pairs: &[Pair], scope: &mut Scope) -> Result<Vec<(String, String)>, Problem> {
    // All of one instruction see the values from before it.
    pairs.iter().map(|it| Ok((scope.expand(&it.name)?, scope.expand(&it.value)?))).collect()
}

fn in_shell(words: &Words, scope: &Scope) -> Vec<String> {
    match words {
        Words::Exec(words) => words.clone(),
        Words::Shell(text) => scope.shell().into_iter().chain([text.clone()]).collect(),
    }
}

/// The line of a RUN with the start of its heredoc, where that is all of it.
fn summary(text: &str, script: &Script) -> String {
    match (&script.command, script.heredocs.as_slice()) {
        (Words::Shell(command), [heredoc, ..]) if Heredoc::of(command).is_some() => {
            let content = heredoc.content.trim();
            let first = content.lines().next().unwrap_or_default();
            format!("{text} ({first}{})", if content.lines().count() > 1 { "..." } else { "" })
        }
        _ => text.to_owned(),
    }
}

fn run(script: &Script, scope: &mut Scope) -> Result<Run, Problem> {
    let mounts = script.mounts.iter().map(|it| mount::resolve(it, scope)).collect::<Result<_, _>>()?;
    let mut files = Vec::new();
    let command = match (&script.command, script.heredocs.as_slice()) {
        // The heredoc is the command: a file where it names its interpreter, else a text for the shell.
        (Words::Shell(command), [heredoc, ..]) if Heredoc::of(command).is_some() => {
            let content = heredoc.meant();
            if content.starts_with("#!") {
                let path = format!("{PIPES}/{}", file_name(&heredoc.name)?);
                files.push(InlineFile { path: path.clone(), content, mode: 0o755 });
                in_shell(&Words::Shell(path), scope)
            } else {
                in_shell(&Words::Shell(content), scope)
            }
        }
        // The shell reads its heredocs itself.
        (Words::Shell(command), heredocs) => {
            let mut text = command.clone();
            for heredoc in heredocs {
                text.push('\n');
                text.push_str(&heredoc.content);
                text.push_str(&heredoc.name);
            }
            in_shell(&Words::Shell(text), scope)
        }
        (words, _) => in_shell(words, scope),
    };
    Ok(Run {
        command,
        shell_form: matches!(script.command, Words::Shell(_)),
        files,
        mounts,
        network: script.network,
        environment: scope.variables.pairs(),
        arguments: scope.arguments(),
        proxies: scope.proxies(),
        working_dir: scope.working_dir.clone(),
        user: scope.user.clone(),
    })
}

fn copy(transfer: &Transfer, add: bool, scope: &mut Scope) -> Result<Copy, Problem> {
    let name = if add { "ADD" } else { "COPY" };
    let mut expand = |text: &str| {
        let text = scope.expand(text);
        text.map_err(|problem| Problem { message: format!("{name}: {}", problem.message), ..problem })
    };
    let (chown, chmod, checksum) = (expand(&transfer.chown)?, expand(&transfer.chmod)?, expand(&transfer.checksum)?);
    let mut sources = Vec::new();
    for path in &transfer.sources {
        sources.push(source(expand(path)?, add)?);
    }
    let written = expand(&transfer.destination)?;
    let destination = path::destination(scope.working_dir(), &written);
    if !chmod.is_empty() && !is_mode(&chmod) {
        return Err(Problem::new(format!("`--chmod={chmod}` of {name} is not a mode")).hint("write it like `0644` or `u=rw,go=r`"));
    }
    if !checksum.is_empty() && !matches!(sources.as_slice(), [CopySource::Url(_)]) {
        return Err(Problem::new("`--checksum` of ADD is for one address alone").hint("give each address an ADD of its own"));
    }
    for heredoc in &transfer.inline {
        let content = heredoc.meant();
        let content = if heredoc.expand { scope.fill(&content)? } else { content };
        sources.push(CopySource::Inline { name: file_name(&heredoc.name)?.to_owned(), content });
    }
    if sources.len() > 1 && !destination.ends_with('/') {
        return Err(Problem::new(format!("{name} has several sources, and its destination `{written}` is not a folder"))
            .hint(format!("end it with a slash: `{written}/`")));
    }
    let given = |text: String| Some(text).filter(|it| !it.is_empty());
    Ok(Copy {
        add,
        sources,
        destination,
        written,
        from: match &transfer.from {
            Some(from) => scope.source(from, true)?,
            None => Source::Context,
        },
        chown: given(chown),
        chmod: given(chmod),
        link: transfer.link,
        parents: transfer.parents,
        exclude: transfer.exclude.clone(),
        checksum: given(checksum),
        unpack: transfer.unpack,
    })
}

fn source(path: String, add: bool) -> Result<CopySource, Problem> {
    let is_web = path.starts_with("http://") || path.starts_with("https://");
    if is_git(&path) {
        let way = "clone it beside the Dockerfile and copy it from there, or clone it in a RUN";
        return Err(
            Problem::new(format!("`{path}` is a git repository, which {} cannot fetch", if add { "ADD" } else { "COPY" })).hint(way)
        );
    }
    match (is_web, add) {
        (true, true) => Ok(CopySource::Url(path)),
        (true, false) => Err(Problem::new(format!("`{path}` is an address, which COPY cannot fetch")).hint("use ADD")),
        (false, _) => Ok(CopySource::Path(path)),
    }
}

/// What BuildKit takes for a repository.
pub(super) fn is_git(path: &str) -> bool {
    let bare = path.split(['#', '?']).next().unwrap_or_default();
    let web = bare.starts_with("http://") || bare.starts_with("https://");
    ["git://", "ssh://", "git@"].iter().any(|it| path.starts_with(it)) || web && bare.ends_with(".git")
}

/// An octal mode, or a symbolic one as chmod(1) takes it.
fn is_mode(text: &str) -> bool {
    if text.bytes().all(|it| it.is_ascii_digit()) {
        return u32::from_str_radix(text, 8).is_ok_and(|it| it <= 0o7777);
    }
    text.split(',').all(|part| {
        let actions = part.trim_start_matches(['u', 'g', 'o', 'a']);
        let mut letters = actions.chars();
        letters.next().is_some_and(|it| matches!(it, '+' | '-' | '='))
            && letters.all(|it| matches!(it, '+' | '-' | '=' | 'r' | 'w' | 'x' | 'X' | 's' | 't' | 'u' | 'g' | 'o'))
    })
}
