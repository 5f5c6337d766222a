//! Packets pass from one interface to another only on hosts that forward: we turn that on, and keep others from making use of it.

use std::io;

use crate::engine::network::error::NetworkError;
use crate::engine::network::handle::Networks;
use crate::engine::network::kernel::{blocking, parameter, set_parameter};
use crate::engine::network::nft::batch::Batch;
use crate::engine::network::nft::table::NetworkRules;
use crate::engine::network::record::NetworkRecord;
use crate::engine::store;

const V4: &str = "net/ipv4/ip_forward";
const V6: &str = "net/ipv6/conf/all/forwarding";

impl Networks {
    /// Turns forwarding on where a network needs it. Failure is told and not fatal: containers still reach each other.
    pub(super) async fn forward_packets(&self, record: &NetworkRecord) {
        if self.inner.leave_forwarding || record.spec.internal {
            return;
        }
        let needs = |v4: bool| record.pools.iter().any(|pool| pool.subnet.address.is_ipv4() == v4);
        let (v4, v6) = (needs(true), needs(false));
        let turned = blocking(&self.inner.kernel, move |_| {
            let mut turned = false;
            if v4 && parameter(V4).as_deref() == Some("0") {
                set_parameter(V4, "1")?;
                turned = true;
            }
            if v6 && parameter(V6).as_deref() == Some("0") {
                keep_router_advertisements();
                set_parameter(V6, "1")?;
                turned = true;
            }
            Ok::<_, io::Error>(turned)
        });
        match turned.await {
            Ok(false) => {}
            Ok(true) => {
                let path = self.inner.run.join("forwarding.json");
                if let Err(error) = store::replace_until_reboot(&path, &true) {
                    tracing::warn!(%error, "a later engine will not know that this host forwarded nothing before");
                }
                let mut state = self.state();
                state.forwarding_is_ours = true;
                // The table, if there is one, gets its guard by being replaced.
                state.installed = false;
            }
            Err(error) => {
                tracing::warn!(%error, network = %record.name, "forwarding cannot be turned on: containers will not reach the outside");
            }
        }
    }

    /// Adds a network to the table, or the table with all that is to be in it.
    pub(super) async fn add_to_table(&self, rules: &NetworkRules) -> Result<(), NetworkError> {
        if self.state().installed {
            let mut batch = Batch::new();
            self.inner.table.add_network(&mut batch, rules);
            match blocking(&self.inner.kernel, move |kernel| kernel.commit(batch)).await {
                // Somebody flushed the ruleset.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                result => {
                    return result.map_err(NetworkError::kernel(format!(
                        "add bridge `{}` to table `{}`",
                        rules.bridge,
                        self.inner.table.name()
                    )));
                }
            }
        }
        self.install_table().await
    }

    /// Replaces the table by one with everything that is to be in it.
    pub(super) async fn install_table(&self) -> Result<(), NetworkError> {
        self.watch();
        let guards = match self.come_to_terms().await {
            Ok(ruleset) => self.guards_forwarding(&ruleset),
            Err(error) => {
                tracing::warn!(%error, "containers may not get through the tables of others");
                false
            }
        };
        let batch = {
            let mut state = self.state();
            state.installed = true;
            state.guards = guards;
            let (networks, ports) = state.rules();
            self.inner.table.install(&networks, &ports, guards)
        };
        let installed = blocking(&self.inner.kernel, move |kernel| kernel.commit(batch)).await;
        if installed.is_err() {
            self.state().installed = false;
        }
        installed.map_err(NetworkError::kernel(format!("install nf_tables table `{}`", self.inner.table.name())))
    }
}

/// A host that forwards IPv6 no longer listens to the routers that gave it its own default route, unless each interface is told to
/// (`accept_ra` 2). Those that listen now go on listening.
fn keep_router_advertisements() {
    let Ok(interfaces) = std::fs::read_dir("/proc/sys/net/ipv6/conf") else { return };
    for interface in interfaces.flatten() {
        let name = format!("net/ipv6/conf/{}/accept_ra", interface.file_name().to_string_lossy());
        if parameter(&name).as_deref() == Some("1")
            && let Err(error) = set_parameter(&name, "2")
        {
            tracing::warn!(%error, parameter = name, "this interface may lose its IPv6 default route");
        }
    }
}
