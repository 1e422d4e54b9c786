//! Loads the config again: the new one is put in force as a whole, or nothing changes.
//!
//! Listeners, the state folder and the master key's place are read at the start only: a change of these is logged, and
//! waits for a restart. Everything else is swapped at once. Requests in flight are treated, counted and limited to
//! their end by the config that they began with, and severed where the new config no longer lets them in.

use std::sync::Arc;

use serde_json::json;

use super::GatewayControl;
use crate::admin::{Actor, ControlError, ControlResult, OperatorDirectory, ReloadControl, ReloadReport};
use crate::audit::{AuditAct, AuditRecord};
use crate::config::{ConfigLoader, Contract, FaultSeverity, GatewaySettings, MasterKeyLocation};
use crate::gateway::assemble;
use crate::kill::GATEWAY_ACTOR;
use crate::listener;
use crate::model::{Clock, VendorId, with_causes};
use crate::server::start::master_keys;
use crate::server::{
    approvers, audit_trail, budgets, carry_over, certificate_ends, egress_authority, pending_audit, webhook_sender,
};
use crate::store::StoreError;

/// Who asked for a reload.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) enum ReloadCause<'a> {
    /// An operator.
    Operator(&'a Actor),
    /// A signal to the process.
    Signal,
    /// A change of the files, under `watch: true`.
    Watch,
}

/// The faults of a config in one text, which only operators read.
fn told(faults: &[String]) -> String {
    let first = faults.first().map(String::as_str).unwrap_or_default();
    format!("the files have {} faults, and what was loaded before stays in force; the first: {first}", faults.len())
}

impl ReloadControl for GatewayControl {
    /// Away from the thread that answers operators, since a large config takes its time.
    async fn reload(&self, actor: &Actor) -> ControlResult<ReloadReport> {
        let (me, actor) = (self.me.upgrade().ok_or(ControlError::State)?, actor.clone());
        let reload = self.background.spawn(async move { me.reload_files(ReloadCause::Operator(&actor)).await });
        reload.await.map_err(|_| ControlError::State)?.map_err(ControlError::Faults)
    }
}

impl GatewayControl {
    /// Reads the files again and swaps what they say.
    ///
    /// # Errors
    /// What is wrong, a line each; nothing has changed then.
    pub(in crate::server) async fn reload_files(&self, cause: ReloadCause<'_>) -> Result<ReloadReport, Vec<String>> {
        self.import_pending_audit().await;
        let by = match cause {
            ReloadCause::Operator(actor) => &actor.name,
            ReloadCause::Signal | ReloadCause::Watch => GATEWAY_ACTOR,
        };
        let outcome = self.try_reload(by).await;
        self.record(cause, &outcome).await;
        self.gateway.metrics.config_reloaded(outcome.is_ok());
        self.config_fault.store(outcome.as_ref().err().map(|faults| Arc::new(told(faults))));
        self.gateway.metrics.config_stale(outcome.is_err());
        match &outcome {
            Ok(report) => tracing::info!(
                generation = report.generation, added = ?report.added, changed = ?report.changed,
                removed = ?report.removed, "the config was loaded again"
            ),
            Err(faults) => tracing::error!(?faults, "the new config has faults, so nothing changed"),
        }
        outcome
    }

    /// What was done to keys from a shell comes before the reload that puts it in force.
    pub(in crate::server) async fn import_pending_audit(&self) {
        let master = self.config.lock().await.keys.master.clone();
        if let Some(MasterKeyLocation::File(path)) = &master {
            pending_audit::import(path, &self.gateway.audit).await;
        }
        pending_audit::import(self.services.salts.path(), &self.gateway.audit).await;
    }

    /// Why the files on disk are not in force, if they are not.
    pub(in crate::server) fn config_fault(&self) -> Option<String> {
        self.config_fault.load().as_deref().cloned()
    }

    /// Who has asked, and what came of it.
    async fn record(&self, cause: ReloadCause<'_>, outcome: &Result<ReloadReport, Vec<String>>) {
        let detail = match outcome {
            Ok(report) => json!(report),
            Err(faults) => json!({ "faults": faults.len(), "first": faults.first() }),
        };
        let by = match cause {
            ReloadCause::Operator(actor) => actor.name.as_str(),
            ReloadCause::Signal => "signal",
            ReloadCause::Watch => "watch",
        };
        let reason = if outcome.is_ok() { "" } else { "refused" };
        let entry = AuditRecord {
            actor: by.to_owned(),
            detail,
            ..audit_trail::by_gateway(AuditAct::Reload, reason, self.now().wall)
        };
        drop(self.gateway.audit.record(entry));
        self.recorded().await;
    }

