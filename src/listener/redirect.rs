//! Where a connection was going that the kernel has redirected to a listener.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::gateway::ConnectionArrival;

/// How a connection has come to a listener that takes redirected ones.
pub(super) fn arrival(stream: &TcpStream) -> ConnectionArrival {
    stream.local_addr().map_or(ConnectionArrival::NotRedirected, |own| of(original(stream, own), own))
}

/// Where connection tracking knows nothing of the connection, or its first destination is the listener, nobody has
/// redirected it.
fn of(original: Option<SocketAddr>, own: SocketAddr) -> ConnectionArrival {
    let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    match original.map(canonical) {
        Some(original) if original != canonical(own) && original.port() != 0 => ConnectionArrival::Redirected(original),
        Some(_) | None => ConnectionArrival::NotRedirected,
    }
}

/// `SO_ORIGINAL_DST`, of the family that the connection is of.
#[cfg(target_os = "linux")]
fn original(stream: &TcpStream, own: SocketAddr) -> Option<SocketAddr> {
    let socket = socket2::SockRef::from(stream);
    let found = if own.ip().to_canonical().is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    found.ok()?.as_socket()
}

#[cfg(not(target_os = "linux"))]
fn original(_: &TcpStream, _: SocketAddr) -> Option<SocketAddr> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_redirected_where_it_was_going_elsewhere() {
        let at = |text: &str| text.parse::<SocketAddr>().expect(text);
        for (original, own, expected) in [
            (Some("192.0.2.1:443"), "127.0.0.1:8081", Some("192.0.2.1:443")),
            (Some("[::ffff:192.0.2.1]:443"), "[::ffff:127.0.0.1]:8081", Some("192.0.2.1:443")),
            (Some("[2001:db8::1]:443"), "[::1]:8081", Some("[2001:db8::1]:443")),
            (Some("127.0.0.1:443"), "127.0.0.1:8081", Some("127.0.0.1:443")),
            (Some("127.0.0.1:8081"), "127.0.0.1:8081", None),
            (Some("127.0.0.1:8081"), "[::ffff:127.0.0.1]:8081", None),
            (Some("192.0.2.1:0"), "127.0.0.1:8081", None),
            (None, "127.0.0.1:8081", None),
        ] {
            let expected =
                expected.map_or(ConnectionArrival::NotRedirected, |to| ConnectionArrival::Redirected(at(to)));
            assert_eq!(of(original.map(at), at(own)), expected, "{original:?} {own}");
        }
    }
}
