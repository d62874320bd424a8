//! Secrets: those that the operator makes, those of the user, and those that no backup should have.

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::{NAMESPACE, PASSWORD, owned};
use crate::testing::services::Certificates;

/// Values that are plainly none.
const KEY: &str = "not-a-real-key";
const TOKEN: &str = "not-a-real-token";
const UUID: &str = "00000000-0000-4000-8000-000000000001";

/// As the operator renders it; in the middle is the keystore's password.
const ZUUL_CONF: &str = "\
[zookeeper]
hosts=zookeeper:2281

[keystore]
password=00000000-0000-4000-8000-000000000000

[auth zuul_client]
secret=00000000-0000-4000-8000-000000000001

[database]
dburi=mysql+pymysql://zuul@mariadb/zuul
";

const OF_OPERATOR: [(&str, &[(&str, &str)]); 14] = [
    ("zuul-keystore-password", &[("zuul-keystore-password", PASSWORD)]),
    ("zuul-ssh-key", &[("priv", KEY), ("pub", KEY)]),
    ("zuul-spare-ssh-key", &[("priv", KEY), ("pub", KEY)]),
    ("nodepool-builder-ssh-key", &[("priv", KEY), ("pub", KEY)]),
    ("logserver-keys", &[("priv", KEY), ("pub", KEY)]),
    ("logserver-uploader-keys", &[("priv", KEY), ("pub", KEY)]),
    ("logserver-uploader-spare-keys", &[("priv", KEY), ("pub", KEY)]),
    ("zuul-auth-secret", &[("zuul-auth-secret", UUID)]),
    ("mariadb-root-password", &[("mariadb-root-password", UUID)]),
    ("zuul-db-connection", &[("username", "zuul"), ("password", UUID), ("host", "mariadb"), ("database", "zuul")]),
    // Made again at every run: not worth keeping.
    ("mariadb-config-secrets", &[("my.cnf", "[client]")]),
    ("mariadb-initdb-secrets", &[("initfile.sql", "-- nothing")]),
    ("zuul-config", &[("zuul.conf", ZUUL_CONF)]),
    ("config-update-secrets", &[("token", TOKEN), ("namespace", NAMESPACE)]),
];

const OF_USER: [(&str, &[(&str, &str)]); 8] = [
    ("gerrit-ssh", &[("priv", KEY)]),
    // Its key is its own name.
    ("gerrit-http", &[("gerrit-http", TOKEN)]),
    ("github-conn-secret", &[("app_key", KEY), ("api_token", TOKEN), ("webhook_token", TOKEN)]),
    ("gitlab-conn-secret", &[("api_token", TOKEN), ("webhook_token", TOKEN)]),
    ("pagure-conn-secret", &[("api_token", TOKEN)]),
    ("elastic-auth", &[("username", "zuul"), ("password", TOKEN)]),
    ("smtp-secret", &[("password", TOKEN)]),
    ("nodepool-providers-secrets", &[("clouds.yaml", "clouds: {}")]),
];

/// Those of the operator and those of the user.
pub(super) fn all(certificates: &Certificates) -> Vec<Value> {
    let of_user = OF_USER.iter().map(|(name, data)| secret(name, data));
    of_operator(certificates).into_iter().chain(of_user).collect()
}

/// Those that the operator makes.
pub(super) fn of_operator(certificates: &Certificates) -> Vec<Value> {
    let of_operator = OF_OPERATOR.iter().map(|(name, data)| {
        let mut object = secret(name, data);
        object["metadata"] = owned(name);
        if *name == "config-update-secrets" {
            object["type"] = "kubernetes.io/service-account-token".into();
            object["metadata"]["annotations"] = json!({ "kubernetes.io/service-account.name": "config-updater" });
        }
        object
    });
    of_operator.chain(tls(certificates)).collect()
}

/// The operator takes the pair only with exactly this annotation.
fn tls(certificates: &Certificates) -> [Value; 2] {
    let Certificates { ca, server, client } = certificates;
    let of_client = [("ca.crt", &ca[..]), ("tls.crt", &client.0), ("tls.key", &client.1)];
    let of_server = [("ca.crt", &ca[..]), ("0-tls.crt", &server.0), ("0-tls.key", &server.1)];
    [("zookeeper-client-tls", of_client), ("zookeeper-server-tls", of_server)].map(|(name, data)| {
        let mut object = secret(name, &data);
        object["metadata"] = owned(name);
        object["metadata"]["annotations"] = json!({ "serial": "2" });
        object
    })
}

/// A Secret with these values.
pub(super) fn secret(name: &str, data: &[(&str, &str)]) -> Value {
    let mut object = like(name);
    object["type"] = "Opaque".into();
    object["data"] = data.iter().map(|(key, value)| ((*key).to_owned(), base64(value.as_bytes()))).collect();
    object
}

/// Type and name.
pub(super) fn like(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": NAMESPACE } })
}

pub(super) fn base64(bytes: &[u8]) -> Value {
    serde_json::to_value(ByteString(bytes.to_vec())).expect("base64 is a JSON string")
}
