//! An HTTP/1 client on a bare socket: it sends any bytes as they are, and tells how an answer ended.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// A connection.
pub(crate) struct Client {
    stream: Box<dyn ReadWrite>,
    unread: Vec<u8>,
}

/// Any stream that a connection can be made of.
pub(crate) trait ReadWrite: Read + Write + Send {}

impl<T: Read + Write + Send> ReadWrite for T {}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// The body is complete.
    Whole,
    /// The connection was closed before the end of the body.
    Closed,
    /// The connection was reset before the end of the body.
    Reset,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head in lower case, except for values.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) ending: BodyEnd,
    /// Every byte of the answer as it came.
    pub(crate) raw: Vec<u8>,
}

impl Answer {
    /// A field's value.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The reason of a refusal.
    #[track_caller]
    pub(crate) fn reason(&self) -> String {
        let json = self.json();
        assert_eq!(json["type"], format!("urn:vendorgate:{}", json["reason"].as_str().unwrap_or_default()));
        assert_eq!(json["status"], self.status);
        assert_eq!(self.field("content-type"), Some("application/problem+json"));
        json["reason"].as_str().expect("a reason").to_owned()
    }

    /// Whether these bytes are anywhere in the answer.
    pub(crate) fn holds(&self, needle: &str) -> bool {
        self.raw.windows(needle.len()).any(|window| window == needle.as_bytes())
            || self.body.windows(needle.len()).any(|window| window == needle.as_bytes())
    }
}

impl Client {
    /// Connects.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(tcp(address))
    }

    /// Speaks over another stream than plain TCP.
    pub(crate) fn over(stream: impl ReadWrite + 'static) -> Self {
        Self { stream: Box::new(stream), unread: Vec::new() }
    }

    /// Sends bytes as they are. An error is ignored, because the other side may close early.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        let _ = self.stream.flush();
        self
    }

    /// A `GET` with a token.
    pub(crate) fn get(&mut self, path: &str, token: &str) -> Answer {
        self.send(request("GET", path, token, ""));
        self.answer()
    }

    /// The next final answer; status 0 where the connection ended before one.
    pub(crate) fn answer(&mut self) -> Answer {
        loop {
            let answer = self.one_answer(false);
            if !(100..200).contains(&answer.status) {
                return answer;
            }
        }
    }

    /// The next answer, including interim ones.
    pub(crate) fn any_answer(&mut self) -> Answer {
        self.one_answer(false)
    }

    /// The answer to a `HEAD`.
    pub(crate) fn answer_to_head(&mut self) -> Answer {
        self.one_answer(true)
    }

    /// The head of the next answer alone; its body is still to be read with [`Client::more`].
    pub(crate) fn head(&mut self) -> Answer {
        let mut answer = Answer {
            status: 0,
            fields: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            ending: BodyEnd::Whole,
            raw: Vec::new(),
        };
        match self.take_until(b"\r\n\r\n") {
            Ok(head) => {
                answer.raw.extend_from_slice(&head);
                let text = String::from_utf8_lossy(&head).into_owned();
                let mut lines = text.split("\r\n");
                let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
                answer.status = status.unwrap_or(0);
                answer.fields = lines.filter_map(field).collect();
            }
            Err(ending) => answer.ending = ending,
        }
        answer
    }

    /// Some more bytes as they came; none at the end.
    pub(crate) fn more(&mut self) -> Result<Vec<u8>, BodyEnd> {
        if self.unread.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Whether the other end has closed, with nothing more sent.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.fill().is_err()
    }

    fn one_answer(&mut self, to_head: bool) -> Answer {
        let mut answer = self.head();
        if answer.status == 0 || answer.status < 200 || to_head || matches!(answer.status, 204 | 304) {
            return answer;
        }
        let length = answer.field("content-length").map(|length| length.parse::<usize>().expect("a length"));
        let outcome = match (answer.field("transfer-encoding"), length) {
            (Some(_), _) => self.chunked(&mut answer),
            (None, Some(length)) => self.sized(length, &mut answer),
            (None, None) => self.until_close(&mut answer),
        };
        answer.ending = outcome.err().unwrap_or(BodyEnd::Whole);
        answer
    }

    fn chunked(&mut self, answer: &mut Answer) -> Result<(), BodyEnd> {
        loop {
            let line = self.take_until(b"\r\n")?;
            answer.raw.extend_from_slice(&line);
            let size = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let size = usize::from_str_radix(&size, 16).expect("a chunk size");
            if size == 0 {
                loop {
                    let line = self.take_until(b"\r\n")?;
                    answer.raw.extend_from_slice(&line);
                    match field(String::from_utf8_lossy(&line).trim_end()) {
                        Some(trailer) => answer.trailers.push(trailer),
                        None => return Ok(()),
                    }
                }
            }
            self.sized(size, answer)?;
            answer.raw.extend_from_slice(&self.take_until(b"\r\n")?);
        }
    }

    /// Reads this many bytes of body; keeps those that came before an early end.
    fn sized(&mut self, length: usize, answer: &mut Answer) -> Result<(), BodyEnd> {
        let mut left = length;
        while left > 0 {
            if self.unread.is_empty() {
                self.fill()?;
            }
            let piece: Vec<u8> = self.unread.drain(..left.min(self.unread.len())).collect();
            left -= piece.len();
            answer.raw.extend_from_slice(&piece);
            answer.body.extend_from_slice(&piece);
        }
        Ok(())
    }

    fn until_close(&mut self, answer: &mut Answer) -> Result<(), BodyEnd> {
        loop {
            let piece = std::mem::take(&mut self.unread);
            answer.raw.extend_from_slice(&piece);
            answer.body.extend_from_slice(&piece);
            match self.fill() {
                Ok(()) => {}
                Err(BodyEnd::Closed | BodyEnd::Whole) => return Ok(()),
                Err(BodyEnd::Reset) => return Err(BodyEnd::Reset),
            }
        }
    }

    fn take_until(&mut self, mark: &[u8]) -> Result<Vec<u8>, BodyEnd> {
        loop {
            if let Some(at) = self.unread.windows(mark.len()).position(|window| window == mark) {
                return Ok(self.unread.drain(..at + mark.len()).collect());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), BodyEnd> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(BodyEnd::Closed),
            Ok(read) => {
                self.unread.extend_from_slice(&piece[..read]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?}; so far: {:?}", String::from_utf8_lossy(&self.unread))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(BodyEnd::Closed),
            Err(_) => Err(BodyEnd::Reset),
        }
    }
}

/// A socket with timeouts, so that a test fails instead of hanging.
pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends bytes on a connection of their own and returns all that comes back until the other end closes.
pub(crate) fn exchange_raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = tcp(address);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    // A reset after the answer is an acceptable end.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The text of a request. With a body it gets a length and the content type JSON.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: api.example.com\r\n");
    if !token.is_empty() {
        text.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// A `GET` on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str, token: &str) -> Answer {
    Client::to(address).get(path, token)
}

/// An operator's call.
pub(crate) fn admin(address: SocketAddr, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let mut client = Client::to(address);
    let host = format!("Host: {address}");
    let body = if method == "POST" && body.is_empty() { "{}" } else { body };
    client.send(request(method, path, token, body).replace("Host: api.example.com", &host));
    client.answer()
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}
