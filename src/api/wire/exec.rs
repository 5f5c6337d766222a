//! Commands run in a container beside its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::detach::DetachKeys;
use crate::resource::exec::{ExecInfo, ExecSpec, TerminalSize};

/// What a start request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecStart {
    /// Nobody wants the streams.
    pub detach: bool,
    /// The client takes it for a terminal.
    pub tty: bool,
    /// The terminal's size from its first moment.
    pub size: Option<TerminalSize>,
}

/// Writes the body of a create request.
pub fn create_to_json(spec: &ExecSpec) -> Value {
    json!({
        "User": spec.user.as_deref().unwrap_or_default(),
        "Privileged": spec.privileged,
        "Tty": spec.tty,
        "ConsoleSize": spec.size.map(|size| [size.rows, size.columns]),
        "AttachStdin": spec.stdin,
        "AttachStdout": spec.stdout,
        "AttachStderr": spec.stderr,
        "DetachKeys": spec.detach_keys.as_deref().unwrap_or_default(),
        "Env": if spec.environment.is_empty() { Value::Null } else { json!(spec.environment) },
        "WorkingDir": spec.working_dir.as_deref().unwrap_or_default(),
        "Cmd": spec.command,
    })
}

/// Reads the body of a create request.
pub fn create_from_json(body: Value) -> Result<ExecSpec, WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    let spec = ExecSpec {
        command: fields.texts("Cmd")?,
        environment: fields.texts("Env")?,
        working_dir: fields.text("WorkingDir")?,
        user: fields.text("User")?,
        tty: fields.flag("Tty")?,
        privileged: fields.flag("Privileged")?,
        stdin: fields.flag("AttachStdin")?,
        stdout: fields.flag("AttachStdout")?,
        stderr: fields.flag("AttachStderr")?,
        detach_keys: fields.text("DetachKeys")?,
        size: size(&mut fields)?,
    };
    // Only the start request counts; the command line of Docker repeats it here. The SDK for Python repeats the path's container.
    fields.flag("Detach")?;
    fields.text("Container")?;
    fields.finish()?;
    Ok(spec)
}

/// Reads `ConsoleSize`; no rows or no columns are no size.
fn size(fields: &mut Fields) -> Result<Option<TerminalSize>, WireError> {
    let size: Option<[u16; 2]> = fields.get("ConsoleSize", "rows and columns")?;
    Ok(size.filter(|size| !size.contains(&0)).map(|[rows, columns]| TerminalSize { rows, columns }))
}

/// Writes the body of a start request.
pub fn start_to_json(start: &ExecStart) -> Value {
    json!({ "Detach": start.detach, "Tty": start.tty, "ConsoleSize": start.size.map(|size| [size.rows, size.columns]) })
}

/// Reads the body of a start request.
pub fn start_from_json(body: Value) -> Result<ExecStart, WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    let start = ExecStart { detach: fields.flag("Detach")?, tty: fields.flag("Tty")?, size: size(&mut fields)? };
    // How the library dockerode is to treat the connection, which it tells itself and us.
    for name in ["hijack", "stdin"] {
        fields.flag(name)?;
    }
    fields.finish()?;
    Ok(start)
}

/// Keys as Go writes bytes, in base64.
fn keys_to_text(spelled: Option<&str>) -> String {
    let keys = spelled.and_then(|keys| DetachKeys::parse(keys).ok());
    keys.map(|keys| STANDARD.encode(keys.bytes())).unwrap_or_default()
}

fn keys_from_text(text: Option<&str>) -> Result<Option<String>, WireError> {
    let Some(text) = text else { return Ok(None) };
    let bytes = STANDARD.decode(text).map_err(|_| WireError::malformed("DetachKeys", "bytes in base64"))?;
    Ok(DetachKeys::of_bytes(bytes).map(|keys| keys.to_string()))
}

