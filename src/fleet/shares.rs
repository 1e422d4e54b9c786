//! Fetches this gateway's shares of rates and slots from the engine, twice a second.
//!
//! The rules are in `meter::lease::share` and, at the engine, in `shares.lua`.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::engine::{EngineValue, FleetScript};
use super::{FleetError, FleetMember};
use crate::bounds::{LEASE_BEAT, LEASE_LIMITS_PER_CALL, SHARE_BEATS, SHARE_LIFE};
use crate::meter::{LimitShare, SHARED_MILLIONTHS, ShareAsk};

static SHARES: FleetScript = FleetScript::new(include_str!("shares.lua"));

impl FleetMember {
    /// Fetches shares until the future is dropped.
    pub(super) async fn keep_shares(&self) {
        let mut tick = interval(LEASE_BEAT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for beat in 0_u32.. {
            tick.tick().await;
            self.leases().age_shares(self.clock().now().monotonic_ns);
            if beat.is_multiple_of(SHARE_BEATS) {
                self.fetch_shares().await;
            }
        }
    }

    async fn fetch_shares(&self) {
        let asked = self.leases().ask_shares(self.clock().now().monotonic_ns);
        for chunk in asked.chunks(LEASE_LIMITS_PER_CALL) {
            let sent_ns = self.clock().now().monotonic_ns;
            match self.ask_for_shares(chunk).await {
                Ok(parts) => {
                    for ((share, _), (part, target)) in chunk.iter().zip(parts) {
                        self.leases().share_answered(share, part, target, sent_ns);
                    }
                }
                // What was handed out ends by itself.
                Err(error) => tracing::debug!(%error, "the fleet's engine gave no shares"),
            }
        }
    }

    async fn ask_for_shares(&self, asked: &[(Arc<LimitShare>, ShareAsk)]) -> Result<Vec<(u32, u32)>, FleetError> {
        let names = asked.iter().map(|(_, ask)| format!("s:{}", ask.name));
        let keys: Vec<String> = std::iter::once("l".to_owned()).chain(names).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let asks: Vec<&ShareAsk> = asked.iter().map(|(_, ask)| ask).collect();
        let asks = serde_json::to_vec(&asks).unwrap_or_default();
        let (life, whole) = (SHARE_LIFE.as_millis().to_string(), SHARED_MILLIONTHS.to_string());
        let arguments = [self.leases().gateway().as_bytes(), life.as_bytes(), whole.as_bytes(), &asks];
        let answer = self.engine().run_script(&SHARES, &keys, &arguments).await?;
        let parts: Option<Vec<_>> = answer.as_list().iter().map(part).collect();
        parts.filter(|parts| parts.len() == asked.len()).ok_or(FleetError::Unreadable)
    }
}

fn part(answer: &EngineValue) -> Option<(u32, u32)> {
    let [part, target] = answer.as_list() else { return None };
    let millionths = |value: &EngineValue| u32::try_from(value.as_integer()?).ok();
    Some((millionths(part)?, millionths(target)?))
}
