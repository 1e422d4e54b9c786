//! The end of a listening socket, which loses no connection that a client takes for open.
//!
//! The kernel opens connections by itself and resets those that nobody has accepted when the socket closes. So the
//! socket first takes no new ones, then those that it has are accepted, and only then it is closed.

use std::io;

use socket2::SockRef;
use tokio::net::TcpListener;

/// Has the kernel open no more connections on an address. Those whose handshake has begun are still opened. A client
/// whose SYN is dropped sends it again after a second, and finds the next listener of the address, or none.
#[cfg(target_os = "linux")]
pub(super) fn drop_new_handshakes(listener: &TcpListener) -> io::Result<()> {
    use socket2::SockFilter;
    /// Where the flags are in a TCP header, which is what the filter of a TCP socket is given.
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    // Classic BPF: load the byte, keep its two flags, compare with SYN, drop where equal, else keep all bytes.
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(0x30, 0, 0, FLAGS_OFFSET),
        SockFilter::new(0x54, 0, 0, SYN | ACK),
        SockFilter::new(0x15, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ])
}

/// Other systems have no such filter: a connection that is opened between the last accept and the close is reset.
#[cfg(not(target_os = "linux"))]
pub(super) fn drop_new_handshakes(_listener: &TcpListener) -> io::Result<()> {
    Ok(())
}
