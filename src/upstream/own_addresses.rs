//! The addresses that this gateway listens on itself: none of them is an upstream, as the request would come back.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, OnceLock};

use crate::bounds::DIALS_REMEMBERED;
use crate::http::HostPort;
use crate::model::Lock as _;

/// The gateway's own addresses. They are set once its sockets are bound, before anything is served.
#[derive(Debug, Default)]
pub struct OwnAddresses {
    bound: OnceLock<Box<[SocketAddr]>>,
    /// The connections that were dialled last, by both ends; unset where no connection is redirected to the gateway.
    dialled: OnceLock<Mutex<VecDeque<(SocketAddr, SocketAddr)>>>,
}

impl OwnAddresses {
    /// Sets them. Only the first call has an effect.
    pub fn set(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let _ = self.bound.set(addresses.into_iter().collect());
    }

    /// Remembers from now on what is dialled, so that the gateway knows a connection of its own that the kernel has
    /// redirected back to it.
    pub fn remember_dials(&self) {
        self.dialled.get_or_init(Mutex::default);
    }

    /// A connection was dialled. Call it before anything is sent.
    pub(super) fn note_dialled(&self, from: SocketAddr, to: SocketAddr) {
        let Some(dialled) = self.dialled.get() else { return };
        let mut dialled = dialled.locked();
        if dialled.len() >= DIALS_REMEMBERED {
            dialled.pop_front();
        }
        dialled.push_back((from, to));
    }

    /// Whether a connection with these ends is one of the last that the gateway has dialled.
    pub fn has_dialled(&self, from: SocketAddr, to: SocketAddr) -> bool {
        self.dialled.get().is_some_and(|dialled| dialled.locked().contains(&(from, to)))
    }

    /// Whether a connection to this address would end at the gateway itself.
    pub fn include(&self, to: SocketAddr) -> bool {
        let ip = to.ip().to_canonical();
        let is_own = |own: IpAddr| own == ip || own.is_unspecified() && (ip.is_loopback() || ip.is_unspecified());
        self.ports(to.port()).any(|own| is_own(own.to_canonical()))
    }

    /// Whether an open connection ends at the gateway itself. Tells also where a listener is bound to every address of
    /// the machine: the kernel then gives both ends the same one.
    pub fn are_reached(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let is_here = from.ip() == to.ip();
        self.include(to) || is_here && self.ports(to.port()).any(|own| own.is_unspecified())
    }

    /// Whether a host and port are the gateway's own address, as far as they say it by themselves.
    pub fn are_named(&self, destination: &HostPort<'_>) -> bool {
        let is_localhost = destination.host == "localhost";
        let address = if is_localhost { Some(Ipv4Addr::LOCALHOST.into()) } else { destination.address() };
        address.is_some_and(|ip: IpAddr| self.include(SocketAddr::new(ip, destination.port)))
    }

    fn ports(&self, port: u16) -> impl Iterator<Item = IpAddr> {
        let all = self.bound.get().map(|all| &**all).unwrap_or_default();
        all.iter().filter(move |own| own.port() == port).map(SocketAddr::ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_by_each() {
        let own = OwnAddresses::default();
        let at = |text: &str| text.parse().expect(text);
        assert!(!own.include(at("127.0.0.1:8081")), "nothing is bound yet");
        own.set([at("127.0.0.1:8081"), at("0.0.0.0:8080")]);
        for (to, expected) in [
            ("127.0.0.1:8081", true),
            ("[::ffff:127.0.0.1]:8081", true),
            ("127.0.0.2:8081", false),
            ("127.0.0.1:8080", true),
            ("0.0.0.0:8080", true),
            ("[::1]:8080", true),
            ("127.0.0.1:9000", false),
            ("192.0.2.7:8080", false),
        ] {
            assert_eq!(own.include(at(to)), expected, "{to}");
        }
        assert!(own.are_reached(at("192.0.2.7:50000"), at("192.0.2.7:8080")));
        assert!(!own.are_reached(at("192.0.2.8:50000"), at("192.0.2.7:8080")));
        assert!(!own.are_reached(at("192.0.2.7:50000"), at("192.0.2.7:8081")));
    }

    #[test]
    fn the_last_dials_are_known_again_where_they_are_remembered() {
        let own = OwnAddresses::default();
        let at = |port: usize| SocketAddr::from(([192, 0, 2, 7], u16::try_from(port).expect("a port")));
        own.note_dialled(at(1), at(443));
        assert!(!own.has_dialled(at(1), at(443)), "nothing is redirected");
        own.remember_dials();
        (1..=DIALS_REMEMBERED + 1).for_each(|port| own.note_dialled(at(port), at(443)));
        assert!(own.has_dialled(at(2), at(443)) && !own.has_dialled(at(2), at(80)));
        assert!(!own.has_dialled(at(1), at(443)), "the oldest is forgotten");
    }
}
