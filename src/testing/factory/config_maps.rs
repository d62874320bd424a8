//! `ConfigMap`s: the owner, the user's, generated ones, and notes of the operator.

use serde_json::{Value, json};

use super::{NAMESPACE, owned};

pub(super) const OWNER_UID: &str = "11111111-2222-4333-8444-555555555555";

/// What the operator remembers of the custom resource: lower-cased names of fields, and no sizes.
const SPEC: &str = "\
fqdn: sfop.example
fluentbitlogforwarding: null
gateway: {extraconfigurationconfigmap: gateway-extra, extrastaticfilesconfigmap: ''}
zuul:
  gerritconns: [{name: gerrit, sshkey: gerrit-ssh, password: gerrit-http}]
  githubconns: [{name: github.com, secrets: github-conn-secret}]
  gitlabconns: [{name: gitlab.example, secrets: gitlab-conn-secret}]
  pagureconns: [{name: pagure.example, secrets: pagure-conn-secret}]
  gitconns: [{name: git.example}]
  elasticsearchconns: [{name: elastic, basicauthsecret: elastic-auth}]
  smtpconns: [{name: mail, secrets: smtp-secret, password: ''}]
  executor: {enabled: null, standalone: null}
mariadb: {dbstorage: {size: {format: BinarySI}, classname: ''}}
";

const GENERATED: [&str; 5] = [
    "zookeeper-pi-config-map",
    "logserver-config-map",
    "zuul-scheduler-tooling-config-map",
    "zuul-extra-config-map",
    "gateway-config-map",
];

const NOTES: [&str; 1] = ["zs-internal-tenant-reconfigure"];

/// Those of the operator and those of the user.
pub(super) fn all() -> Vec<Value> {
    let map = |name: &str, data: Value| map(json!({ "name": name, "namespace": NAMESPACE }), data);
    let of_user = [
        map("corporate-ca-certs", json!({ "ca.crt": "not a certificate" })),
        map("gateway-extra", json!({ "extra.conf": "# nothing" })),
        map("kube-root-ca.crt", json!({ "ca.crt": "not a certificate" })),
    ];
    of_operator().into_iter().chain(of_user).collect()
}

fn map(metadata: Value, data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data })
}

/// The owner, the generated ones, and notes.
pub(super) fn of_operator() -> Vec<Value> {
    let mut owner = json!({ "name": "sf-standalone-owner", "namespace": NAMESPACE });
    owner["uid"] = OWNER_UID.into();
    owner["annotations"] = json!({ "sf-operator-version": "v0.0.68", "last-reconcile": "1781800000" });
    let mut all = vec![map(owner, json!({ "spec": SPEC }))];
    let names = GENERATED.iter().chain(&NOTES);
    all.extend(names.map(|name| map(owned(name), json!({ "content": format!("generated for {name}") }))));
    all
}
