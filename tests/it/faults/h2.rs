//! A hand-written HTTP/2 server: it parses the frames that it needs, and sends those of a script.

use std::sync::Arc;
use std::time::Duration;

use actionlog::ReqwestClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::server::{A_MOMENT, FOREVER, Plan, Seen, Server, Then, good, usual};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

/// The parts of frames.
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) good: String,
}

/// What the server does with one complete request.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Good,
    Write(Frames, Then),
    /// Writes the first, and the second once that has been read: frames that arrive together may be processed in
    /// another order.
    WriteBoth(Frames, Frames),
}

pub(super) type Frames = fn(&Stream) -> Vec<u8>;

/// Whether the server sends anything.
#[derive(Clone, Copy)]
pub(super) enum Greeting {
    Usual,
    /// Reads and sends nothing. If the value is true, the client sends keep-alive pings.
    Silent {
        pings: bool,
    },
}

impl Server {
    /// A server of HTTP/2 without TLS, and a client with prior knowledge of that.
    pub(super) async fn http2(greeting: Greeting, plan: Plan<Act>) -> Self {
        let mut server = Self::start(move |stream, seen, _| serve(stream, greeting, plan.clone(), seen)).await;
        let mut client = usual().http2_prior_knowledge();
        if let Greeting::Silent { pings: true } = greeting {
            let soon = Duration::from_millis(100);
            client = client.http2_keep_alive_interval(soon).http2_keep_alive_timeout(soon);
            client = client.http2_keep_alive_while_idle(true);
        }
        server.http_client = Some(ReqwestClient::from_reqwest(client.build().unwrap()));
        server
    }
}

async fn serve(mut stream: TcpStream, greeting: Greeting, plan: Plan<Act>, seen: Arc<Seen>) -> std::io::Result<()> {
    // "PRI * HTTP/2.0", and so on.
    stream.read_exact(&mut [0; 24]).await?;
    match greeting {
        Greeting::Usual => stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?,
        Greeting::Silent { .. } => {}
    }
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        match (kind, greeting) {
            (HEADERS | DATA, Greeting::Silent { .. }) if flags & END_STREAM != 0 => drop(plan.next(&seen)),
            (_, Greeting::Silent { .. }) => {}
            (SETTINGS, _) if flags & ACK == 0 => {
                stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
            }
            (PING, _) if flags & ACK == 0 => stream.write_all(&frame(PING, ACK, 0, &payload)).await?,
            // A create ends with its body, any other request with its head.
            (HEADERS | DATA, _) if flags & END_STREAM != 0 => {
                let request = Stream { id: u32::from_be_bytes(id), good: good(kind == DATA) };
                let act = plan.next(&seen);
                let (bytes, then) = match act {
                    Act::Good => (response(&request), Then::Keep),
                    Act::Write(bytes, then) => (bytes(&request), then),
                    Act::WriteBoth(first, second) => {
                        stream.write_all(&first(&request)).await?;
                        sleep(A_MOMENT).await;
                        (second(&request), Then::Keep)
                    }
                };
                stream.write_all(&bytes).await?;
                match then {
                    Then::Keep => {}
                    Then::Close | Then::Vanish => break,
                    Then::Reset => {
                        sleep(A_MOMENT).await;
                        return stream.set_zero_linger();
                    }
                    Then::Hang => sleep(FOREVER).await,
                }
            }
            _ => {}
        }
    }
    stream.shutdown().await?;
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    let mut out = length.to_vec();
    out.extend([kind, flags]);
    out.extend(id.to_be_bytes());
    out.extend(payload);
    out
}

/// The head of a response with status 200: entry 8 of HPACK's static table.
pub(super) fn head(stream: &Stream) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream.id, &[0x88])
}

/// The same, with the content length of a valid body.
pub(super) fn head_with_length(stream: &Stream) -> Vec<u8> {
    let length = stream.good.len().to_string();
    // Entry 28 is `content-length`; 15 of that fit into the first byte.
    let field = [&[0x88, 0x0f, 28 - 15, length.len() as u8][..], length.as_bytes()].concat();
    frame(HEADERS, END_HEADERS, stream.id, &field)
}

/// The last part of a valid body, and the part before it.
pub(super) fn body(stream: &Stream) -> (Vec<u8>, Vec<u8>) {
    let (first, last) = stream.good.as_bytes().split_at(stream.good.len() / 2);
    (frame(DATA, 0, stream.id, first), frame(DATA, END_STREAM, stream.id, last))
}

/// A valid response.
pub(super) fn response(stream: &Stream) -> Vec<u8> {
    let (first, last) = body(stream);
    [head(stream), first, last].concat()
}

pub(super) fn reset(stream: &Stream, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream.id, &reason.to_be_bytes())
}

/// A GOAWAY: no stream after this one was or will be processed.
pub(super) fn go_away(last: u32, reason: u32, debug: &str) -> Vec<u8> {
    let payload = [&last.to_be_bytes()[..], &reason.to_be_bytes(), debug.as_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}
