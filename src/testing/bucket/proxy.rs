//! A way to the servers that can be cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Server;

/// Passes connections on to the servers for as long as those run, until it is cut.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
}

impl Proxy {
    /// Opens a way to these servers.
    pub fn start(server: &Server) -> std::io::Result<Self> {
        let listener = server.runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let (is_cut, cut) = watch::channel(false);
        server.runtime.spawn(pass(listener, server.address, cut));
        Ok(Self { address, is_cut })
    }

    /// The URL of the servers by this way.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts all connections and lets none stand, or no longer.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}

async fn pass(listener: TcpListener, to: SocketAddr, cut: watch::Receiver<bool>) {
    loop {
        // A connection that fails before it stands is the client's affair.
        let Ok((mut from, _)) = listener.accept().await else { continue };
        let mut cut = cut.clone();
        tokio::spawn(async move {
            if *cut.borrow() {
                return;
            }
            let Ok(mut to) = TcpStream::connect(to).await else { return };
            // Small answers must not wait for each other.
            let _ = (from.set_nodelay(true), to.set_nodelay(true));
            tokio::select! {
                _ = copy_bidirectional(&mut from, &mut to) => {}
                _ = cut.wait_for(|is_cut| *is_cut) => {}
            }
        });
    }
}
