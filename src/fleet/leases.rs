//! Fetches leases of shared limits from the engine, off the path of any request.
//!
//! One call is under way at a time. What runs out meanwhile is in the next, so a call serves all limits at once when
//! there is much to do. The rules are in `meter::lease` and, at the engine, in `leases.lua`.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::engine::{EngineValue, FleetScript};
use super::{FleetError, FleetMember};
use crate::bounds::{FLEET_HEARTBEAT, LEASE_BEAT, LEASE_LIMITS_PER_CALL, LEASE_RECOVERY_MIN, LEASE_RETRY_PAUSE};
use crate::meter::{FleetTime, LeaseCall, LeaseGrant, LeasePool, LeaseReply};

static LEASES: FleetScript = FleetScript::new(include_str!("leases.lua"));

impl FleetMember {
    /// Fetches leases until the future is dropped.
    pub(super) async fn keep_leases(&self) {
        let (mut called_ns, mut looked_ns) = (0, 0);
        loop {
            let hungry = timeout(LEASE_BEAT, poll_fn(|cx| self.leases().poll_hungry(cx))).await;
            let now_ns = self.clock().now().monotonic_ns;
            let is_over = |since_ns: u64, span| Duration::from_nanos(now_ns.saturating_sub(since_ns)) >= span;
            let mut pools = hungry.unwrap_or_default();
            // Also while some pools are hungry all the time: the engine may wait to be told of others.
            if is_over(looked_ns, LEASE_BEAT) {
                looked_ns = now_ns;
                let due = self.leases().due(now_ns).into_iter();
                let more: Vec<_> = due.filter(|pool| !pools.iter().any(|known| Arc::ptr_eq(known, pool))).collect();
                pools.extend(more);
            }
            let is_silent = is_over(called_ns, FLEET_HEARTBEAT);
            if pools.is_empty() && !is_silent {
                continue;
            }
            called_ns = now_ns;
            let chunks = pools.chunks(LEASE_LIMITS_PER_CALL).chain(pools.is_empty().then_some(&[][..]));
            for chunk in chunks {
                if !self.fetch_leases(chunk).await {
                    // The engine is away, or waits for the gateways: asking faster brings nothing.
                    sleep(LEASE_RETRY_PAUSE).await;
                }
            }
        }
    }

    /// One call; returns whether the engine grants leases.
    async fn fetch_leases(&self, pools: &[Arc<LeasePool>]) -> bool {
        let call = self.leases().call(pools, self.clock().now().monotonic_ns);
        let answer = self.ask_for_leases(&call).await;
        let now_ns = self.clock().now().monotonic_ns;
        match answer {
            Ok(reply) => {
                self.leases().answered(pools, &reply, now_ns);
                !reply.time.is_recovering
            }
            Err(error) => {
                tracing::debug!(%error, "the fleet's engine gave no leases");
                self.leases().unanswered(pools, now_ns);
                false
            }
        }
    }

    async fn ask_for_leases(&self, call: &LeaseCall) -> Result<LeaseReply, FleetError> {
        let names = call
            .asks
            .iter()
            .flat_map(|ask| [format!("l:{}:u", ask.name), format!("l:{}:g:{}", ask.name, call.gateway)]);
        let keys: Vec<String> = ["l".to_owned(), "ln".to_owned()].into_iter().chain(names).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let asks = serde_json::to_vec(&call.asks).unwrap_or_default();
        let (nodes, expects) = (call.nodes.to_string(), call.expects_ms.to_string());
        let recovery = LEASE_RECOVERY_MIN.as_millis().to_string();
        let texts = [&*call.gateway, &call.told, &nodes, &expects].map(str::as_bytes);
        let [gateway, told, nodes, expects] = texts;
        let arguments = [gateway, told, nodes, expects, &asks, recovery.as_bytes()];
        let answer = self.engine().run_script(&LEASES, &keys, &arguments).await?;
        read(&answer).filter(|reply| reply.grants.len() == call.asks.len()).ok_or(FleetError::Unreadable)
    }
}

fn read(answer: &EngineValue) -> Option<LeaseReply> {
    let [epoch, now_ms, nodes, is_recovering, grants] = answer.as_list() else { return None };
    let time = FleetTime {
        epoch: epoch.as_text()?.to_owned(),
        now_ms: now_ms.as_count()?,
        nodes: nodes.as_count()?,
        is_recovering: is_recovering.as_count()? > 0,
    };
    let grants = grants.as_list().iter().map(grant).collect::<Option<_>>()?;
    Some(LeaseReply { time, grants })
}

fn grant(answer: &EngineValue) -> Option<LeaseGrant> {
    let [granted, slot, own, used, used_at_ms, retry_ms, is_recovering] = answer.as_list() else { return None };
    Some(LeaseGrant {
        granted: granted.as_count()?,
        slot: slot.as_count()?,
        own: own.as_count()?,
        used: used.as_count()?,
        used_at_ms: used_at_ms.as_count()?,
        retry_ms: retry_ms.as_count()?,
        is_recovering: is_recovering.as_count()? > 0,
    })
}
