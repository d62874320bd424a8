//! The cluster's certificates: an authority of its own, and a server certificate for 127.0.0.1.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a server needs for TLS.
pub(super) struct Identity {
    /// The certificate of the authority, for clients.
    pub(super) ca_pem: String,
    pub(super) acceptor: TlsAcceptor,
}

/// Makes a new authority and a server certificate. One certificate alone would not do: clients refuse an authority's
/// own certificate as that of a server.
pub(super) fn identity() -> Identity {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "stand-in cluster");
    let ca_key = KeyPair::generate().expect("a key can be made");
    let ca_pem = ca.self_signed(&ca_key).expect("the authority signs itself").pem();
    let key = KeyPair::generate().expect("a key can be made");
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address is a valid name");
    let certificate = server.signed_by(&key, &Issuer::new(ca, ca_key)).expect("the authority signs");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key of our own making");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("the key fits its certificate");
    Identity { ca_pem, acceptor: TlsAcceptor::from(Arc::new(config)) }
}
