//! Every attribute of the Compose language: its name, its shape, and what becomes of it. Order is the order in which `config` prints.
//!
//! The tables of this folder are the only place where an attribute is named for validation, merging, printing, the JSON Schema and
//! SUPPORT.md. To teach Gantry an attribute, move it from `not_yet` to `yes`, decode it, and lower it.

mod build;
mod deploy;
#[cfg(test)]
mod document;
mod resource;
#[cfg(test)]
mod rows;
mod service;
#[cfg(test)]
mod specification;
#[cfg(test)]
mod support;

pub(crate) use build::BUILD;
pub(crate) use resource::{CONFIG, MODEL, NETWORK, SECRET, VOLUME};
pub(crate) use service::{SERVICE, ULIMIT};

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It does what the specification says.
    Implemented,
    /// Nobody acts on it, Docker Compose neither; the user is told once, with the line. A closed list.
    Inert,
    /// It is checked, merged and printed, and refused where a container would need it: to accept it and do nothing would be a lie.
    NotYet,
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    /// Its key.
    pub name: &'static str,
    /// What becomes of it.
    pub class: Class,
    /// What it may hold.
    pub shape: &'static Shape,
    /// What it means, for editors.
    pub about: &'static str,
    /// It must be there, once all files are merged.
    pub needed: bool,
    /// When `config` prints it.
    pub print: Print,
}

/// When an attribute that is there is printed: Go's `omitempty`, and what is no pointer in Docker Compose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Print {
    /// A zero, an empty text or an empty list is not; an empty mapping with a table of its own is.
    Default,
    /// Always: its zero says something that its absence does not.
    Always,
    /// An empty mapping is not either.
    Filled,
    /// `true`, the default, is not.
    UnlessTrue,
}

