//! The query of an admin call: only parameters that its endpoint lists, each at most once.

use percent_encoding::percent_decode_str;

use super::endpoint::QueryParameter;
use super::orders::parse_since;
use super::problem::AdminError;
use crate::bounds::AUDIT_PAGE_MAX;
use crate::model::UnixTime;

/// Most audit entries in an answer, where the caller names no number.
const AUDIT_PAGE: usize = 100;

/// Parameters, decoded.
#[derive(Debug, Default)]
pub(super) struct AdminQuery(Vec<(String, String)>);

impl AdminQuery {
    /// Reads a query against the parameters of a call.
    pub(super) fn read(query: Option<&str>, parameters: &[QueryParameter]) -> Result<Self, AdminError> {
        let mut found = Self::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !parameters.iter().any(|parameter| parameter.name == name) {
                return Err(AdminError::QueryMalformed(
                    "a parameter is unknown; GET /openapi.json lists those of each call",
                ));
            }
            if found.value(&name).is_some() {
                return Err(AdminError::QueryMalformed("a parameter is given twice"));
            }
            found.0.push((name, value));
        }
        Ok(found)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The time of `since`, where it is given.
    pub(super) fn since(&self, now: UnixTime) -> Result<Option<UnixTime>, AdminError> {
        let Some(text) = self.value("since") else { return Ok(None) };
        let since = parse_since(text, now);
        since.map(Some).ok_or(AdminError::QueryMalformed("write since as 2026-11-21T20:00:00Z, or how long ago: 24h"))
    }

    pub(super) fn after(&self) -> Result<Option<u64>, AdminError> {
        let after = self.value("after").map(str::parse).transpose();
        after.map_err(|_| AdminError::QueryMalformed("write after as the sequence number of an entry"))
    }

    pub(super) fn limit(&self) -> Result<usize, AdminError> {
        let limit = self.value("limit").map_or(Ok(AUDIT_PAGE), str::parse);
        match limit {
            Ok(limit) if (1..=AUDIT_PAGE_MAX).contains(&limit) => Ok(limit),
            Ok(_) | Err(_) => Err(AdminError::QueryMalformed("write limit as a number from 1 to 1000")),
        }
    }
}

fn decode(text: &str) -> Result<String, AdminError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| AdminError::QueryMalformed("a parameter is not UTF-8"))
}
