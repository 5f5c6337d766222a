//! `RUN --mount=…`: fields, and what they come to.

use super::path;
use super::problem::Problem;
use super::scope::Scope;
use super::step::{Mount, Owner, Sharing, Source};
use crate::resource::{csv, truth};

const KEYS: &[&str] = &[
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// Splits a mount at its commas; a field in double quotes may hold one.
pub(super) fn fields(text: &str) -> Result<Vec<String>, Problem> {
    let fields = csv::split(text).map_err(|error| Problem::new(format!("the mount `{text}` cannot be read: {error}")))?;
    for field in &fields {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let key = key.to_ascii_lowercase();
        if !KEYS.contains(&key.as_str()) {
            return Err(Problem::new(format!("a mount has no field `{key}`")).near(&key, KEYS));
        }
        if key == "from" && value.find('$').is_some_and(|it| it + 1 < value.len()) {
            return Err(Problem::new(format!("`from={value}` of a mount cannot hold a variable"))
                .hint(format!("write `FROM {value} AS name` with a global ARG, and mount `from=name`")));
        }
    }
    Ok(fields)
}

/// The value of one field before its variables are replaced.
pub(super) fn written<'a>(fields: &'a [String], key: &str) -> Option<&'a str> {
    let mut pairs = fields.iter().rev().filter_map(|it| it.split_once('='));
    pairs.find(|(written, _)| written.eq_ignore_ascii_case(key)).map(|it| it.1)
}

/// The fields with their values.
#[derive(Default)]
struct Fields {
    kind: String,
    from: String,
    source: String,
    target: String,
    read_only: Option<bool>,
    id: String,
    sharing: Option<Sharing>,
    required: Option<bool>,
    size: Option<u64>,
    owner: Owner,
    variable: Option<String>,
}

impl Fields {
    fn read(fields: &[String], scope: &mut Scope) -> Result<Self, Problem> {
        let mut read = Self { kind: "bind".to_owned(), ..Self::default() };
        for field in fields {
            let Some((key, value)) = field.split_once('=') else {
                match field.to_ascii_lowercase().as_str() {
                    "readonly" | "ro" => read.read_only = Some(true),
                    "readwrite" | "rw" => read.read_only = Some(false),
                    "required" => read.required = Some(true),
                    _ => {
                        return Err(Problem::new(format!("the field `{field}` of a mount has no value")).hint(format!("write `{field}=…`")));
                    }
                }
                continue;
            };
            let value = scope.expand(value)?;
            let wrong = || Problem::new(format!("`{key}={value}` of a mount cannot be"));
            let truth = || truth::parse(&value).ok_or_else(|| wrong().hint("it is true or false"));
            let number = |radix: u32| u32::from_str_radix(&value, radix).map_err(|_| wrong().hint("it is a number"));
            match key.to_ascii_lowercase().as_str() {
                "type" => {
                    read.kind = value.to_lowercase();
                    let kinds = ["bind", "cache", "tmpfs", "secret", "ssh"];
                    if !kinds.contains(&read.kind.as_str()) {
                        return Err(
                            Problem::new(format!("the mount type `{value}` is unknown")).hint("it is bind, cache, tmpfs, secret or ssh")
                        );
                    }
                }
                "from" => read.from = value,
                "source" | "src" => read.source = value,
                "target" | "dst" | "destination" => read.target = value,
                "readonly" | "ro" => read.read_only = Some(truth()?),
                "readwrite" | "rw" => read.read_only = Some(!truth()?),
                "required" => read.required = Some(truth()?),
                "size" => read.size = Some(bytes(&value).ok_or_else(|| wrong().hint("write it like `64m`"))?),
                "id" => read.id = value,
                "sharing" => {
                    read.sharing = Some(match value.to_lowercase().as_str() {
                        "shared" => Sharing::Shared,
                        "private" => Sharing::Private,
                        "locked" => Sharing::Locked,
                        _ => return Err(wrong().hint("it is shared, private or locked")),
                    });
                }
                "mode" => read.owner.mode = Some(number(8)?),
                "uid" => read.owner.uid = Some(number(10)?),
                "gid" => read.owner.gid = Some(number(10)?),
                // What else there is was refused when the fields were split.
                _ => read.variable = Some(value),
            }
        }
        read.check()?;
        Ok(read)
    }

