//! The client's verbs on commands run beside a container's own.

use crate::api::client::Client;
use crate::api::client::call::{Call, segment};
use crate::api::client::client_container::terminal_size;
use crate::api::client::hijack::{Framing, Hijacked};
use crate::api::client::older;
use crate::api::wire::answer;
use crate::api::wire::exec::{self, ExecStart};
use crate::resource::exec::{ExecInfo, ExecSpec, TerminalSize};
use crate::resource::failure::Failure;
use crate::resource::id::ExecId;

impl Client {
    /// Prepares a command in a running container.
    pub async fn exec_create(&self, name: &str, spec: &ExecSpec) -> Result<ExecId, Failure> {
        self.transport.settle().await?;
        older::check_exec(&self.transport.name(), self.transport.minor(), spec)?;
        let call = Call::post(format!("/containers/{}/exec", segment(name))).json(&exec::create_to_json(spec));
        Ok(answer::created_from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Starts a prepared command; with `detach` there are no streams.
    pub async fn exec_start(&self, id: &ExecId, tty: bool, detach: bool) -> Result<Option<Hijacked>, Failure> {
        let start = ExecStart { detach, tty, size: None };
        let call = Call::post(format!("/exec/{id}/start")).json(&exec::start_to_json(&start));
        if detach {
            self.change(call).await?;
            return Ok(None);
        }
        let (_, socket, rest) = self.transport.upgrade(&call).await?;
        let framing = if tty { Framing::Terminal } else { Framing::Frames };
        Ok(Some(Hijacked::new(socket, rest, framing, self.transport.name())))
    }

    /// Tells the terminal of a command its size.
    pub async fn exec_resize(&self, id: &ExecId, size: TerminalSize) -> Result<(), Failure> {
        self.change(terminal_size(Call::post(format!("/exec/{id}/resize")), size)).await
    }

    /// Returns what is known of a command.
    pub async fn exec_inspect(&self, id: &ExecId) -> Result<ExecInfo, Failure> {
        Ok(exec::from_json(self.transport.send(&Call::get(format!("/exec/{id}/json"))).await?.json().await?)?)
    }
}
