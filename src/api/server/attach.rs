//! The streams of a container, and of a command in one.

use hyper::StatusCode;

use crate::api::server::answer::{self, Outcome};
use crate::api::server::call::Call;
use crate::api::server::hijack::Hijack;
use crate::api::server::web_socket::{Handshake, WebSocket};
use crate::api::wire::exec;
use crate::resource::container::AttachOptions;
use crate::resource::failure::Failure;

pub(super) async fn container(mut call: Call) -> Result<Outcome, Failure> {
    let options = AttachOptions {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        logs: call.query.flag("logs"),
        stream: call.query.flag("stream"),
        detach_keys: call.query.text("detachKeys"),
    };
    // How the library dockerode is to treat the connection.
    call.query.ignore("hijack");
    call.query.finish()?;
    let (reader, writer) = call.engine.attach(&call.name, &options).await?;
    Ok(Hijack::new(&call.headers, call.version, reader, writer, options.stdin).into())
}

/// The same over a WebSocket. Clients before 1.42 always have all three streams, those before 1.28 text instead of bytes.
pub(super) async fn web_socket(mut call: Call) -> Result<Outcome, Failure> {
    let handshake = Handshake::of(&call.headers)?;
    let all = call.version.is_before(42);
    let mut wants = |name: &str| call.query.flag(name) || all;
    let (stdin, stdout, stderr) = (wants("stdin"), wants("stdout"), wants("stderr"));
    let (logs, stream) = (call.query.flag("logs"), call.query.flag("stream"));
    let options = AttachOptions { stdin, stdout, stderr, logs, stream, detach_keys: call.query.text("detachKeys") };
    call.query.finish()?;
    let (reader, writer) = call.engine.attach(&call.name, &options).await?;
    Ok(WebSocket::new(handshake, reader, writer, stdin, call.version.is_before(28)).into())
}

/// Starts a prepared command, and carries its streams unless nobody wants them.
pub(super) async fn exec(mut call: Call) -> Result<Outcome, Failure> {
    let start = exec::start_from_json(call.json().await?)?;
    call.query.finish()?;
    let stdin = call.engine.exec_inspect(&call.name).await?.spec.stdin;
    let streams = call.engine.exec_start(&call.name, start.detach, start.tty).await?;
    if let Some(size) = start.size.filter(|_| start.tty) {
        // It may have ended meanwhile.
        let _ = call.engine.exec_resize(&call.name, size).await;
    }
    match streams {
        Some((reader, writer)) => Ok(Hijack::new(&call.headers, call.version, reader, writer, stdin).into()),
        None => Ok(answer::empty(StatusCode::OK).into()),
    }
}
