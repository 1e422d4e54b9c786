//! What `check --strict` finds out about an engine: whether it can be used, and what of its settings may lose an order.

use redis::cmd;

use super::{FleetEngine, FleetScript};
use crate::bounds::FLEET_RESPONSE_DEADLINE;
use crate::fleet::FleetError;

/// Reads one key, as every script of ours does.
static READ: FleetScript = FleetScript::new("return redis.call('HGET', KEYS[1], 'version')");

impl FleetEngine {
    /// Connects, logs in and runs a script; returns what of the engine's settings may lose an order, a line each.
    ///
    /// # Errors
    /// [`FleetError`] where the engine cannot be used at all.
    pub async fn inspect(&self) -> Result<Vec<String>, FleetError> {
        let connection = self.connector.connect().await?;
        let mut read = cmd("EVAL");
        read.arg(READ.text()).arg(1).arg(self.key("m"));
        connection.send(&read, FLEET_RESPONSE_DEADLINE).await?;
        let info = connection.send(&cmd("INFO"), FLEET_RESPONSE_DEADLINE).await?;
        Ok(doubts(info.as_text().ok_or(FleetError::Unreadable)?))
    }
}

fn doubts(info: &str) -> Vec<String> {
    let value = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let mut doubts = Vec::new();
    if let Some(policy) = value("maxmemory_policy").filter(|policy| *policy != "noeviction") {
        doubts.push(format!(
            "the engine may throw orders away when its memory is full: maxmemory-policy is {policy}; set noeviction"
        ));
    }
    if value("aof_enabled") == Some("0") {
        doubts.push("the engine forgets the last orders when it is restarted; set appendonly yes".to_owned());
    }
    let replicas = value("connected_slaves").and_then(|count| count.parse::<u32>().ok()).unwrap_or_default();
    if replicas > 0 && value("min_slaves_good_slaves").is_none() {
        doubts.push("an old master that is cut off goes on to take orders; set min-replicas-to-write 1".to_owned());
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_may_lose_an_order_are_named() {
        let good = "# Memory\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nconnected_slaves:2\r\nmin_slaves_good_slaves:2\r\n";
        assert!(doubts(good).is_empty());
        for (from, to, named) in [
            ("noeviction", "allkeys-lru", "maxmemory-policy"),
            ("aof_enabled:1", "aof_enabled:0", "appendonly"),
            ("min_slaves_good_slaves:2\r\n", "", "min-replicas-to-write"),
        ] {
            let found = doubts(&good.replace(from, to));
            assert!(found.len() == 1 && found[0].contains(named), "{found:?}");
        }
    }
}
