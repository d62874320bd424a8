//! The connection to an API server.

use std::path::PathBuf;
use std::time::Duration;

use kube::client::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::ClusterError;
use crate::process::hidden_from_helpers;

/// Which cluster. What is not named is taken from the environment, as `kubectl` does.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// A kubeconfig file; `$KUBECONFIG`, the usual file, or the account of the pod that this program runs in.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it; its current one.
    pub context: Option<String>,
}

/// The namespace that is meant in a cluster where none is named.
pub fn default_namespace(place: &Place) -> Result<String, ClusterError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(config_error)?;
    Ok(runtime.block_on(config(place))?.default_namespace)
}

async fn config(place: &Place) -> Result<Config, ClusterError> {
    let options = KubeConfigOptions { context: place.context.clone(), ..KubeConfigOptions::default() };
    match (&place.kubeconfig, &place.context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(config_error)?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(config_error)
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(config_error),
        (None, None) => Config::infer().await.map_err(config_error),
    }
}

/// A cluster that can be talked to.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
}

impl Cluster {
    /// Prepares a connection; nothing is sent yet. To be called inside a tokio runtime.
    pub async fn connect(place: &Place) -> Result<Self, ClusterError> {
        let mut config = config(place).await?;
        // Streams may be silent for long; what they do has deadlines of its own.
        config.read_timeout = None;
        // What may be asked twice is known where it is asked.
        config.default_retry = false;
        hide_secrets(&mut config);
        Ok(Self { client: Client::try_from(config).map_err(config_error)? })
    }
}

/// A kubeconfig may name a program that fetches a token: it finds no secret of ours in its environment.
fn hide_secrets(config: &mut Config) {
    let hidden = hidden_from_helpers();
    if let Some(exec) = &mut config.auth_info.exec {
        exec.drop_env.get_or_insert_default().extend(hidden.iter().cloned());
    }
    if let Some(provider) = &mut config.auth_info.auth_provider {
        let names = provider.config.entry("cmd-drop-env".to_owned()).or_default();
        *names = format!("{names} {}", hidden.join(" "));
    }
}

fn config_error(error: impl std::error::Error + Send + Sync + 'static) -> ClusterError {
    ClusterError::Config(Box::new(error))
}

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for an answer, but not for ever.
pub(super) async fn in_time<T>(
    doing: &str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => answer.map_err(|error| cluster_error(doing, error)),
        Err(late) => Err(ClusterError::Connection { doing: doing.to_owned(), source: Box::new(late) }),
    }
}

/// What kept a request from being answered with success.
fn cluster_error(doing: &str, error: kube::Error) -> ClusterError {
    let doing = doing.to_owned();
    match error {
        kube::Error::Api(status) => ClusterError::Refused { doing, code: status.code, message: status.message },
        kube::Error::UpgradeConnection(kube::client::UpgradeConnectionError::SecWebSocketProtocolMismatch) => {
            ClusterError::NoProtocol { doing }
        }
        kube::Error::UpgradeConnection(kube::client::UpgradeConnectionError::ProtocolSwitch(code)) => {
            ClusterError::Refused { doing, code: code.as_u16(), message: "it does not switch protocols".to_owned() }
        }
        error => ClusterError::Connection { doing, source: Box::new(error) },
    }
}

/// True if a connection was closed without a word, which is how servers end it after their close frame.
pub(super) fn is_plain_end(error: &tokio_tungstenite::tungstenite::Error) -> bool {
    use tokio_tungstenite::tungstenite::Error;
    matches!(
        error,
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}
