//! Others change the ruleset, too: who flushes it takes our ports along, and who begins to filter must be asked to let us through.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};
use tokio::io::unix::AsyncFd;

use crate::engine::network::error::NetworkError;
use crate::engine::network::handle::{Inner, Networks};
use crate::engine::network::kernel::blocking;
use crate::engine::network::netlink::wire;
use crate::engine::network::nft::foreign::{Ruleset, note};
use crate::engine::network::state::Task;

const NETLINK_NETFILTER: isize = 12;
/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// A change of others is looked at when nothing more has come for so long: iptables-restore comes in bursts.
const QUIET: Duration = Duration::from_millis(100);
/// New and deleted tables, new and deleted chains, deleted rules.
const CHANGES: [u16; 5] = [10 << 8, 10 << 8 | 2, 10 << 8 | 3, 10 << 8 | 5, 10 << 8 | 8];

impl Networks {
    /// Begins to watch, if nobody does.
    pub(super) fn watch(&self) {
        if self.state().watcher.is_some() {
            return;
        }
        match subscribe() {
            Ok(events) => {
                let own = self.inner.kernel.filter().port();
                let task = tokio::spawn(look(Arc::downgrade(&self.inner), events, own));
                self.state().watcher = Some(Task::new(task));
            }
            Err(error) => tracing::warn!(%error, "changes of others to nf_tables go unnoticed"),
        }
    }

    /// Reads the ruleset and lets our packets through where others filter; with no network up, takes that back.
    pub(super) async fn come_to_terms(&self) -> Result<Ruleset, NetworkError> {
        let interfaces = {
            let state = self.state();
            let prefix = format!("gt{}-", self.inner.tag);
            let up = || state.networks.values().filter(|network| network.bridge.is_some()).map(|network| network.record.bridge.clone());
            // One pair for all bridges with names of ours, and one for each whose name somebody chose.
            let ours = up().any(|name| name.starts_with(&prefix)).then(|| format!("{prefix}+"));
            ours.into_iter().chain(up().filter(|name| !name.starts_with(&prefix))).collect::<Vec<_>>()
        };
        let mark = note(self.inner.table.name());
        let done = blocking(&self.inner.kernel, move |kernel| {
            let ruleset = Ruleset::read(&mut kernel.filter())?;
            kernel.commit(ruleset.let_through(&interfaces, &mark))?;
            Ok::<_, io::Error>(ruleset)
        });
        done.await.map_err(NetworkError::kernel("let the packets of containers through the tables of others"))
    }

    /// Whether packets that are none of ours are dropped: only where nothing was forwarded before us, and nobody else decides. A
    /// Docker that starts later finds forwarding on, and relies on it.
    pub(super) fn guards_forwarding(&self, ruleset: &Ruleset) -> bool {
        let legacy = || {
            std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").is_ok_and(|names| names.lines().any(|name| name == "filter"))
        };
        let name = self.inner.table.name();
        self.state().forwarding_is_ours && !ruleset.others_forward(name, &note(name)) && !legacy()
    }

    async fn look_again(&self) {
        let ruleset = match self.come_to_terms().await {
            Ok(ruleset) => ruleset,
            Err(error) => {
                tracing::warn!(%error, "others changed nf_tables, and containers may not get through");
                return;
            }
        };
        let guards = self.guards_forwarding(&ruleset);
        let stale = {
            let state = self.state();
            state.installed && (!ruleset.has(self.inner.table.name()) || state.guards != guards)
        };
        if stale {
            match self.install_table().await {
                Ok(()) => tracing::info!(table = self.inner.table.name(), "others changed nf_tables; our table was installed again"),
                Err(error) => tracing::error!(%error, "published ports and the way outside do not work"),
            }
        }
    }
}

#[expect(deprecated, reason = "the registration owns the socket; its successor is unsafe, and unsafe code is for engine::runtime alone")]
fn subscribe() -> io::Result<AsyncFd<Socket>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.add_membership(GROUP)?;
    socket.set_non_blocking(true)?;
    AsyncFd::new(socket)
}

async fn look(inner: Weak<Inner>, events: AsyncFd<Socket>, own: u32) {
    let mut buffer = Vec::with_capacity(64 << 10);
    let mut pending = false;
    loop {
        let next = changed(&events, own, &mut buffer);
        if pending {
            match tokio::time::timeout(QUIET, next).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return lost(&error),
                Err(_) => {
                    pending = false;
                    let Some(inner) = inner.upgrade() else { return };
                    Networks { inner }.look_again().await;
                }
            }
        } else {
            match next.await {
                Ok(foreign) => pending = foreign,
                Err(error) => return lost(&error),
            }
        }
    }
}

fn lost(error: &io::Error) {
    tracing::warn!(%error, "changes of others to nf_tables go unnoticed from now on");
}

/// Waits for news; true when others made them, or when more came than could be kept.
async fn changed(events: &AsyncFd<Socket>, own: u32, buffer: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let mut ready = events.readable().await?;
        buffer.clear();
        let received = ready.try_io(|socket| socket.get_ref().recv(buffer, 0));
        match received {
            Ok(Ok(_)) => return Ok(wire::messages(buffer).any(|message| message.port != own && CHANGES.contains(&message.kind))),
            Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(true),
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
            // Nothing there yet.
            Err(_) => {}
        }
    }
}
