//! Real servers.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object_store::ObjectStore;
use object_store::RetryConfig;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;

use super::{backend, keeps_the_contract};

/// A server on a port of its own.
struct Real {
    child: Child,
    port: u16,
}

impl Real {
    fn start(variable: &str, args: impl Fn(u16) -> Vec<String>) -> Option<Self> {
        let Some(program) = std::env::var_os(variable) else {
            println!("${variable} names no server, so the contract is not tried against it");
            return None;
        };
        // Free now, and so for the moment until the server has it.
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{}", account_key()));
        let child = command.args(args(port)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let server = Self { child, port };
        let end = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the server does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(server)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn moto() -> Option<(Real, Arc<dyn ObjectStore>)> {
    let server =
        Real::start("SFARC_MOTO", |port| vec!["-H".into(), "127.0.0.1".into(), "-p".into(), port.to_string()])?;
    let url = format!("http://127.0.0.1:{}", server.port);
    ureq::put(&format!("{url}/bucket")).send_empty().expect("a bucket is made");
    let builder = AmazonS3Builder::new().with_endpoint(url).with_allow_http(true).with_bucket_name("bucket");
    let builder = builder.with_region("us-east-1").with_access_key_id("test-only").with_secret_access_key("test-only");
    let store = builder.with_retry(no_retries()).build().expect("a client");
    Some((server, Arc::new(store)))
}

const ACCOUNT: &str = "tests";
const CONTAINER: &str = "container";

/// The emulator's key for the account, which the tests give it.
fn account_key() -> String {
    STANDARD.encode("for tests only")
}

fn azurite() -> Option<(Real, Arc<dyn ObjectStore>)> {
    let server = Real::start("SFARC_AZURITE", |port| {
        ["--blobHost", "127.0.0.1", "--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--blobPort"]
            .map(str::to_owned)
            .into_iter()
            .chain([port.to_string()])
            .collect()
    })?;
    let endpoint = format!("http://127.0.0.1:{}/{ACCOUNT}", server.port);
    make_container(&endpoint);
    let builder = MicrosoftAzureBuilder::new().with_account(ACCOUNT).with_access_key(account_key());
    let builder = builder.with_endpoint(endpoint).with_allow_http(true).with_container_name(CONTAINER);
    Some((server, Arc::new(builder.with_retry(no_retries()).build().expect("a client"))))
}

/// Makes the container, signed by "Shared Key":
/// <https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key>.
fn make_container(endpoint: &str) {
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let version = "2021-08-06";
    let headers = format!("x-ms-date:{date}\nx-ms-version:{version}\n");
    let text = format!("PUT{}{headers}/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container", "\n".repeat(12));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"for tests only");
    let signature = STANDARD.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()));
    ureq::put(format!("{endpoint}/{CONTAINER}?restype=container"))
        .header("x-ms-date", date)
        .header("x-ms-version", version)
        .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
        .send_empty()
        .expect("a container is made");
}

#[test]
fn a_server_of_s3_keeps_the_contract() {
    if let Some((_server, store)) = moto() {
        // It looks whether a name is taken, and stores, in two steps: its threads come between, when there is much to do.
        keeps_the_contract(&store, Some("of concurrent puts one wins"));
        backend(&store, "conditions").try_conditions().expect("puts are conditional");
    }
}

#[test]
fn azures_emulator_keeps_the_contract() {
    if let Some((_server, store)) = azurite() {
        keeps_the_contract(&store, None);
        backend(&store, "conditions").try_conditions().expect("puts are conditional");
    }
}
