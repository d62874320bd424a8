//! Reaching a bucket: whose it is, where its servers are, and who we are, as each cloud's own tools find it out.

use std::fmt;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

use super::amend::{Amending, Signer};
use super::lock::{Lock, Locks};
use super::profile;
use crate::backend::traffic::{Counting, Traffic};

/// Whose bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// `s3://`: Amazon's, and whoever speaks its protocol.
    S3,
    /// `gs://`: Google Cloud Storage.
    Gs,
    /// `az://`: Azure Blob Storage.
    Az,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Gs, Self::Az];

    /// What its URLs begin with.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }
}

/// Where the name of a bucket goes in the URL of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// `https://SERVER/BUCKET/NAME`.
    #[default]
    Path,
    /// `https://BUCKET.SERVER/NAME`.
    Virtual,
}

impl fmt::Display for Addressing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "path",
            Self::Virtual => "virtual",
        })
    }
}

/// How a bucket is reached, where the environment does not say it, and what is asked of it.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// The URL of its servers; the cloud's own if nothing is said.
    pub endpoint: Option<String>,
    /// The region of an S3 bucket.
    pub region: Option<String>,
    /// How an S3 bucket is addressed.
    pub addressing: Option<Addressing>,
    /// The profile of Amazon's tools that alone says who we are, whatever the environment says.
    pub profile: Option<String>,
    /// Sends requests to S3 without a signature: for a bucket that everybody may use.
    pub unsigned: bool,
    /// How what is put is locked, if it is: in an S3 bucket with Object Lock.
    pub lock: Option<Lock>,
    /// Counts requests and bytes.
    pub traffic: Traffic,
}

/// Reads the URL of a bucket's servers; the crate takes whatever it is given, and panics with the first request.
pub fn parse_endpoint(text: &str) -> Result<String, String> {
    let url = text.parse::<http::Uri>().ok();
    let scheme = url.as_ref().and_then(|url| url.scheme_str());
    if matches!(scheme, Some("http" | "https"))
        && url.as_ref().and_then(|url| url.host()).is_some_and(|host| !host.is_empty())
    {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is no URL of servers such as `https://s3.example`"))
}

/// What requests are bounded by, where the environment does not say it: a pack takes a while on a thin line.
const BOUNDS: [(ClientConfigKey, &str); 2] =
    [(ClientConfigKey::Timeout, "5 minutes"), (ClientConfigKey::ConnectTimeout, "10 seconds")];

/// The region that the crate takes if none is named.
const USUAL_REGION: &str = "us-east-1";

/// A client for a bucket. Whether there is one shows with the first request.
pub fn connect(cloud: Cloud, bucket: &str, line: &Line) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    connect_and_lock(cloud, bucket, line).map(|(store, _)| store)
}

/// The same, with what locks are made with, if there are to be any; only S3 has them.
pub fn connect_and_lock(
    cloud: Cloud,
    bucket: &str,
    line: &Line,
) -> Result<(Arc<dyn ObjectStore>, Option<Locks>), object_store::Error> {
    match cloud {
        Cloud::S3 => s3(bucket, line),
        Cloud::Gs => Ok((gs(bucket, line)?, None)),
        Cloud::Az => Ok((az(bucket, line)?, None)),
    }
}

/// This adapter tries again itself: it alone knows which answers are final, and whether an object that is there
/// already is its own.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Who names a server without TLS means it. What is stored is sealed, and requests are signed.
fn is_plain(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}

macro_rules! bounded {
    ($builder:expr, $key:path) => {{
        let mut builder = $builder;
        for (key, value) in BOUNDS {
            if builder.get_config_value(&$key(key)).is_none_or(|value| value.is_empty()) {
                builder = builder.with_config($key(key), value);
            }
        }
        builder
    }};
}

fn s3(bucket: &str, line: &Line) -> Result<(Arc<dyn ObjectStore>, Option<Locks>), object_store::Error> {
    use AmazonS3ConfigKey as Key;
    let builder = if line.profile.is_some() { AmazonS3Builder::new() } else { AmazonS3Builder::from_env() };
    let builder = profile::apply(builder, line.profile.as_deref())?;
    let mut builder = builder.with_bucket_name(bucket).with_retry(no_retries());
    let said = [(Key::Endpoint, &line.endpoint), (Key::Region, &line.region)];
    for (key, value) in said {
        if let Some(value) = value {
            builder = builder.with_config(key, value);
        }
    }
    if line.unsigned {
        builder = builder.with_skip_signature(true);
    }
    if let Some(addressing) = line.addressing {
        builder = builder.with_virtual_hosted_style_request(addressing == Addressing::Virtual);
    }
    let endpoint = [Key::S3Endpoint, Key::Endpoint].iter().find_map(|key| builder.get_config_value(key));
    if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) {
        let endpoint = parse_endpoint(&endpoint);
        let endpoint = endpoint.map_err(|why| object_store::Error::Generic { store: "S3", source: why.into() })?;
        if is_plain(&endpoint) {
            builder = builder.with_allow_http(true);
        }
    }
    // A bucket that locks whatever is put takes no put without. It is the hash that is signed anyway.
    if builder.get_config_value(&Key::Checksum).is_none() {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    let is_unsigned = builder.get_config_value(&Key::SkipSignature).is_some_and(|value| value == "true");
    let region = builder.get_config_value(&Key::Region).unwrap_or_else(|| USUAL_REGION.to_owned());
    let store = bounded!(builder, Key::Client).with_http_connector(Amending(line.traffic.clone())).build()?;
    let signer = (!is_unsigned).then(|| Signer { credentials: Arc::clone(store.credentials()), region });
    let locks = line.lock.clone().map(|lock| Locks { lock, signer });
    Ok((Arc::new(store), locks))
}

fn gs(bucket: &str, line: &Line) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    use GoogleConfigKey as Key;
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(no_retries());
    if let Some(endpoint) = &line.endpoint {
        let is_plain = is_plain(endpoint).to_string();
        builder = builder.with_config(Key::BaseUrl, endpoint);
        builder = builder.with_config(Key::Client(ClientConfigKey::AllowHttp), is_plain);
    }
    let builder = bounded!(builder, Key::Client).with_http_connector(Counting(line.traffic.clone()));
    Ok(Arc::new(builder.build()?))
}

fn az(container: &str, line: &Line) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    use AzureConfigKey as Key;
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(no_retries());
    // The crate would start Azure's own program, which would find our password in its environment.
    builder = builder.with_use_azure_cli(false);
    if let Some(endpoint) = &line.endpoint {
        builder = builder.with_endpoint(endpoint.clone()).with_allow_http(is_plain(endpoint));
    }
    let builder = bounded!(builder, Key::Client).with_http_connector(Counting(line.traffic.clone()));
    Ok(Arc::new(builder.build()?))
}
