//! Receives the coverage that executors report while a query of this process runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;

use crate::coverage::{Ledger, Line, NOTED, Report};

/// The longest line, and the longest time that one may take.
const LINE: u64 = 64 << 10;
const TIME: Duration = Duration::from_secs(10);

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    token: String,
    task: AbortHandle,
}

impl Receiver {
    /// Listens at the address from which the scheduler is reached.
    pub(super) async fn start(scheduler: &str, ledger: Arc<Ledger>) -> Result<Self> {
        let listener = TcpListener::bind((own_address(scheduler).await, 0)).await?;
        let address = listener.local_addr()?;
        let token = uuid::Uuid::new_v4().to_string();
        let expected = token.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (expected, ledger) = (expected.clone(), Arc::clone(&ledger));
                tokio::spawn(tokio::time::timeout(TIME, receive(stream, expected, ledger)));
            }
        });
        Ok(Self { address, token, task: task.abort_handle() })
    }

    pub(super) fn report(&self) -> Report {
        Report::Remote { address: self.address.to_string(), token: self.token.clone() }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(stream: TcpStream, expected: String, ledger: Arc<Ledger>) -> Result<()> {
    let mut line = String::new();
    let (from, mut to) = stream.into_split();
    BufReader::new(from.take(LINE)).read_line(&mut line).await?;
    let Line { token, coverage } =
        serde_json::from_str(&line).map_err(|error| exec_datafusion_err!("no coverage: {error}"))?;
    if token == expected {
        ledger.push(coverage);
        to.write_all(NOTED).await?;
    }
    Ok(())
}

/// Returns the address of this machine from which the scheduler is reached. Nothing is sent.
async fn own_address(scheduler: &str) -> IpAddr {
    let host = scheduler.split("://").last().unwrap_or_default().trim_end_matches('/').to_owned();
    let found = async {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect(host).await?;
        socket.local_addr()
    };
    found.await.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |it| it.ip())
}
