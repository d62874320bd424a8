//! A ZooKeeper server of its own, which talks TLS only, as Zuul wants it.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Server, free_port};
use super::{Certificates, program};

/// Where Debian keeps its libraries.
const JARS: &str = "/usr/share/java";

/// A running server.
pub struct ZooKeeper {
    port: u16,
    tls: PathBuf,
    data: PathBuf,
    /// Held for its end.
    _server: Server,
}

impl ZooKeeper {
    /// True if the server and a Java to run it are on this machine.
    pub fn installed() -> bool {
        program("java").is_some() && Path::new(JARS).join("zookeeper.jar").is_file()
    }

    /// Starts a server that keeps everything in this folder.
    pub fn start(folder: &Path, certificates: &Certificates) -> Self {
        let home = folder.join("zookeeper");
        let data = home.join("data");
        std::fs::create_dir_all(&data).expect("a folder can be made");
        let (tls, port) = (certificates.write(folder), free_port());
        let options = format!(
            "dataDir={}\nsecureClientPort={port}\nsecureClientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             ssl.keyStore.location={tls}/server.pem\nssl.keyStore.type=PEM\n\
             ssl.trustStore.location={tls}/ca.crt\nssl.trustStore.type=PEM\nssl.clientAuth=need\n",
            data.display(),
            tls = tls.display(),
        );
        let file = home.join("zoo.cfg");
        std::fs::File::create(&file).and_then(|mut file| file.write_all(options.as_bytes())).expect("written");
        let mut command = Command::new("java");
        command
            .args(["-Xmx256m", "-cp", &format!("{JARS}/*")])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
        command.arg(file).current_dir(&home);
        let server = Server::start(command, &home.join("log"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, tls, data, _server: server }
    }

    /// The part of a `zuul.conf` that connects to it.
    pub fn zuul_conf(&self) -> String {
        let tls = self.tls.display();
        format!(
            "[zookeeper]\nhosts=127.0.0.1:{}\ntls_cert={tls}/client.crt\ntls_key={tls}/client.key\ntls_ca={tls}/ca.crt\n",
            self.port
        )
    }

    /// Where it keeps its data.
    pub fn data(&self) -> &Path {
        &self.data
    }
}