/// Writes what is known of a command.
pub fn to_json(info: &ExecInfo) -> Value {
    let mut words = info.spec.command.iter();
    let entrypoint = words.next().map(String::as_str).unwrap_or_default();
    let mut value = json!({
        "ID": info.id,
        "Running": info.running,
        "ExitCode": info.exit_code,
        "ProcessConfig": {
            "tty": info.spec.tty,
            "entrypoint": entrypoint,
            "arguments": words.collect::<Vec<_>>(),
            "privileged": info.spec.privileged,
        },
        "OpenStdin": info.spec.stdin,
        "OpenStderr": info.spec.stderr,
        "OpenStdout": info.spec.stdout,
        // As soon as it could be, it is.
        "CanRemove": false,
        "ContainerID": info.container,
        "DetachKeys": keys_to_text(info.spec.detach_keys.as_deref()),
        "Pid": info.pid.unwrap_or_default(),
    });
    if let Some(user) = info.spec.user.as_deref().filter(|user| !user.is_empty()) {
        value["ProcessConfig"]["user"] = json!(user);
    }
    value
}

/// Reads what is known of a command; environment, working directory and size are not told again.
pub fn from_json(body: Value) -> Result<ExecInfo, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let id = fields.text("ID")?.unwrap_or_default();
    let container = fields.text("ContainerID")?.unwrap_or_default();
    let mut process = fields.object("ProcessConfig")?;
    let mut command: Vec<String> = process.text("entrypoint")?.into_iter().collect();
    command.extend(process.texts("arguments")?);
    Ok(ExecInfo {
        id: id.parse().map_err(|_| WireError::malformed("ID", "64 hexadecimal digits"))?,
        container: container.parse().map_err(|_| WireError::malformed("ContainerID", "64 hexadecimal digits"))?,
        spec: ExecSpec {
            command,
            user: process.text("user")?,
            tty: process.flag("tty")?,
            privileged: process.flag("privileged")?,
            stdin: fields.flag("OpenStdin")?,
            stdout: fields.flag("OpenStdout")?,
            stderr: fields.flag("OpenStderr")?,
            detach_keys: keys_from_text(fields.text("DetachKeys")?.as_deref())?,
            ..ExecSpec::default()
        },
        running: fields.flag("Running")?,
        exit_code: fields.get("ExitCode", "a number")?,
        pid: fields.get("Pid", "a number")?.filter(|&pid| pid != 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::id::{ContainerId, ExecId};

    fn spec() -> ExecSpec {
        ExecSpec {
            command: vec!["sh".to_owned(), "-c".to_owned(), "id".to_owned()],
            environment: vec!["A=b".to_owned()],
            working_dir: Some("/srv".to_owned()),
            user: Some("app".to_owned()),
            tty: true,
            privileged: true,
            stdin: true,
            stdout: true,
            stderr: true,
            detach_keys: Some("ctrl-p,ctrl-q".to_owned()),
            size: Some(TerminalSize { rows: 24, columns: 80 }),
        }
    }

    #[test]
    fn every_field_survives() {
        assert_eq!(create_from_json(create_to_json(&spec())).expect("good"), spec());
        let start = ExecStart { detach: true, tty: true, size: spec().size };
        assert_eq!(start_from_json(start_to_json(&start)).expect("good"), start);
        let told = ExecSpec { environment: Vec::new(), working_dir: None, size: None, ..spec() };
        for (running, exit_code, pid) in [(true, None, Some(4)), (false, Some(7), None)] {
            let id = ExecId::from_bytes([1; 32]);
            let info = ExecInfo { id, container: ContainerId::from_bytes([2; 32]), spec: told.clone(), running, exit_code, pid };
            assert_eq!(to_json(&info)["DetachKeys"], "EBE=");
            assert_eq!(from_json(to_json(&info)).expect("good"), info);
        }
        assert!(create_from_json(json!({"Cmd": "sh"})).is_err());
        // As in Docker, root by default has no name.
        let id = ExecId::from_bytes([1; 32]);
        let info = ExecInfo {
            id,
            container: ContainerId::from_bytes([2; 32]),
            spec: ExecSpec { user: None, ..told },
            running: false,
            exit_code: Some(0),
            pid: None,
        };
        let value = to_json(&info);
        assert_eq!((value["ProcessConfig"].get("user"), &value["CanRemove"]), (None, &json!(false)));
    }

    #[test]
    fn what_libraries_say_besides_is_no_wish() {
        assert_eq!(create_from_json(json!({"Container": "web", "Cmd": ["id"]})).expect("good").command, ["id"]);
        let start = start_from_json(json!({"Detach": false, "Tty": true, "hijack": true, "stdin": true})).expect("good");
        assert_eq!(start, ExecStart { tty: true, ..ExecStart::default() });
    }
}
