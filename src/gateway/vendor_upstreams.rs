//! The upstreams of one vendor while a config is put in force: all routes of a direction to the same upstream share one
//! group of targets, and what was known of the targets before is kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::ClientConfig;

use super::snapshot::VendorRuntime;
use crate::http::Url;
use crate::model::Direction;
use crate::upstream::{
    CheckedHealth, ConnectError, OwnAddresses, SocketBudget, UpstreamConnector, UpstreamGroup, UpstreamSettings,
};

/// What health checks have found of the targets, by upstream. Vendors share an internal API, and it is asked once for
/// all of them.
#[derive(Debug, Default)]
pub(super) struct SharedChecks(RefCell<HashMap<(Direction, String, String), Arc<CheckedHealth>>>);

/// What every connection to an upstream needs.
pub(super) struct ConnectionServices<'a> {
    pub(super) tls: &'a Arc<ClientConfig>,
    /// The addresses that the gateway listens on, which no upstream may be.
    pub(super) own_addresses: &'a Arc<OwnAddresses>,
    pub(super) sockets: &'a Arc<SocketBudget>,
    pub(super) workers: usize,
}

/// The groups that were made so far.
pub(super) struct VendorUpstreams<'a> {
    services: ConnectionServices<'a>,
    checks: &'a SharedChecks,
    /// The vendor as the config in force has it.
    before: Option<&'a VendorRuntime>,
    /// By direction too, since an internal API may have the name of a vendor.
    groups: HashMap<(Direction, String), Arc<UpstreamGroup>>,
}

impl<'a> VendorUpstreams<'a> {
    pub(super) fn new(
        services: ConnectionServices<'a>,
        checks: &'a SharedChecks,
        before: Option<&'a VendorRuntime>,
    ) -> Self {
        Self { services, checks, before, groups: HashMap::new() }
    }

    /// The group of an upstream.
    pub(super) fn group(
        &mut self,
        direction: Direction,
        settings: &UpstreamSettings,
    ) -> Result<Arc<UpstreamGroup>, ConnectError> {
        let key = (direction, settings.id.as_str().to_owned());
        if let Some(known) = self.groups.get(&key) {
            return Ok(Arc::clone(known));
        }
        let ConnectionServices { tls, own_addresses, sockets, workers } = &self.services;
        let before = self.before.and_then(|vendor| vendor.upstream(direction, &key.1)).map(Arc::as_ref);
        let checked = |target: &Url| {
            let mut all = self.checks.0.borrow_mut();
            let known = all.entry((direction, key.1.clone(), target.to_string()));
            Arc::clone(known.or_insert_with(|| before.and_then(|it| it.checked_health(target)).unwrap_or_default()))
        };
        let connector = || Ok(UpstreamConnector::new(settings, tls)?.avoiding(own_addresses));
        let group = UpstreamGroup::new(connector, settings, *workers, sockets, checked, before)?;
        let group = Arc::new(group);
        self.groups.insert(key, Arc::clone(&group));
        Ok(group)
    }
}
