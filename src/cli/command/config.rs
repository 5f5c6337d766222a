//! `config`: the project as it was understood.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::args::inspect::{ConfigArgs, ConfigFormat};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::output::table;
use crate::compose::plan;
use crate::compose::project::emit;
use crate::compose::project::interpolate::Variable;
use crate::compose::project::model::Project;

/// Runs the command; no engine has a part in it.
pub(super) fn run(args: &ConfigArgs, context: &Context) -> Result<u8, CommandError> {
    if args.format == Some(ConfigFormat::Json) {
        context.tell_records();
    }
    for (asked, flag) in [(args.resolve_image_digests, "--resolve-image-digests"), (args.lock_image_digests, "--lock-image-digests")] {
        if asked {
            let error = CommandError::local(format!("{flag} is not supported: registries are not asked for digests"));
            return Err(error.hint("pin the image by hand, `NAME@sha256:…`; `gantry images` has the ids of those that are here"));
        }
    }
    if args.no_interpolate {
        return templates(args, context);
    }
    if args.variables {
        let model = context.templates(|_| ())?;
        return write(args, context, &variables(&model.variables(), args.format));
    }
    // A list of names does not need what a service's environment files say.
    let names_only =
        args.only_services || args.models || args.images || args.volumes || args.networks || args.only_profiles || args.environment;
    let whole = context.project_with(|sources| {
        sources.select.clone_from(&args.services.services);
        sources.keep_env_files = args.no_env_resolution || names_only;
        sources.keep_relative = args.no_path_resolution;
        sources.keep_implied = args.no_normalize;
        sources.keep_dangling = args.no_consistency;
    })?;
    let project = whole.select(&args.services.services, true)?;
    context.forewarn(&project);
    // A list that was asked for is printed all the same, as Docker Compose does.
    if args.quiet && !names_only && args.hash.is_none() {
        return Ok(0);
    }
    let text = if args.only_services {
        lines(project.services.keys())
    } else if args.images {
        lines(project.services.values().map(|service| &service.image).filter(|image| !image.is_empty()))
    } else if args.volumes {
        lines(project.volumes.keys())
    } else if args.networks {
        lines(project.networks.keys())
    } else if args.models {
        lines(project.model_references())
    } else if args.only_profiles {
        let services = whole.services.values().chain(whole.disabled.values());
        let profiles: BTreeSet<&String> = services.flat_map(|service| &service.profiles).collect();
        lines(profiles)
    } else if args.environment {
        lines(project.environment.iter().map(|(name, value)| format!("{name}={value}")))
    } else if let Some(names) = &args.hash {
        hashes(&project, names)?
    } else {
        match args.format {
            None | Some(ConfigFormat::Yaml) => emit::to_yaml(&project),
            Some(ConfigFormat::Json) => emit::to_json(&project),
        }
    };
    write(args, context, &text)
}

/// The files as they are written, merged: nothing is put in the place of a variable.
fn templates(args: &ConfigArgs, context: &Context) -> Result<u8, CommandError> {
    if !args.services.services.is_empty() {
        context.terminal.warn("with --no-interpolate all services are printed, not only those named");
    }
    let model = context.templates(|sources| {
        sources.keep_implied = args.no_normalize;
        sources.keep_relative = args.no_path_resolution;
    })?;
    if args.quiet {
        return Ok(0);
    }
    let text = match args.format {
        None | Some(ConfigFormat::Yaml) => emit::model_to_yaml(&model),
        Some(ConfigFormat::Json) => emit::model_to_json(&model),
    };
    write(args, context, &text)
}

fn write(args: &ConfigArgs, context: &Context, text: &str) -> Result<u8, CommandError> {
    match &args.output {
        Some(path) => {
            let path = context.absolute(path);
            let mut file = std::fs::File::create(&path);
            let written = file
                .as_mut()
                .map_err(|error| error.to_string())
                .and_then(|file| std::io::Write::write_all(file, text.as_bytes()).map_err(|error| error.to_string()));
            written.map_err(|error| CommandError::local(format!("cannot write {}: {error}", path.display())))?;
        }
        None => context.terminal.out(text.as_bytes()),
    }
    Ok(0)
}

/// Docker Compose's three forms of the variables, in the order of their names.
fn variables(found: &BTreeMap<String, Variable>, format: Option<ConfigFormat>) -> String {
    let json = |it: &str| serde_json::Value::from(it).to_string();
    match format {
        None => {
            let row =
                |(name, it): (&String, &Variable)| vec![name.clone(), it.required.to_string(), it.default.clone(), it.presence.clone()];
            let rows: Vec<Vec<String>> = found.iter().map(row).collect();
            table::render_wide(&["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"], &rows)
        }
        Some(ConfigFormat::Json) => {
            let entry = |(name, it): (&String, &Variable)| {
                let (key, default, presence) = (json(name), json(&it.default), json(&it.presence));
                format!(
                    "    {key}: {{\n        \"Name\": {key},\n        \"DefaultValue\": {default},\n        \"PresenceValue\": {presence},\n        \"Required\": {}\n    }}",
                    it.required
                )
            };
            format!("{{\n{}\n}}\n\n", found.iter().map(entry).collect::<Vec<_>>().join(",\n"))
        }
        Some(ConfigFormat::Yaml) => {
            let entry = |(name, it): (&String, &Variable)| {
                let (key, default, presence) = (emit::yaml_text(name), emit::yaml_text(&it.default), emit::yaml_text(&it.presence));
                format!(
                    "{key}:\n    name: {key}\n    defaultvalue: {default}\n    presencevalue: {presence}\n    required: {}\n",
                    it.required
                )
            };
            found.iter().map(entry).collect()
        }
    }
}

fn lines<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| format!("{item}\n")).collect()
}

fn hashes(project: &Project, names: &str) -> Result<String, CommandError> {
    let all = || project.services.keys().map(ToString::to_string).collect();
    let mut names: Vec<String> = if names == "*" { all() } else { names.split(',').map(str::to_owned).collect() };
    names.sort_unstable();
    let mut text = String::new();
    for name in names {
        let service = project.services.get(name.as_str()).ok_or_else(|| CommandError::local(format!("no such service: {name}")))?;
        text.push_str(&format!("{name} {}\n", plan::service_hash(project, service)));
    }
    Ok(text)
}
