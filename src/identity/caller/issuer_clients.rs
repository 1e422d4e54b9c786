//! Finds the vendor of a token among the clients of one issuer, by the claims that the contracts name.
//!
//! Reads claims that are not verified yet: good only for finding whose keys to try.

use std::collections::HashMap;

use crate::identity::directory::ClientEntry;
use crate::identity::error::AuthError;
use crate::identity::json::Object;
use crate::identity::token::claim_names::ClaimPath;
use crate::identity::token::claims;

/// The clients of one issuer.
#[derive(Debug)]
pub(crate) struct IssuerClients {
    /// The index of any vendor that uses this issuer's keys.
    pub(crate) any_vendor: u32,
    /// One entry for each set of claims in which contracts look for the client.
    clients: Vec<ClientsByClaims>,
}

/// The clients of all contracts that read the client from the same claims.
#[derive(Debug)]
struct ClientsByClaims {
    claims: Vec<ClaimPath>,
    named: HashMap<Box<str>, ClientEntry>,
}

impl IssuerClients {
    pub(crate) const fn of(any_vendor: u32) -> Self {
        Self { any_vendor, clients: Vec::new() }
    }

    /// The client that a payload names; `None` when no contract has that client.
    ///
    /// # Errors
    /// When no claim can be read as a client, or when two contracts claim the token for different vendors.
    pub(crate) fn find(&self, payload: &Object) -> Result<Option<&ClientEntry>, AuthError> {
        let (mut found, mut error) = (None::<&ClientEntry>, None);
        let mut is_read = false;
        for clients in &self.clients {
            match claims::client(payload, &clients.claims) {
                Ok(client) => {
                    is_read = true;
                    let named = clients.named.get(client);
                    if found.zip(named).is_some_and(|(one, other)| one.vendor != other.vendor) {
                        return Err(AuthError::ClientAmbiguous);
                    }
                    found = found.or(named);
                }
                Err(why) => error = error.or(Some(why)),
            }
        }
        match error {
            Some(error) if !is_read => Err(error),
            Some(_) | None => Ok(found),
        }
    }

    /// Whether a vendor has this client under these claims.
    pub(crate) fn has(&self, claims: &[ClaimPath], client: &str, vendor: u32) -> bool {
        let named = self.clients.iter().find(|clients| clients.claims == claims);
        named.and_then(|clients| clients.named.get(client)).is_some_and(|named| named.vendor == vendor)
    }

    /// The clients that are read from these claims.
    pub(crate) fn by_claims(&mut self, claims: &[ClaimPath]) -> &mut HashMap<Box<str>, ClientEntry> {
        let at = self.clients.iter().position(|clients| clients.claims == claims).unwrap_or_else(|| {
            self.clients.push(ClientsByClaims { claims: claims.to_vec(), named: HashMap::new() });
            self.clients.len() - 1
        });
        &mut self.clients[at].named
    }
}