    /// Refuses fields that belong to another type.
    fn check(&self) -> Result<(), Problem> {
        let kind = self.kind.as_str();
        let owned = matches!(kind, "secret" | "ssh" | "cache");
        let misplaced = [
            ("required", self.required.is_some() && !matches!(kind, "secret" | "ssh")),
            ("size", self.size.is_some() && kind != "tmpfs"),
            ("sharing", self.sharing.is_some() && kind != "cache"),
            ("mode", self.owner.mode.is_some() && !owned),
            ("uid", self.owner.uid.is_some() && !owned),
            ("gid", self.owner.gid.is_some() && !owned),
            ("from", !self.from.is_empty() && kind == "secret"),
            ("source", !self.source.is_empty() && kind == "ssh"),
            ("env", self.variable.is_some() && kind != "secret"),
        ];
        match misplaced.iter().find(|it| it.1) {
            Some((key, _)) => Err(Problem::new(format!("a mount of type {kind} has no `{key}`"))),
            None => Ok(()),
        }
    }
}

/// What a mount comes to.
pub(super) fn resolve(fields: &[String], scope: &mut Scope) -> Result<Mount, Problem> {
    let read = Fields::read(fields, scope)?;
    let below = |target: &str| {
        let target = path::join(scope.working_dir(), target);
        if target == "/" {
            return Err(Problem::new("a mount cannot have `/` as its target").hint("name a folder below it with `target=`"));
        }
        Ok(target)
    };
    let named = |target: &str| -> Result<Option<String>, Problem> { if target.is_empty() { Ok(None) } else { below(target).map(Some) } };
    let from = |empty: Source| if read.from.is_empty() { Ok(empty) } else { scope.source(&read.from, false) };
    Ok(match read.kind.as_str() {
        "bind" => Mount::Bind {
            from: from(Source::Context)?,
            source: path::clean(&read.source),
            target: below(&read.target)?,
            read_write: read.read_only == Some(false),
        },
        "cache" => Mount::Cache {
            id: if read.id.is_empty() { cache(&read.target) } else { read.id.clone() },
            target: below(&read.target)?,
            read_only: read.read_only == Some(true),
            sharing: read.sharing.unwrap_or_default(),
            from: from(Source::Scratch)?,
            source: path::clean(&read.source),
            owner: read.owner,
        },
        "tmpfs" => Mount::Tmpfs { target: below(&read.target)?, size: read.size.unwrap_or_default() },
        "secret" => {
            if !read.source.is_empty() && !read.id.is_empty() {
                return Err(Problem::new("a secret has both `source` and `id`").hint("leave one of them"));
            }
            let id = [read.source.as_str(), read.id.as_str(), path::base(&read.target)].into_iter().find(|it| !it.is_empty());
            let id = id.ok_or_else(|| Problem::new("a secret has neither `id` nor `target`").hint("name it with `id=`"))?.to_owned();
            let target = match named(&read.target)? {
                None if read.variable.is_none() => Some(format!("/run/secrets/{}", path::base(&id))),
                target => target,
            };
            let variable = read.variable.map(|it| if it.is_empty() { id.clone() } else { it });
            Mount::Secret { id, target, variable, required: read.required.unwrap_or(false), owner: read.owner }
        }
        _ => Mount::Ssh {
            id: if read.id.is_empty() { "default".to_owned() } else { read.id.clone() },
            target: named(&read.target)?,
            required: read.required.unwrap_or(false),
            owner: read.owner,
        },
    })
}

/// The name of a cache that has none: its target without needless parts.
fn cache(target: &str) -> String {
    let clean = path::clean(target);
    if target.starts_with('/') { clean } else { clean[1..].to_owned() }
}

/// A size such as `64m` or `1.5GiB`, all units powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|it| *it == unit)?;
    let scale = 1024_u128.pow(u32::try_from(power).ok()?);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = &fraction[..fraction.len().min(15)];
    let part =
        if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? * scale / 10_u128.pow(u32::try_from(fraction.len()).ok()?) };
    u64::try_from(u128::from(whole.parse::<u64>().ok()?) * scale + part).ok()
}
