//! A plain reverse proxy on the same HTTP library as the gateway, with no policy at all: what the gateway is measured
//! against.
//!
//! `cargo run --release --example bare_proxy -- LISTEN_PORT ORIGIN_PORT`. One thread, keep-alive both ways, bodies
//! streamed untouched. Not a product: it has no deadline, no bound and no check.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

type Idle = Rc<RefCell<Vec<SendRequest<Incoming>>>>;
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Box<dyn Error>> {
    let ports: Vec<u16> = std::env::args().skip(1).map(|port| port.parse()).collect::<Result<_, _>>()?;
    let [listen, origin] = ports[..] else { return Err("usage: bare_proxy LISTEN_PORT ORIGIN_PORT".into()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(listen, origin))
}

async fn run(listen: u16, origin: u16) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", listen)).await?;
    let idle: Idle = Rc::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let idle = Rc::clone(&idle);
        let service = service_fn(move |request| forward(request, Rc::clone(&idle), origin));
        tokio::task::spawn_local(server::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn forward(request: Request<Incoming>, idle: Idle, origin: u16) -> Result<Response<Incoming>, Failure> {
    let mut sender = match next_ready(&idle) {
        Some(sender) => sender,
        None => connect(origin).await?,
    };
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    // Handed back at once: `ready` above waits until the answer before has been read.
    idle.borrow_mut().insert(0, sender);
    Ok(response)
}

fn next_ready(idle: &Idle) -> Option<SendRequest<Incoming>> {
    let mut idle = idle.borrow_mut();
    idle.retain(|sender| !sender.is_closed());
    let at = idle.iter().rposition(SendRequest::is_ready)?;
    Some(idle.swap_remove(at))
}

async fn connect(origin: u16) -> Result<SendRequest<Incoming>, Failure> {
    let stream = TcpStream::connect(("127.0.0.1", origin)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