/// What a value may be, in every form the specification allows.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything; kept as it is.
    Any,
    /// A string.
    Text,
    /// A string, or nothing.
    Optional,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A path, relative to the folder of the file's project.
    Path,
    /// A path, or an address that is none.
    Context,
    /// A string or a number, kept as a string.
    Scalar,
    /// A boolean or a string, kept as a string.
    Setting,
    /// A whole number, or a string that is one.
    Integer,
    /// A whole number from one to another.
    Within(i64, i64),
    /// A whole number that may not be written as a string.
    Strict,
    /// A number, or a string that is one.
    Number,
    /// A boolean, or a string that is one.
    Boolean,
    /// A boolean that may not be written as a string.
    Switch,
    /// A length of time in Go's syntax.
    Duration,
    /// A number of bytes, or a string with a unit.
    Bytes,
    /// Permission bits: a number, or a string of octal digits; a string of octal digits in the end.
    Mode,
    /// The same, or -1 for no limit.
    Swap,
    /// A number of devices, or `all`, which is -1.
    Count,
    /// A whole number, or a mapping of `soft` and `hard`; an override replaces it whole.
    Ulimit,
    /// The same of a build: an override replaces one of the two.
    Limit,
    /// Null, a string split as a shell would, or a list; an override replaces it whole.
    Command,
    /// The command of a health check: like a command, but the string is not split.
    Test,
    /// A string or a list of strings; a list in the end.
    Texts,
    /// A scalar or a list of scalars; a list of strings in the end.
    Several,
    /// A list; the second part says which items are one and the same.
    List(&'static Self, Unique),
    /// A mapping or a list of `KEY=VALUE`; a mapping of strings and nulls in the end.
    Dictionary,
    /// The same of folders and addresses to build with.
    Contexts,
    /// A mapping of strings and numbers alone, kept as strings; of nothing, too, where a log driver is to have them.
    Options,
    /// A mapping with keys of the user's choice.
    Map(&'static Self),
    /// A mapping with the attributes of a table, and `x-…`.
    Object(&'static [Attribute]),
    /// A shape with a short form beside it.
    Short(Form, &'static Self),
}

/// Which items of two lists are the same one, so that the later replaces the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unique {
    /// None.
    Nothing,
    /// Equal ones.
    Value,
    /// Strings with the same part before `=`.
    Key,
    /// Mappings with the same value under this key.
    Field(&'static str),
    /// The same, and the later one is merged with the earlier.
    Within(&'static str),
    /// Ports with the same host address, published port, target and protocol.
    Port,
    /// Secrets or configs at the same place.
    File,
}

/// A short form, by what it expands to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A port or a range as a string or number: a list of port mappings.
    Ports,
    /// `SOURCE:TARGET:OPTIONS`.
    Mount,
    /// A list of names: a mapping of names to null.
    Names,
    /// A list of names: a mapping of names to the default condition.
    Dependencies,
    /// A path or a list of paths and mappings.
    EnvFiles,
    /// The name of a secret.
    Secret,
    /// The name of a config, or of a secret to build with.
    Config,
    /// A path or a list of paths.
    Paths,
    /// Addresses of name servers: an empty one is none.
    Servers,
    /// `SOURCE:TARGET:PERMISSIONS`.
    Device,
    /// `all`: every device there is.
    Devices,
    /// A mapping of names to addresses, or a list of `NAME=ADDRESS` and `NAME:ADDRESS`: a sorted list of the former.
    Hosts,
    /// Keys of an agent, as a mapping or a list of `ID=PATH`: a list of the former.
    Keys,
    /// The folder to build in: a mapping with `context`.
    Build,
    /// The name of a service: a mapping with `service`.
    Extends,
    /// The path of a file: a mapping with `path`.
    Include,
    /// No form of its own: options of two files are merged only for one driver.
    Logging,
}

const fn row(class: Class, name: &'static str, shape: &'static Shape, about: &'static str) -> Attribute {
    Attribute { name, class, shape, about, needed: false, print: Print::Default }
}

const fn yes(name: &'static str, shape: &'static Shape, about: &'static str) -> Attribute {
    row(Class::Implemented, name, shape, about)
}

const fn inert(name: &'static str, shape: &'static Shape, about: &'static str) -> Attribute {
    row(Class::Inert, name, shape, about)
}

const fn not_yet(name: &'static str, shape: &'static Shape, about: &'static str) -> Attribute {
    row(Class::NotYet, name, shape, about)
}

impl Attribute {
    const fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    const fn printed(mut self, print: Print) -> Self {
        self.print = print;
        self
    }
}

const NAMES: Shape = Shape::List(&Shape::Text, Unique::Key);
const VALUES: Shape = Shape::List(&Shape::Text, Unique::Value);
const TEXTS: Shape = Shape::List(&Shape::Text, Unique::Nothing);
const HOSTS: Shape = Shape::Short(Form::Hosts, &VALUES);
const ULIMITS: Shape = Shape::Map(&Shape::Ulimit);

/// The keys of a file.
pub(crate) const FILE: &[Attribute] = &[
    yes("version", &Shape::Scalar, "Obsolete, and without any effect."),
    yes("name", &Shape::Text, "The project's name: lower case letters, digits, `-` and `_`."),
    yes(
        "include",
        &Shape::List(&Shape::Short(Form::Include, &Shape::Object(INCLUDE)), Unique::Nothing),
        "Other Compose files whose services, networks, volumes, secrets and configs are part of this project, each with its own folder.",
    ),
    yes("services", &Shape::Map(&Shape::Object(SERVICE)), "The services by name: each is a container, or several of one kind."),
    not_yet("jobs", &Shape::Any, "What runs on demand."),
    yes("networks", &Shape::Map(&Shape::Object(NETWORK)), "The networks by name that services are on."),
    yes("volumes", &Shape::Map(&Shape::Object(VOLUME)), "The volumes by name that keep what services write."),
    yes("secrets", &Shape::Map(&Shape::Object(SECRET)), "What services may read and nobody else should see, by name."),
    yes("configs", &Shape::Map(&Shape::Object(CONFIG)), "Files that services read, by name."),
    not_yet("models", &Shape::Map(&Shape::Object(MODEL)), "Language models that services talk to, by name."),
];

/// The keys of an entry of `include`.
const INCLUDE: &[Attribute] = &[
    yes("path", &Shape::Texts, "The file, or several of which the later ones go on top.").needed(),
    yes("project_directory", &Shape::Text, "Where relative paths of the file start from; its own folder when absent."),
    yes("env_file", &Shape::Texts, "Files with variables for the included file; `.env` of its folder when absent."),
];

/// Finds an attribute of a table.
pub(crate) fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name == name)
}