    async fn try_reload(&self, by: &str) -> Result<ReloadReport, Vec<String>> {
        let mut in_force = self.config.lock().await;
        let config = load(self.main.clone()).await?;
        let told = |error: &dyn std::error::Error| vec![with_causes(error)];
        let keys = master_keys(config.keys.master.as_ref()).map_err(|error| told(&error))?;
        let hooks = webhook_sender::hooks(&config.hooks).map_err(|error| told(&error))?;
        let tls = self.new_tls(&config)?;
        let in_force_interceptor = self.gateway.interception.load_full();
        let interceptor = egress_authority::open(&config, in_force_interceptor).map_err(|error| told(&error))?;
        let before = self.gateway.snapshot.load_full();
        let after =
            assemble(&config, &keys, &self.services, Some(&before), self.now()).map_err(|error| told(&error))?;
        let mut report = difference(&in_force, &config);
        report.generation = after.generation;
        let failed = |error: StoreError| vec![with_causes(&error)];
        approvers::record(&self.store, &config.operators, self.now().wall).map_err(failed)?;
        // Before the first request can be let in by the new config.
        report.still_cut_off =
            carry_over::carry_over(&config, &self.store, &self.gateway.switch, self.now()).map_err(failed)?;
        for (front, tls) in tls {
            front.store(tls);
        }
        for vendor in after.vendors().iter().filter(|vendor| before.vendor(vendor.id().as_str()).is_none()) {
            budgets::restore(vendor, &self.store, &self.gateway.switch, self.now());
        }
        self.share_budgets(after.vendors());
        self.hooks.configure(hooks);
        self.gateway.switch.queue_for_hooks(!config.hooks.is_empty());
        after.directory().start(&tokio::runtime::Handle::current());
        after.start_credentials(&tokio::runtime::Handle::current());
        self.gateway.interception.store(interceptor);
        self.gateway.snapshot.store(Arc::new(after));
        self.contract_digests.store(Arc::new(config.contract_digests.clone()));
        // Requests that lost their contract, route, scope, client or key by this are severed; they are not waited for.
        drop(self.sever_lost(by, "reload"));
        self.gateway.metrics.config_generation(report.generation);
        certificate_ends::expose(&config, &self.gateway.metrics);
        self.gateway.metrics.retain(
            |vendor| config.contract(vendor).is_some(),
            |vendor, direction, route| config.contract(vendor).is_some_and(|found| found.routes(direction).has(route)),
        );
        self.set_operators(&config);
        for key in waits_for_restart(&in_force, &config) {
            tracing::warn!(key, "this change waits for a restart");
        }
        *in_force = config;
        Ok(report)
    }

    /// Puts the operators of a config in force.
    pub(in crate::server) fn set_operators(&self, config: &GatewaySettings) {
        if let Some(api) = self.api() {
            api.set_operators(OperatorDirectory::new(config.operators.clone()));
        }
    }

    /// Certificates are read again, so that a renewed one is served without a restart.
    #[expect(clippy::type_complexity, reason = "a place and what is put there, used once")]
    fn new_tls(
        &self,
        config: &GatewaySettings,
    ) -> Result<Vec<(&arc_swap::ArcSwap<rustls::ServerConfig>, Arc<rustls::ServerConfig>)>, Vec<String>> {
        let mut all = Vec::new();
        for front in &self.tls.fronts {
            let listener = match front.direction {
                crate::model::Direction::Ingress => config.listeners.ingress.as_ref(),
                crate::model::Direction::Egress => config.listeners.egress.as_ref(),
            };
            if let (Some(place), Some(tls)) = (&front.tls, listener.and_then(|listener| listener.tls.as_ref())) {
                all.push((
                    place,
                    listener::server_config(tls, front.http2).map_err(|error| vec![with_causes(&error)])?,
                ));
            }
        }
        let admin = config.listeners.admin.as_ref().and_then(|listener| listener.tls.as_ref());
        if let (Some(place), Some(tls)) = (&self.tls.admin_tls, admin) {
            all.push((place, listener::server_config(tls, false).map_err(|error| vec![with_causes(&error)])?));
        }
        Ok(all)
    }
}

/// What reads the files of a running gateway.
pub(in crate::server) fn loader() -> ConfigLoader<'static> {
    ConfigLoader {
        environment: &|name| std::env::var(name).ok(),
        missing_secrets: FaultSeverity::Fault,
        now: Clock::system().now().wall,
    }
}

/// Reads files on a thread that may block.
async fn load(main: std::path::PathBuf) -> Result<GatewaySettings, Vec<String>> {
    let read = move || {
        loader()
            .load(&main)
            .map(|loaded| loaded.config)
            .map_err(|faults| faults.as_slice().iter().map(ToString::to_string).collect())
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(vec!["reading the config panicked".to_owned()]))
}

fn difference(before: &GatewaySettings, after: &GatewaySettings) -> ReloadReport {
    let names = |contracts: Vec<&Arc<Contract>>| contracts.iter().map(|c| c.vendor.to_string()).collect::<Vec<_>>();
    let of = |config: &GatewaySettings, vendor: &VendorId| config.contract(vendor).cloned();
    let added = after.contracts.iter().filter(|c| of(before, &c.vendor).is_none()).collect();
    let changed = after.contracts.iter().filter(|c| of(before, &c.vendor).is_some_and(|old| old != **c)).collect();
    let removed = before.contracts.iter().filter(|c| of(after, &c.vendor).is_none()).collect();
    ReloadReport {
        generation: 0,
        added: names(added),
        changed: names(changed),
        removed: names(removed),
        still_cut_off: Vec::new(),
    }
}

fn waits_for_restart(before: &GatewaySettings, after: &GatewaySettings) -> impl Iterator<Item = &'static str> {
    let changed = [
        ("listeners", before.listeners != after.listeners || before.egress.socket != after.egress.socket),
        ("state", before.state != after.state),
        ("audit", before.audit != after.audit),
        ("fleet", before.fleet != after.fleet),
        ("drain", before.drain != after.drain),
        ("log", before.log != after.log),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key)
}
