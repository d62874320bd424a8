//! An authority, and a pair of certificates as ZooKeeper and its clients use them.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Certificates and keys in PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate.
    pub ca: String,
    /// Certificate and key of the server.
    pub server: (String, String),
    /// Certificate and key of clients.
    pub client: (String, String),
}

impl Certificates {
    /// New ones, for 127.0.0.1.
    pub fn generate() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "stand-in CA");
        let ca_key = KeyPair::generate().expect("a key can be made");
        let ca_pem = ca.self_signed(&ca_key).expect("the authority signs itself").pem();
        let issuer = Issuer::new(ca, ca_key);
        let pair = || {
            let key = KeyPair::generate().expect("a key can be made");
            let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
            let certificate = CertificateParams::new(names).expect("valid names").signed_by(&key, &issuer);
            (certificate.expect("the authority signs").pem(), key.serialize_pem())
        };
        let (server, client) = (pair(), pair());
        Self { ca: ca_pem, server, client }
    }

    /// Writes them into a folder: `ca.crt`, `server.pem` (certificate and key), `client.crt`, `client.key`.
    pub(super) fn write(&self, folder: &Path) -> PathBuf {
        let folder = folder.join("tls");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
        write("ca.crt", &self.ca);
        write("server.pem", &format!("{}{}", self.server.0, self.server.1));
        write("client.crt", &self.client.0);
        write("client.key", &self.client.1);
        folder
    }
}
