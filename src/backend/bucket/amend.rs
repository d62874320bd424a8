//! Headers that the crate `object_store` does not know: they are added where requests are sent, and the request is signed
//! again. What is to be added travels with the request, as one of its extensions.

use std::fmt;

use async_trait::async_trait;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::backend::traffic::{Counting, Traffic};

/// The hash that is part of the signature.
const HASH: &str = "x-amz-content-sha256";
/// Until when an object is locked, in the answer to whoever reads it and may know.
const UNTIL: &str = "x-amz-object-lock-retain-until-date";

/// Signs requests to S3 like the client that they come from.
#[derive(Clone)]
pub(super) struct Signer {
    pub credentials: AwsCredentialProvider,
    pub region: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

/// What is added to a request.
#[derive(Debug, Clone)]
pub(super) struct Amendment {
    /// Asks for this part of the object instead of its bytes.
    pub part: Option<&'static str>,
    pub headers: Vec<(&'static str, String)>,
    /// Nobody, where requests are not signed.
    pub signer: Option<Signer>,
}

/// Until when the object is locked, if the answer says so.
#[derive(Debug, Clone)]
pub(super) struct Until(pub String);

/// Connects as usual, counts, and amends.
#[derive(Debug)]
pub(super) struct Amending(pub Traffic);

impl HttpConnector for Amending {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Counting(self.0.clone()).connect(options)?;
        Ok(HttpClient::new(AmendingService(client)))
    }
}

#[derive(Debug)]
struct AmendingService(HttpClient);

#[async_trait]
impl HttpService for AmendingService {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let amendment = request.extensions_mut().remove::<Amendment>();
        if let Some(amendment) = &amendment {
            amendment.apply(&mut request).await?;
        }
        let mut response = self.0.execute(request).await?;
        if let Some(until) = response.headers().get(UNTIL).and_then(|until| until.to_str().ok()) {
            let until = Until(until.to_owned());
            response.extensions_mut().insert(until);
        }
        if amendment.is_some() {
            // Parts of objects have none, and the crate takes no answer to a put without.
            response.headers_mut().entry(ETAG).or_insert(HeaderValue::from_static("\"none\""));
        }
        Ok(response)
    }
}

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> HttpError {
    HttpError::new(HttpErrorKind::Request, std::io::Error::other(error))
}

impl Amendment {
    async fn apply(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        if let Some(part) = self.part {
            *request.uri_mut() = format!("{}?{part}", request.uri()).parse::<Uri>().map_err(wrong)?;
            strip(request.headers_mut());
        }
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value).map_err(wrong)?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        match &self.signer {
            Some(signer) => signer.sign(request).await,
            None => Ok(()),
        }
    }
}

/// Removes what is said of an object's bytes only.
fn strip(headers: &mut HeaderMap) {
    headers.remove(IF_NONE_MATCH);
    let encryption: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-amz-server-side-encryption")).cloned().collect();
    for name in encryption {
        headers.remove(name);
    }
}

impl Signer {
    /// Replaces the signature. The hash of the body stays as it was signed first.
    async fn sign(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        let credential = self.credentials.get_credential().await.map_err(wrong)?;
        let hash = request.headers().get(HASH).and_then(|hash| decode(hash.to_str().ok()?));
        let authorizer = AwsAuthorizer::new(&credential, "s3", &self.region).with_sign_payload(hash.is_some());
        authorizer.try_authorize(request, hash.as_deref()).map_err(wrong)
    }
}

/// The bytes of hexadecimal digits; nothing where there is a word instead.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_and_a_word_is_not() {
        assert_eq!(decode("00ff10"), Some(vec![0, 255, 16]));
        for word in ["UNSIGNED-PAYLOAD", "abc"] {
            assert_eq!(decode(word), None, "{word}");
        }
    }
}
