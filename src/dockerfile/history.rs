//! What the history of an image says of an instruction.

use super::instruction::Instruction;
use super::step::{Command, Copy, CopySource, Step};

impl Step {
    /// Whether it makes files, and so a layer.
    pub fn has_layer(&self) -> bool {
        match self {
            Self::Run(_) | Self::Copy(_) => true,
            Self::Workdir(path) => path != "/",
            _ => false,
        }
    }
}

impl Instruction {
    /// The `created_by` of a step that this came to, as BuildKit writes it; a trigger that is only kept has none.
    pub fn history(&self, step: &Step) -> Option<String> {
        let pairs = |pairs: &[(String, String)]| pairs.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
        let words = |command: &Command| format!("[{}]", command.words.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(" "));
        let list = |items: &[String]| format!("[{}]", items.join(" "));
        let text = match step {
            Step::Run(run) => {
                let mut text = "RUN".to_owned();
                if !run.arguments.is_empty() {
                    text += &format!(" |{}{}", run.arguments.len(), pairs(&run.arguments));
                }
                format!("{text} {} # buildkit", run.command.join(" "))
            }
            Step::Copy(copy) => format!("{} # buildkit", copied(copy)),
            Step::Env(variables) => format!("ENV{}", pairs(variables)),
            Step::Label(labels) => format!("LABEL{}", pairs(labels)),
            Step::Arg(arguments) => {
                let one = |(name, value): &(String, Option<String>)| match value {
                    Some(value) => format!("{name}={value}"),
                    None => name.clone(),
                };
                format!("ARG {}", arguments.iter().map(one).collect::<Vec<_>>().join(" "))
            }
            Step::Cmd(command) => format!("CMD {}", words(command)),
            Step::Entrypoint(command) => format!("ENTRYPOINT {}", words(command)),
            Step::Workdir(value) => format!("WORKDIR {value}"),
            Step::User(value) => format!("USER {value}"),
            Step::Stopsignal(value) => format!("STOPSIGNAL {value}"),
            Step::Maintainer(value) => format!("MAINTAINER {value}"),
            Step::Expose(ports) => format!("EXPOSE {}", list(ports)),
            Step::Volume(paths) => format!("VOLUME {}", list(paths)),
            Step::Shell(shell) => format!("SHELL {}", list(shell)),
            Step::Healthcheck(_) => self.text.clone(),
            Step::Onbuild(_) => return None,
        };
        Some(text)
    }
}

fn copied(copy: &Copy) -> String {
    let mut text = String::from(if copy.add { "ADD" } else { "COPY" });
    if copy.parents {
        text += " --parents";
    }
    for (flag, value) in [("chown", &copy.chown), ("chmod", &copy.chmod)] {
        if let Some(value) = value {
            text += &format!(" --{flag}={value}");
        }
    }
    for source in &copy.sources {
        text += &match source {
            CopySource::Path(path) => format!(" {path}"),
            CopySource::Url(address) => format!(" {address}"),
            CopySource::Inline { name, .. } => format!(" <<{name}"),
        };
    }
    format!("{text} {}", copy.written)
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::{Dockerfile, Inherited, Options, Scope};

    #[test]
    fn steps_are_told_as_docker_tells_them() {
        let check = |line: &str, expect: Option<&str>| {
            let file = Dockerfile::parse(&format!("FROM a\nARG A=1\n{line}\n")).expect("a file");
            let plan = file.plan(&Options::default()).expect("a plan");
            let mut scope = Scope::new(&plan, 0, Inherited::default());
            plan.stages[0].instructions[0].resolve(&mut scope).expect("a step");
            let instruction = &plan.stages[0].instructions[1];
            let step = instruction.resolve(&mut scope).expect("a step");
            assert_eq!(instruction.history(&step).as_deref(), expect, "{line}");
        };
        check("RUN x $A", Some("RUN |1 A=1 /bin/sh -c x $A # buildkit"));
        check("COPY --from=b --chown=$A x y ./", Some("COPY --chown=1 x y ./ # buildkit"));
        check("ADD <<F /x\nF", Some("ADD <<F /x # buildkit"));
        check("ENV B=$A C=\"x y\"", Some("ENV B=1 C=x y"));
        check("ARG B C=2", Some("ARG B C=2"));
        check("CMD [\"a\", \"b c\"]", Some("CMD [\"a\" \"b c\"]"));
        check("EXPOSE 80 81", Some("EXPOSE [80/tcp 81/tcp]"));
        check("WORKDIR x", Some("WORKDIR /x"));
        check("ONBUILD RUN x", None);
    }
}
